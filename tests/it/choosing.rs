//! Which slot is chosen.

use crate::support::{Config, PORT_FILE, Sandbox, can_bind, close, config, listen};

/// A sandbox with the worktree `a`, which allocates.
fn sandbox() -> Sandbox {
    Sandbox::with_worktrees(&["a"])
}

fn one_service(base: u16, step: u16) -> Config {
    config(&[("web", base)]).step(step)
}

/// Two services with consecutive base ports.
fn two_services(web: u16, step: u16) -> Config {
    config(&[("web", web), ("api", web + 1)]).step(step)
}

/// Allocates for `a` where this port is the only one left. The port is the machine's, not the
/// sandbox's, so something may be listening on it.
#[track_caller]
fn assert_chooses_if_free(sandbox: &Sandbox, port: u16) {
    let run = sandbox.run("a", &["--reallocate"]);
    if can_bind(port) {
        run.exits(0);
        assert_eq!(sandbox.ports("a"), [port]);
    } else {
        run.exits(1).tells(&["2 tried", "1 in use"]);
    }
}

#[test]
fn a_slot_with_a_port_that_browsers_block_is_skipped() {
    let blocked = [
        1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668,
        6669, 6679, 6697, 10080,
    ];
    let mut table: Vec<(u16, u16)> = blocked.into_iter().map(|port| (port - 200, 200)).collect();
    // From one blocked port to the next one.
    table.extend([(5059, 1), (6664, 1), (1718, 1)]);
    for (base, step) in table {
        let sandbox = sandbox();
        sandbox.configure("repo", one_service(base, step));
        sandbox.run("a", &[]).exits(0).tells_nothing();
        // Other programs may be using some of these ports.
        let mut ports = (1..).map(|slot| base + slot * step);
        let expected = ports.find(|port| !blocked.contains(port) && can_bind(*port));
        assert_eq!(sandbox.ports("a"), [expected.unwrap()], "{base} + {step}");
    }
    // The other service's port in that slot is free.
    let sandbox = sandbox();
    let services = [("api", 5950), ("web", sandbox.port(0))];
    sandbox.configure("repo", config(&services).step(50));
    sandbox.run("a", &[]).exits(0);
    let slot = (2..4).find(|slot| can_bind(5950 + slot * 50)).unwrap();
    let ports = [5950 + slot * 50, sandbox.port(slot * 50)];
    assert_eq!(sandbox.ports("a"), ports);
}

#[test]
fn a_base_port_may_be_one_that_browsers_block() {
    let sandbox = sandbox();
    sandbox.configure("repo", one_service(6000, 100));
    sandbox.run("repo", &[]).exits(0).tells_nothing();
    assert_eq!(sandbox.ports("repo"), [6000]);
}

#[test]
fn only_a_base_port_above_32767_leads_to_ports_above_it() {
    let sandbox = sandbox();
    sandbox.add("b");
    for (base, last) in [(32_766, 32_767), (65_534, 65_535)] {
        sandbox.configure("repo", one_service(base, 1));
        assert_chooses_if_free(&sandbox, last);
        sandbox.write(format!("a/{PORT_FILE}"), format!("[{last}]"));
        sandbox
            .run("b", &[])
            .exits(1)
            .tells(&["no free slot: 2 tried, 2 reserved, 0 in use"]);
    }

    // Each service has its own limit.
    let low = sandbox.port(0);
    let step = (32_767 - low) / 3;
    // `low` has three more slots. Something may listen on the ports of `high`, which are not the
    // sandbox's.
    let is_free = |high: &u16| (1..4).all(|slot| can_bind(high + slot * step));
    let high = (33_000..65_535 - 3 * step).step_by(100).find(is_free);
    let high = high.unwrap();
    let services = [("high", high), ("low", low)];
    sandbox.configure("repo", config(&services).step(step));
    let mut reserved = Vec::new();
    for slot in 1..4 {
        let ports = [high, low].map(|base| base + slot * step);
        if can_bind(ports[1]) {
            sandbox.remove_port_file("a");
            sandbox.run("a", &[]).exits(0);
            assert_eq!(sandbox.ports("a"), ports);
        }
        reserved.extend(ports);
        sandbox.write(format!("b/{PORT_FILE}"), format!("{reserved:?}"));
    }
    sandbox
        .run("a", &["--reallocate"])
        .exits(1)
        .tells(&["4 tried"]);
}

#[test]
fn if_no_slot_is_left_the_error_counts_the_slots_and_names_a_remedy() {
    let sandbox = sandbox();
    let base = sandbox.port(10);
    // `edge` has only the slots 0 to 2.
    let services = [("web", base), ("edge", 32_765)];
    sandbox.configure("repo", config(&services).step(1));
    let told = |reserved, busy| {
        format!(
            "no free slot: 3 tried, {reserved} reserved, {busy} in use; \
             the slots end where `edge`, at 32765 + slot × 1, passes 32767; \
             set a smaller `step` or lower base ports in the config"
        )
    };
    let listeners = [listen(base + 1), listen(base + 2)];
    sandbox.run("a", &[]).exits(1).tells(&[&told(1, 2)]);
    sandbox.run_hook("a").exits(0).tells(&[&told(1, 2)]);
    assert!(!sandbox.has_port_file("a"));
    sandbox.assert_no_leftovers("a");

    listeners.into_iter().for_each(close);
    sandbox.add("b");
    sandbox.write(format!("b/{PORT_FILE}"), format!("[{}, 32767]", base + 1));
    // The error does not name a file that names so few ports.
    sandbox.run("a", &[]).exits(1).tells(&[&told(3, 0)]);
}

#[test]
fn if_no_slot_is_left_a_file_with_more_than_100_ports_is_named() {
    let sandbox = sandbox();
    sandbox.configure("repo", one_service(30_000, 10_000));
    sandbox.add("b");
    // 30000 is the only slot, and it belongs to the main worktree.
    for (count, is_named) in [(100, false), (101, true)] {
        let ports: Vec<u16> = (9000..9000 + count).collect();
        sandbox.write(format!("b/{PORT_FILE}"), format!("{ports:?}"));
        let run = sandbox.run("a", &[]).exits(1);
        let named = format!(
            "`{}` names 101 ports",
            sandbox.path("b").join(PORT_FILE).display()
        );
        assert_eq!(run.stderr.contains(&named), is_named, "{run}");
        assert_eq!(run.stderr.contains(" names "), is_named, "{run}");
    }
}

#[test]
fn the_main_worktree_takes_slot_0_without_a_probe() {
    let sandbox = sandbox();
    let base = sandbox.port(0);
    let _stack = listen(base);
    sandbox.configure("repo", one_service(base, 10));
    sandbox.run("repo", &[]).exits(0).tells_nothing();
    assert_eq!(sandbox.ports("repo"), [base]);
    sandbox.run("repo", &["--reallocate"]).exits(0);
    assert_eq!(sandbox.ports("repo"), [base]);
}

#[test]
fn the_main_worktree_takes_another_slot_if_its_port_is_reserved() {
    let sandbox = sandbox();
    let (web, api) = (sandbox.port(0), sandbox.port(1));
    sandbox.configure("repo", two_services(web, 10));
    sandbox.write(format!("a/{PORT_FILE}"), format!(r#"{{"app": {api}}}"#));
    let listener = listen(web + 10);
    sandbox.run("repo", &[]).exits(0).tells_nothing();
    // A slot other than 0 is probed.
    assert_eq!(sandbox.ports("repo"), [api + 20, web + 20]);
    close(listener);
}

#[test]
fn slot_0_by_either_config_belongs_to_the_main_worktree() {
    let sandbox = sandbox();
    let port = |offset| sandbox.port(offset);
    sandbox.configure("repo", one_service(port(10), 10));
    sandbox.configure("a", one_service(port(0), 5));
    sandbox.run("a", &[]).exits(0).tells_nothing();
    assert_eq!(sandbox.ports("a"), [port(5)]);
    sandbox.add("b");
    sandbox.configure("b", one_service(port(0), 5));
    sandbox.run("b", &[]).exits(0).tells_nothing();
    // Neither its own slot 0, at 0, nor the main worktree's, at 10.
    assert_eq!(sandbox.ports("b"), [port(15)]);
}

#[test]
fn ports_in_the_main_worktrees_port_file_are_reserved() {
    let sandbox = sandbox();
    sandbox.write(
        format!("repo/{PORT_FILE}"),
        sandbox.with_ports(r#"{"worktree": null, "slot": 1, "ports": {"cloud": @1}}"#),
    );
    sandbox.run("a", &[]).exits(0);
    assert_eq!(sandbox.ports("a"), [sandbox.port(2)]);
}

#[test]
fn a_worktrees_own_port_file_never_blocks_it() {
    let sandbox = sandbox();
    for content in [
        r#"{"app": @1}"#,
        r#"{"worktree": "b", "slot": 1, "ports": {"cloud": @1}}"#,
        "@1,",
    ] {
        sandbox.write(format!("a/{PORT_FILE}"), sandbox.with_ports(content));
        sandbox.run("a", &["--reallocate"]).exits(0);
        assert_eq!(sandbox.ports("a"), [sandbox.port(1)], "{content}");
    }
    sandbox.write(
        format!("repo/{PORT_FILE}"),
        sandbox.with_ports(r#"{"app": @0}"#),
    );
    sandbox.run("repo", &["--reallocate"]).exits(0);
    assert_eq!(sandbox.ports("repo"), [sandbox.port(0)]);
}

#[test]
fn a_slot_with_a_reserved_or_busy_port_is_skipped() {
    let sandbox = sandbox();
    let (web, api) = (sandbox.port(0), sandbox.port(1));
    sandbox.configure("repo", two_services(web, 10));
    sandbox.add("b");
    sandbox.write(
        format!("b/{PORT_FILE}"),
        format!(r#"{{"app": {}}}"#, api + 10),
    );
    let listener = listen(api + 20);
    sandbox.run("a", &[]).exits(0).tells_nothing();
    assert_eq!(sandbox.ports("a"), [api + 30, web + 30]);
    close(listener);
    sandbox.remove_port_file("b");
    // Both are free now, but the worktree keeps its bundle.
    sandbox.run("a", &[]).exits(0);
    assert_eq!(sandbox.ports("a"), [api + 30, web + 30]);
    sandbox.run("a", &["--reallocate"]).exits(0);
    assert_eq!(sandbox.ports("a"), [api + 10, web + 10]);
}
