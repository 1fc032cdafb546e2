//! Tests of `git_config`.

#[cfg(unix)]
use std::process::Command;

use proptest::prelude::*;

use super::*;

const SECTION: &str = "[hook \"worktree-ports\"]\n\tcommand = x\n\tevent = post-checkout\n";

#[test]
fn the_marks_of_version_0_1_0_are_removed_and_nothing_else() {
    let cases = [
        (String::new(), None),
        ("[a]\n\tb = c".to_owned(), None),
        (
            format!("[a]\n{BEGIN}{SECTION}{END}"),
            Some(format!("[a]\n{SECTION}")),
        ),
        // Behind a last line that had no newline.
        (
            format!("[a]\n\tb = c{BEGIN}{SECTION}{END}"),
            Some(format!("[a]\n\tb = c\n{SECTION}")),
        ),
        // git took one of them for a part of a section that it removed, or wrote a key behind it.
        (
            format!("[a]\n{SECTION}{END}[b]\n"),
            Some(format!("[a]\n{SECTION}[b]\n")),
        ),
        (
            format!("[a]\n{BEGIN}\td = e\n[b]\n"),
            Some("[a]\n\td = e\n[b]\n".to_owned()),
        ),
        // The user's own.
        (format!("[a]\n\tb = \"\\\n{BEGIN}\"\n"), None),
        ("[a]\n\tb = \"# >>> worktree-ports >>>\"\n".to_owned(), None),
        ("[a]\n\t# <<< worktree-ports <<< \n".to_owned(), None),
    ];
    for (config, expected) in cases {
        let rest = without_marks(config.as_bytes()).map(|rest| String::from_utf8(rest).unwrap());
        assert_eq!(rest, expected, "{config:?}");
    }
}

proptest! {
    #[test]
    fn a_config_without_marks_is_left_alone(config in any::<Vec<u8>>()) {
        prop_assert_eq!(without_marks(&config), None);
    }

    #[test]
    fn what_version_0_1_0_put_in_comes_out(lines in prop::collection::vec("[a-z\\[\\]=\" \t;#]{0,12}", 0..5), end in "\n?") {
        let config = lines.join("\n") + &end;
        let with = format!("{config}{BEGIN}{SECTION}{END}");
        let newline = if config.is_empty() || config.ends_with('\n') { "" } else { "\n" };
        let expected = format!("{config}{newline}{SECTION}");
        prop_assert_eq!(without_marks(with.as_bytes()), Some(expected.into_bytes()));
    }
}

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
fn the_command_gives_the_arguments_on_and_never_fails_in_any_shell() {
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
            told.contains("worktree-ports-hook --install"),
            "{shell}: {told}"
        );
    }
}
