//! What is reserved by another worktree's port file, whatever it contains.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::process::Stdio;

use crate::support::{Nobody, PORT_FILE, PROGRAM, PortBlock, Run, Sandbox, config, set_mode};

/// A sandbox with the worktrees `other`, whose port file a test writes, and `a`, which allocates.
/// Its ports have four digits, so that a fifth digit makes a different port.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::on(PortBlock::reserve_of_four_digits());
    sandbox.add("other");
    sandbox.add("a");
    sandbox
}

/// Allocates for `a` and asserts which port it gets in this `case`.
#[track_caller]
fn choose(sandbox: &Sandbox, port: u16, case: &str) -> Run {
    let run = sandbox.run("a", &["--reallocate"]).exits(0);
    assert_eq!(sandbox.ports("a"), [port], "{case}\n{run}");
    run
}

/// Asserts the warnings, one line each.
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
    let sandbox = sandbox();
    let [one, two] = [sandbox.port(1), sandbox.port(2)];
    let text = sandbox
        .with_ports(r#"{"worktree": "other", "slot": 1, "ports": {"cloud": @1, "api": @2}}"#);
    let damaged: [(&str, Vec<u8>); 10] = [
        ("truncated", text[..text.len() - 2].into()),
        (
            "torn in a string",
            format!(r#"{{"a": {one}, "b": "{two}"#).into(),
        ),
        ("a trailing comma", text.replace("}}", ",}}").into_bytes()),
        (
            "conflict markers",
            format!("<<<<<<< HEAD\n  {one}\n=======\n  {two}\n>>>>>>> b\n").into(),
        ),
        ("two documents", format!("{text}{text}").into_bytes()),
        ("bad UTF-8", [b"\xff\xc0", text.as_bytes()].concat()),
        ("NUL among it", text.replace(' ', "\0").into_bytes()),
        ("UTF-16 LE", utf_16(&text, u16::to_le_bytes)),
        ("UTF-16 BE", utf_16(&text, u16::to_be_bytes)),
        (
            "another tool's format",
            format!("CLOUD={one}\nAPI=0{two}").into(),
        ),
    ];
    for (name, content) in damaged {
        sandbox.write(format!("other/{PORT_FILE}"), content);
        let run = choose(&sandbox, sandbox.port(3), name);
        assert_warned(&sandbox, &run, &["is not JSON"]);
    }
}

#[test]
fn only_runs_of_four_or_five_digits_that_are_ports_count() {
    let sandbox = sandbox();
    let one = sandbox.port(1).to_string();
    let split = format!("{} {}", &one[..2], &one[2..]);
    sandbox.write(
        format!("other/{PORT_FILE}"),
        sandbox.with_ports(&format!(
            r#"{{"short": 810, "long": 12@1, "date": "2026@1", "low": 1023, "high": 65536,
            "split": "{split}", "id": "a@2b"}}"#
        )),
    );
    assert_chooses(&sandbox, sandbox.port(1), &[]);
    sandbox.write(
        format!("other/{PORT_FILE}"),
        sandbox.with_ports(r#"{"id": "a@1b"}"#),
    );
    assert_chooses(&sandbox, sandbox.port(2), &[]);
}

#[test]
fn every_number_in_a_later_version_of_our_shape_counts() {
    let sandbox = sandbox();
    let later = [
        // An unknown key, a port of another type, no slot, impossible ports.
        r#"{"worktree": "other", "slot": 1, "ports": {"cloud": @1}, "udp": {"dns": @2}}"#,
        r#"{"worktree": "other", "slot": 1, "ports": {"cloud": @1, "api": "@2"}}"#,
        r#"{"worktree": "other", "ports": {"cloud": @1}, "x_url": "http://localhost:@2"}"#,
        r#"{"worktree": "other", "slot": 1, "ports": {}, "a_url": ":@1", "b_url": ":@2"}"#,
        r#"{"worktree": @1, "slot": 1, "ports": {"cloud": @2}}"#,
        r#"{"worktree": "other", "slot": @1, "slot": 1, "ports": {"cloud": @2}}"#,
        r#"{"worktree": "other", "slot": 1, "ports": {"cloud": @1, "x": 80}, "a_url": ":@2"}"#,
        r#"{"worktree": "other", "slot": 1, "ports": {"cloud": @1}, "a_url": @2}"#,
        // With a byte order mark.
        "\u{feff}{\"worktree\": \"other\", \"slot\": 1, \"ports\": {\"cloud\": @1, \"api\": @2}}",
    ];
    for content in later {
        sandbox.write(format!("other/{PORT_FILE}"), sandbox.with_ports(content));
        choose(&sandbox, sandbox.port(3), content).tells_nothing();
    }
}

#[test]
fn a_file_that_is_empty_or_all_nul_is_a_warning() {
    let sandbox = sandbox();
    for content in [&b""[..], b"\0", &[0; 4096]] {
        sandbox.write(format!("other/{PORT_FILE}"), content);
        assert_chooses(
            &sandbox,
            sandbox.port(1),
            &["is empty; the ports of that worktree are unknown"],
        );
    }
}

#[test]
fn of_a_large_file_the_first_256_kib_count() {
    const LIMIT: usize = 256 * 1024;
    let sandbox = sandbox();
    let path = sandbox.path("other").join(PORT_FILE);
    let mut content = sandbox.with_ports(r#"{"a": @1"#).into_bytes();
    content.resize(LIMIT - 5, b' ');
    content.extend(sandbox.with_ports("@2}").bytes());
    assert_eq!(content.len(), LIMIT);
    fs::write(&path, &content).unwrap();
    // All of it is read, even if it is not JSON.
    assert_chooses(&sandbox, sandbox.port(3), &["is not JSON"]);
    content.insert(20, b' ');
    content.extend(sandbox.with_ports(" @3").bytes());
    fs::write(&path, &content).unwrap();
    assert_chooses(&sandbox, sandbox.port(3), &["is larger than 256 KiB"]);
    // This one does not fit into memory.
    let file = fs::File::create(&path).unwrap();
    std::io::Write::write_all(&mut &file, sandbox.with_ports("@1").as_bytes()).unwrap();
    file.set_len(1 << 40).unwrap();
    assert_chooses(&sandbox, sandbox.port(2), &["is larger than 256 KiB"]);
}

#[test]
fn anything_but_a_regular_file_is_a_warning_and_not_opened() {
    let sandbox = sandbox();
    let path = sandbox.path("other").join(PORT_FILE);
    sandbox.write("elsewhere", sandbox.with_ports(r#"{"app": @1}"#));
    let unknown = |kind: &str| format!("is {kind}, so it is not read");

    for target in [
        "../elsewhere",
        "nowhere",
        PORT_FILE,
        "/dev/zero",
        "/dev/stdin",
    ] {
        symlink(target, &path).unwrap();
        assert_chooses(&sandbox, sandbox.port(1), &[&unknown("a symbolic link")]);
        fs::remove_file(&path).unwrap();
    }

    fs::create_dir(&path).unwrap();
    assert_chooses(&sandbox, sandbox.port(1), &[&unknown("a directory")]);
    fs::remove_dir(&path).unwrap();

    let socket = UnixListener::bind(&path).unwrap();
    socket.set_nonblocking(true).unwrap();
    assert_chooses(&sandbox, sandbox.port(1), &[&unknown("a socket")]);
    assert!(socket.accept().is_err());
    fs::remove_file(&path).unwrap();

    let mut mknod = sandbox.command("mknod", "other");
    mknod.args([PORT_FILE, "c", "1", "5"]).stderr(Stdio::null());
    if mknod.status().is_ok_and(|status| status.success()) {
        assert_chooses(&sandbox, sandbox.port(1), &[&unknown("a device")]);
    }
}

#[test]
fn a_fifo_is_not_opened() {
    let sandbox = sandbox();
    let mut mkfifo = sandbox.command("mkfifo", "other");
    mkfifo.arg(PORT_FILE);
    Sandbox::finish(mkfifo).exits(0);
    // This blocks in open(2) until something opens the other end, and then leaves a file.
    let mut writer = sandbox.command("sh", "other");
    writer.args([
        "-c",
        &sandbox.with_ports(r#"echo '{"cloud": @1}' > .worktree-ports.json; : > opened"#),
    ]);
    let mut writer = writer.spawn().unwrap();
    assert_chooses(&sandbox, sandbox.port(1), &["is a FIFO, so it is not read"]);
    sandbox.run_hook("a").exits(0);
    let still_blocked = writer.try_wait().unwrap().is_none();
    writer.kill().unwrap();
    writer.wait().unwrap();
    assert!(still_blocked && !sandbox.path("other/opened").exists());
}

#[test]
fn a_file_that_cannot_be_read_is_a_warning() {
    let sandbox = sandbox();
    let nobody = Nobody::owning(&sandbox);
    let file = sandbox.path("other").join(PORT_FILE);
    fs::write(&file, sandbox.with_ports(r#"{"app": @1}"#)).unwrap();
    set_mode(&file, 0o000);
    let run = nobody.run("a", &["--reallocate"]).exits(0);
    run.tells(&["warning: ", PORT_FILE, "cannot be read", "are unknown"]);
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
    // The worktree's directory may be unreadable too.
    set_mode(sandbox.path("other"), 0o000);
    let run = nobody.run("a", &["--reallocate"]).exits(0);
    run.tells(&["warning: ", PORT_FILE, "cannot be read", "are unknown"]);
}

#[test]
fn each_damaged_file_is_one_warning_with_its_control_characters_escaped() {
    let sandbox = Sandbox::without_hook();
    let name = "o\u{1b}[2Jt\nh\u{202e}er";
    sandbox.git(
        "repo",
        &["worktree", "add", "--detach", &format!("../{name}")],
    );
    sandbox.add("a");
    sandbox.write(
        format!("{name}/{PORT_FILE}"),
        sandbox.with_ports(r#"{"cloud": @1,}"#),
    );
    for _ in 0..2 {
        let run = sandbox.run("a", &["--reallocate"]).exits(0);
        assert_eq!(run.stderr.lines().count(), 1, "{run}");
        let run = run.tells(&["o\\u{1b}[2Jt\\nh\\u{202e}er", "is not JSON"]);
        assert!(!run.stderr.contains(['\u{1b}', '\u{202e}']));
        assert_eq!(sandbox.ports("a"), [sandbox.port(2)]);
    }
}

#[test]
fn one_file_that_names_every_port_is_named_by_the_error() {
    let sandbox = sandbox();
    let base = sandbox.port(0);
    sandbox.configure("repo", config(&[("cloud", base)]).step(100));
    // All ports do not fit into 256 KiB; those of the slots are enough.
    let slots: Vec<u16> = (base..32_768).step_by(100).collect();
    sandbox.write(format!("other/{PORT_FILE}"), format!("{slots:?}"));
    sandbox
        .run("a", &["--reallocate"])
        .exits(1)
        .tells(&["no free slot", "other/.worktree-ports.json` names"]);
    assert!(!sandbox.has_port_file("a"));
    sandbox
        .run_hook("a")
        .exits(0)
        .tells(&["error: no free slot"]);
    sandbox.assert_no_leftovers("a");
}

#[test]
fn too_few_descriptors_are_an_error_and_nothing_is_allocated() {
    let sandbox = sandbox();
    sandbox.write(
        format!("other/{PORT_FILE}"),
        sandbox.with_ports(r#"{"app": @1}"#),
    );
    let mut failed = 0;
    for limit in 3..24 {
        let mut command = sandbox.command("sh", "a");
        command.args([
            "-c",
            r#"ulimit -n "$1"; exec "$2" --reallocate"#,
            "sh",
            &limit.to_string(),
            PROGRAM,
        ]);
        let run = Sandbox::finish(command);
        if run.code() == Some(0) {
            assert_eq!(sandbox.ports("a"), [sandbox.port(2)], "{limit} {run}");
            sandbox.remove_port_file("a");
        } else {
            assert!(!sandbox.has_port_file("a"), "{limit} {run}");
            sandbox.assert_no_leftovers("a");
            failed += 1;
        }
    }
    assert!((1..21).contains(&failed), "{failed}");
}
