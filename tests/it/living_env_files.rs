//! An env file starts as a copy of main's, other tools copy it, people edit it, and `--release`
//! restores every byte.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::process::Stdio;
use std::time::Duration;

use crate::support::strace;
use crate::support::{
    Config, FIRST_CHECKOUT, Nobody, PROGRAM, Run, Sandbox, block, set_mode, with_block,
};

const ENV: &str = "# Secrets\nSECRET=s3cret\nWEB_PORT=3000\nAPI=http://localhost:${WEB_PORT}/v1\n";

fn config(sandbox: &Sandbox) -> Config {
    let variables = [
        ("WEB_PORT", "{cloud}"),
        ("COMPOSE_PROJECT_NAME", "shop{-slot}"),
    ];
    sandbox.config(&["cloud"]).env_file(".env", &variables)
}

/// The block of [`config`] in a linked worktree.
fn block_of(sandbox: &Sandbox, name: &str, slot: u16) -> String {
    let port = sandbox.port(slot);
    block(
        name,
        &format!("WEB_PORT={port}\nCOMPOSE_PROJECT_NAME=shop-{slot}\n"),
    )
}

/// [`ENV`] with that block and its own lines commented out.
fn env_with(block: &str) -> String {
    with_block(
        block,
        &ENV.replace(
            "WEB_PORT=3000",
            "# replaced by worktree-ports: WEB_PORT=3000",
        ),
    )
}

/// A sandbox with a hook; `repo` has this config and ignores env files.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("repo/.gitignore", ".env\n*.env\n");
    sandbox.git("repo", &["add", ".gitignore"]);
    sandbox.git("repo", &["commit", "--quiet", "--message=ignore"]);
    sandbox.configure("repo", config(&sandbox));
    sandbox
}

#[track_caller]
fn read(sandbox: &Sandbox, path: &str) -> String {
    let path = sandbox.path(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn exists(sandbox: &Sandbox, path: &str) -> bool {
    sandbox.path(path).symlink_metadata().is_ok()
}

/// Checks out another branch in `a`, so that git runs the hook.
fn check_out(sandbox: &Sandbox) -> Run {
    let branch = sandbox.git("a", &["branch", "--show-current"]).stdout;
    let other = if branch == "a\n" { "b" } else { "a" };
    sandbox.git("a", &["checkout", "--quiet", "-B", other])
}

#[test]
fn a_missing_file_starts_as_a_copy_of_mains_with_its_mode() {
    let sandbox = sandbox();
    for has_ports in [false, true] {
        sandbox.write("repo/.env", ENV);
        set_mode(sandbox.path("repo/.env"), 0o640);
        if has_ports {
            sandbox.run("repo", &[]).exits(0);
            assert_ne!(read(&sandbox, "repo/.env"), ENV);
        }
        let add = sandbox.add("a");
        add.tells(&["(.worktree-ports.json, .env (from the main worktree))"]);
        assert_eq!(
            read(&sandbox, "a/.env"),
            env_with(&block_of(&sandbox, "a", 1))
        );
        let mode = fs::metadata(sandbox.path("a/.env")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o640);
        sandbox.git("repo", &["worktree", "remove", "../a"]);
        sandbox.git("repo", &["branch", "-D", "a"]);
    }
}

#[test]
fn a_branch_does_not_choose_which_file_of_main_it_gets() {
    let sandbox = sandbox();
    sandbox.write("repo/.env", ENV);
    sandbox.write("repo/prod.env", "TOKEN=x\n");
    let hostile = config(&sandbox).env_file("prod.env", &[("WEB_PORT", "{cloud}")]);
    sandbox.git("repo", &["checkout", "--quiet", "-b", "hostile"]);
    sandbox.configure("repo", hostile);
    sandbox.commit_config("repo");
    sandbox.git("repo", &["checkout", "--quiet", "main"]);
    sandbox.configure("repo", config(&sandbox));
    sandbox.git("repo", &["worktree", "add", "../a", "hostile"]);
    assert!(!read(&sandbox, "a/prod.env").contains("TOKEN"));
    assert!(read(&sandbox, "a/.env").contains("SECRET=s3cret"));
}

#[test]
fn a_tracked_file_of_main_is_not_copied() {
    let sandbox = sandbox();
    sandbox.write("repo/.env", ENV);
    sandbox.git("repo", &["add", "--force", ".env"]);
    let add = ["worktree", "add", "--orphan", "../a"];
    sandbox.git("repo", &add);
    sandbox.run("a", &[]).exits(0);
    assert_eq!(
        read(&sandbox, "a/.env"),
        with_block(&block_of(&sandbox, "a", 1), "")
    );
}

#[test]
fn without_mains_file_it_starts_as_the_example_beside_it() {
    for (examples, expected) in [
        (&[".env.dist"][..], ".env.dist"),
        (&[".env.dist", ".env.template"], ".env.template"),
        (&[".env.template", ".env.sample"], ".env.sample"),
        (
            &[".env.sample", ".env.example", ".env.dist"],
            ".env.example",
        ),
    ] {
        for at in ["repo", "a"] {
            let sandbox = Sandbox::with_worktrees(&["a"]);
            sandbox.configure("repo", config(&sandbox));
            for name in examples {
                sandbox.write(format!("{at}/{name}"), format!("FROM={name}\nWEB_PORT=1\n"));
            }
            sandbox.run(at, &[]).exits(0);
            let text = read(&sandbox, &format!("{at}/.env"));
            let expected =
                format!("\n\nFROM={expected}\n# replaced by worktree-ports: WEB_PORT=1\n");
            assert!(text.ends_with(&expected), "{text}");
            // The example's lines are not the user's, so nothing is left without the block.
            sandbox.configure("repo", sandbox.config(&["cloud"]));
            sandbox.run(at, &[]).exits(0);
            assert!(!exists(&sandbox, &format!("{at}/.env")), "{at}");
        }
    }
}

/// Puts something there that cannot be copied.
type Make<'a> = &'a dyn Fn(&Sandbox);

#[test]
fn if_mains_file_cannot_be_copied_there_is_a_warning_and_no_file() {
    let large = format!("A=\"{}\"\n", "x".repeat(256 * 1024));
    let make: [(&str, Make<'_>); 6] = [
        ("a link", &|sandbox| {
            sandbox.write("shared.env", ENV);
            symlink("../shared.env", sandbox.path("repo/.env")).unwrap();
        }),
        ("a FIFO", &|sandbox| {
            let path = sandbox.path("repo/.env");
            sandbox.shell("mkfifo \"$1\"", &[&path]).exits(0);
        }),
        ("too large", &|sandbox| sandbox.write("repo/.env", &large)),
        ("not UTF-8", &|sandbox| {
            sandbox.write("repo/.env", b"N=J\xfcrgen\n");
        }),
        ("half a block", &|sandbox| {
            sandbox.write("repo/.env", "# >>> worktree-ports: main >>>\nA=1\n");
        }),
        ("a directory", &|sandbox| sandbox.write("repo/.env/x", "")),
    ];
    for (what, make) in make {
        let sandbox = sandbox();
        make(&sandbox);
        sandbox.write("repo/.env.example", "FROM=example\n");
        let add = sandbox.add("a");
        let warning = add.stderr.lines().find(|line| line.contains("warning: "));
        let warning = warning.unwrap_or_else(|| panic!("{what}: {add}"));
        assert!(
            warning.contains("a/.env") && warning.contains("`cp "),
            "{what}: {warning}"
        );
        assert!(!exists(&sandbox, "a/.env"), "{what}");
        assert_eq!(sandbox.ports("a"), [sandbox.port(1)], "{what}");
    }
}

#[test]
fn if_mains_directory_cannot_be_searched_there_is_a_warning_and_no_file() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    let config = sandbox
        .own_config()
        .env_file("apps/.env", &[("PORT", "{cloud}")]);
    sandbox.configure("repo", config);
    sandbox.write("repo/apps/.env", ENV);
    sandbox.write("a/apps/x", "");
    let nobody = Nobody::owning(&sandbox);
    set_mode(sandbox.path("repo/apps"), 0o000);
    let run = nobody.run_hook("a").exits(0);
    set_mode(sandbox.path("repo/apps"), 0o755);
    run.tells(&["a/apps/.env` was not made", "Permission denied", "`cp "]);
    assert!(!exists(&sandbox, "a/apps/.env"));
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
}

#[test]
fn a_file_that_was_copied_over_ours_is_outdated_and_then_fixed() {
    let sandbox = sandbox();
    sandbox.write("repo/.env", ENV);
    sandbox.run("repo", &[]).exits(0);
    sandbox.commit_config("repo");
    sandbox.add("a");
    let own = env_with(&block_of(&sandbox, "a", 1));
    let by_call = |sandbox: &Sandbox| {
        sandbox
            .run("a", &["--get", "cloud"])
            .exits(0)
            .tells_nothing();
    };
    let by_checkout = |sandbox: &Sandbox| {
        let run = check_out(sandbox);
        assert_eq!(run.stderr, "worktree-ports: updated .env\n");
    };
    let fixes: [&dyn Fn(&Sandbox); 2] = [&by_call, &by_checkout];
    for fix in fixes {
        fs::copy(sandbox.path("repo/.env"), sandbox.path("a/.env")).unwrap();
        let list = sandbox.run("a", &["--list", "--json"]).exits(0).json();
        let of_a = list
            .as_array()
            .unwrap()
            .iter()
            .find(|of| of["worktree"] == "a");
        assert_eq!(of_a.unwrap()["state"], "outdated");
        fix(&sandbox);
        assert_eq!(read(&sandbox, "a/.env"), own);
        let list = sandbox.run("a", &["--list"]).exits(0).stdout;
        assert!(!list.contains("outdated"), "{list}");
    }
}

#[test]
fn lines_below_the_block_see_its_values() {
    let sandbox = sandbox();
    sandbox.write("repo/.env", ENV);
    sandbox.add("a");
    let source = sandbox.path("a/.env");
    let run = sandbox.shell("set -eu; . \"$1\"; echo \"$API $SECRET\"", &[&source]);
    let expected = sandbox.with_ports("http://localhost:@1/v1 s3cret\n");
    assert_eq!(run.exits(0).stdout, expected);
}

#[test]
fn every_byte_is_given_back() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.configure("repo", config(&sandbox));
    for text in [
        "A=1",
        "A=1\r\nWEB_PORT=1\r\n",
        "\u{feff}WEB_PORT=1\n",
        "\n\n\nWEB_PORT=1\n\n",
        "  export   WEB_PORT = '1' # mine\nexport WEB_PORT=2",
        "WEB_PORT=1\nWEB_PORT=2\nCOMPOSE_PROJECT_NAME=mine\n",
        "# WEB_PORT=1\nMY_WEB_PORT=1\nWEB_PORTS=1\nexportWEB_PORT=1\n",
        "KEY=\"-----\nWEB_PORT=1\n-----\"\nWEB_PORT=2\n",
        "NAME=it's\nWEB_PORT=1\nOTHER=it's\n",
        "OPEN=\"never closed\nWEB_PORT=1\n",
        "WEB_PORT=\"1\n2\"\nB=2\n",
    ] {
        sandbox.write("a/.env", text);
        sandbox.run("a", &[]).exits(0);
        assert!(read(&sandbox, "a/.env").contains(">>> worktree-ports"));
        sandbox.run("a", &["--release"]).exits(0);
        assert_eq!(read(&sandbox, "a/.env"), text);
        // The same holds when a variable is taken out of the config.
        sandbox.run("a", &[]).exits(0);
        let fewer = sandbox
            .config(&["cloud"])
            .env_file(".env", &[("X_PORT", "{cloud}")]);
        sandbox.configure("a", fewer);
        sandbox.run("a", &[]).exits(0);
        let (_, below) = {
            let now = read(&sandbox, "a/.env");
            let (above, below) = now.split_once("# <<< worktree-ports <<<\n\n").unwrap();
            (above.to_owned(), below.to_owned())
        };
        assert_eq!(below, text.trim_start_matches('\u{feff}'));
        fs::remove_file(sandbox.path("a/.worktree-ports.config.json")).unwrap();
    }
}

#[test]
fn only_definitions_outside_of_quotes_are_commented_out() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.configure("repo", config(&sandbox));
    let mark = "# replaced by worktree-ports: ";
    let lines: [(&str, bool); 12] = [
        ("WEB_PORT=1\n", true),
        ("\t WEB_PORT \t=1\n", true),
        ("export WEB_PORT=1\n", true),
        ("  export\tWEB_PORT=\r\n", true),
        ("web_port=1\n", false),
        ("#WEB_PORT=1\n", false),
        ("AWEB_PORT=1\n", false),
        ("exportWEB_PORT=1\n", false),
        ("A=WEB_PORT=1\n", false),
        ("K='\nWEB_PORT=1\n'\n", false),
        ("K=it's\n", false),
        ("WEB_PORT=1 # that's\n", true),
    ];
    sandbox.write("a/.env", lines.map(|(line, _)| line).concat());
    sandbox.run("a", &[]).exits(0).tells_nothing();
    let expected = lines.map(|(line, is_ours)| {
        if is_ours {
            format!("{mark}{line}")
        } else {
            line.to_owned()
        }
    });
    let block = block_of(&sandbox, "a", 1);
    assert_eq!(
        read(&sandbox, "a/.env"),
        with_block(&block, &expected.concat())
    );
}

#[test]
fn a_definition_that_spans_lines_is_left_alone_with_a_warning() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.configure("repo", config(&sandbox));
    let text = "WEB_PORT=\"1\n2\"\n";
    sandbox.write("a/.env", text);
    let run = sandbox.run("a", &[]).exits(0);
    run.tells(&["warning: `WEB_PORT`", "a/.env"]);
    assert_eq!(
        read(&sandbox, "a/.env"),
        with_block(&block_of(&sandbox, "a", 1), text)
    );
}

#[test]
fn an_access_control_list_is_kept() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.configure("repo", config(&sandbox));
    sandbox.write("a/.env", ENV);
    let path = sandbox.path("a/.env");
    set_mode(&path, 0o600);
    // Entries for a user and the mask, as `setfacl -m u:65534:r` would make them.
    let acl = |tag: u16, rights: u16, id: u32| {
        [
            &tag.to_le_bytes()[..],
            &rights.to_le_bytes(),
            &id.to_le_bytes(),
        ]
        .concat()
    };
    let none = u32::MAX;
    let entries = [
        2u32.to_le_bytes().to_vec(),
        acl(1, 6, none),
        acl(2, 4, 65_534),
        acl(4, 0, none),
        acl(16, 4, none),
        acl(32, 0, none),
    ];
    let name = "system.posix_acl_access";
    if rustix::fs::setxattr(
        &path,
        name,
        &entries.concat(),
        rustix::fs::XattrFlags::empty(),
    )
    .is_err()
    {
        // A file system without access control lists has none to lose.
        return;
    }
    sandbox.run("a", &[]).exits(0).tells_nothing();
    assert!(read(&sandbox, "a/.env").contains(">>> worktree-ports"));
    let mut kept = [0; 128];
    let length = rustix::fs::getxattr(&path, name, &mut kept[..]).unwrap();
    assert_eq!(kept[..length], entries.concat());
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "needs leases")]
fn a_writer_that_has_the_file_open_loses_no_byte() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.configure("repo", config(&sandbox));
    let path = sandbox.path("a/.env");
    for seconds in ["0.1", "0.3"] {
        for call in [&FIRST_CHECKOUT[..], &[], &["--release"], &["--reallocate"]] {
            sandbox.write("a/.env", "OLD=1\n");
            sandbox.run("a", &[]).exits(0);
            // A writer that has truncated the file and writes later.
            let script = "{ echo open >\"$2\"; sleep \"$3\"; echo API_KEY=secret; } >\"$1\"";
            let started = sandbox.path("started");
            let _ = fs::remove_file(&started);
            let mut writer = sandbox.command("sh", "a");
            writer
                .args(["-c", script, "sh"])
                .arg(&path)
                .arg(&started)
                .arg(seconds);
            let mut writer = writer.spawn().unwrap();
            while !started.exists() {
                std::thread::yield_now();
            }
            sandbox.run("a", call).exits(0);
            assert!(writer.wait().unwrap().success());
            let text = read(&sandbox, "a/.env");
            assert!(text.ends_with("API_KEY=secret\n"), "{call:?}: {text}");
        }
    }
}

#[test]
#[ignore = "needs strace"]
fn nobody_waits_under_the_lock_for_a_writer() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.configure("repo", config(&sandbox));
    sandbox.run("a", &[]).exits(0);
    for call in [&[][..], &["--reallocate"], &["--release"]] {
        let config = sandbox.config(&["cloud", "more"]);
        sandbox.configure(
            "repo",
            config.env_file(".env", &[("OTHER_PORT", "{cloud}")]),
        );
        let writer = fs::OpenOptions::new()
            .append(true)
            .open(sandbox.path("a/.env"));
        let log = sandbox.path("strace.log");
        let trace = ["-e", "trace=flock,clock_nanosleep,nanosleep", "-o"];
        let mut command = sandbox.command("strace", "a");
        command.args(trace).arg(&log).arg(PROGRAM).args(call);
        Sandbox::finish(command);
        drop(writer);
        let calls = fs::read_to_string(&log).unwrap();
        let (before, under) = calls.split_once("flock(").unwrap();
        assert!(before.contains("nanosleep"), "{call:?}: {calls}");
        assert!(!under.contains("nanosleep"), "{call:?}: {calls}");
    }
}

/// Every rename takes half a second, and meanwhile somebody appends a line to `path`, once our copy of
/// it is there.
fn append_before_the_rename(sandbox: &Sandbox, at: &str, arguments: &[&str], path: &str) {
    let renames = "inject=rename,renameat,renameat2:delay_enter=500000";
    let mut program = strace::command(sandbox, at, &["-e", renames], arguments);
    let mut program = program
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let staged = sandbox.path(format!("{path}.worktree-ports.tmp"));
    while !staged.exists() && program.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    std::thread::sleep(Duration::from_millis(200));
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(sandbox.path(path))
        .unwrap();
    file.write_all(b"MINE=1\n").unwrap();
    drop(file);
    assert!(program.wait().unwrap().success(), "{path} {arguments:?}");
    let text = read(sandbox, path);
    assert!(text.contains("MINE=1\n"), "{path} {arguments:?}: {text}");
}

/// Each read of main's file takes a tenth of a second, and meanwhile somebody writes it again and again.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "needs strace"]
fn no_secret_is_missing_in_a_copy_of_a_file_that_is_being_written() {
    let sandbox = sandbox();
    sandbox.write("repo/.env", ENV);
    sandbox.git(
        "repo",
        &["worktree", "add", "--quiet", "--no-checkout", "../a"],
    );
    sandbox.git("a", &["reset", "--quiet"]);
    let path = sandbox.path("repo/.env");
    let slow = [
        "-P",
        path.to_str().unwrap(),
        "-e",
        "inject=read:delay_enter=100000",
    ];
    for _ in 0..2 {
        let mut program = strace::command(&sandbox, "a", &slow, &[]);
        let program = program.stderr(Stdio::null()).stdout(Stdio::null());
        let mut program = program.spawn().unwrap();
        while program.try_wait().unwrap().is_none() {
            let mut file = fs::File::create(&path).unwrap();
            std::thread::sleep(Duration::from_millis(30));
            file.write_all(ENV.as_bytes()).unwrap();
            drop(file);
            std::thread::sleep(Duration::from_millis(30));
        }
        if let Ok(text) = fs::read_to_string(sandbox.path("a/.env")) {
            assert!(text.contains("SECRET=s3cret"), "{text}");
        }
        sandbox.run("a", &["--release"]).exits(0);
    }
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "needs strace"]
fn a_line_that_is_appended_just_before_the_rename_is_not_lost() {
    let sandbox = sandbox();
    sandbox.write("repo/.env", ENV);
    sandbox.add("a");
    let other = config(&sandbox).env_file("other.env", &[("WEB_PORT", "{cloud}")]);
    sandbox.configure("repo", other);
    append_before_the_rename(&sandbox, "a", &[], "repo/.git/info/exclude");
    let other = sandbox
        .config(&["cloud"])
        .env_file(".env", &[("OTHER_PORT", "{cloud}")]);
    sandbox.configure("repo", other);
    append_before_the_rename(&sandbox, "a", &[], "a/.env");
    append_before_the_rename(&sandbox, "a", &["--release"], "a/.env");
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "needs leases")]
fn a_file_that_stays_open_for_writing_is_left_alone_with_a_warning() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.configure("repo", config(&sandbox));
    sandbox.write("a/.env", "OLD=1\n");
    // Another process holds the file, because our own open file would not prevent a lease.
    let path = sandbox.path("a/.env");
    let mut holder = sandbox.command("sh", "a");
    holder
        .args(["-c", "exec 3>>\"$1\"; echo; exec cat", "sh"])
        .arg(&path);
    holder
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped());
    let mut holder = holder.spawn().unwrap();
    let mut line = [0];
    std::io::Read::read_exact(holder.stdout.as_mut().unwrap(), &mut line).unwrap();
    let run = sandbox.run("a", &[]).exits(0);
    run.tells(&["warning: ", "a/.env", "another program is writing it"]);
    assert_eq!(read(&sandbox, "a/.env"), "OLD=1\n");
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
    drop(holder.stdin.take());
    holder.wait().unwrap();
    sandbox.run("a", &[]).exits(0).tells_nothing();
    assert!(read(&sandbox, "a/.env").ends_with("\nOLD=1\n"));
}

#[test]
fn a_temporary_env_file_left_by_a_kill_is_removed_unless_tracked() {
    let sandbox = sandbox();
    sandbox.commit_config("repo");
    sandbox.add("a");
    let left = "a/.env.worktree-ports.tmp";
    for is_by_hook in [false, true] {
        sandbox.write(left, "SECRET=s3cret\n");
        let stamps = sandbox.stamps_of("a");
        if is_by_hook {
            assert_eq!(check_out(&sandbox).stderr, "");
        } else {
            sandbox.run("a", &["--env"]).exits(0).tells_nothing();
        }
        assert!(!exists(&sandbox, left), "{is_by_hook}");
        let mut expected = stamps;
        expected.remove(&sandbox.path(left));
        assert_eq!(sandbox.stamps_of("a"), expected);
    }
    sandbox.write(left, "mine\n");
    sandbox.git("a", &["add", "--force", ".env.worktree-ports.tmp"]);
    sandbox.run("a", &[]).exits(0);
    check_out(&sandbox);
    assert_eq!(read(&sandbox, left), "mine\n");
}

/// The worktree `a` has two services in its env file, which then cannot be changed any more. Returns the
/// port of the second.
fn with_a_file_that_cannot_be_changed(sandbox: &Sandbox) -> u16 {
    let variables = [("WEB_PORT", "{cloud}"), ("API_PORT", "{api}")];
    let config = sandbox
        .config(&["cloud", "api"])
        .env_file(".env", &variables);
    sandbox.configure("repo", config);
    for name in ["a", "b"] {
        sandbox.add(name).exits(0);
    }
    let half = read(sandbox, "a/.env").replace("# <<< worktree-ports <<<\n", "");
    sandbox.write("a/.env", half);
    let [_, api] = sandbox.bundle(1);
    api
}

/// Whether `b` gets `port` if its config asks for it.
fn can_get(sandbox: &Sandbox, port: u16) -> bool {
    // Slot 1 is that of `a`.
    let config = crate::support::config(&[("other", port - 2)]).step(1);
    sandbox.configure("b", config);
    sandbox.run("b", &["--reallocate"]).exits(0);
    sandbox.ports("b").contains(&port)
}

#[test]
fn ports_in_a_file_that_cannot_be_changed_stay_reserved_if_a_call_fails() {
    let sandbox = sandbox();
    let api = with_a_file_that_cannot_be_changed(&sandbox);
    let cloud = sandbox
        .config(&["cloud"])
        .env_file(".env", &[("WEB_PORT", "{cloud}")]);
    sandbox.configure("a", cloud);
    sandbox.run("a", &[]).exits(0).tells(&["line 1"]);
    assert!(!can_get(&sandbox, api));
    sandbox
        .run("a", &["--reallocate"])
        .exits(1)
        .tells(&["these ports stay"]);
    assert!(!can_get(&sandbox, api));
}

#[test]
fn a_block_in_a_file_that_is_made_from_a_template_now_keeps_its_ports() {
    let sandbox = sandbox();
    sandbox.configure("repo", config(&sandbox));
    sandbox.write("repo/env.template", "WEB_PORT=${CLOUD_PORT}\n");
    sandbox.git("repo", &["add", "env.template"]);
    sandbox.git("repo", &["commit", "--quiet", "--message=template"]);
    sandbox.add("a").exits(0);
    sandbox.configure(
        "a",
        sandbox.config(&["cloud"]).template(".env", "env.template"),
    );
    sandbox
        .run("a", &[])
        .exits(0)
        .tells(&["not made from its template"]);
    sandbox
        .run("a", &["--reallocate"])
        .exits(1)
        .tells(&["these ports stay"]);
    sandbox.run("a", &["--release"]).exits(0);
    assert!(!exists(&sandbox, "a/.env"));
}

#[test]
fn ports_that_a_killed_call_wrote_stay_reserved_until_they_are_replaced() {
    let sandbox = sandbox();
    let api = with_a_file_that_cannot_be_changed(&sandbox);
    // As though `--reallocate` had been killed after it wrote the env file.
    let pending = "repo/.git/worktrees/a/worktree-ports.json.worktree-ports.tmp";
    let other = api + 2;
    let record = read(&sandbox, "repo/.git/worktrees/a/worktree-ports.json");
    sandbox.write(
        pending,
        record.replace(&api.to_string(), &other.to_string()),
    );
    for _ in 0..2 {
        sandbox.run("a", &[]).exits(0).tells(&["line 1"]);
        assert!(!can_get(&sandbox, other));
    }
    sandbox.write("a/.env", "");
    sandbox.run("a", &[]).exits(0);
    assert!(!exists(&sandbox, pending));
    assert!(can_get(&sandbox, other));
}
