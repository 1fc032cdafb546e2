//! Full disks, refused writes, too few descriptors, failing system calls: one clear message, no port
//! file or the old one, nothing left, the worktree intact; the hook exits 0, a call by hand 1.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::strace::{self, Call};
use crate::support::{CONFIG, PORT_FILE, PROGRAM, PortBlock, Run, Sandbox, has_tool};

const TEMPORARY: &str = ".worktree-ports.json.tmp";
const FIRST_CHECKOUT: [&str; 3] = ["0000", "1111", "1"];

#[test]
fn a_full_file_system_leaves_no_port_file_and_nothing_else() {
    on_a_tmpfs(
        "size=64k",
        "dd if=/dev/zero of=filler 2>/dev/null || :",
        "No space left",
    );
}

#[test]
fn a_file_system_without_inodes_leaves_no_port_file_and_nothing_else() {
    let fill = "i=0; while ( : >filler$i ) 2>/dev/null; do i=$((i+1)); done || :";
    on_a_tmpfs("nr_inodes=16", fill, "No space left");
}

/// Fills a file system that holds the worktree `w` and nothing else.
fn on_a_tmpfs(options: &str, fill: &str, why: &str) {
    if !is_root() || !has_tool("unshare") {
        return;
    }
    let sandbox = Sandbox::bare_of_hooks();
    fs::create_dir(sandbox.path("mount")).unwrap();
    let run = in_private_mounts(
        &sandbox,
        &format!(
            r#"mount -t tmpfs -o {options} tmpfs mount
            git -C repo worktree add --quiet ../mount/w
            git -C repo worktree add --quiet ../b
            cd mount/w
            ( {fill} )
            "$program" 0000 1111 1 2>"$top/as-hook" || echo "the hook exits $?"
            ls -A >"$top/left"
            "$program" 2>"$top/by-hand" && echo "by hand it exits 0" || echo "by hand it exits $?"
            rm -f filler*
            "$program" --json >"$top/old"
            ( cd ../../b; "$program" 0000 1111 1 2>&1 )
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
        "by hand it exits 1\nworktree-ports: cloud 8200 (.worktree-ports.json)\n.git\n.worktree-ports.json\n",
        "{run}"
    );
    let left = fs::read_to_string(sandbox.path("left")).unwrap();
    assert!(!left.contains("worktree-ports"), "{left}");
    for told in ["as-hook", "by-hand", "reallocate"] {
        let told = fs::read_to_string(sandbox.path(told)).unwrap();
        assert!(is_one_clear_message(&told), "{told}");
        assert!(told.contains(PORT_FILE) && told.contains(why), "{told}");
    }
}

#[test]
fn a_worktree_that_is_mounted_read_only_gets_no_ports_and_is_told_why() {
    if !is_root() || !has_tool("unshare") {
        return;
    }
    let sandbox = Sandbox::bare_of_hooks();
    sandbox.add("a");
    let run = in_private_mounts(
        &sandbox,
        r#"mount --bind -o ro a a
        cd a
        "$program" 0000 1111 1 && "$program" || echo "by hand it exits $?""#,
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
fn a_common_dir_that_is_mounted_read_only_is_enough_once_the_lock_file_is_there() {
    if !is_root() || !has_tool("unshare") {
        return;
    }
    let sandbox = Sandbox::bare_of_hooks();
    sandbox.add("a");
    let mount = "mount --bind -o ro repo/.git repo/.git; cd a\n";
    let script =
        mount.to_owned() + r#""$program" 0000 1111 1 && "$program" || echo "by hand it exits $?""#;
    let run = in_private_mounts(&sandbox, &script);
    assert_eq!(run.stdout, "by hand it exits 1\n");
    let told = run.stderr.lines().filter(|line| {
        line.contains("error: could not lock") && line.contains("the lock file is made once")
    });
    assert_eq!(told.count(), 2, "{run}");
    assert!(!sandbox.has_port_file("a"));

    sandbox.run("repo", &[]).exits(0);
    let run = in_private_mounts(&sandbox, &(mount.to_owned() + r#""$program" 0000 1111 1"#));
    assert!(!run.stderr.contains("warning"), "{run}");
    assert_eq!(sandbox.ports("a"), [8100]);
    sandbox.assert_no_leftovers("a");
}

#[test]
fn an_immutable_port_file_stays_and_an_immutable_temporary_file_is_named() {
    if !is_root() || !has_tool("chattr") {
        return;
    }
    let sandbox = Sandbox::bare_of_hooks();
    sandbox.add("a");
    sandbox.add("b");
    sandbox.run_hook("a").exits(0);
    sandbox.run_hook("b").exits(0);
    sandbox.git("repo", &["worktree", "remove", "../a"]);
    let old = sandbox.port_file("b");

    let port_file = sandbox.path("b").join(PORT_FILE);
    let Some(immutable) = Immutable::make(&port_file) else {
        return;
    };
    let run = sandbox.run("b", &["--reallocate"]).exits(1);
    assert!(is_one_clear_message(&run.stderr), "{run}");
    run.tells(&["error: could not write", PORT_FILE]);
    assert_eq!(sandbox.port_file("b"), old);
    sandbox.assert_no_leftovers("b");
    drop(immutable);

    let temporary = sandbox.path("b").join(TEMPORARY);
    fs::write(&temporary, "").unwrap();
    let _immutable = Immutable::make(&temporary).unwrap();
    let run = sandbox.run("b", &["--reallocate"]).exits(1);
    assert!(is_one_clear_message(&run.stderr), "{run}");
    run.tells(&["an earlier run left", TEMPORARY, "by hand"]);
    assert_eq!(sandbox.port_file("b"), old);
}

#[test]
fn an_immutable_worktree_gets_no_ports_and_is_told_why() {
    if !is_root() || !has_tool("chattr") {
        return;
    }
    let sandbox = Sandbox::bare_of_hooks();
    sandbox.add("a");
    let worktree = sandbox.path("a");
    let Some(_immutable) = Immutable::make(&worktree) else {
        return;
    };
    for run in [
        sandbox.run_hook("a").exits(0),
        sandbox.run("a", &[]).exits(1),
    ] {
        assert!(is_one_clear_message(&run.stderr), "{run}");
        run.tells(&["error: could not write", PORT_FILE]);
    }
    sandbox.assert_no_leftovers("a");
    assert!(!sandbox.has_port_file("a"));
}

/// A file that not even root can write, rename or remove, until this is dropped.
struct Immutable<'a>(&'a Path);

impl Immutable<'_> {
    /// `None` on a file system that cannot: says that the test is skipped.
    fn make(path: &Path) -> Option<Immutable<'_>> {
        let done = chattr("+i", path);
        if !done {
            skip("this file system knows no immutable files");
        }
        done.then_some(Immutable(path))
    }
}

impl Drop for Immutable<'_> {
    fn drop(&mut self) {
        chattr("-i", self.0);
    }
}

fn chattr(change: &str, path: &Path) -> bool {
    let output = Command::new("chattr").arg(change).arg(path).output();
    output.unwrap().status.success()
}

#[test]
fn in_another_users_repository_nothing_is_written_and_the_owner_is_named() {
    if !is_root() || !has_tool("setpriv") {
        return;
    }
    let sandbox = Sandbox::bare_of_hooks();
    sandbox.add("a");
    let by_hand = as_nobody(&sandbox, "a", &[]).exits(1);
    assert!(is_one_clear_message(&by_hand.stderr), "{by_hand}");
    by_hand.tells(&["belongs to another user", "safe.directory"]);
    let as_hook = as_nobody(&sandbox, "a", &FIRST_CHECKOUT).exits(0);
    assert!(is_one_clear_message(&as_hook.stderr), "{as_hook}");
    as_hook.tells(&["error: could not lock", "Permission denied"]);
    assert!(!sandbox.has_port_file("a"));
    sandbox.assert_no_leftovers("a");
}

#[test]
fn a_worktree_directory_that_refuses_writing_keeps_its_old_port_file() {
    if !is_root() || !has_tool("setpriv") {
        return;
    }
    let sandbox = Sandbox::bare_of_hooks();
    sandbox.add("a");
    sandbox.add("b");
    sandbox.run_hook("a").exits(0);
    sandbox.run_hook("b").exits(0);
    sandbox.git("repo", &["worktree", "remove", "../a"]);
    give_to_nobody(&sandbox);
    let old = sandbox.port_file("b");
    set_mode(&sandbox.path("b"), 0o555);
    let run = as_nobody(&sandbox, "b", &["--reallocate"]).exits(1);
    assert!(is_one_clear_message(&run.stderr), "{run}");
    run.tells(&["error: could not write", "Permission denied"]);
    assert_eq!(sandbox.port_file("b"), old);
}

#[test]
fn a_read_only_lock_file_still_locks() {
    if !is_root() || !has_tool("setpriv") {
        return;
    }
    let sandbox = Sandbox::bare_of_hooks();
    sandbox.add("a");
    sandbox.run("repo", &[]).exits(0);
    give_to_nobody(&sandbox);
    let lock = sandbox.path("repo/.git/worktree-ports/lock");
    set_mode(&lock, 0o400);
    set_mode(lock.parent().unwrap(), 0o555);

    let held = fs::File::open(&lock).unwrap();
    held.lock().unwrap();
    let run = as_nobody(&sandbox, "a", &FIRST_CHECKOUT).exits(0);
    run.tells(&["error: gave up", "the lock"]);
    assert!(!sandbox.has_port_file("a"));

    held.unlock().unwrap();
    as_nobody(&sandbox, "a", &FIRST_CHECKOUT).exits(0);
    assert_eq!(sandbox.ports("a"), [8100]);
}

#[test]
fn too_few_descriptors_are_told_and_nothing_is_written() {
    let sandbox = Sandbox::bare_of_hooks();
    sandbox.add("a");
    sandbox.add("b");
    sandbox.run_hook("a").exits(0);
    let mut refused = 0;
    for descriptors in 4..64 {
        let mut command = sandbox.command("sh", "b");
        let limit = format!("ulimit -n {descriptors}; exec \"$@\"");
        command
            .args(["-c", &limit, "sh", PROGRAM])
            .args(FIRST_CHECKOUT);
        let run = Sandbox::finish(command).exits(0);
        if sandbox.has_port_file("b") {
            assert_eq!(sandbox.ports("b"), [8200]);
            break;
        }
        refused += 1;
        assert!(is_one_clear_message(&run.stderr), "{descriptors}: {run}");
        sandbox.assert_no_leftovers("b");
    }
    assert!(refused > 0);
    assert!(sandbox.has_port_file("b"));
}

#[test]
fn an_error_in_writing_or_renaming_leaves_the_old_port_file_and_says_why() {
    if !has_tool("strace") {
        return;
    }
    let sandbox = Sandbox::bare_of_hooks();
    sandbox.add("a");
    sandbox.add("b");
    sandbox.run_hook("a").exits(0);
    sandbox.run_hook("b").exits(0);
    sandbox.git("repo", &["worktree", "remove", "../a"]);
    let old = sandbox.port_file("b");
    let temporary = sandbox.path("b").join(TEMPORARY);
    let temporary = temporary.to_str().unwrap();
    for (calls, error, why) in [
        ("/^rename", "ENOSPC", "No space left"),
        ("/^rename", "EIO", "Input/output error"),
        ("/^rename", "EXDEV", "cross-device"),
        ("write", "ENOSPC", "No space left"),
        ("write", "EDQUOT", "quota"),
        ("write", "EIO", "Input/output error"),
        ("/^open", "EROFS", "Read-only file system"),
        ("/^open", "EMFILE", "Too many open files"),
    ] {
        let what = format!("inject={calls}:error={error}");
        let options = ["-P", temporary, "-e", &what];
        let run = Sandbox::finish(strace::command(&sandbox, "b", &options, &["--reallocate"]));
        let run = run.exits(1);
        assert!(is_one_clear_message(&run.stderr), "{run}");
        let run = run.tells(&["error: could not write", PORT_FILE]);
        assert!(
            run.stderr.to_lowercase().contains(&why.to_lowercase()),
            "{run}"
        );
        assert_eq!(sandbox.port_file("b"), old, "{calls} {error}");
        sandbox.assert_no_leftovers("b");
    }
}

#[test]
fn a_lock_directory_that_cannot_be_made_is_told_and_nothing_is_written() {
    if !has_tool("strace") {
        return;
    }
    let sandbox = Sandbox::bare_of_hooks();
    sandbox.add("a");
    for error in ["ENOSPC", "EROFS", "EACCES", "EMLINK"] {
        let what = format!("/^mkdir:error={error}");
        let run = strace::inject(&sandbox, "a", &what, &FIRST_CHECKOUT).exits(0);
        assert!(is_one_clear_message(&run.stderr), "{run}");
        run.tells(&["error: could not lock", "worktree-ports/lock"]);
        assert!(!sandbox.has_port_file("a"));
        sandbox.assert_no_leftovers("a");
    }
}

#[test]
fn an_answer_of_the_probe_means_what_the_kernel_means_by_it() {
    if !has_tool("strace") {
        return;
    }
    let block = PortBlock::reserve();
    let sandbox = Sandbox::bare_of_hooks();
    sandbox.write(format!("repo/{CONFIG}"), one_service(block.port(1)));
    sandbox.add("a");
    let (first, second) = (vec![block.port(2)], vec![block.port(3)]);
    // The first probe meets the error; the answers of the later ones are the kernel's own.
    for (call, error, expected) in [
        ("bind", "EADDRINUSE", Some(&second)),
        ("bind", "EACCES", Some(&second)),
        ("bind", "EADDRNOTAVAIL", Some(&first)),
        ("bind", "EAFNOSUPPORT", Some(&first)),
        ("socket", "EAFNOSUPPORT", Some(&first)),
        ("bind", "ENOBUFS", None),
        ("bind", "ENOMEM", None),
        ("socket", "EMFILE", None),
        ("socket", "ENFILE", None),
        ("socket", "ENOBUFS", None),
        ("socket", "ENOMEM", None),
        ("bind", "EINVAL", Some(&first)),
        ("socket", "EPROTONOSUPPORT", Some(&first)),
    ] {
        let what = format!("{call}:error={error}:when=1");
        let run = strace::inject(&sandbox, "a", &what, &FIRST_CHECKOUT).exits(0);
        if let Some(expected) = expected {
            assert_eq!(&sandbox.ports("a"), expected, "{call} {error}: {run}");
            let is_doubtful = matches!(error, "EINVAL" | "EPROTONOSUPPORT");
            assert_eq!(run.stderr.contains("warning"), is_doubtful, "{run}");
            fs::remove_file(sandbox.path("a").join(PORT_FILE)).unwrap();
        } else {
            assert!(is_one_clear_message(&run.stderr), "{run}");
            run.tells(&["could not ask whether port"]);
            assert!(!sandbox.has_port_file("a"), "{call} {error}");
        }
        sandbox.assert_no_leftovers("a");
    }
}

#[test]
fn an_error_in_any_system_call_is_told_and_hands_out_no_port_twice() {
    if !has_tool("strace") {
        return;
    }
    let block = PortBlock::reserve();
    let sandbox = Sandbox::bare_of_hooks();
    sandbox.write(format!("repo/{CONFIG}"), one_service(block.port(1)));
    sandbox.add("a");
    sandbox.add("b");
    sandbox.run_hook("a").exits(0);
    let taken = sandbox.ports("a");

    for call in &strace::calls_from_the_lock(&sandbox, "b", &FIRST_CHECKOUT) {
        for error in errors_for(call) {
            let _ = fs::remove_file(sandbox.path("b").join(PORT_FILE));
            let what = call.inject(&format!("error={error}"));
            let run = strace::inject(&sandbox, "b", &what, &FIRST_CHECKOUT).exits(0);
            let context = || format!("{error} in {call:?}: {run}");
            if sandbox.has_port_file("b") {
                let unknown = run.stderr.contains("ports are unknown");
                assert!(unknown || sandbox.ports("b") != taken, "{}", context());
                assert!(!run.stderr.contains("error:"), "{}", context());
            } else {
                assert!(is_one_clear_message(&run.stderr), "{}", context());
            }
            assert!(!sandbox.path("b").join(TEMPORARY).exists(), "{}", context());

            let _ = fs::remove_file(sandbox.path("b").join(PORT_FILE));
            sandbox.run_hook("b").exits(0);
            assert_ne!(sandbox.ports("b"), taken, "{}", context());
        }
    }
    sandbox.assert_no_leftovers("b");
}

/// The errors that are worth trying at that call; none where failing is no error of a file's or a
/// socket's.
fn errors_for(call: &Call) -> &'static [&'static str] {
    match call.name.as_str() {
        "exit_group" | "mmap" | "munmap" | "mprotect" | "brk" | "sigaltstack" | "close" => &[],
        // What libgit2 asks before it opens a file.
        "readlink" | "access" | "faccessat2" | "newfstatat" | "fcntl" => &["EIO"],
        _ => &["EIO", "EACCES", "EMFILE", "ENOSPC"],
    }
}

fn one_service(base: u16) -> String {
    format!("{{ \"services\": {{ \"web\": {base} }}, \"step\": 1 }}")
}

/// Whether `told` is one error, beside which nothing but warnings is told.
fn is_one_clear_message(told: &str) -> bool {
    let (errors, others): (Vec<&str>, Vec<&str>) = told
        .lines()
        .partition(|line| line.starts_with("worktree-ports: error: "));
    errors.len() == 1
        && others
            .iter()
            .all(|line| line.starts_with("worktree-ports: warning: "))
}

/// Runs a script in the sandbox, with `$program` and `$top`, in mounts that nobody else sees. It
/// must succeed.
#[track_caller]
fn in_private_mounts(sandbox: &Sandbox, script: &str) -> Run {
    let mut command = sandbox.command("unshare", ".");
    command.args(["-m", "sh", "-euc", script]);
    command.env("program", PROGRAM).env("top", sandbox.path(""));
    Sandbox::finish(command).exits(0)
}

/// Runs the program as the user `nobody`, who may read the sandbox, and waits for no lock.
#[track_caller]
fn as_nobody(sandbox: &Sandbox, at: &str, arguments: &[&str]) -> Run {
    // The program may lie where nobody else can read it.
    let copy = sandbox.path("program");
    if !copy.exists() {
        fs::copy(PROGRAM, &copy).unwrap();
        set_mode(&copy, 0o755);
        set_mode(&sandbox.path(""), 0o755);
    }
    let mut command = sandbox.command("setpriv", at);
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.arg(copy).args(arguments);
    command.env("WORKTREE_PORTS_LOCK_TIMEOUT", "0");
    Sandbox::finish(command)
}

#[track_caller]
fn give_to_nobody(sandbox: &Sandbox) {
    let mut command = sandbox.command("chown", ".");
    command.args(["-R", "65534:65534", "."]);
    Sandbox::finish(command).exits(0);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Whether this is root, who alone can mount and change users. Where it is not, says that the test
/// is skipped.
fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    let is_root = output.stdout == b"0\n";
    if !is_root {
        skip("only root can mount and change users");
    }
    is_root
}

/// Says why a test is skipped, past the test harness, which keeps what a passing test prints.
fn skip(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}
