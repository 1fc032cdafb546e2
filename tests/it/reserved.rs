//! What counts as reserved in another worktree's port file, whatever lies there.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::Stdio;

use crate::support::{PORT_FILE, PROGRAM, Run, Sandbox};

/// A sandbox with the worktrees `other`, whose port file a test makes, and `a`, which asks.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::bare_of_hooks();
    sandbox.add("other");
    sandbox.add("a");
    sandbox
}

/// Lets `a` choose and asserts which port it gets in this `case`.
#[track_caller]
fn choose(sandbox: &Sandbox, port: u16, case: &str) -> Run {
    let run = sandbox.run("a", &["--reallocate"]).exits(0);
    assert_eq!(sandbox.ports("a"), [port], "{case}\n{run}");
    run
}

/// Asserts what was warned of, on one line each.
#[track_caller]
fn assert_warned(sandbox: &Sandbox, run: &Run, warnings: &[&str]) {
    assert_eq!(run.stderr.lines().count(), warnings.len(), "{run}");
    let path = sandbox.path("other").join(PORT_FILE);
    for warning in warnings {
        let line = format!("warning: `{}` {warning}", path.display());
        assert!(run.stderr.contains(&line), "no {line}\n{run}");
    }
}

#[track_caller]
fn assert_chooses(sandbox: &Sandbox, port: u16, warnings: &[&str]) {
    assert_warned(sandbox, &choose(sandbox, port, ""), warnings);
}

fn utf_16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    let text = format!("\u{feff}{text}");
    text.encode_utf16().flat_map(to_bytes).collect()
}

#[test]
fn every_number_that_could_be_a_port_counts_in_what_is_not_json() {
    let text =
        "{\"worktree\": \"other\", \"slot\": 1, \"ports\": {\"cloud\": 8100, \"api\": 8200}}";
    let damaged: [(&str, Vec<u8>); 11] = [
        ("truncated", text[..text.len() - 2].into()),
        ("torn in a string", b"{\"a\": 8100, \"b\": \"8200".into()),
        (
            "a trailing comma",
            text.replace("8200}", "8200,}").into_bytes(),
        ),
        (
            "conflict markers",
            b"<<<<<<< HEAD\n  \"cloud\": 8100\n=======\n  \"cloud\": 8200\n>>>>>>> b\n".into(),
        ),
        ("two documents", format!("{text}{text}").into_bytes()),
        ("bad UTF-8", [b"\xff\xc0", text.as_bytes()].concat()),
        ("NUL among it", text.replace(' ', "\0").into_bytes()),
        (
            "UTF-8 with its mark",
            format!("\u{feff}{text}").into_bytes(),
        ),
        ("UTF-16 LE", utf_16(text, u16::to_le_bytes)),
        ("UTF-16 BE", utf_16(text, u16::to_be_bytes)),
        ("another tool's format", b"CLOUD=8100\nAPI=08200".into()),
    ];
    let sandbox = sandbox();
    for (name, content) in damaged {
        sandbox.write(format!("other/{PORT_FILE}"), content);
        let run = choose(&sandbox, 8300, name);
        assert_warned(&sandbox, &run, &["is not JSON"]);
    }
}

#[test]
fn only_runs_of_four_or_five_digits_that_are_ports_count() {
    let sandbox = sandbox();
    sandbox.write(
        format!("other/{PORT_FILE}"),
        "{\"short\": 810, \"long\": 810000, \"date\": \"20268100\", \"low\": 1023, \"high\": 65536, \
         \"split\": \"81 00\", \"id\": \"a8200b\"}",
    );
    assert_chooses(&sandbox, 8100, &[]);
    sandbox.write(format!("other/{PORT_FILE}"), "{\"id\": \"a8100b\"}");
    assert_chooses(&sandbox, 8200, &[]);
}

#[test]
fn a_later_version_of_our_own_shape_counts_in_full() {
    let sandbox = sandbox();
    let later = [
        // A key that we do not write, a port of another form, no slot, ports that cannot be.
        "{\"worktree\": \"other\", \"slot\": 1, \"ports\": {\"cloud\": 8100}, \"udp\": {\"dns\": 8200}}",
        "{\"worktree\": \"other\", \"slot\": 1, \"ports\": {\"cloud\": 8100, \"api\": \"8200\"}}",
        "{\"worktree\": \"other\", \"ports\": {\"cloud\": 8100}, \"x_url\": \"http://localhost:8200\"}",
        "{\"worktree\": \"other\", \"slot\": 1, \"ports\": {}, \"a_url\": \":8100\", \"b_url\": \":8200\"}",
        "{\"worktree\": 8100, \"slot\": 1, \"ports\": {\"cloud\": 8200}}",
        "{\"worktree\": \"other\", \"slot\": 8100, \"slot\": 1, \"ports\": {\"cloud\": 8200}}",
        "{\"worktree\": \"other\", \"slot\": 1, \"ports\": {\"cloud\": 8100, \"x\": 80}, \"a_url\": \":8200\"}",
        "{\"worktree\": \"other\", \"slot\": 1, \"ports\": {\"cloud\": 8100}, \"a_url\": 8200}",
    ];
    for content in later {
        sandbox.write(format!("other/{PORT_FILE}"), content);
        choose(&sandbox, 8300, content).tells_nothing();
    }
}

#[test]
fn a_file_that_is_empty_or_all_nul_is_a_warning() {
    let sandbox = sandbox();
    for content in [&b""[..], b"\0", &[0; 4096]] {
        sandbox.write(format!("other/{PORT_FILE}"), content);
        assert_chooses(&sandbox, 8100, &["is empty, so its ports are unknown"]);
    }
}

#[test]
fn of_a_large_file_the_first_256_kib_count() {
    const LIMIT: usize = 256 * 1024;
    let sandbox = sandbox();
    let path = sandbox.path("other").join(PORT_FILE);
    let mut content = b"{\"a\": 8100".to_vec();
    content.resize(LIMIT - 5, b' ');
    content.extend(b"8200}");
    assert_eq!(content.len(), LIMIT);
    fs::write(&path, &content).unwrap();
    // All of it is read, though it is not JSON.
    assert_chooses(&sandbox, 8300, &["is not JSON"]);
    content.insert(20, b' ');
    content.extend(b" 8300");
    fs::write(&path, &content).unwrap();
    assert_chooses(&sandbox, 8300, &["is larger than 256 KiB"]);
    // Nobody has the memory to read this one.
    let file = fs::File::create(&path).unwrap();
    std::io::Write::write_all(&mut &file, b"8100").unwrap();
    file.set_len(1 << 40).unwrap();
    assert_chooses(&sandbox, 8200, &["is larger than 256 KiB"]);
}

#[test]
fn what_is_no_regular_file_is_not_opened_and_a_warning() {
    let sandbox = sandbox();
    let path = sandbox.path("other").join(PORT_FILE);
    sandbox.write("elsewhere", "{\"app\": 8100}");
    let unknown = |kind: &str| format!("is {kind}, so its ports are unknown");

    for target in [
        "../elsewhere",
        "nowhere",
        PORT_FILE,
        "/dev/zero",
        "/dev/stdin",
    ] {
        symlink(target, &path).unwrap();
        assert_chooses(&sandbox, 8100, &[&unknown("a symbolic link")]);
        fs::remove_file(&path).unwrap();
    }

    fs::create_dir(&path).unwrap();
    assert_chooses(&sandbox, 8100, &[&unknown("a directory")]);
    fs::remove_dir(&path).unwrap();

    let socket = UnixListener::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    assert_chooses(&sandbox, 8100, &[&unknown("a socket")]);
    assert!(socket.accept().is_err());
    fs::remove_file(&path).unwrap();

    let mut mknod = sandbox.command("mknod", "other");
    mknod.args([PORT_FILE, "c", "1", "5"]).stderr(Stdio::null());
    if mknod.status().is_ok_and(|status| status.success()) {
        assert_chooses(&sandbox, 8100, &[&unknown("a device")]);
    }
}

#[test]
fn a_fifo_is_not_opened() {
    let sandbox = sandbox();
    let mut mkfifo = sandbox.command("mkfifo", "other");
    mkfifo.arg(PORT_FILE);
    Sandbox::finish(mkfifo).exits(0);
    // Blocks in its open(2) until somebody opens the other end, and then leaves a file.
    let mut writer = sandbox.command("sh", "other");
    writer.args([
        "-c",
        "echo '{\"cloud\": 8100}' > .worktree-ports.json; : > opened",
    ]);
    let mut writer = writer.spawn().unwrap();
    assert_chooses(&sandbox, 8100, &["is a FIFO, so its ports are unknown"]);
    sandbox.run_hook("a").exits(0);
    let still_blocked = writer.try_wait().unwrap().is_none();
    writer.kill().unwrap();
    writer.wait().unwrap();
    assert!(still_blocked && !sandbox.path("other/opened").exists());
}

#[test]
fn a_file_that_cannot_be_read_is_a_warning() {
    let sandbox = sandbox();
    let Some(nobody) = crate::support::Nobody::owning(&sandbox) else {
        return;
    };
    let file = sandbox.path("other").join(PORT_FILE);
    fs::write(&file, "{\"app\": 8100}").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    let run = nobody.run("a", &["--reallocate"]).exits(0);
    run.tells(&["warning: ", PORT_FILE, "cannot be read", "are unknown"]);
    assert_eq!(sandbox.ports("a"), [8100]);
    // The directory of the worktree may be closed too.
    fs::set_permissions(sandbox.path("other"), fs::Permissions::from_mode(0o000)).unwrap();
    let run = nobody.run("a", &["--reallocate"]).exits(0);
    run.tells(&["warning: ", PORT_FILE, "cannot be read", "are unknown"]);
}

#[test]
fn each_damaged_file_is_one_warning_with_its_control_characters_escaped() {
    let sandbox = Sandbox::bare_of_hooks();
    let name = "o\u{1b}[2Jt\nh\u{202e}er";
    sandbox.git(
        "repo",
        &["worktree", "add", "--detach", &format!("../{name}")],
    );
    sandbox.add("a");
    sandbox.write(format!("{name}/{PORT_FILE}"), "{\"cloud\": 8100,}");
    for _ in 0..2 {
        let run = sandbox.run("a", &["--reallocate"]).exits(0);
        assert_eq!(run.stderr.lines().count(), 1, "{run}");
        let run = run.tells(&["o\\u{1b}[2Jt\\nh\\u{202e}er", "is not JSON"]);
        assert!(!run.stderr.contains(['\u{1b}', '\u{202e}']));
        assert_eq!(sandbox.ports("a"), [8200]);
    }
}

#[test]
fn one_file_that_names_every_port_is_named_by_the_error() {
    let sandbox = sandbox();
    // All ports are more than 256 KiB hold: those of the slots are enough.
    let slots: Vec<String> = (0..300)
        .map(|slot| (8000 + slot * 100).to_string())
        .collect();
    sandbox.write(
        format!("other/{PORT_FILE}"),
        format!("[{}]", slots.join(",")),
    );
    sandbox
        .run("a", &["--reallocate"])
        .exits(1)
        .tells(&["no ports are left", "other/.worktree-ports.json` names"]);
    assert!(!sandbox.has_port_file("a"));
    sandbox
        .run_hook("a")
        .exits(0)
        .tells(&["error: no ports are left"]);
    sandbox.assert_no_leftovers("a");
}

#[test]
fn a_want_of_descriptors_is_an_error_and_nothing_is_allocated() {
    let sandbox = sandbox();
    sandbox.write(format!("other/{PORT_FILE}"), "{\"app\": 8100}");
    let mut failed = 0;
    for limit in 3..24 {
        let mut command = sandbox.command("sh", "a");
        command.args([
            "-c",
            "ulimit -n \"$1\"; exec \"$2\" --reallocate",
            "sh",
            &limit.to_string(),
            PROGRAM,
        ]);
        let run = Sandbox::finish(command);
        if run.code() == Some(0) {
            assert_eq!(sandbox.ports("a"), [8200], "{limit} {run}");
            fs::remove_file(sandbox.path("a").join(PORT_FILE)).unwrap();
        } else {
            assert!(!sandbox.has_port_file("a"), "{limit} {run}");
            sandbox.assert_no_leftovers("a");
            failed += 1;
        }
    }
    assert!((1..21).contains(&failed), "{failed}");
}
