//! `--check`: every problem is reported with a command that fixes it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::hooks::{NEW, OLD, sandbox_with_git};
use crate::support::{
    CONFIG, Config, Nobody, PORT_FILE, PROGRAM, Run, Sandbox, config, set_mode, strace,
};

/// A sandbox with two worktrees that have ports, and no problem.
fn without_problems() -> Sandbox {
    let sandbox = Sandbox::without_hook();
    sandbox.configure("repo", base_config(&sandbox));
    // The real git's version decides whether the hook is a file or in the config.
    sandbox.run("repo", &["--install"]).exits(0);
    sandbox.add("a");
    sandbox.add("b");
    sandbox.run("repo", &[]).exits(0);
    assert_no_problems(&sandbox);
    sandbox
}

/// A config whose base port is above the sandbox's first ports, which tests use for services of
/// their own.
fn base_config(sandbox: &Sandbox) -> Config {
    config(&[("cloud", sandbox.port(10))]).step(1)
}

/// Services that take each other's slots, just below the ephemeral ports. No other test uses them.
const FEW_SLOTS: [(&str, u16); 2] = [("cloud", 32_690), ("near", 32_700)];

#[track_caller]
fn assert_no_problems(sandbox: &Sandbox) {
    let run = sandbox.run("repo", &["--check"]);
    assert_eq!((run.code(), &*run.stdout), (Some(0), ""), "{run}");
    assert_eq!(run.stderr, "worktree-ports: no problems found\n");
}

/// Runs a command as a user who copied it would: in a shell, with the program on the PATH.
#[track_caller]
pub fn run_as_printed(sandbox: &Sandbox, at: &str, command: &str) -> Run {
    let mut shell = sandbox.command("sh", at);
    let directory = Path::new(PROGRAM).parent().unwrap().display();
    // After the sandbox's own git, if it has one.
    let script = format!("PATH=$PATH:'{directory}'; {command}");
    shell.args(["-c", &script]);
    Sandbox::finish(shell)
}

/// The command in a remedy: what stands in backticks after `run`, or after the last `run` if the
/// remedy distinguishes several cases.
#[track_caller]
pub fn command_of(remedy: &str) -> &str {
    let command = remedy
        .split_once("; run `")
        .or_else(|| remedy.rsplit_once("run `"))
        .and_then(|(_, rest)| rest.split_once('`'));
    command
        .unwrap_or_else(|| panic!("no command in {remedy}"))
        .0
}

/// The problems that `--check` has printed, each with its remedy.
#[track_caller]
pub fn problems_in(printed: &str) -> Vec<(&str, &str)> {
    let lines: Vec<&str> = printed.lines().collect();
    let pairs = lines.chunks(2).map(|pair| match pair {
        [what, remedy] if !what.starts_with(' ') && remedy.starts_with("    ") => {
            (*what, remedy.trim_start())
        }
        _ => panic!("no problem with a remedy: {pair:?} in\n{printed}"),
    });
    pairs.collect()
}

/// The one problem of a sandbox, and its remedy.
#[track_caller]
fn problem_of(sandbox: &Sandbox) -> (String, String) {
    let run = sandbox.run("repo", &["--check"]).exits(1);
    let [(what, remedy)] = problems_in(&run.stdout)[..] else {
        panic!("not one problem in\n{run}");
    };
    (what.to_owned(), remedy.to_owned())
}

fn port_file_in(sandbox: &Sandbox, worktree: &str) -> String {
    format!("`{}`", sandbox.path(worktree).join(PORT_FILE).display())
}

/// Puts the file of `b` into `a` as `a`'s own.
fn name_the_ports_of_b_in_a(sandbox: &Sandbox) {
    let file = sandbox
        .port_file("b")
        .replace(r#""worktree": "b""#, r#""worktree": "a""#);
    sandbox.write(format!("a/{PORT_FILE}"), file);
    // This updates the record too.
    sandbox.run("a", &[]).exits(0);
}

/// Adds a service to the config, and a port for it everywhere but in `a`.
fn gain_a_service(sandbox: &Sandbox, base: u16) {
    let config = config(&[("cloud", sandbox.port(10)), ("new", base)]);
    sandbox.configure("repo", config.step(1));
    sandbox.run("repo", &[]).exits(0);
    sandbox.run("b", &["--reallocate"]).exits(0);
}

/// How to fix the problems that `--check` has printed.
type Fix = fn(&Sandbox, &Run);

/// Runs all printed commands in order.
fn as_printed(sandbox: &Sandbox, check: &Run) {
    for (_, remedy) in problems_in(&check.stdout) {
        for command in commands_in(remedy) {
            run_as_printed(sandbox, "repo", command).exits(0);
        }
    }
}

/// Runs the first command of each problem; the others are alternatives.
fn by_the_first_command(sandbox: &Sandbox, check: &Run) {
    for (_, remedy) in problems_in(&check.stdout) {
        run_as_printed(sandbox, "repo", command_of(remedy)).exits(0);
    }
}

/// Runs the last command; the text says that the others are for other cases.
fn by_the_last_command(sandbox: &Sandbox, check: &Run) {
    let command = commands_in(&check.stdout).pop().unwrap();
    run_as_printed(sandbox, "repo", command).exits(0);
}

/// The commands in a remedy: the texts in backticks that start with the name of a program.
fn commands_in(remedy: &str) -> Vec<&str> {
    let programs = [
        "worktree-ports-hook ",
        "git ",
        "chmod ",
        "mkdir ",
        "printf ",
        "cp ",
        "cd ",
        "rm ",
    ];
    let quoted = remedy.split('`').skip(1).step_by(2);
    quoted
        .filter(|quoted| programs.iter().any(|program| quoted.starts_with(program)))
        .collect()
}

/// How to cause a problem, what `--check` says about it, and how to fix it. `{A}` is the port file
/// in `a`.
type Situation = (&'static str, fn(&Sandbox), &'static [&'static str], Fix);

const RECORD: &str = "repo/.git/worktrees/a/worktree-ports.json";

const SITUATIONS: &[Situation] = &[
    (
        "copied",
        |sandbox| sandbox.write(format!("a/{PORT_FILE}"), sandbox.port_file("b")),
        &["{A} is a copy of another worktree's"],
        as_printed,
    ),
    (
        "damaged",
        |sandbox| sandbox.write(format!("a/{PORT_FILE}"), "{"),
        &["{A} is damaged"],
        as_printed,
    ),
    (
        "a directory",
        |sandbox| {
            sandbox.remove_port_file("a");
            fs::create_dir(sandbox.path("a").join(PORT_FILE)).unwrap();
        },
        &["{A} is damaged"],
        as_printed,
    ),
    (
        "foreign",
        |sandbox| sandbox.write(format!("a/{PORT_FILE}"), r#"{"app": 3010}"#),
        &["{A} belongs to another tool", "--reallocate` to replace it"],
        as_printed,
    ),
    (
        "foreign, with ports that can be taken over",
        |sandbox| {
            sandbox.run("a", &["--release"]).exits(0);
            let file = sandbox.with_ports(r#"{"ports": {"cloud": @17}}"#);
            sandbox.write(format!("a/{PORT_FILE}"), file);
        },
        &[
            "{A} belongs to another tool",
            "--adopt` to take its ports over",
        ],
        |sandbox, check| {
            by_the_first_command(sandbox, check);
            assert_eq!(sandbox.ports("a"), [sandbox.port(17)]);
        },
    ),
    (
        "tracked",
        |sandbox| {
            sandbox.git("a", &["add", "--force", PORT_FILE]);
        },
        &["git tracks {A}"],
        as_printed,
    ),
    (
        "tracked, and of another worktree",
        |sandbox| {
            sandbox.write(format!("a/{PORT_FILE}"), sandbox.port_file("b"));
            sandbox.git("a", &["add", "--force", PORT_FILE]);
        },
        &["git tracks {A}"],
        as_printed,
    ),
    (
        "a port of two worktrees",
        name_the_ports_of_b_in_a,
        &["{b} shares port", "with a (cloud)"],
        as_printed,
    ),
    (
        "a slot of two worktrees",
        |sandbox| {
            sandbox.configure("a", config(&[("cloud", sandbox.port(30))]).step(1));
            sandbox.write(
                format!("a/{PORT_FILE}"),
                sandbox.with_ports(r#"{"worktree": "a", "slot": 2, "ports": {"cloud": @32}}"#),
            );
            sandbox.run("a", &[]).exits(0);
        },
        &["{b} shares slot 2 with a"],
        as_printed,
    ),
    (
        "not ignored",
        |sandbox| {
            fs::remove_dir_all(sandbox.path("repo/.git/info")).unwrap();
            sandbox.remove_port_file("b");
            sandbox.remove_port_file("repo");
        },
        &["git does not ignore {A}"],
        as_printed,
    ),
    (
        "not ignored, and the exclude file does not end in a newline",
        |sandbox| {
            sandbox.write("repo/.git/info/exclude", "*.log");
            sandbox.remove_port_file("b");
            sandbox.remove_port_file("repo");
        },
        &["git does not ignore {A}"],
        as_printed,
    ),
    (
        "ignored, but then included by another rule",
        |sandbox| sandbox.write("a/.gitignore", format!("!/{PORT_FILE}\n")),
        &[
            "git does not ignore {A}, because of the rule",
            "    remove that rule",
        ],
        |sandbox, _| fs::remove_file(sandbox.path("a/.gitignore")).unwrap(),
    ),
    (
        "a service that can join",
        |sandbox| gain_a_service(sandbox, sandbox.port(50)),
        &["{A} has no port for new"],
        as_printed,
    ),
    (
        "a service that cannot join because another worktree has its port",
        |sandbox| {
            let services = [("cloud", sandbox.port(10)), ("other", sandbox.port(49))];
            sandbox.configure("b", config(&services).step(1));
            sandbox.run("b", &[]).exits(0);
            let services = [("cloud", sandbox.port(10)), ("new", sandbox.port(50))];
            sandbox.configure("repo", config(&services).step(1));
            sandbox.run("repo", &[]).exits(0);
        },
        &["no port for new in {a}"],
        as_printed,
    ),
    (
        "a URL that has changed in the config",
        |sandbox| {
            let config = base_config(sandbox).url("cloud_url", "http://localhost:{cloud}");
            sandbox.configure("a", config);
        },
        &["{A} does not match the config"],
        as_printed,
    ),
    (
        "a config that leaves too few slots",
        |sandbox| {
            sandbox.configure("repo", config(&FEW_SLOTS).step(10));
            for at in ["repo", "a", "b"] {
                sandbox.run(at, &["--release"]).exits(0);
            }
            sandbox.run("repo", &["--all"]).exits(0);
        },
        &[
            "only 4 worktrees can have ports at the same time: with `step` 10 in",
            "    set `step` to 11",
        ],
        |sandbox, _| sandbox.configure("repo", config(&FEW_SLOTS).step(11)),
    ),
    (
        "a missing record",
        |sandbox| fs::remove_file(sandbox.path(RECORD)).unwrap(),
        &["does not match {A}"],
        as_printed,
    ),
    (
        "a record with other ports",
        |sandbox| {
            let record = fs::read_to_string(sandbox.path(RECORD)).unwrap();
            let [own, other] = [11, 40].map(|port| sandbox.port(port).to_string());
            sandbox.write(RECORD, record.replace(&own, &other));
        },
        &["does not match {A}"],
        as_printed,
    ),
    (
        "a damaged record",
        |sandbox| sandbox.write(RECORD, "{"),
        &["does not match {A}"],
        as_printed,
    ),
    (
        "an env file that somebody has changed",
        |sandbox| {
            write_env_files(sandbox);
            let text = fs::read_to_string(sandbox.path("a/.env")).unwrap();
            sandbox.write("a/.env", text.replace("WEB_PORT", "OLD_PORT"));
        },
        &["a/.env` is not up to date"],
        as_printed,
    ),
    (
        "an env file that was copied from another worktree",
        |sandbox| {
            write_env_files(sandbox);
            fs::copy(sandbox.path("b/.env"), sandbox.path("a/.env")).unwrap();
        },
        &["a/.env` is not up to date"],
        as_printed,
    ),
    (
        "an env file with half a block",
        |sandbox| {
            write_env_files(sandbox);
            let text = fs::read_to_string(sandbox.path("a/.env")).unwrap();
            sandbox.write("a/.env", text.replace("# <<< worktree-ports <<<\n", ""));
        },
        &[
            "a/.env`: line 1 is one mark of a block",
            "    delete what is left of the block",
        ],
        |sandbox, _| {
            fs::remove_file(sandbox.path("a/.env")).unwrap();
            sandbox.run("a", &[]).exits(0);
        },
    ),
    (
        "an env file in which a value of the user's spans lines",
        |sandbox| {
            write_env_files(sandbox);
            let text = fs::read_to_string(sandbox.path("a/.env")).unwrap();
            sandbox.write("a/.env", text + "WEB_PORT=\"1\n2\"\n");
        },
        &["`WEB_PORT` is set twice in", "    delete those lines from"],
        |sandbox, _| {
            let text = fs::read_to_string(sandbox.path("a/.env")).unwrap();
            sandbox.write("a/.env", text.replace("WEB_PORT=\"1\n2\"\n", ""));
        },
    ),
    (
        "an env file that git no longer ignores",
        |sandbox| {
            write_env_files(sandbox);
            let exclude = sandbox.path("repo/.git/info/exclude");
            let text = fs::read_to_string(&exclude).unwrap();
            sandbox.write(&exclude, text.replace("/.env\n", ""));
        },
        &[
            "git does not ignore",
            "repo/.env`, `",
            "a/.env`, `",
            "b/.env`",
        ],
        as_printed,
    ),
    (
        "an env file that git does not ignore, and the user's own in another worktree",
        |sandbox| {
            write_env_files(sandbox);
            let exclude = sandbox.path("repo/.git/info/exclude");
            let text = fs::read_to_string(&exclude).unwrap();
            sandbox.write(&exclude, text.replace("/.env\n", ""));
            for at in ["repo", "b"] {
                sandbox.run(at, &["--release"]).exits(0);
            }
            sandbox.write("b/.env", "SECRET=1\n");
        },
        &["git does not ignore", "a/.env`", "a/.gitignore`"],
        as_printed,
    ),
    (
        "a temporary file left by a kill",
        |sandbox| sandbox.write("a/.worktree-ports.json.worktree-ports.tmp", "{"),
        &["an interrupted run has left temporary files in {a}"],
        as_printed,
    ),
    (
        "a missing env file",
        |sandbox| {
            write_env_files(sandbox);
            fs::remove_file(sandbox.path("a/.env")).unwrap();
        },
        &["a/.env` is not up to date"],
        as_printed,
    ),
    (
        "an env file that is a link to the main worktree's",
        |sandbox| {
            write_env_files(sandbox);
            fs::remove_file(sandbox.path("a/.env")).unwrap();
            symlink("../repo/.env", sandbox.path("a/.env")).unwrap();
        },
        &["a/.env`: it is a symbolic link", "copy the file"],
        |sandbox, check| {
            as_printed(sandbox, check);
            // The copy has the main worktree's block.
            sandbox.run("a", &[]).exits(0);
        },
    ),
    (
        "an env file that git tracks",
        |sandbox| {
            sandbox.write("a/.env", "DEBUG=1\n");
            sandbox.git("a", &["add", "--force", ".env"]);
            configure_env_file(sandbox);
        },
        &["a/.env`: git tracks it"],
        as_printed,
    ),
    (
        "an env file with our block that git now tracks",
        |sandbox| {
            write_env_files(sandbox);
            sandbox.git("a", &["add", "--force", ".env"]);
        },
        &["a/.env`: git tracks it"],
        as_printed,
    ),
    (
        "an invalid config",
        |sandbox| sandbox.configure("a", r#"{ "services": { "web": 80 } }"#),
        &["a/.worktree-ports.config.json` is not valid: `services.web`"],
        |sandbox, _| fs::remove_file(sandbox.path("a").join(CONFIG)).unwrap(),
    ),
    (
        "a worktree that is gone for good",
        |sandbox| fs::remove_dir_all(sandbox.path("a")).unwrap(),
        &[
            "the worktree at {a} is not there",
            "if it is gone for good, run `git -C ",
        ],
        by_the_last_command,
    ),
    (
        "a locked worktree that is gone for good",
        |sandbox| {
            sandbox.git("repo", &["worktree", "lock", "../a"]);
            fs::remove_dir_all(sandbox.path("a")).unwrap();
        },
        &["the worktree at {a} is not there", "worktree unlock"],
        by_the_last_command,
    ),
    (
        "a repository that is bare by accident",
        |sandbox| {
            sandbox.git("repo", &["config", "core.bare", "true"]);
        },
        &["says that it is bare, but it has an index"],
        as_printed,
    ),
    (
        "a worktree that was moved by hand",
        |sandbox| fs::rename(sandbox.path("a"), sandbox.path("elsewhere")).unwrap(),
        &[
            "the worktree at {a} is not there",
            "if it was moved, run `git worktree repair` in its new place",
        ],
        |sandbox, _| {
            run_as_printed(sandbox, "elsewhere", "git worktree repair").exits(0);
            assert_eq!(sandbox.ports("elsewhere"), [sandbox.port(11)]);
        },
    ),
    (
        "the repository has moved",
        |sandbox| sandbox.write("a/.git", "gitdir: /nowhere/.git/worktrees/a\n"),
        &["a/.git` does not lead to"],
        as_printed,
    ),
    (
        "a worktree that has lost its `.git`",
        |sandbox| fs::remove_file(sandbox.path("a/.git")).unwrap(),
        &["a/.git` is missing"],
        as_printed,
    ),
    (
        "a broken git config of the worktree's own",
        |sandbox| {
            let extension = ["config", "extensions.worktreeConfig", "true"];
            sandbox.git("repo", &extension);
            sandbox.write("repo/.git/worktrees/a/config.worktree", "[broken");
        },
        &["config.worktree"],
        |sandbox, check| {
            assert!(!check.stdout.contains("prune"), "{check}");
            let config = "repo/.git/worktrees/a/config.worktree";
            fs::remove_file(sandbox.path(config)).unwrap();
        },
    ),
    (
        "no hook, no program and no records",
        |sandbox| {
            sandbox.run("repo", &["--uninstall"]).exits(0);
        },
        &["no hook is installed", "does not match {A}"],
        as_printed,
    ),
    (
        "the hook's program is missing",
        |sandbox| {
            let program = "repo/.git/worktree-ports/worktree-ports-hook";
            fs::remove_file(sandbox.path(program)).unwrap();
        },
        &["which is missing"],
        as_printed,
    ),
    (
        "the hook is missing",
        |sandbox| {
            let hook = sandbox.path("repo/.git/hooks/post-checkout");
            // There is no such file if the hook is in git's config.
            let _ = fs::remove_file(hook);
            let section = ["config", "--remove-section", "hook.worktree-ports"];
            sandbox.try_git("repo", &section);
        },
        &["no hook is installed"],
        as_printed,
    ),
];

/// A config with an env file, which is then written in every worktree.
fn write_env_files(sandbox: &Sandbox) {
    configure_env_file(sandbox);
    assert_no_problems(sandbox);
}

fn configure_env_file(sandbox: &Sandbox) {
    let config = base_config(sandbox).env_file(".env", &[("WEB_PORT", "{cloud}")]);
    sandbox.configure("repo", config);
    sandbox.run("repo", &["--all"]).exits(0);
}

#[test]
fn each_problem_is_reported_and_the_printed_commands_fix_it() {
    for (case, make, named, fix) in SITUATIONS {
        let sandbox = without_problems();
        make(&sandbox);
        let check = sandbox.run("repo", &["--check"]);
        assert_eq!(check.code(), Some(1), "{case}: {check}");
        for named in *named {
            let place = |name: &str| format!("`{}`", sandbox.path(name).display());
            let named = named
                .replace("{A}", &port_file_in(&sandbox, "a"))
                .replace("{a}", &place("a"))
                .replace("{b}", &place("b"));
            assert!(
                check.stdout.contains(&named),
                "{case}: no {named:?} in\n{check}"
            );
        }
        // A problem in one worktree is reported for that worktree only.
        if *case != "no hook, no program and no records" {
            assert_eq!(problems_in(&check.stdout).len(), 1, "{case}: {check}");
        }
        fix(&sandbox, &check);
        let left = sandbox.run("repo", &["--check"]);
        assert_eq!(
            (left.code(), &*left.stdout),
            (Some(0), ""),
            "{case}: left after\n{check}"
        );
    }
}

#[test]
fn a_cause_hides_what_the_same_call_writes_and_nothing_else() {
    let sandbox = without_problems();
    write_env_files(&sandbox);
    let services = [("cloud", sandbox.port(10)), ("new", sandbox.port(50))];
    let config = config(&services)
        .step(1)
        .url("new_url", "http://localhost:{new}");
    let config = config.env_file(".env", &[("WEB_PORT", "{cloud}"), ("NEW_PORT", "{new}")]);
    sandbox.configure("repo", config);
    sandbox.run("repo", &[]).exits(0);
    sandbox.run("b", &["--reallocate"]).exits(0);
    let text = fs::read_to_string(sandbox.path("a/.env")).unwrap();
    sandbox.write("a/.env", text + "WEB_PORT=\"1\n2\"\n");
    sandbox.write(RECORD, "{");
    sandbox.write("a/.worktree-ports.json.worktree-ports.tmp", "{");
    let check = sandbox.run("repo", &["--check"]).exits(1);
    let told = problems_in(&check.stdout);
    assert_eq!(told.len(), 2, "{check}");
    for part in ["has no port for new", "`WEB_PORT` is set twice"] {
        assert!(told.iter().any(|(what, _)| what.contains(part)), "{check}");
    }
}

#[test]
fn bare_by_accident_hides_what_follows_from_the_lost_config() {
    let sandbox = without_problems();
    write_env_files(&sandbox);
    let config = base_config(&sandbox).url("cloud_url", "http://localhost:{cloud}");
    sandbox.configure("b", config);
    sandbox.git("repo", &["config", "core.bare", "true"]);
    let check = sandbox.run("a", &["--check"]).exits(1);
    let told = problems_in(&check.stdout);
    let b = port_file_in(&sandbox, "b");
    let is_of_b = |(what, _): &(&str, &str)| what.starts_with(&b);
    assert_eq!(told.len(), 2, "{check}");
    assert!(told[0].0.contains("bare") && is_of_b(&told[1]), "{check}");
}

#[test]
fn a_git_directory_that_this_user_may_not_enter_is_not_called_missing() {
    for protected in ["repo", "repo/.git/worktrees", "repo/.git/worktrees/a"] {
        let sandbox = without_problems();
        let nobody = Nobody::owning(&sandbox);
        set_mode(sandbox.path(protected), 0o000);
        let run = nobody.run("a", &[]).exits(1);
        set_mode(sandbox.path(protected), 0o755);
        run.tells(&["could not open", "give this user access to it"]);
    }
}

#[test]
fn nobody_is_told_to_delete_the_repository() {
    let sandbox = without_problems();
    fs::remove_file(sandbox.path("repo/.git/worktrees/a/gitdir")).unwrap();
    for at in ["a", "repo"] {
        let check = sandbox.run(at, &["--check"]);
        let repository = format!("rm -r {}\n", sandbox.path("repo/.git").display());
        let is_told = check.stdout.replace('`', "\n").contains(&repository);
        assert!(!is_told, "{check}");
    }
}

#[test]
fn a_damaged_record_without_a_port_file_is_a_problem() {
    let sandbox = without_problems();
    sandbox.write(RECORD, "");
    fs::remove_file(sandbox.path("a").join(PORT_FILE)).unwrap();
    let check = sandbox.run("repo", &["--check"]).exits(1);
    as_printed(&sandbox, &check);
    sandbox.run("repo", &["--check"]).exits(0);
}

#[test]
fn an_entry_that_git_left_half_made_hides_no_problem() {
    let sandbox = without_problems();
    let hook = sandbox.path("repo/.git/hooks/post-checkout");
    let _ = fs::remove_file(hook);
    sandbox.try_git(
        "repo",
        &["config", "--remove-section", "hook.worktree-ports"],
    );
    sandbox.write("repo/.git/worktrees/a/HEAD", "");
    let check = sandbox.run("repo", &["--check"]).exits(1);
    assert!(check.stdout.contains("no hook is installed"), "{check}");
}

#[test]
fn if_git_answers_nothing_that_is_told_once_beside_what_is_known() {
    let sandbox = without_problems();
    sandbox.write(format!("b/{PORT_FILE}"), "{");
    sandbox.write("home/.gitconfig", "[x");
    let check = sandbox.run("repo", &["--check"]).exits(1);
    let told = problems_in(&check.stdout);
    assert_eq!(told.len(), 2, "{check}");
    assert!(told[0].0.contains("bad config line"), "{check}");
    let b = format!("{} is damaged", port_file_in(&sandbox, "b"));
    assert_eq!(told[1].0, b);
}

#[test]
fn an_unreadable_directory_hides_no_problem_and_is_not_to_be_pruned() {
    let sandbox = without_problems();
    sandbox.write(format!("b/{PORT_FILE}"), "{");
    let nobody = Nobody::owning(&sandbox);
    set_mode(sandbox.path("a"), 0o000);
    let check = nobody.run("repo", &["--check"]).exits(1);
    set_mode(sandbox.path("a"), 0o755);
    let a = sandbox.path("a").display().to_string();
    let lines: Vec<&str> = check.stdout.lines().collect();
    assert!(lines.iter().any(|line| line.contains(&a)), "{check}");
    let b = format!("{} is damaged", port_file_in(&sandbox, "b"));
    assert!(lines.iter().any(|line| line.contains(&b)), "{check}");
    assert!(!check.stdout.contains("prune"), "{check}");
    assert!(!check.stdout.contains("repair"), "{check}");
}

#[test]
fn in_a_copied_worktree_every_call_is_an_error_that_changes_nothing() {
    let sandbox = without_problems();
    let mut copy = sandbox.command("cp", ".");
    copy.args(["-r", "a", "copy"]);
    Sandbox::finish(copy).exits(0);
    let before = ["repo", "a", "copy"].map(|at| sandbox.content_of(at));
    let calls: [&[&str]; 8] = [
        &[],
        &["--reallocate"],
        &["--env"],
        &["--get", "cloud"],
        &["--json"],
        &["--release"],
        &["--exec", "true"],
        &["--check"],
    ];
    for call in calls {
        let run = sandbox.run("copy", call).exits(1);
        let told = if call == ["--check"] {
            &run.stdout
        } else {
            &run.stderr
        };
        let is_copy = format!(
            "is a copy of the worktree at `{}",
            sandbox.path("a").display()
        );
        assert!(told.contains(&is_copy), "{call:?}: {run}");
        // `git worktree repair` would take the entry from the original.
        assert!(!told.contains("repair"), "{call:?}: {run}");
    }
    let after = ["repo", "a", "copy"].map(|at| sandbox.content_of(at));
    assert!(before == after);
}

#[test]
#[ignore = "needs strace"]
fn check_holds_the_lock_no_longer_than_an_allocation() {
    let sandbox = without_problems();
    for i in 0..300 {
        let entry = format!("repo/.git/worktrees/w{i}");
        let root = sandbox.path(format!("w{i}"));
        sandbox.write(format!("{entry}/HEAD"), "ref: refs/heads/main\n");
        sandbox.write(format!("{entry}/commondir"), "../..\n");
        let dot_git = root.join(".git").display().to_string();
        sandbox.write(format!("{entry}/gitdir"), format!("{dot_git}\n"));
        let entry = sandbox.path(&entry);
        sandbox.write(&dot_git, format!("gitdir: {}\n", entry.display()));
        let slot = 100 + i;
        let ports = format!(r#"{{"cloud": {}}}"#, 40_000 + i);
        let own = format!(r#"{{"worktree": "w{i}", "slot": {slot}, "ports": {ports}}}"#);
        sandbox.write(root.join(PORT_FILE), own);
    }
    let check = strace::calls_under_the_lock(&sandbox, "repo", &["--check"]);
    let allocation = strace::calls_under_the_lock(&sandbox, "a", &["--reallocate"]);
    assert!(check > 300, "{check} calls read all files");
    assert!(check <= allocation, "{check} calls, and {allocation}");
}

#[test]
fn if_worktrees_have_the_same_port_the_first_one_keeps_it() {
    let sandbox = without_problems();
    sandbox.add("c");
    for name in ["b", "c"] {
        let id = |name: &str| format!(r#""worktree": "{name}""#);
        let file = sandbox.port_file("a").replace(&id("a"), &id(name));
        sandbox.write(format!("{name}/{PORT_FILE}"), file);
    }
    sandbox.write(
        format!("repo/{PORT_FILE}"),
        sandbox.port_file("a").replace(r#""a""#, "null"),
    );
    let run = sandbox.run("a", &["--check"]).exits(1);
    // One for each worktree that must move, and the main worktree's missing record.
    assert_eq!(problems_in(&run.stdout).len(), 4, "{run}");
    for (_, remedy) in problems_in(&run.stdout) {
        run_as_printed(&sandbox, "home", command_of(remedy)).exits(0);
    }
    assert_no_problems(&sandbox);
    let ports = ["repo", "a", "b", "c"].map(|name| sandbox.ports(name));
    assert_eq!(ports, [11, 12, 13, 14].map(|port| [sandbox.port(port)]));
}

#[test]
fn all_problems_are_reported_at_once_even_at_a_path_with_quotes() {
    let sandbox = without_problems();
    let name = r#"it's a $HOME of "worktrees""#;
    let path = format!("../{name}");
    sandbox.git("repo", &["worktree", "add", "-b", "spaced", &path]);
    sandbox.write(format!("{name}/{PORT_FILE}"), "{");
    sandbox.write(format!("a/{PORT_FILE}"), "[]");
    sandbox.run("repo", &["--uninstall"]).exits(0);
    let run = sandbox.run("repo", &["--check"]).exits(1);
    // The hook, the two files, and the two other missing records.
    assert_eq!(problems_in(&run.stdout).len(), 5, "{run}");
    for (_, remedy) in problems_in(&run.stdout) {
        run_as_printed(&sandbox, "home", command_of(remedy)).exits(0);
    }
    assert_no_problems(&sandbox);
}

#[test]
fn an_invalid_config_is_reported_once_wherever_it_is_used() {
    let sandbox = without_problems();
    sandbox.configure("repo", r#"{ "services": { "web": 80 } }"#);
    let (what, remedy) = problem_of(&sandbox);
    let problem = format!("{what} {remedy}");
    let path = sandbox.path("repo").join(CONFIG);
    for part in [
        &path.display().to_string(),
        "`services.web`",
        "1024",
        "correct it",
    ] {
        assert!(problem.contains(part), "no {part:?} in {problem}");
    }
    sandbox.configure("repo", base_config(&sandbox));
    assert_no_problems(&sandbox);

    sandbox.configure("a", "{");
    let (what, _) = problem_of(&sandbox);
    assert!(what.contains(&sandbox.path("a").join(CONFIG).display().to_string()));
}

#[test]
fn a_hooks_path_that_hides_the_hook_is_reported_and_fixed() {
    let sandbox = sandbox_with_git(OLD);
    sandbox.run("repo", &["--install"]).exits(0);
    sandbox.git("repo", &["config", "core.hooksPath", ".githooks"]);
    let (what, remedy) = problem_of(&sandbox);
    assert!(what.contains("core.hooksPath"), "{what}");
    let told = run_as_printed(&sandbox, "repo", command_of(&remedy)).exits(3);
    let hook = sandbox.path("repo/.githooks/post-checkout");
    assert!(told.stderr.contains(&hook.display().to_string()), "{told}");
    sandbox.write(&hook, &told.stdout);
    set_mode(&hook, 0o755);
    assert_no_problems(&sandbox);
    sandbox.git("repo", &["add", "."]);
    sandbox.git("repo", &["commit", "--quiet", "--message=hooks"]);
    sandbox
        .add("a")
        .tells(&[&sandbox.with_ports("worktree-ports: cloud @1")]);
}

#[test]
fn a_hooks_path_does_not_hide_a_hook_in_the_config() {
    let sandbox = sandbox_with_git(NEW);
    sandbox.run("repo", &["--install"]).exits(0);
    sandbox.git("repo", &["config", "core.hooksPath", ".githooks"]);
    assert_no_problems(&sandbox);
}
