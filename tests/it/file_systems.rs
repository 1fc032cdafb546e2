//! Full, read-only and immutable file systems: one clear message, no port file or the old one, and
//! nothing left behind. The hook exits 0, a call by hand 1.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::{FIRST_CHECKOUT, PORT_FILE, PROGRAM, Run, Sandbox, TEMPORARY, is_one_error};

#[test]
#[ignore = "needs root"]
fn a_full_file_system_leaves_no_port_file_and_nothing_else() {
    on_a_tmpfs(
        "size=64k",
        "dd if=/dev/zero of=filler 2>/dev/null || :",
        "No space left",
    );
}

#[test]
#[ignore = "needs root"]
fn a_file_system_without_inodes_leaves_no_port_file_and_nothing_else() {
    let fill = "i=0; while ( : >filler$i ) 2>/dev/null; do i=$((i+1)); done || :";
    on_a_tmpfs("nr_inodes=16", fill, "No space left");
}

/// Fills a file system that holds only the worktree `w`.
fn on_a_tmpfs(options: &str, fill: &str, why: &str) {
    let sandbox = Sandbox::without_hook();
    fs::create_dir(sandbox.path("mount")).unwrap();
    let run = in_private_mounts(
        &sandbox,
        &format!(
            r#"mount -t tmpfs -o {options} tmpfs mount
            git -C repo worktree add --quiet ../mount/w
            git -C repo worktree add --quiet ../b
            cd mount/w
            ( {fill} )
            "$program" $first_checkout 2>"$top/as-hook" || echo "the hook exits $?"
            ls -A >"$top/left"
            "$program" 2>"$top/by-hand" && echo "by hand it exits 0" || echo "by hand it exits $?"
            rm -f filler*
            ( cd ../../b; "$program" $first_checkout 2>&1 )
            "$program" --json >"$top/old"
            ( cd ../../b; "$program" --release ) 2>/dev/null >&2
            ( {fill} )
            "$program" --reallocate 2>"$top/reallocate" && echo "it reallocates" || :
            cmp .worktree-ports.json "$top/old"
            rm -f filler*
            ls -A
            git status --short"#
        ),
    );
    assert_eq!(
        run.stdout,
        sandbox.with_ports("by hand it exits 1\nworktree-ports: cloud @1 (.worktree-ports.json)\n.git\n.worktree-ports.json\n"),
        "{run}"
    );
    let left = fs::read_to_string(sandbox.path("left")).unwrap();
    assert!(!left.contains("worktree-ports"), "{left}");
    for told in ["as-hook", "by-hand", "reallocate"] {
        let told = fs::read_to_string(sandbox.path(told)).unwrap();
        assert!(is_one_error(&told), "{told}");
        assert!(told.contains(PORT_FILE) && told.contains(why), "{told}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_worktree_mounted_read_only_gets_no_ports_and_the_error_says_why() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    let run = in_private_mounts(
        &sandbox,
        r#"mount --bind -o ro a a
        cd a
        "$program" $first_checkout && "$program" || echo "by hand it exits $?""#,
    );
    assert_eq!(run.stdout, "by hand it exits 1\n");
    let told = run.stderr.lines().filter(|line| {
        line.contains("error: could not write") && line.contains("Read-only file system")
    });
    assert_eq!(told.count(), 2, "{run}");
    sandbox.assert_no_leftovers("a");
    assert!(!sandbox.has_port_file("a"));
}

#[test]
#[ignore = "needs root"]
fn a_read_only_common_dir_is_enough_once_the_lock_file_is_there() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    let mount = "mount --bind -o ro repo/.git repo/.git; cd a\n";
    let script = mount.to_owned()
        + r#""$program" $first_checkout && "$program" || echo "by hand it exits $?""#;
    let run = in_private_mounts(&sandbox, &script);
    assert_eq!(run.stdout, "by hand it exits 1\n");
    let told = run.stderr.lines().filter(|line| {
        line.contains("error: could not lock") && line.contains("the lock file is made once")
    });
    assert_eq!(told.count(), 2, "{run}");
    assert!(!sandbox.has_port_file("a"));

    sandbox.run("repo", &[]).exits(0);
    let run = in_private_mounts(
        &sandbox,
        &(mount.to_owned() + r#""$program" $first_checkout"#),
    );
    let warnings: Vec<&str> = run
        .stderr
        .lines()
        .filter(|line| line.contains("warning"))
        .collect();
    assert!(
        matches!(warnings[..], [one] if one.contains("worktree-ports.json")),
        "{run}"
    );
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
    sandbox.assert_no_leftovers("a");
}

#[test]
#[ignore = "needs root"]
fn an_immutable_port_file_stays_and_an_immutable_temporary_file_is_named() {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    sandbox.run_hook("a").exits(0);
    sandbox.run_hook("b").exits(0);
    sandbox.git("repo", &["worktree", "remove", "../a"]);
    let old = sandbox.port_file("b");

    let port_file = sandbox.path("b").join(PORT_FILE);
    let immutable = Immutable::make(&port_file);
    let run = sandbox.run("b", &["--reallocate"]).exits(1);
    run.tells_one_error()
        .tells(&["error: could not write", PORT_FILE]);
    assert_eq!(sandbox.port_file("b"), old);
    sandbox.assert_no_leftovers("b");
    drop(immutable);

    let temporary = sandbox.path("b").join(TEMPORARY);
    fs::write(&temporary, "").unwrap();
    let _immutable = Immutable::make(&temporary);
    let run = sandbox.run("b", &["--reallocate"]).exits(1);
    run.tells_one_error().tells(&["could not write", TEMPORARY]);
    assert_eq!(sandbox.port_file("b"), old);
}

#[test]
#[ignore = "needs root"]
fn an_immutable_worktree_gets_no_ports_and_the_error_says_why() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    let worktree = sandbox.path("a");
    let _immutable = Immutable::make(&worktree);
    for run in [
        sandbox.run_hook("a").exits(0),
        sandbox.run("a", &[]).exits(1),
    ] {
        run.tells_one_error()
            .tells(&["error: could not write", PORT_FILE]);
    }
    sandbox.assert_no_leftovers("a");
    assert!(!sandbox.has_port_file("a"));
}

/// A file that not even root can write, rename or remove until this is dropped.
struct Immutable<'a>(&'a Path);

impl Immutable<'_> {
    #[track_caller]
    fn make(path: &Path) -> Immutable<'_> {
        assert!(chattr("+i", path), "no immutable files here");
        Immutable(path)
    }
}

impl Drop for Immutable<'_> {
    fn drop(&mut self) {
        chattr("-i", self.0);
    }
}

fn chattr(change: &str, path: &Path) -> bool {
    let status = Command::new("chattr").arg(change).arg(path).status();
    status.is_ok_and(|status| status.success())
}

/// Runs a script in the sandbox in its own mount namespace, with `$program`, `$first_checkout` and
/// `$top`. It must succeed.
#[track_caller]
pub fn in_private_mounts(sandbox: &Sandbox, script: &str) -> Run {
    let mut command = sandbox.command("unshare", ".");
    command.args(["-m", "sh", "-euc", script]);
    command.env("program", PROGRAM).env("top", sandbox.path(""));
    command.env("first_checkout", FIRST_CHECKOUT.join(" "));
    Sandbox::finish(command).exits(0)
}
