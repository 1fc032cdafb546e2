//! What happens to a worktree's own ports when the config changes.

use crate::support::{PORT_FILE, Sandbox, close, config, listen};
use crate::whose_file::sandbox_with_own_file;

#[test]
fn a_service_added_to_the_config_joins_in_the_same_slot() {
    let (sandbox, _) = sandbox_with_own_file();
    let port = |offset| sandbox.port(offset);
    let services = [("api", port(60)), ("cloud", port(0)), ("db", port(120))];
    sandbox.configure("a", config(&services).step(1));
    sandbox.run("a", &[]).exits(0).tells_nothing();
    let file = sandbox.port_json("a");
    assert_eq!(
        file["ports"],
        serde_json::json!({"api": port(67), "cloud": port(7), "db": port(127)})
    );
    assert_eq!(file["slot"], 7);
    // serde_json's map does not keep the order of the config, so the text is compared.
    let text = sandbox.port_file("a");
    let places = ["api", "cloud", "db"].map(|name| text.find(&format!(r#""{name}""#)));
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn a_service_that_cannot_join_is_reported_and_the_others_stay() {
    // The port of `api` in slot 7 belongs to another worktree, is blocked by browsers, or is above
    // the limit; or the worktree's own port fits no slot of the config.
    for case in 0..4 {
        let (sandbox, _) = sandbox_with_own_file();
        let (cloud, api) = [
            (sandbox.port(0), sandbox.port(60)),
            (sandbox.port(0), 6000 - 7),
            (sandbox.port(0), 32_768 - 7),
            (sandbox.port(1), sandbox.port(61)),
        ][case];
        sandbox.add("b");
        sandbox.write(
            format!("b/{PORT_FILE}"),
            sandbox.with_ports(r#"{"worktree": "b", "slot": 1, "ports": {"api": @67}}"#),
        );
        let services = [("cloud", cloud), ("api", api)];
        sandbox.configure("a", config(&services).step(1));
        let run = sandbox.run("a", &[]).exits(0);
        let run = run.tells(&["warning: no port for api", "--reallocate"]);
        assert!(!run.stdout.contains("api"), "{run}");
        assert_eq!(sandbox.ports("a"), [sandbox.port(7)], "{services:?}");
        sandbox.run("a", &["--get", "api"]).exits(1);
        sandbox.run("a", &["--reallocate"]).exits(0).tells_nothing();
        assert_eq!(sandbox.ports("a").len(), 2);
    }
}

#[test]
fn a_service_on_whose_port_something_listens_joins_with_a_warning() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    let base = sandbox.port(0);
    sandbox.configure("a", config(&[("cloud", base)]).step(2));
    sandbox.run("a", &[]).exits(0);
    let services = [("cloud", base), ("api", base + 1)];
    sandbox.configure("a", config(&services).step(2));
    let listener = listen(base + 3);
    sandbox
        .run("a", &[])
        .exits(0)
        .tells(&["warning: something listens on port "]);
    // The listener may be the worktree's own server, which the config did not name until now.
    assert_eq!(sandbox.port_json("a")["ports"]["api"], base + 3);
    sandbox.run("a", &[]).exits(0).tells_nothing();
    close(listener);
}

#[test]
fn a_bundle_without_a_service_of_the_config_is_an_error() {
    let (sandbox, own) = sandbox_with_own_file();
    sandbox.configure("a", config(&[("web", 32_768 - 7)]).step(1));
    sandbox
        .run("a", &[])
        .exits(1)
        .tells(&["error: no port for web", "--reallocate"]);
    assert_eq!(sandbox.port_file("a"), own);
}

#[test]
fn a_service_removed_from_the_config_is_dropped() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.write(
        format!("a/{PORT_FILE}"),
        sandbox.with_ports(r#"{"worktree": "a", "slot": 7, "ports": {"cloud": @7, "db": @100}}"#),
    );
    sandbox.run("a", &[]).exits(0).tells_nothing();
    assert_eq!(sandbox.ports("a"), [sandbox.port(7)]);
    // A dropped service's port is free again.
    sandbox.add("b");
    sandbox.configure("b", config(&[("web", sandbox.port(99))]).step(1));
    sandbox.run("b", &[]).exits(0);
    assert_eq!(sandbox.ports("b"), [sandbox.port(100)]);
}

#[test]
fn urls_are_rendered_from_the_config_and_never_read_back() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.write(
        format!("a/{PORT_FILE}"),
        sandbox.with_ports(
            r#"{"worktree": "a", "slot": 7, "ports": {"cloud": @7},
            "cloud_url": "http://evil.example", "more_url": "http://evil.example"}"#,
        ),
    );
    for call in [&[][..], &["--json"]] {
        let run = sandbox.run("a", call).exits(0).tells_nothing();
        let url = sandbox.with_ports("http://127.0.0.1:@7");
        assert!(run.stdout.contains(&url), "{run}");
        assert!(!run.stdout.contains("evil"), "{run}");
    }
    assert!(!sandbox.port_file("a").contains("evil"));
    let config = sandbox.config(&["cloud"]);
    sandbox.configure("a", config.url("web_url", "https://a.localhost:{cloud}/x"));
    let json = sandbox.run("a", &["--json"]).exits(0).json();
    assert_eq!(
        json["web_url"],
        sandbox.with_ports("https://a.localhost:@7/x")
    );
    assert_eq!(json.get("cloud_url"), None);
    assert_eq!(sandbox.run("a", &["--json"]).stdout, sandbox.port_file("a"));
}

#[test]
fn without_a_config_anywhere_ports_and_env_files_stay_as_they_are() {
    let (sandbox, _) = sandbox_with_own_file();
    let with_env = config(&[("web", sandbox.port(0))])
        .step(1)
        .env_file(".env", &[("WEB_PORT", "{web}")]);
    sandbox.configure("repo", with_env);
    sandbox.run("repo", &[]).exits(0);
    let before = (
        sandbox.port_file("repo"),
        std::fs::read_to_string(sandbox.path("repo/.env")).unwrap(),
    );
    std::fs::remove_file(sandbox.path("repo").join(crate::support::CONFIG)).unwrap();
    sandbox.run("repo", &[]).exits(0).tells_nothing();
    sandbox.run("repo", &["--all"]).exits(0).tells_nothing();
    assert_eq!(
        (
            sandbox.port_file("repo"),
            std::fs::read_to_string(sandbox.path("repo/.env")).unwrap()
        ),
        before
    );
    assert!(sandbox.run("repo", &["--list"]).stdout.contains(" ok"));
}
