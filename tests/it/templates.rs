//! Files in other formats, made from templates.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::{Config, Sandbox};

const TOML: &str = "# ${API_PORT} in a comment too\n[api]\nport = ${API_PORT}\n[db]\nport = ${DB_PORT}\n\
                    name = \"shop${UNKNOWN}$API_PORT${API_PORT\"\nproject_id = \"${PROJECT_NAME}\"\n";
const TARGET: &str = "supabase/config.toml";
const SOURCE: &str = "supabase/config.toml.template";

fn config(sandbox: &Sandbox) -> Config {
    sandbox
        .config(&["api", "db"])
        .env("PROJECT_NAME", "shop{-worktree}")
        .template(TARGET, SOURCE)
}

/// The file that is made in the worktree with slot 1 and this label.
fn made(sandbox: &Sandbox, label: &str) -> String {
    let [api, db]: [u16; 2] = sandbox.bundle(1);
    TOML.replace("${API_PORT}", &api.to_string())
        .replace("${DB_PORT}", &db.to_string())
        .replace("${PROJECT_NAME}", &format!("shop-{label}"))
}

/// A sandbox with a hook; the branch `main` has a template, `plain` only a config.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.configure("repo", sandbox.config(&["api", "db"]));
    sandbox.commit_config("repo");
    sandbox.git("repo", &["branch", "plain"]);
    sandbox.write(format!("repo/{SOURCE}"), TOML);
    sandbox.configure("repo", config(&sandbox));
    sandbox.git("repo", &["add", "--force", "."]);
    sandbox.git("repo", &["commit", "--quiet", "--message=template"]);
    sandbox
}

fn read(sandbox: &Sandbox, path: &str) -> Option<String> {
    fs::read_to_string(sandbox.path(path)).ok()
}

#[test]
fn a_template_is_filled_in_from_the_lines_of_env_and_hidden_from_git() {
    let sandbox = sandbox();
    sandbox
        .add("a")
        .tells(&["(.worktree-ports.json, supabase/config.toml)"]);
    assert_eq!(
        read(&sandbox, "a/supabase/config.toml"),
        Some(made(&sandbox, "a"))
    );
    assert_eq!(sandbox.git("a", &["status", "--porcelain"]).stdout, "");
    let before = sandbox.stamps_of("a");
    sandbox.run("a", &[]).exits(0).tells_nothing();
    assert_eq!(sandbox.stamps_of("a"), before);
    sandbox.git("repo", &["worktree", "remove", "../a"]);
}

#[test]
fn a_changed_template_is_filled_in_again() {
    let sandbox = sandbox();
    sandbox.add("a");
    sandbox.write(format!("a/{SOURCE}"), "port = ${API_PORT}\n");
    let list = sandbox.run("a", &["--list"]).exits(0).stdout;
    assert!(list.contains("outdated"), "{list}");
    sandbox.run("a", &[]).exits(0).tells_nothing();
    let [api, _]: [u16; 2] = sandbox.bundle(1);
    assert_eq!(
        read(&sandbox, "a/supabase/config.toml"),
        Some(format!("port = {api}\n"))
    );
}

#[test]
fn a_file_that_the_user_changed_or_made_is_left_alone_with_a_warning() {
    for has_ours in [false, true] {
        let sandbox = sandbox();
        sandbox.git("repo", &["worktree", "add", "--no-checkout", "../a"]);
        sandbox.git("a", &["reset", "--quiet", "--hard"]);
        if has_ours {
            sandbox.run("a", &[]).exits(0);
        }
        sandbox.write(format!("a/{TARGET}"), "mine = 1\n");
        let run = sandbox.run("a", &[]).exits(0);
        run.tells(&["warning: ", "a/supabase/config.toml", "delete it"]);
        assert_eq!(
            read(&sandbox, "a/supabase/config.toml").as_deref(),
            Some("mine = 1\n")
        );
        // Otherwise its programs would keep ports that others get.
        let before = sandbox.content_of("a");
        let reallocate = sandbox.run("a", &["--reallocate"]);
        assert_eq!(reallocate.code(), Some(i32::from(has_ours)), "{reallocate}");
        assert_eq!(sandbox.content_of("a"), before);
        fs::remove_file(sandbox.path("a").join(TARGET)).unwrap();
        sandbox.run("a", &[]).exits(0).tells_nothing();
        assert_eq!(
            read(&sandbox, "a/supabase/config.toml"),
            Some(made(&sandbox, "a"))
        );
    }
}

#[test]
fn release_and_uninstall_remove_it_if_it_is_unchanged() {
    for call in ["--release", "--uninstall"] {
        for is_changed in [false, true] {
            let sandbox = sandbox();
            sandbox.run("repo", &["--install"]).exits(0);
            sandbox.add("a");
            if is_changed {
                sandbox.write(format!("a/{TARGET}"), "mine = 1\n");
            }
            let run = sandbox.run("a", &[call]);
            let is_there = read(&sandbox, "a/supabase/config.toml").is_some();
            assert_eq!(is_there, is_changed, "{call} {run}");
            let warning = "changed since it was made from its template, so it stays";
            assert_eq!(run.stderr.contains(warning), is_changed, "{call} {run}");
        }
    }
}

#[test]
fn a_template_of_another_branch_is_removed_at_the_checkout() {
    let sandbox = sandbox();
    sandbox.add("a");
    let checkout = |arguments: &[&str]| {
        let arguments = [&["checkout", "--quiet"], arguments].concat();
        sandbox.git("a", &arguments).stderr
    };
    assert_eq!(
        checkout(&["-b", "b", "plain"]),
        "worktree-ports: removed supabase/config.toml\n"
    );
    assert_eq!(read(&sandbox, "a/supabase/config.toml"), None);
    assert_eq!(
        checkout(&["a"]),
        "worktree-ports: updated supabase/config.toml\n"
    );
    // The same on a branch without a config; the main worktree's config then applies.
    sandbox.git("repo", &["checkout", "--quiet", "plain"]);
    assert_eq!(
        checkout(&["-b", "c", "plain~"]),
        "worktree-ports: removed supabase/config.toml\n"
    );
    assert_eq!(read(&sandbox, "a/supabase/config.toml"), None);
}

/// Puts something in the way.
type Make<'a> = &'a dyn Fn(&Sandbox);

/// Files that a hostile branch may name, and what is in the way.
#[test]
fn a_hostile_template_is_a_warning_and_changes_no_file() {
    let secret = |sandbox: &Sandbox| sandbox.write("a/.env", "SECRET=x\n");
    let link = |sandbox: &Sandbox| {
        sandbox.write("outside", "SECRET=x\n");
        symlink("../outside", sandbox.path("a/link.template")).unwrap();
        sandbox.git("a", &["add", "link.template"]);
    };
    let directory = |sandbox: &Sandbox| {
        fs::create_dir(sandbox.path("elsewhere")).unwrap();
        symlink("../elsewhere", sandbox.path("a/out")).unwrap();
    };
    let nested = |sandbox: &Sandbox| {
        sandbox.git("a", &["init", "--quiet", "nested"]);
    };
    let theirs = |sandbox: &Sandbox| sandbox.write("a/Makefile", "all:\n");
    let nothing = |_: &Sandbox| {};
    let cases: [(&str, &str, Make<'_>, &str); 7] = [
        ("pub.txt", ".env", &secret, "does not track its template"),
        ("pub.txt", "link.template", &link, "symbolic link"),
        ("pub.txt", "no/such.template", &nothing, "not there"),
        ("out/pub.txt", SOURCE, &directory, "symbolic link"),
        ("nested/pub.txt", SOURCE, &nested, "repository of its own"),
        ("Makefile", SOURCE, &theirs, "not made from its template"),
        ("tracked.txt", SOURCE, &nothing, "a/tracked.txt"),
    ];
    for (target, source, make, why) in cases {
        let sandbox = sandbox();
        sandbox.git("repo", &["worktree", "add", "--no-checkout", "../a"]);
        sandbox.git("a", &["reset", "--quiet", "--hard"]);
        sandbox.write("a/tracked.txt", "theirs\n");
        sandbox.git("a", &["add", "tracked.txt"]);
        make(&sandbox);
        let config = sandbox.config(&["api", "db"]).template(target, source);
        sandbox.configure("a", config);
        let before = (
            sandbox.content_of("a"),
            sandbox.content_of("repo/.git/info"),
        );
        let run = sandbox.run("a", &[]).exits(0);
        run.tells(&["warning: ", why]);
        let mut after = sandbox.content_of("a");
        after.retain(|path, _| !path.ends_with(".worktree-ports.json"));
        let mut expected = before.0;
        expected.retain(|path, _| !path.ends_with(".worktree-ports.json"));
        assert_eq!(after, expected, "{target} {source}");
        assert!(!sandbox.path("elsewhere/pub.txt").exists());
    }
}

#[test]
fn a_target_that_is_not_allowed_is_an_error() {
    let sandbox = sandbox();
    for (target, source) in [
        ("../x", SOURCE),
        (".git/hooks/pre-commit", SOURCE),
        (".GIT/config", SOURCE),
        (".worktree-ports.json", SOURCE),
        (".worktree-ports.config.json", SOURCE),
        ("x.toml", "../outside"),
        ("x.toml", "/etc/passwd"),
        ("x.worktree-ports.tmp", SOURCE),
        (SOURCE, SOURCE),
    ] {
        let config = sandbox.config(&["api", "db"]).template(target, source);
        sandbox.configure("repo", config);
        let run = sandbox.run("repo", &[]).exits(1).tells_one_error();
        run.tells(&["error: the config", "templates"]);
    }
    let twice = sandbox
        .config(&["api", "db"])
        .env_file("x.env", &[])
        .template("x.env", SOURCE);
    sandbox.configure("repo", twice);
    sandbox.run("repo", &[]).exits(1).tells_one_error();
}
