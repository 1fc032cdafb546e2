//! What a checkout of a branch does in a worktree that already has ports.

use std::fs;

use crate::support::{Config, FIRST_CHECKOUT, Sandbox, strace};

/// The config of `main`: one service and one env file.
fn small(sandbox: &Sandbox) -> Config {
    let variables = [("WEB_PORT", "{web}")];
    sandbox.config(&["web"]).env_file(".env", &variables)
}

/// The config of the branch `large`: one service, one variable and one file more.
fn large(sandbox: &Sandbox) -> Config {
    sandbox
        .config(&["web", "api"])
        .env_file(".env", &[("WEB_PORT", "{web}"), ("API_PORT", "{api}")])
        .env_file("api.env", &[("PORT", "{api}")])
}

/// A sandbox with a hook, the branches `main`, `large` and `bare`, and the worktree `a` at `main`'s
/// commit. `bare` has no config.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("repo/.gitignore", ".env\n*.env\n");
    sandbox.git("repo", &["add", ".gitignore"]);
    sandbox.git("repo", &["commit", "--quiet", "--message=ignore"]);
    sandbox.git("repo", &["branch", "bare"]);
    sandbox.configure("repo", small(&sandbox));
    sandbox.commit_config("repo");
    sandbox.git("repo", &["checkout", "--quiet", "-b", "large"]);
    sandbox.configure("repo", large(&sandbox));
    sandbox.commit_config("repo");
    sandbox.git("repo", &["checkout", "--quiet", "main"]);
    sandbox.add("a");
    sandbox
}

/// What git and the hook print at a checkout.
#[track_caller]
fn check_out(sandbox: &Sandbox, at: &str, arguments: &[&str]) -> String {
    let arguments = [&["checkout", "--quiet"], arguments].concat();
    sandbox.git(at, &arguments).stderr
}

fn has(sandbox: &Sandbox, path: &str) -> bool {
    sandbox.path(path).symlink_metadata().is_ok()
}

#[test]
fn a_checkout_updates_everything_and_prints_one_line() {
    let sandbox = sandbox();
    let told = check_out(&sandbox, "a", &["-b", "one", "large"]);
    assert_eq!(
        told,
        "worktree-ports: updated .worktree-ports.json, .env, api.env\n"
    );
    let [web, api] = sandbox.bundle(1);
    let ports = &sandbox.port_json("a")["ports"];
    assert_eq!((&ports["web"], &ports["api"]), (&web.into(), &api.into()));
    let env = fs::read_to_string(sandbox.path("a/.env")).unwrap();
    assert!(env.contains(&format!("\nAPI_PORT={api}\n")), "{env}");

    // Back on a branch like `main`, what only `large` has goes away again.
    let told = check_out(&sandbox, "a", &["-b", "two", "main"]);
    assert_eq!(
        told,
        "worktree-ports: updated .worktree-ports.json, .env; removed api.env\n"
    );
    assert_eq!(sandbox.ports("a"), [web]);
    assert!(!has(&sandbox, "a/api.env"));
}

#[test]
fn if_everything_is_current_nothing_is_written_or_printed() {
    let sandbox = sandbox();
    sandbox.run("repo", &[]).exits(0);
    for at in ["repo", "a"] {
        let before = (
            sandbox.stamps_of(at),
            sandbox.content_of("repo/.git/worktree-ports"),
        );
        let lock = sandbox.hold_lock();
        let (old, new) = ("2".repeat(40), "1".repeat(40));
        for arguments in [FIRST_CHECKOUT, [&old, &new, "1"]] {
            sandbox.run(at, &arguments).exits(0).tells_nothing();
        }
        drop(lock);
        let after = (
            sandbox.stamps_of(at),
            sandbox.content_of("repo/.git/worktree-ports"),
        );
        assert_eq!(after, before, "{at}");
    }
}

#[test]
#[ignore = "needs strace"]
fn if_everything_is_current_neither_git_nor_its_config_is_needed() {
    let sandbox = sandbox();
    sandbox.run("repo", &[]).exits(0);
    let (old, new) = ("2".repeat(40), "1".repeat(40));
    for at in ["repo", "a"] {
        let options = ["-e", "trace=/open|execve|flock"];
        let run = Sandbox::finish(strace::command(&sandbox, at, &options, &[&old, &new, "1"]));
        run.exits(0).tells_nothing();
        let log = fs::read_to_string(sandbox.path("strace.log")).unwrap();
        assert_eq!(log.matches("execve(").count(), 1, "{log}");
        for read in [".git/config", "objects", "refs", "flock("] {
            assert!(!log.contains(read), "{read} in {log}");
        }
    }
}

#[test]
fn while_head_is_detached_nothing_is_removed() {
    let sandbox = sandbox();
    check_out(&sandbox, "a", &["-b", "one", "large"]);
    let before = sandbox.content_of("a");
    assert_eq!(check_out(&sandbox, "a", &["--detach", "main"]), "");
    let kept = |sandbox: &Sandbox| {
        let mut content = sandbox.content_of("a");
        content.insert(
            sandbox.path("a/.worktree-ports.config.json"),
            before[&sandbox.path("a/.worktree-ports.config.json")].clone(),
        );
        content
    };
    assert_eq!(kept(&sandbox), before);
    // A bisect and a rebase detach HEAD.
    check_out(&sandbox, "a", &["one"]);
    sandbox.git("a", &["bisect", "start", "one", "bare"]);
    assert!(has(&sandbox, "a/api.env"));
    sandbox.git("a", &["bisect", "reset"]);
    let rebase = ["rebase", "--quiet", "--force-rebase", "main"];
    let run = sandbox.git("a", &rebase);
    assert!(!run.stderr.contains("removed"), "{run}");
    assert_eq!(sandbox.content_of("a"), before);

    // What the commit adds is written all the same.
    check_out(&sandbox, "a", &["-B", "two", "main"]);
    assert!(!has(&sandbox, "a/api.env"));
    let told = check_out(&sandbox, "a", &["--detach", "large"]);
    assert!(told.contains("updated .worktree-ports.json"), "{told}");
    assert!(has(&sandbox, "a/api.env"));
}

#[test]
fn in_the_main_worktree_the_hook_makes_no_file() {
    let sandbox = sandbox();
    // Without ports, nothing happens.
    assert_eq!(check_out(&sandbox, "repo", &["large"]), "");
    assert!(!sandbox.has_port_file("repo") && !has(&sandbox, "repo/.env"));
    check_out(&sandbox, "repo", &["main"]);
    sandbox.run("repo", &[]).exits(0);
    let told = check_out(&sandbox, "repo", &["large"]);
    assert_eq!(told, "worktree-ports: updated .worktree-ports.json, .env\n");
    assert!(!has(&sandbox, "repo/api.env"));
    // And it is not repeated at the next checkout.
    assert_eq!(check_out(&sandbox, "repo", &["-b", "other"]), "");
    sandbox.run("repo", &[]).exits(0);
    assert!(has(&sandbox, "repo/api.env"));
}

#[test]
fn without_a_config_of_its_own_nothing_is_written() {
    let sandbox = sandbox();
    let before = sandbox.content_of("a");
    sandbox.configure("repo", large(&sandbox));
    assert_eq!(check_out(&sandbox, "a", &["-b", "one", "bare"]), "");
    let mut expected = before.clone();
    expected.remove(&sandbox.path("a/.worktree-ports.config.json"));
    assert_eq!(sandbox.content_of("a"), expected);
}

#[test]
fn a_checkout_of_files_does_nothing() {
    let sandbox = sandbox();
    fs::remove_file(sandbox.path("a/.env")).unwrap();
    sandbox.remove_port_file("a");
    sandbox.git("a", &["checkout", "--", ".gitignore"]);
    assert!(!sandbox.has_port_file("a") && !has(&sandbox, "a/.env"));
    assert_eq!(check_out(&sandbox, "a", &["-b", "one"]).lines().count(), 1);
    assert!(sandbox.has_port_file("a") && has(&sandbox, "a/.env"));
}

#[test]
fn a_checkout_finishes_an_interrupted_run() {
    let sandbox = sandbox();
    let record = "repo/.git/worktrees/a/worktree-ports.json";
    let reserved = |sandbox: &Sandbox| {
        let text = fs::read_to_string(sandbox.path(record)).unwrap();
        let record: serde_json::Value = serde_json::from_str(&text).unwrap();
        (record["slot"].clone(), record["ports"].clone())
    };
    let before = reserved(&sandbox);
    let mut branches = (0..).map(|n| format!("b{n}"));
    for break_it in [
        |sandbox: &Sandbox, record: &str| fs::remove_file(sandbox.path(record)).unwrap(),
        |sandbox: &Sandbox, record: &str| sandbox.write(record, ""),
        |sandbox: &Sandbox, _: &str| {
            sandbox.write("a/.worktree-ports.json.worktree-ports.tmp", "{");
        },
        |sandbox: &Sandbox, _: &str| fs::remove_file(sandbox.path("a/.env")).unwrap(),
    ] {
        let content = sandbox.content_of("a");
        break_it(&sandbox, record);
        check_out(&sandbox, "a", &["-b", &branches.next().unwrap()]);
        assert_eq!(reserved(&sandbox), before);
        let now = sandbox.content_of("a");
        let differs = |(path, text): &(&std::path::PathBuf, &String)| {
            !path.ends_with(".git") && now.get(*path) != Some(text)
        };
        let missing: Vec<_> = content.iter().filter(differs).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}

#[test]
fn a_warning_is_not_repeated_at_every_checkout() {
    let sandbox = sandbox();
    sandbox.write("a/.env", "# >>> worktree-ports: a >>>\n");
    sandbox
        .run("a", &[])
        .exits(0)
        .tells(&["warning: ", "a/.env"]);
    assert_eq!(check_out(&sandbox, "a", &["-b", "one"]), "");
}
