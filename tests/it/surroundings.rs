//! What the program inherits: environment, streams, umask and group.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};

use crate::support::{
    FIRST_CHECKOUT, LOCK, Nobody, PORT_FILE, PROGRAM, Run, Sandbox, is_root, set_mode,
};

/// A sandbox with two repositories: `repo` with the worktree `a`, and `other` with `b`.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::without_hook();
    sandbox.git(".", &["clone", "--quiet", "repo", "other"]);
    sandbox.add("a");
    sandbox.git("other", &["worktree", "add", "../b"]);
    sandbox
}

/// Variables that could lead the program to `other`.
fn misleading(sandbox: &Sandbox) -> Vec<(&'static str, String)> {
    let path = |name: &str| sandbox.path(name).display().to_string();
    vec![
        ("GIT_DIR", path("other/.git")),
        ("GIT_DIR", "/nowhere".to_owned()),
        ("GIT_WORK_TREE", path("other")),
        ("GIT_COMMON_DIR", path("other/.git")),
        ("GIT_INDEX_FILE", path("other/.git/index")),
        ("GIT_INDEX_FILE", "/nowhere".to_owned()),
        ("GIT_OBJECT_DIRECTORY", "/nowhere".to_owned()),
        ("GIT_NAMESPACE", "x".to_owned()),
        ("GIT_CEILING_DIRECTORIES", path("")),
        ("GIT_DISCOVERY_ACROSS_FILESYSTEM", "0".to_owned()),
        ("GIT_CONFIG", "/nowhere".to_owned()),
        ("GIT_CONFIG_GLOBAL", "/nowhere".to_owned()),
        ("GIT_CONFIG_PARAMETERS", "not quoted".to_owned()),
        ("GIT_CONFIG_COUNT", "many".to_owned()),
        ("GIT_PREFIX", "x/".to_owned()),
        ("GIT_LITERAL_PATHSPECS", "1".to_owned()),
        ("GIT_TRACE", "1".to_owned()),
    ]
}

fn run(mut command: Command, variables: &[(&str, String)], arguments: &[&str]) -> Run {
    command.args(arguments);
    for (name, value) in variables {
        command.env(name, value);
    }
    Sandbox::finish(command)
}

#[test]
fn by_hand_the_directory_decides_and_gits_variables_are_ignored() {
    let sandbox = sandbox();
    fs::create_dir(sandbox.path("a/deep")).unwrap();
    let mut cases: Vec<Vec<_>> = misleading(&sandbox).into_iter().map(|v| vec![v]).collect();
    // And all at once; the last one of each name counts.
    cases.push(misleading(&sandbox));
    for variables in cases {
        for at in ["a", "a/deep"] {
            let command = sandbox.command(PROGRAM, at);
            let run = run(command, &variables, &["--reallocate"]).exits(0);
            assert_eq!(run.stderr, "", "{variables:?}");
            assert_eq!(sandbox.ports("a"), [sandbox.port(1)], "{variables:?}");
        }
        for other in ["other", "b", "repo"] {
            assert!(!sandbox.has_port_file(other), "{variables:?}");
        }
        assert!(!sandbox.path("other/.git/worktree-ports").exists());
    }
}

#[test]
fn the_hook_serves_the_worktree_that_it_runs_in_whatever_is_exported() {
    let sandbox = sandbox();
    let mut cases: Vec<Vec<_>> = misleading(&sandbox).into_iter().map(|v| vec![v]).collect();
    cases.push(misleading(&sandbox));
    for variables in cases {
        let command = sandbox.command(PROGRAM, "a");
        let run = run(command, &variables, &FIRST_CHECKOUT).exits(0);
        assert_eq!(
            run.stderr,
            sandbox.with_ports("worktree-ports: cloud @1 (.worktree-ports.json)\n"),
            "{variables:?}"
        );
        sandbox.remove_port_file("a");
    }
}

#[test]
fn the_index_is_that_of_the_worktree_whatever_is_exported() {
    let sandbox = sandbox();
    sandbox.run("a", &[]).exits(0);
    sandbox.git("a", &["add", "--force", PORT_FILE]);
    for command in [
        ["update-index", "--no-split-index"],
        ["update-index", "--split-index"],
    ] {
        sandbox.git("a", &command);
        // A file of its own would be answered without asking git.
        sandbox.write(format!("a/{PORT_FILE}"), "{");
        for variables in misleading(&sandbox) {
            let command = sandbox.command(PROGRAM, "a");
            let run = run(command, &[variables], &[]).exits(1);
            run.tells(&["error: git tracks"]);
        }
    }
}

#[test]
fn git_worktree_add_with_variables_exported_leaves_ports() {
    let sandbox = sandbox();
    sandbox.wire("repo/.git");
    let git_dir = sandbox.path("repo/.git").display().to_string();
    let index = sandbox.path("repo/.git/index").display().to_string();
    let cases = [
        vec![("GIT_DIR", git_dir.clone())],
        vec![
            ("GIT_DIR", git_dir.clone()),
            ("GIT_WORK_TREE", sandbox.path("repo").display().to_string()),
        ],
        vec![("GIT_INDEX_FILE", index)],
    ];
    for (i, variables) in (1..).zip(cases) {
        let command = sandbox.command("git", "repo");
        let name = format!("w{i}");
        let path = format!("../{name}");
        let run = run(command, &variables, &["worktree", "add", &path]).exits(0);
        run.tells(&[&format!("worktree-ports: cloud {} ", sandbox.port(i))]);
        assert!(sandbox.has_port_file(&name), "{variables:?}");
    }
}

/// Runs the program in `a` from a shell that first does `before`.
fn run_after(sandbox: &Sandbox, before: &str, arguments: &[&str]) -> Run {
    let mut command = sandbox.command("sh", "a");
    command
        .args(["-c", &format!(r#"{before} exec "$@""#), "sh", PROGRAM])
        .args(arguments);
    Sandbox::finish(command)
}

#[test]
fn closed_streams_are_no_error_and_reach_no_file() {
    let sandbox = sandbox();
    let calls: [&[&str]; 4] = [&[], &["--json"], &["--reallocate"], &FIRST_CHECKOUT];
    for streams in [">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"] {
        for call in calls {
            let _ = fs::remove_file(sandbox.path("a").join(PORT_FILE));
            run_after(&sandbox, &format!("exec {streams};"), call).exits(0);
            // This would show if the port file or the lock got a stream's number.
            let get = sandbox.run("a", &["--json"]).exits(0).tells_nothing();
            assert_eq!(get.stdout, sandbox.port_file("a"), "{streams} {call:?}");
            let lock = sandbox.path(LOCK);
            assert_eq!(fs::metadata(lock).unwrap().len(), 0, "{streams}");
        }
    }
}

#[test]
fn a_stderr_that_nobody_reads_is_no_error() {
    let sandbox = sandbox();
    sandbox.write(format!("a/{PORT_FILE}"), "{");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = sandbox.command(PROGRAM, "a");
    command.stdout(Stdio::null());
    assert!(command.stderr(writer).status().unwrap().success());
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    sandbox.write(format!("a/{PORT_FILE}"), "{");
    assert!(command.stderr(full).status().unwrap().success());
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
}

#[test]
fn the_hook_exits_0_with_closed_streams_and_an_error_to_report() {
    let sandbox = sandbox();
    sandbox.write("a/.worktree-ports.config.json", "{");
    for streams in ["2>&-", ">&- 2>&-", "2>/dev/full"] {
        run_after(&sandbox, &format!("exec {streams};"), &FIRST_CHECKOUT).exits(0);
    }
    assert!(!sandbox.has_port_file("a"));
}

fn mode(sandbox: &Sandbox, path: &str) -> u32 {
    let metadata = fs::metadata(sandbox.path(path)).unwrap();
    metadata.permissions().mode() & 0o7777
}

#[test]
fn the_lock_has_the_access_of_the_common_dir_whatever_the_umask() {
    // The mode of the common dir, of our directory in it, and of the lock.
    let table = [
        (0o755, 0o755, 0o600),
        (0o700, 0o700, 0o600),
        (0o750, 0o750, 0o600),
        (0o770, 0o770, 0o660),
        (0o2775, 0o2775, 0o660),
        (0o777, 0o777, 0o660),
    ];
    for (common, directory, lock) in table {
        for umask in ["022", "077", "000"] {
            let sandbox = sandbox();
            set_mode(sandbox.path("repo/.git"), common);
            run_after(&sandbox, &format!("umask {umask};"), &[]).exits(0);
            let made = (
                mode(&sandbox, "repo/.git/worktree-ports"),
                mode(&sandbox, LOCK),
            );
            assert_eq!(made, (directory, lock), "{common:o} umask {umask}");
            // The port file belongs to the worktree, so it obeys the umask.
            let umask = u32::from_str_radix(umask, 8).unwrap();
            assert_eq!(mode(&sandbox, &format!("a/{PORT_FILE}")), 0o666 & !umask);
        }
    }
}

#[test]
fn a_repository_shared_by_a_group_works_for_each_member() {
    let sandbox = Sandbox::without_hook();
    sandbox.git(".", &["init", "--quiet", "--shared=group", "shared"]);
    sandbox.git(
        "shared",
        &["commit", "--quiet", "--allow-empty", "--message=first"],
    );
    sandbox.git("shared", &["worktree", "add", "../a"]);
    run_after(&sandbox, "umask 077;", &[]).exits(0);
    assert_eq!(mode(&sandbox, "shared/.git/worktree-ports/lock"), 0o660);
    assert_eq!(
        mode(&sandbox, "shared/.git/worktree-ports") & 0o2070,
        0o2070
    );
    let common = fs::metadata(sandbox.path("shared/.git")).unwrap();
    let lock = fs::metadata(sandbox.path("shared/.git/worktree-ports/lock")).unwrap();
    assert_eq!((lock.uid(), lock.gid()), (common.uid(), common.gid()));
}

#[test]
#[ignore = "needs root"]
fn what_root_makes_in_a_users_repository_belongs_to_the_user() {
    let sandbox = sandbox();
    assert!(is_root());
    let nobody = Nobody::owning(&sandbox);
    sandbox
        .run_hook("a")
        .exits(0)
        .tells(&[&sandbox.with_ports("cloud @1")]);
    nobody.run("repo", &[]).exits(0).tells_nothing();
    assert_eq!(sandbox.ports("repo"), [sandbox.port(0)]);
}

#[test]
fn the_hook_works_without_home_and_path() {
    let sandbox = sandbox();
    let mut command = sandbox.command(PROGRAM, "a");
    command.env_clear().args(FIRST_CHECKOUT);
    Sandbox::finish(command)
        .exits(0)
        .tells(&[&sandbox.with_ports("cloud @1")]);
}

#[test]
fn the_lock_is_made_once_and_never_replaced() {
    let sandbox = sandbox();
    sandbox.run("a", &[]).exits(0);
    let lock = sandbox.path(LOCK);
    let inode = fs::metadata(&lock).unwrap().ino();
    set_mode(&lock, 0o640);
    for at in ["a", "repo"] {
        for call in [&[][..], &["--reallocate"], &["--json"]] {
            sandbox.run(at, call).exits(0);
        }
    }
    let metadata = fs::metadata(&lock).unwrap();
    assert_eq!(metadata.ino(), inode);
    // The lock keeps the mode that the user has set.
    assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
}
