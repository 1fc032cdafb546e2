//! What a shell reads to complete this program's options.

use clap_complete::Shell;

use crate::cli::arguments::command;

/// The script for a shell. clap makes it of the options; what stands behind `--exec` and `--get` it
/// cannot know.
pub fn script(shell: Shell) -> String {
    let mut command = command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    let script = String::from_utf8(script).expect("options have names in ASCII");
    match shell {
        Shell::Bash => bash(&script),
        Shell::Zsh => zsh(&script),
        Shell::Fish => script + FISH,
        _ => script,
    }
}

/// Prints the names that the port file in this directory or above has, without calling the program:
/// to complete must not assign ports.
const NAMES: &str = r#"
_worktree_ports_hook_names() {
    local at=$PWD
    while [ -n "$at" ] && ! [ -e "$at/.git" ]; do at=${at%/*}; done
    sed -n '/"slot"/,$ s/^ *"\([a-z][a-z0-9_-]*\)": *["0-9].*/\1/p' "$at/.worktree-ports.json" 2>/dev/null
}
"#;

fn bash(script: &str) -> String {
    let behind = r#"    COMPREPLY=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "${COMP_WORDS[i]}" in
            --exec)
                if declare -F _command_offset >/dev/null; then
                    _command_offset $((i + 1))
                elif ((COMP_CWORD == i + 1)); then
                    COMPREPLY=($(compgen -c -- "$2"))
                else
                    COMPREPLY=($(compgen -f -- "$2"))
                fi
                return 0
                ;;
            --get)
                COMPREPLY=($(compgen -W "$(_worktree_ports_hook_names)" -- "$2"))
                return 0
                ;;
        esac
    done
"#;
    NAMES.trim_start().to_owned() + &script.replacen("    COMPREPLY=()\n", behind, 1)
}

fn zsh(script: &str) -> String {
    let lines = script.lines().map(|line| {
        if line.starts_with("'*--get=[") {
            // A name is a word of its own, and each word behind the option is one.
            let line = line.replacen("'*--get=[", "'*--get[", 1);
            let start = line.rsplit_once("]:").expect("the option has a value").0;
            format!("{start}]:*:NAME:($(_worktree_ports_hook_names))' \\\n")
        } else if line.starts_with("'--exec[") {
            let start = line.rsplit_once(']').expect("the option has a help").0;
            format!("{start}]:*::command:_normal' \\\n")
        } else {
            format!("{line}\n")
        }
    });
    let script: String = lines.collect();
    script.replacen("\n\n", &format!("\n{NAMES}\n"), 1)
}

const FISH: &str = r#"function __worktree_ports_hook_names
    set -l root (git rev-parse --show-toplevel 2>/dev/null)
    echo slot
    string match -rg '^ *"([a-z][a-z0-9_-]*)": *["0-9]' <$root/.worktree-ports.json | string match -v -r '^(worktree|slot)$'
end
complete -c worktree-ports-hook -l get -x -a '(__worktree_ports_hook_names)'
complete -c worktree-ports-hook -n '__fish_seen_argument -l get' -f -a '(__worktree_ports_hook_names)'
complete -c worktree-ports-hook -n '__fish_seen_argument -l exec' -f -a '(__fish_complete_subcommand --fcs-skip=2)'
"#;
