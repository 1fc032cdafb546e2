//! Which slot is chosen.

use std::fs;
use std::net::TcpListener;

use crate::support::{CONFIG, PORT_FILE, PortBlock, Sandbox, close, config};

/// A sandbox with the worktree `a`, and this config in the main worktree.
fn sandbox(config: &str) -> Sandbox {
    let sandbox = Sandbox::bare_of_hooks();
    sandbox.add("a");
    sandbox.write(format!("repo/{CONFIG}"), config);
    sandbox
}

fn config_of(base: u16, step: u16) -> String {
    format!("{{\"services\": {{\"web\": {base}}}, \"step\": {step}}}")
}

#[test]
fn a_slot_with_a_port_that_browsers_block_is_skipped_whole() {
    // Base, step, and the port that is got.
    let blocked = [
        1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668,
        6669, 6679, 6697, 10080,
    ];
    let mut table: Vec<(u16, u16, u16)> = blocked
        .into_iter()
        .map(|port| (port - 200, 200, port + 200))
        .collect();
    // From one blocked port to the next.
    table.extend([(5059, 1, 5062), (6664, 1, 6670), (1718, 1, 1721)]);
    for (base, step, port) in table {
        let sandbox = sandbox(&config_of(base, step));
        sandbox.run("a", &[]).exits(0).tells_nothing();
        assert_eq!(sandbox.ports("a"), [port], "{base} + {step}");
    }
    // Whole: the other service of that slot is free.
    let sandbox = sandbox(&config(&[("api", 5900), ("web", 9000)]));
    sandbox.run("a", &[]).exits(0);
    assert_eq!(sandbox.ports("a"), [6100, 9200]);
}

#[test]
fn a_base_port_is_the_users_own_choice() {
    let sandbox = sandbox(&config_of(6000, 100));
    sandbox.run("repo", &[]).exits(0).tells_nothing();
    assert_eq!(sandbox.ports("repo"), [6000]);
}

#[test]
fn no_port_above_32767_is_allocated_unless_the_base_port_is_itself_above() {
    let sandbox = sandbox(&config_of(32_766, 1));
    sandbox.run("a", &[]).exits(0);
    assert_eq!(sandbox.ports("a"), [32_767]);
    sandbox.add("b");
    sandbox
        .run("b", &[])
        .exits(1)
        .tells(&["no ports are left: of 2 slots, 2 have reserved ports, and 0 have busy ones"]);

    sandbox.write(format!("repo/{CONFIG}"), config_of(65_534, 1));
    sandbox.run("a", &["--reallocate"]).exits(0);
    assert_eq!(sandbox.ports("a"), [65_535]);
    sandbox.run("b", &[]).exits(1).tells(&["of 2 slots"]);

    // Of two services each has its own ceiling.
    sandbox.write(
        format!("repo/{CONFIG}"),
        "{\"services\": {\"low\": 30767, \"high\": 40000}, \"step\": 1000}",
    );
    for (name, ports) in [("a", [41_000, 31_767]), ("b", [42_000, 32_767])] {
        sandbox.run(name, &["--reallocate"]).exits(0);
        assert_eq!(sandbox.ports(name), ports);
    }
    sandbox.add("c");
    sandbox.run("c", &[]).exits(1).tells(&["of 3 slots"]);
}

#[test]
fn where_none_is_left_the_error_counts_the_slots_and_names_the_remedy() {
    let block = PortBlock::reserve();
    let base = block.port(10);
    // `edge` is usable in the slots 0 to 2 alone.
    let sandbox = sandbox(&format!(
        "{{\"services\": {{\"web\": {base}, \"edge\": 32765}}, \"step\": 1}}"
    ));
    let told = |reserved, busy| {
        format!(
            "no ports are left: of 3 slots, {reserved} have reserved ports, and {busy} have busy ones; \
             a smaller `step` in the config makes more slots"
        )
    };
    let listen = |slot| TcpListener::bind(("127.0.0.1", base + slot)).unwrap();
    let listeners = [listen(1), listen(2)];
    sandbox.run("a", &[]).exits(1).tells(&[&told(1, 2)]);
    sandbox.run_hook("a").exits(0).tells(&[&told(1, 2)]);
    assert!(!sandbox.has_port_file("a"));
    sandbox.assert_no_leftovers("a");

    listeners.into_iter().for_each(close);
    sandbox.add("b");
    sandbox.write(format!("b/{PORT_FILE}"), format!("[{}, 32767]", base + 1));
    // It names too few ports to be named itself.
    sandbox.run("a", &[]).exits(1).tells(&[&told(3, 0)]);
}

#[test]
fn a_file_that_names_more_than_100_ports_is_named_where_none_is_left() {
    let sandbox = sandbox(&config_of(30_000, 10_000));
    sandbox.add("b");
    // 30000 is the one slot that there is, and the main worktree's.
    for (count, is_named) in [(100, false), (101, true)] {
        let ports: Vec<String> = (9000..9000 + count)
            .map(|port: u16| port.to_string())
            .collect();
        sandbox.write(format!("b/{PORT_FILE}"), format!("[{}]", ports.join(",")));
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
    let block = PortBlock::reserve();
    let base = block.port(1);
    let _stack = TcpListener::bind(("127.0.0.1", base)).unwrap();
    let sandbox = sandbox(&config_of(base, 10));
    sandbox.run("repo", &[]).exits(0).tells_nothing();
    assert_eq!(sandbox.ports("repo"), [base]);
    sandbox.run("repo", &["--reallocate"]).exits(0);
    assert_eq!(sandbox.ports("repo"), [base]);
}

#[test]
fn the_main_worktree_takes_another_slot_where_a_port_file_names_one_of_its_ports() {
    let block = PortBlock::reserve();
    let (web, api) = (block.port(1), block.port(2));
    let sandbox = sandbox(&format!(
        "{{\"services\": {{\"web\": {web}, \"api\": {api}}}, \"step\": 10}}"
    ));
    sandbox.write(format!("a/{PORT_FILE}"), format!("{{\"app\": {api}}}"));
    let listener = TcpListener::bind(("127.0.0.1", web + 10)).unwrap();
    sandbox.run("repo", &[]).exits(0).tells_nothing();
    // What is not slot 0 is probed.
    assert_eq!(sandbox.ports("repo"), [api + 20, web + 20]);
    close(listener);
}

#[test]
fn slot_0_is_the_main_worktrees_by_its_config_and_by_the_config_in_question() {
    let sandbox = sandbox(&config_of(9100, 100));
    sandbox.write(format!("a/{CONFIG}"), config_of(9000, 50));
    sandbox.run("a", &[]).exits(0).tells_nothing();
    assert_eq!(sandbox.ports("a"), [9050]);
    sandbox.add("b");
    sandbox.write(format!("b/{CONFIG}"), config_of(9000, 50));
    sandbox.run("b", &[]).exits(0).tells_nothing();
    // Not 9000, slot 0 by its own config, nor 9100, slot 0 by the main worktree's.
    assert_eq!(sandbox.ports("b"), [9150]);
}

#[test]
fn what_the_main_worktrees_port_file_names_is_reserved() {
    let sandbox = sandbox(&config_of(9000, 100));
    sandbox.write(
        format!("repo/{PORT_FILE}"),
        "{\"worktree\": null, \"slot\": 1, \"ports\": {\"web\": 9100}}",
    );
    sandbox.run("a", &[]).exits(0);
    assert_eq!(sandbox.ports("a"), [9200]);
}

#[test]
fn ones_own_port_file_never_blocks() {
    let sandbox = sandbox(&config_of(9000, 100));
    for content in [
        "{\"app\": 9100}",
        "{\"worktree\": \"b\", \"slot\": 1, \"ports\": {\"web\": 9100}}",
        "9100,",
    ] {
        sandbox.write(format!("a/{PORT_FILE}"), content);
        sandbox.run("a", &["--reallocate"]).exits(0);
        assert_eq!(sandbox.ports("a"), [9100], "{content}");
    }
    sandbox.write(format!("repo/{PORT_FILE}"), "{\"app\": 9000}");
    sandbox.run("repo", &["--reallocate"]).exits(0);
    assert_eq!(sandbox.ports("repo"), [9000]);
}

#[test]
fn a_slot_one_of_whose_ports_is_reserved_or_busy_is_passed_over() {
    let block = PortBlock::reserve();
    let (web, api) = (block.port(1), block.port(2));
    let sandbox = sandbox(&format!(
        "{{\"services\": {{\"web\": {web}, \"api\": {api}}}, \"step\": 10}}"
    ));
    sandbox.add("b");
    sandbox.write(
        format!("b/{PORT_FILE}"),
        format!("{{\"app\": {}}}", api + 10),
    );
    let listener = TcpListener::bind(("127.0.0.1", api + 20)).unwrap();
    sandbox.run("a", &[]).exits(0).tells_nothing();
    assert_eq!(sandbox.ports("a"), [api + 30, web + 30]);
    close(listener);
    fs::remove_file(sandbox.path("b").join(PORT_FILE)).unwrap();
    // Both are free now, and a bundle of one's own does not move.
    sandbox.run("a", &[]).exits(0);
    assert_eq!(sandbox.ports("a"), [api + 30, web + 30]);
    sandbox.run("a", &["--reallocate"]).exits(0);
    assert_eq!(sandbox.ports("a"), [api + 10, web + 10]);
}
