//! Tests of `hook_config`.

#[cfg(unix)]
use std::process::Command;
#[cfg(unix)]
use std::{fs, path::Path};

use super::*;

/// Runs the command of our hook in `directory` as git does, with arguments of a checkout.
#[cfg(unix)]
fn run(shell: &str, directory: &Path, program: &Path) -> (Option<i32>, String) {
    let command = command(program);
    let mut line = command.clone();
    line.push(" \"$@\"");
    let words: Vec<&str> = shell.split(' ').collect();
    let output = Command::new(words[0])
        .args(&words[1..])
        .arg("-c")
        .arg(line)
        .arg(command)
        .args(["a b", "", "1"])
        .current_dir(directory)
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(told).unwrap())
}

#[cfg(unix)]
#[test]
fn the_command_passes_the_arguments_on_and_never_fails_in_any_shell() {
    use std::os::unix::fs::PermissionsExt;
    let shells = [
        "sh",
        "dash",
        "bash",
        "bash --posix",
        "busybox sh",
        "ksh",
        "mksh",
    ];
    let is_there = |shell: &&str| {
        let name = shell.split(' ').next().unwrap();
        Command::new(name).arg("-c").arg(":").output().is_ok()
    };
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("a'b\"c$d\\e `f");
    let write = |script: &str| {
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    };
    for shell in shells.into_iter().filter(is_there) {
        write("#!/bin/sh\necho \"$# <$1> <$2> <$3>\"\n");
        let ran = run(shell, directory.path(), &program);
        assert_eq!(ran, (Some(0), "3 <a b> <> <1>\n".to_owned()), "{shell}");
        for script in ["#!/bin/sh\nexit 7\n", "#!/bin/sh\nkill -9 $$\n"] {
            write(script);
            let (code, told) = run(shell, directory.path(), &program);
            assert_eq!(code, Some(0), "{shell}");
            assert!(told.contains("could not run"), "{shell}: {told}");
        }
        fs::remove_file(&program).unwrap();
        let (code, told) = run(shell, directory.path(), &program);
        assert_eq!(code, Some(0), "{shell}");
        assert!(
            told.contains("worktree-ports-hook -C") && told.contains("--install"),
            "{shell}: {told}"
        );
    }
}
