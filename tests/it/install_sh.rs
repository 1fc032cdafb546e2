//! `install.sh`.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::support::hooks::{HOOK, OLD, sandbox_with_git};
use crate::support::{PROGRAM, Page, Run, Sandbox};

/// Replaces cargo with a script that notes its arguments and installs the program under test.
fn pretend_cargo(sandbox: &Sandbox) {
    sandbox.write_script(
        "bin/cargo",
        format!(
            "#!/bin/sh\nprintf '%s\\n' \"$PWD\" \"$@\" >'{}'\n\
             echo '{{\"reason\":\"compiler-artifact\",\"executable\":\"{PROGRAM}\",\"fresh\":false}}'\n\
             echo '{{\"reason\":\"build-finished\",\"success\":true}}'\n",
            sandbox.path("cargo-arguments").display()
        ),
    );
}

/// Runs `install.sh` with that cargo.
fn install_sh(sandbox: &Sandbox, at: &str, arguments: &[&str]) -> Run {
    pretend_cargo(sandbox);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("install.sh");
    let mut command = sandbox.command(script, at);
    command.args(arguments);
    Sandbox::finish(command)
}

#[test]
fn install_sh_installs_from_its_own_directory_and_wires_up_the_clone() {
    for (at, arguments) in [
        ("repo", &[] as &[&str]),
        (".", &["repo"]),
        ("repo/deep", &[]),
    ] {
        let sandbox = sandbox_with_git(OLD);
        fs::create_dir(sandbox.path("repo/deep")).unwrap();
        let run = install_sh(&sandbox, at, arguments).exits(0);
        assert!(!run.stderr.is_empty(), "{run}");
        let told = fs::read(sandbox.path("cargo-arguments")).unwrap();
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).as_os_str().as_bytes();
        assert_eq!(
            told,
            [
                directory,
                b"\ninstall\n--locked\n--path\n",
                directory,
                b"\n--message-format=json-render-diagnostics\n"
            ]
            .concat()
        );
        sandbox.add("a");
        assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
    }
}

#[test]
fn install_sh_says_what_is_wrong_before_it_builds() {
    let sandbox = sandbox_with_git(OLD);
    let run = install_sh(&sandbox, ".", &[]).exits(1);
    run.tells(&["is not in a git repository", "install.sh CLONE"]);
    install_sh(&sandbox, ".", &["repo", "repo"])
        .exits(2)
        .tells(&["usage"]);
    install_sh(&sandbox, ".", &["nowhere"]).exits(1);
    assert!(!sandbox.path("cargo-arguments").exists());
    // Its exit status says that another hook is in the way.
    sandbox.write_script(HOOK, "#!/usr/bin/awk -f\nBEGIN { exit }\n");
    install_sh(&sandbox, "repo", &[]).exits(3);
}

#[test]
fn install_sh_passes_share_on() {
    let sandbox = sandbox_with_git(OLD);
    install_sh(&sandbox, ".", &["--share", "repo"]).exits(0);
    let get = ["config", "--local", "worktreePorts.share"];
    assert_eq!(sandbox.git("repo", &get).stdout, "true\n");
    install_sh(&sandbox, ".", &["--shared", "repo"]).exits(2);
}

#[test]
fn the_command_in_the_readme_installs_and_makes_a_worktree_with_ports() {
    let sandbox = sandbox_with_git(OLD);
    sandbox.git("home", &["clone", "--quiet", "../repo", "project"]);
    pretend_cargo(&sandbox);
    let mut shell = sandbox.command("sh", env!("CARGO_MANIFEST_DIR"));
    shell.args(["-c", &Page::read("README.md").block("shell: install")]);
    Sandbox::finish(shell).exits(0);
    assert!(sandbox.has_port_file("home/try-ports"));
}
