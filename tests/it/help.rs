//! What the program says about itself: `--help`, completions and the manual page.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use crate::support::{PROGRAM, tool};

fn printed(arguments: &[&str]) -> String {
    let output = Command::new(PROGRAM).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The long options that stand at the start of a line of `-h`.
fn options() -> BTreeSet<String> {
    let help = printed(&["-h"]);
    let lines = help.lines().map(str::trim_start);
    let options = lines.filter(|line| line.starts_with("--"));
    let options: BTreeSet<String> = options
        .map(|line| line.split([' ', '.']).next().unwrap().to_owned())
        .collect();
    assert!(options.len() > 12, "{help}");
    options
}

#[test]
fn help_fits_80_columns_and_the_short_one_a_screen() {
    for argument in ["-h", "--help"] {
        for line in printed(&[argument]).lines() {
            assert!(line.chars().count() <= 80, "{argument}: {line}");
        }
    }
    let short = printed(&["-h"]);
    assert!(short.lines().count() <= 45, "{short}");
}

#[test]
fn help_has_an_example_for_each_group_of_options() {
    let help = printed(&["--help"]);
    let (options, rest) = help.split_once("\nExamples:\n").unwrap();
    let (examples, _) = rest.split_once("\n\n").unwrap();
    let groups: Vec<&str> = options
        .lines()
        .filter(|line| line.starts_with("This ") || line.starts_with("All "))
        .map(|line| line.trim_end_matches(':'))
        .collect();
    assert!(groups.len() >= 4, "{groups:?}");
    for group in groups {
        let (_, of_group) = examples
            .split_once(&format!("  {group}\n"))
            .unwrap_or_else(|| panic!("no example for {group}"));
        assert!(of_group.lines().next().unwrap().starts_with("    "));
    }
}

#[test]
fn completions_for_each_shell_and_the_manual_page_have_every_option() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = printed(&["--completions", shell]);
        for option in options() {
            let name = option.trim_start_matches('-');
            assert!(script.contains(name), "{shell}: no {option}");
        }
    }
    let page = printed(&["--man"]).replace('\\', "");
    for option in options() {
        assert!(page.contains(&option), "no {option}");
    }
}

/// Runs `script` in a shell that completes for this program, and returns what it prints.
fn in_shell(shell: &str, script: &str) -> String {
    let completions = printed(&["--completions", shell]);
    let mut command = Command::new(tool(shell));
    command.args(["-c", &format!("{completions}\n{script}")]);
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs bash"]
fn bash_completes_options() {
    let script = "COMP_WORDS=(worktree-ports-hook --rea); COMP_CWORD=1
        f=$(complete -p worktree-ports-hook | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        $f worktree-ports-hook --rea ''; echo \"${COMPREPLY[@]}\"";
    assert_eq!(in_shell("bash", script), "--reallocate\n");
}

#[test]
#[ignore = "needs fish"]
fn fish_completes_options() {
    let found = in_shell("fish", "complete -C'worktree-ports-hook --rea'");
    assert_eq!(found, "--reallocate\tReassign this worktree's ports\n");
}

#[test]
#[ignore = "needs zsh"]
fn zsh_reads_the_completions() {
    let completions = printed(&["--completions", "zsh"]);
    let script = format!(
        "autoload -U compinit; compinit -D -u\n{completions}\nprint $_comps[worktree-ports-hook]"
    );
    let output = Command::new(tool("zsh"))
        .args(["-f", "-c", &script])
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "_worktree-ports-hook\n"
    );
}

#[test]
fn the_nearest_option_is_suggested_for_an_unknown_one() {
    let output = Command::new(PROGRAM).arg("--lst").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("a similar argument exists: '--list'"),
        "{told}"
    );
}
