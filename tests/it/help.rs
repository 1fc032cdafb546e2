//! What the program prints about itself: `--help`, completions and the manual page.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use crate::support::{PROGRAM, Sandbox, tool};

fn printed(arguments: &[&str]) -> String {
    let output = Command::new(PROGRAM).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The long options at the start of a line of `-h`.
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
fn help_fits_80_columns_and_the_short_help_fits_a_screen() {
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
    let sections = [
        "SYNOPSIS",
        "EXAMPLES",
        "ENVIRONMENT",
        "EXIT STATUS",
        "FILES",
    ];
    for section in sections {
        let heading = [format!(".SH {section}\n"), format!(".SH \"{section}\"\n")];
        assert!(
            heading.iter().any(|it| page.contains(it)),
            "no {section} in\n{page}"
        );
    }
}

/// Runs `script` in a shell that completes for this program, and returns its output.
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

#[test]
fn a_word_without_a_dash_is_wrong_usage_that_names_the_option() {
    let table = [
        (&["list"][..], "'--list'"),
        (&["status"], "'--list'"),
        (&["lst"], "'--list'"),
        (&["install"], "'--install'"),
        (&["check"], "'--check'"),
        (&["-C", ".", "release"], "'--release'"),
        (&["--json", "adopt"], "'--adopt'"),
        (&["frobnicate"], "every mode is an option"),
        (&["0", "1", "1"], "every mode is an option"),
    ];
    for (arguments, told) in table {
        let output = Command::new(PROGRAM).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            stderr.contains(told) && output.stdout.is_empty(),
            "{stderr}"
        );
    }
}

/// What a shell completes after these words, in a directory with a port file.
fn completed(shell: &str, words: &[&str]) -> String {
    let sandbox = Sandbox::without_hook();
    sandbox.run("repo", &[]).exits(0);
    let repo = sandbox.path("repo");
    let (words, count) = (words.join(" "), words.len());
    let script = match shell {
        "fish" => format!(
            "cd {}; complete -C'worktree-ports-hook {words}'",
            repo.display()
        ),
        _ => format!(
            "cd {}; COMP_WORDS=(worktree-ports-hook {words}); COMP_CWORD={count}
             f=$(complete -p worktree-ports-hook | sed 's/.*-F \\([^ ]*\\).*/\\1/')
             $f worktree-ports-hook \"${{COMP_WORDS[COMP_CWORD]}}\" ''; echo \"${{COMPREPLY[@]}}\"",
            repo.display()
        ),
    };
    in_shell(shell, &script)
}

#[test]
#[ignore = "needs bash"]
fn bash_completes_the_names_of_get_and_the_command_of_exec() {
    assert_eq!(completed("bash", &["--get", "clou"]), "cloud cloud_url\n");
    assert!(completed("bash", &["--exec", "bas"]).contains("bash"));
}

#[test]
#[ignore = "needs fish"]
fn fish_completes_the_names_of_get_and_the_command_of_exec() {
    assert_eq!(completed("fish", &["--get", "clou"]), "cloud\ncloud_url\n");
    assert!(completed("fish", &["--exec", "bas"]).contains("bash"));
}

#[test]
#[ignore = "needs zsh"]
fn zsh_reads_the_names_of_get_from_the_port_file() {
    let sandbox = Sandbox::without_hook();
    sandbox.run("repo", &[]).exits(0);
    let completions = printed(&["--completions", "zsh"]);
    assert!(completions.contains("($(_worktree_ports_hook_names))"));
    assert!(completions.contains(":*::command:_normal'"));
    let mut command = sandbox.command(tool("zsh"), "repo");
    let script = format!("compdef() {{ :; }}\n{completions}\n_worktree_ports_hook_names");
    command.args(["-f", "-c", &script]);
    let names = Sandbox::finish(command).exits(0).tells_nothing().stdout;
    assert_eq!(names, "slot\ncloud\ncloud_url\n");
}
