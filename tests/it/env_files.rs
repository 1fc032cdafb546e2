//! The block in env files: who writes it, when, and what is left alone.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::process::{Child, Stdio};

use crate::file_systems::in_private_mounts;
use crate::support::strace;
use crate::support::{
    Config, FIRST_CHECKOUT, Nobody, PORT_FILE, PROGRAM, Run, Sandbox, block, set_mode, with_block,
};

const EXCLUDE: &str = "repo/.git/info/exclude";

/// A config with env files at these paths, with two variables each.
fn config(sandbox: &Sandbox, paths: &[&str]) -> Config {
    let variables = [
        ("COMPOSE_PROJECT_NAME", "shop-{slot}"),
        ("WEB_PORT", "{cloud}"),
    ];
    let files = paths.iter();
    files.fold(sandbox.config(&["cloud"]), |config, path| {
        config.env_file(path, &variables)
    })
}

/// The block that [`config`] leads to.
fn block_of(sandbox: &Sandbox, label: &str, slot: u16) -> String {
    block(
        label,
        &sandbox.with_ports(&format!(
            "COMPOSE_PROJECT_NAME=shop-{slot}\nWEB_PORT=@{slot}\n"
        )),
    )
}

/// The whole of a file that the program has made.
fn made(sandbox: &Sandbox, label: &str, slot: u16) -> String {
    with_block(&block_of(sandbox, label, slot), "")
}

#[track_caller]
fn read(sandbox: &Sandbox, path: &str) -> String {
    let path = sandbox.path(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn exists(sandbox: &Sandbox, path: &str) -> bool {
    sandbox.path(path).symlink_metadata().is_ok()
}

/// Asserts that the run printed exactly one warning, about that file and with these words.
#[track_caller]
fn warns_once(run: &Run, path: &str, words: &[&str]) {
    let is_warning = |line: &&str| line.starts_with("worktree-ports: warning: ");
    let warnings: Vec<&str> = run.stderr.lines().filter(is_warning).collect();
    let [warning] = warnings[..] else {
        panic!("not one warning: {run}");
    };
    assert!(warning.contains(path), "no {path} in {warning}");
    for word in words {
        assert!(warning.contains(word), "no {word:?} in {warning}");
    }
}

#[test]
fn the_hook_makes_env_files_together_with_the_port_file() {
    let sandbox = Sandbox::new();
    sandbox.configure("repo", config(&sandbox, &[".env"]));
    let told = sandbox.with_ports("worktree-ports: cloud @1 (.worktree-ports.json, .env)\n");
    sandbox.add("a").tells(&[&told]);
    assert_eq!(read(&sandbox, "a/.env"), made(&sandbox, "a", 1));
}

#[test]
fn the_block_comes_first_and_every_other_byte_stays() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    let table = [
        ("", "@\n\n"),
        ("A=1\n", "@\n\nA=1\n"),
        ("A=1", "@\n\nA=1"),
        ("A=1\\", "@\n\nA=1\\"),
        ("A=1\r\nB='x'\r\n", "@\n\nA=1\r\nB='x'\r\n"),
        ("\u{feff}A=ü\n\n\n", "\u{feff}@\n\nA=ü\n\n\n"),
        // Wherever blocks stood, and however many.
        ("A=1\n@\n\nB=2\n", "@\n\nA=1\nB=2\n"),
        ("@\n\nA=1\n@\n\nB=2\n@", "@\n\nA=1\nB=2\n"),
        (
            "WEB_PORT=1\n",
            "@\n\n# replaced by worktree-ports: WEB_PORT=1\n",
        ),
    ];
    let name = |i: usize| format!("{i}.env");
    let names: Vec<String> = (0..table.len()).map(name).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    sandbox.configure("repo", config(&sandbox, &names));
    let ours = block_of(&sandbox, "a", 1);
    let theirs = block("another", "WEB_PORT=1\n");
    for (name, (before, _)) in names.iter().zip(table) {
        sandbox.write(format!("a/{name}"), before.replace('@', theirs.trim_end()));
    }
    sandbox.run_hook("a").exits(0);
    for (name, (before, after)) in names.iter().zip(table) {
        let after = after.replace('@', ours.trim_end());
        assert_eq!(read(&sandbox, &format!("a/{name}")), after, "{before:?}");
    }
}

#[test]
fn marks_are_found_with_a_carriage_return_after_them() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.configure("repo", config(&sandbox, &[".env"]));
    let theirs = block("a", "WEB_PORT=1\n").replace('\n', "\r\n");
    sandbox.write("a/.env", format!("{theirs}\r\nA=1\r\n"));
    sandbox.run("a", &[]).exits(0).tells_nothing();
    let expected = with_block(&block_of(&sandbox, "a", 1), "A=1\r\n");
    assert_eq!(read(&sandbox, "a/.env"), expected);
}

#[test]
fn an_empty_map_stands_for_all_lines_of_env() {
    let sandbox = Sandbox::new();
    let config = config(&sandbox, &[".env", "web.env"])
        .url("cloud_url", "http://{worktree}.localhost:{cloud}")
        .env("VITE_API_URL", "http://localhost:{cloud}")
        .env_file(".env.ports", &[]);
    sandbox.configure("repo", config);
    sandbox
        .add("a")
        .tells(&["(.worktree-ports.json, .env, web.env, .env.ports)"]);
    let env = sandbox.run("a", &["--env"]).exits(0).tells_nothing().stdout;
    assert_eq!(
        read(&sandbox, "a/.env.ports"),
        with_block(&block("a", &env), "")
    );
    assert_eq!(read(&sandbox, "a/web.env"), made(&sandbox, "a", 1));
}

#[test]
fn the_first_mark_has_the_label_of_the_worktree() {
    let sandbox = Sandbox::new();
    let config = sandbox
        .config(&["cloud"])
        .env_file(".env", &[("HOST", "{worktree}.localhost")]);
    sandbox.configure("repo", config);
    sandbox.add("Fix_Favicon");
    let text = read(&sandbox, "Fix_Favicon/.env");
    let label = text
        .split_once("HOST=")
        .unwrap()
        .1
        .split_once(".localhost")
        .unwrap()
        .0;
    assert!(label.starts_with("fix-favicon-"), "{text}");
    let block = block(label, &format!("HOST={label}.localhost\n"));
    assert_eq!(text, with_block(&block, ""));
}

#[test]
fn a_missing_directory_is_not_made_and_a_line_says_so() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.configure("repo", config(&sandbox, &["apps/web/.env", ".env"]));
    let told = sandbox.with_ports("cloud @1 (.worktree-ports.json, .env)\n");
    let run = sandbox.run_hook("a").exits(0).tells(&[
        "apps/web/.env` was not written: its directory does not exist",
        &told,
    ]);
    assert_eq!(run.stderr.lines().count(), 2, "{run}");
    assert!(!exists(&sandbox, "a/apps"));

    fs::create_dir_all(sandbox.path("a/apps/web")).unwrap();
    sandbox.run("a", &["--env"]).exits(0).tells_nothing();
    assert_eq!(read(&sandbox, "a/apps/web/.env"), made(&sandbox, "a", 1));
}

#[test]
fn calls_by_hand_update_env_files_including_mains() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.configure("repo", config(&sandbox, &[".env", "web.env"]));
    sandbox.write(EXCLUDE, "/.env\n");
    let calls: [&[&str]; 7] = [
        &[],
        &["--env"],
        &["--get", "cloud"],
        &["--exec", "true"],
        &["--json"],
        &["--all"],
        &["--reallocate"],
    ];
    for (at, label, slot) in [("repo", "main", 0), ("a", "a", 1)] {
        for call in calls {
            sandbox.write(format!("{at}/.env"), "A=1\n");
            let _ = fs::remove_file(sandbox.path(at).join("web.env"));
            sandbox.run(at, call).exits(0).tells_nothing();
            let block = block_of(&sandbox, label, slot);
            let read = |name| read(&sandbox, &format!("{at}/{name}"));
            assert_eq!(read(".env"), with_block(&block, "A=1\n"), "{at} {call:?}");
            assert_eq!(read("web.env"), with_block(&block, ""), "{at} {call:?}");
        }
    }
}

#[test]
fn all_updates_every_worktrees_env_files_and_prints_what_it_did() {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    sandbox.configure("repo", config(&sandbox, &[".env"]));
    sandbox.run("repo", &["--all"]).exits(0);
    fs::remove_file(sandbox.path("a/.env")).unwrap();
    let run = sandbox.run("b", &["--all"]).exits(0).tells_nothing();
    assert_eq!(run.stdout, "a: updated .env\n");
    assert_eq!(read(&sandbox, "a/.env"), made(&sandbox, "a", 1));
}

#[test]
fn if_every_block_is_current_nothing_is_written_and_no_lock_taken() {
    let sandbox = Sandbox::new();
    sandbox.configure(
        "repo",
        config(&sandbox, &[".env", "web.env", "no/such/.env"]),
    );
    sandbox.add("a");
    sandbox.write(
        "a/web.env",
        with_block(&block_of(&sandbox, "a", 1), "A=1\n"),
    );
    sandbox.run("repo", &[]).exits(0);
    sandbox.run("a", &[]).exits(0);
    let stamps = || ["repo", "a"].map(|at| sandbox.stamps_of(at));
    let before = stamps();
    // Anything that takes the lock would wait for it.
    let _lock = sandbox.hold_lock();
    for at in ["repo", "a"] {
        let calls: [&[&str]; 5] = [
            &[],
            &["--env"],
            &["--json"],
            &["--exec", "true"],
            &["--all"],
        ];
        for call in calls {
            let mut command = sandbox.command(PROGRAM, at);
            command.args(call).env("WORKTREE_PORTS_LOCK_TIMEOUT", "0");
            Sandbox::finish(command).exits(0).tells_nothing();
        }
    }
    assert_eq!(stamps(), before);
}

#[test]
fn a_block_that_the_config_no_longer_names_is_removed() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.configure("repo", config(&sandbox, &[".env", "web.env", "b.env"]));
    sandbox.write("a/web.env", "A=1\r\nB=2");
    sandbox.run_hook("a").exits(0);

    sandbox.configure("repo", config(&sandbox, &["b.env"]));
    sandbox
        .run("a", &["--get", "cloud"])
        .exits(0)
        .tells_nothing();
    assert!(!exists(&sandbox, "a/.env"));
    assert_eq!(read(&sandbox, "a/web.env"), "A=1\r\nB=2");
    assert_eq!(read(&sandbox, "a/b.env"), made(&sandbox, "a", 1));
    let record = read(&sandbox, "repo/.git/worktrees/a/worktree-ports.json");
    assert!(
        record.contains("b.env") && !record.contains("web.env"),
        "{record}"
    );
}

#[test]
fn the_next_call_fixes_an_env_file_that_a_tool_copied_from_main() {
    let sandbox = Sandbox::new();
    sandbox.configure("repo", config(&sandbox, &[".env"]));
    sandbox.write("repo/.env", "SECRET=x\n");
    sandbox.run("repo", &[]).exits(0);
    sandbox.add("a");
    let own = with_block(&block_of(&sandbox, "a", 1), "SECRET=x\n");
    let calls: [&[&str]; 3] = [&[], &["--env"], &["--exec", "cat", ".env"]];
    for call in calls {
        fs::copy(sandbox.path("repo/.env"), sandbox.path("a/.env")).unwrap();
        assert!(read(&sandbox, "a/.env").contains(": main >>>"));
        let run = sandbox.run("a", call).exits(0).tells_nothing();
        assert_eq!(read(&sandbox, "a/.env"), own);
        if call.contains(&"cat") {
            assert_eq!(run.stdout, own);
        }
    }
    assert!(read(&sandbox, "repo/.env").contains(": main >>>"));
}

#[test]
fn a_hard_link_to_mains_file_becomes_a_file_of_its_own() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.configure("repo", config(&sandbox, &[".env"]));
    sandbox.write("repo/.env", "A=1\n");
    fs::hard_link(sandbox.path("repo/.env"), sandbox.path("a/.env")).unwrap();
    sandbox.run_hook("a").exits(0);
    let block = block_of(&sandbox, "a", 1);
    assert_eq!(read(&sandbox, "a/.env"), with_block(&block, "A=1\n"));
    assert_eq!(read(&sandbox, "repo/.env"), "A=1\n");
}

#[test]
fn an_exclude_file_that_cannot_be_written_is_a_warning() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.configure("repo", config(&sandbox, &[".env"]));
    fs::remove_file(sandbox.path(EXCLUDE)).unwrap();
    fs::create_dir(sandbox.path(EXCLUDE)).unwrap();
    let run = sandbox.run_hook("a").exits(0);
    warns_once(&run, "info/exclude", &["it is a directory"]);
    assert_eq!(read(&sandbox, "a/.env"), made(&sandbox, "a", 1));
}

#[test]
fn calls_at_the_same_time_write_one_block() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.configure("repo", config(&sandbox, &[".env", "web.env"]));
    sandbox.write("a/.env", "A=1\n");
    let start = |_| {
        let mut command = sandbox.command(PROGRAM, "a");
        command.args(["--exec", "cat", ".env"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let started: Vec<Child> = (0..10).map(start).collect();
    let block = block_of(&sandbox, "a", 1);
    for child in started {
        let run = Run::from(child.wait_with_output().unwrap()).exits(0);
        assert_eq!(run.tells_nothing().stdout, with_block(&block, "A=1\n"));
    }
}

#[test]
fn git_status_stays_clean_and_git_worktree_remove_needs_no_force() {
    let sandbox = Sandbox::new();
    sandbox.write("repo/apps/api/x", "");
    // The project itself ignores none of them.
    sandbox.git("repo", &["add", "apps"]);
    sandbox.git("repo", &["commit", "--quiet", "--message=apps"]);
    let paths = [".env", "apps/api/.env.local", "a+b@c.env"];
    sandbox.configure("repo", config(&sandbox, &paths));
    sandbox.add("a");
    sandbox.run("repo", &[]).exits(0);
    for at in ["repo", "a"] {
        for path in paths {
            assert!(exists(&sandbox, &format!("{at}/{path}")), "{at}/{path}");
        }
        assert_eq!(sandbox.git(at, &["status", "--porcelain"]).stdout, "");
    }
    sandbox.git("repo", &["worktree", "remove", "../a"]);
    assert!(!exists(&sandbox, "a"));
}

#[test]
fn a_file_that_was_there_before_keeps_its_git_status() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.configure("repo", config(&sandbox, &[".env", "web.env"]));
    sandbox.write("a/.env", "A=1\n");
    sandbox.run_hook("a").exits(0);
    let status = sandbox.git("a", &["status", "--porcelain"]).stdout;
    assert_eq!(status, "?? .env\n");
    let exclude = read(&sandbox, EXCLUDE);
    let lines: Vec<&str> = exclude.lines().collect();
    assert!(lines.contains(&"*.worktree-ports.tmp"), "{exclude}");
    assert!(
        !lines.contains(&"/.env") && lines.contains(&"/web.env"),
        "{exclude}"
    );
}

#[test]
fn a_port_file_that_a_branch_tracks_replaces_ours_and_stays() {
    let sandbox = Sandbox::new();
    sandbox.git("repo", &["checkout", "--quiet", "-b", "tracks"]);
    sandbox.write("repo/.env", "A=1\n");
    sandbox.git("repo", &["add", "--force", ".env"]);
    sandbox.git("repo", &["commit", "--quiet", "--message=env"]);
    sandbox.git("repo", &["checkout", "--quiet", "main"]);
    sandbox.configure("repo", config(&sandbox, &[".env"]));
    sandbox.add("a");

    let checkout = sandbox.git("a", &["checkout", "--quiet", "tracks"]);
    assert_eq!(checkout.stderr, "");
    let run = sandbox.run("a", &["--get", "cloud"]).exits(0);
    warns_once(&run, "a/.env", &["git tracks it", "rm --cached .env"]);
    assert_eq!(run.stdout, sandbox.with_ports("@1\n"));
    assert_eq!(read(&sandbox, "a/.env"), "A=1\n");
    assert_eq!(sandbox.git("a", &["status", "--porcelain"]).stdout, "");

    sandbox.git("a", &["checkout", "--quiet", "a"]);
    sandbox.run("a", &[]).exits(0).tells_nothing();
    assert_eq!(read(&sandbox, "a/.env"), made(&sandbox, "a", 1));
}

/// In a worktree `a`, `prepare` has put something at `path`. Asserts that each call writes the
/// other file, warns once about this one and leaves it unchanged. The ports stay.
#[track_caller]
fn assert_left_alone(path: &str, prepare: impl Fn(&Sandbox), words: &[&str]) {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.configure("repo", config(&sandbox, &[path, "other.env"]));
    prepare(&sandbox);
    let content = || {
        let mut content = sandbox.content_of("a");
        for name in [PORT_FILE, "other.env"] {
            content.remove(&sandbox.path("a").join(name));
        }
        content
    };
    let before = content();
    let hook = sandbox.run_hook("a").exits(0);
    warns_once(&hook, path, words);
    let told = sandbox.with_ports("cloud @1 (.worktree-ports.json, other.env)\n");
    let hook = hook.tells(&[&told]);
    assert_eq!(hook.stderr.lines().count(), 2, "{hook}");
    assert_eq!(sandbox.ports("a"), [sandbox.port(1)]);
    assert_eq!(read(&sandbox, "a/other.env"), made(&sandbox, "a", 1));

    let get = sandbox.run("a", &["--get", "cloud"]).exits(0);
    warns_once(&get, path, words);
    assert_eq!(get.stdout, sandbox.with_ports("@1\n"));
    assert_eq!(content(), before);
}

#[test]
fn a_file_that_git_tracks_is_left_alone() {
    let track = |sandbox: &Sandbox| {
        sandbox.write("a/x.env", "A=1\n");
        sandbox.git("a", &["add", "x.env"]);
    };
    assert_left_alone("x.env", track, &["git tracks it", "rm --cached x.env"]);
}

#[test]
fn a_tracked_file_that_a_sparse_checkout_left_out_is_left_alone() {
    for sparse_index in ["--no-sparse-index", "--sparse-index"] {
        let sparse = |sandbox: &Sandbox| {
            sandbox.write("a/out/x.env", "A=1\n");
            sandbox.write("a/in/x", "");
            sandbox.git("a", &["add", "in", "out"]);
            sandbox.git("a", &["commit", "--quiet", "--message=both"]);
            sandbox.git("a", &["sparse-checkout", "set", sparse_index, "in"]);
            fs::create_dir(sandbox.path("a/out")).unwrap();
            assert!(!exists(sandbox, "a/out/x.env"));
        };
        assert_left_alone("out/x.env", sparse, &["git tracks it"]);
    }
}

#[test]
fn nothing_is_written_through_a_linked_file() {
    let link = |sandbox: &Sandbox| {
        sandbox.write("repo/x.env", "A=1\n");
        symlink("../repo/x.env", sandbox.path("a/x.env")).unwrap();
    };
    assert_left_alone("x.env", link, &["it is a symbolic link", "`cp "]);
    let dangling = |sandbox: &Sandbox| symlink("nowhere", sandbox.path("a/x.env")).unwrap();
    assert_left_alone("x.env", dangling, &["it is a symbolic link"]);
}

#[test]
fn after_the_command_in_the_warning_a_linked_file_is_written() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.configure("repo", config(&sandbox, &["x.env"]));
    sandbox.write("repo/x.env", "A=1\n");
    symlink("../repo/x.env", sandbox.path("a/x.env")).unwrap();
    let told = sandbox.run("a", &[]).exits(0).stderr;
    let command = told
        .split('`')
        .find(|word| word.starts_with("cp "))
        .unwrap();
    sandbox.shell(command, &[]).exits(0);
    sandbox.run("a", &[]).exits(0).tells_nothing();
    let block = block_of(&sandbox, "a", 1);
    assert_eq!(read(&sandbox, "a/x.env"), with_block(&block, "A=1\n"));
    assert_eq!(read(&sandbox, "repo/x.env"), "A=1\n");
}

#[test]
fn nothing_is_written_through_a_linked_directory() {
    let link = |sandbox: &Sandbox| {
        fs::create_dir(sandbox.path("elsewhere")).unwrap();
        symlink("../elsewhere", sandbox.path("a/apps")).unwrap();
    };
    assert_left_alone("apps/x.env", link, &["apps` is a symbolic link"]);
}

#[test]
fn anything_but_a_regular_file_is_left_alone_without_waiting() {
    let fifo = |sandbox: &Sandbox| {
        let path = sandbox.path("a/x.env");
        sandbox.shell("mkfifo \"$1\"", &[&path]).exits(0);
    };
    assert_left_alone("x.env", fifo, &["it is a FIFO"]);
    let directory = |sandbox: &Sandbox| sandbox.write("a/x.env/y", "");
    assert_left_alone("x.env", directory, &["it is a directory"]);
}

#[test]
fn a_file_that_cannot_be_parsed_is_left_alone() {
    let large = "x".repeat(256 * 1024 + 1);
    let table: [(&[u8], &str); 5] = [
        (b"A=\xff\n", "not UTF-8"),
        (b"\xff\xfeA\0=\x001\0\n\0", "not UTF-8"),
        (b"A=1\n# >>> worktree-ports: a >>>\nB=2\n", "line 2"),
        (b"A=1\n# <<< worktree-ports <<<\r\n", "line 2"),
        (large.as_bytes(), "larger than 256 KiB"),
    ];
    for (content, why) in table {
        let write = |sandbox: &Sandbox| sandbox.write("a/x.env", content);
        assert_left_alone("x.env", write, &[why]);
    }
}

#[test]
fn a_path_that_enters_another_repository_or_worktree_is_left_alone() {
    let repository = |sandbox: &Sandbox| {
        sandbox.git("a", &["init", "--quiet", "nested"]);
    };
    assert_left_alone("nested/x.env", repository, &["is a repository of its own"]);
    let bare = |sandbox: &Sandbox| {
        sandbox.git("a", &["init", "--quiet", "--bare", "nested"]);
    };
    assert_left_alone("nested/x.env", bare, &["is a repository of its own"]);
    let worktree = |sandbox: &Sandbox| {
        sandbox.git("repo", &["worktree", "add", "--quiet", "../a/nested"]);
        fs::create_dir(sandbox.path("a/nested/web")).unwrap();
    };
    assert_left_alone(
        "nested/web/x.env",
        worktree,
        &["is a repository of its own"],
    );
}

#[test]
fn nothing_is_made_in_the_directory_of_a_missing_submodule() {
    for version in ["2", "4"] {
        let submodule = |sandbox: &Sandbox| {
            sandbox.git(".", &["clone", "--quiet", "repo", "library"]);
            // Index entries before and after the submodule's.
            sandbox.write("a/libra", "");
            sandbox.write("a/library.txt", "");
            let add = [
                "-c",
                "protocol.file.allow=always",
                "submodule",
                "--quiet",
                "add",
            ];
            sandbox.git("a", &[&add[..], &["../library", "library"]].concat());
            sandbox.git("a", &["add", "."]);
            sandbox.git("a", &["update-index", "--index-version", version]);
            sandbox.git(
                "a",
                &["submodule", "--quiet", "deinit", "--force", "library"],
            );
            assert!(sandbox.path("a/library").is_dir() && !exists(sandbox, "a/library/.git"));
        };
        assert_left_alone("library/x.env", submodule, &["library` is a submodule"]);
    }
}

#[test]
fn a_directory_with_tracked_files_is_not_a_submodule() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.configure("repo", config(&sandbox, &["apps/.env"]));
    sandbox.write("a/apps/x", "");
    sandbox.git("a", &["add", "apps"]);
    sandbox.git("a", &["update-index", "--split-index"]);
    sandbox.run("a", &[]).exits(0).tells_nothing();
    assert_eq!(read(&sandbox, "a/apps/.env"), made(&sandbox, "a", 1));
}

#[test]
fn a_temporary_name_that_git_tracks_is_left_alone() {
    let track = |sandbox: &Sandbox| {
        sandbox.write("a/x.env.worktree-ports.tmp", "mine\n");
        sandbox.git("a", &["add", "x.env.worktree-ports.tmp"]);
    };
    assert_left_alone("x.env", track, &["git tracks", "x.env.worktree-ports.tmp"]);
}

#[test]
fn a_directory_at_the_temporary_name_is_a_warning() {
    let occupy = |sandbox: &Sandbox| sandbox.write("a/x.env.worktree-ports.tmp/y", "");
    assert_left_alone("x.env", occupy, &["is a directory"]);
}

#[test]
fn a_read_only_directory_is_a_warning() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.configure("repo", config(&sandbox, &["apps/.env", "other.env"]));
    sandbox.write("a/apps/.env", "A=1\n");
    set_mode(sandbox.path("a/apps"), 0o555);
    let nobody = Nobody::owning(&sandbox);
    let run = nobody.run_hook("a").exits(0);
    warns_once(&run, "a/apps/.env", &["Permission denied"]);
    run.tells(&[&sandbox.with_ports("cloud @1 (.worktree-ports.json, other.env)")]);
    assert_eq!(read(&sandbox, "a/apps/.env"), "A=1\n");
}

#[test]
fn a_file_keeps_its_mode() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    let modes = [0o600, 0o640, 0o444, 0o755];
    let names = modes.map(|mode| format!("{mode:o}.env"));
    let paths: Vec<&str> = names.iter().map(String::as_str).collect();
    sandbox.configure("repo", config(&sandbox, &paths));
    for (name, mode) in names.iter().zip(modes) {
        sandbox.write(format!("a/{name}"), "A=1\n");
        set_mode(sandbox.path("a").join(name), mode);
    }
    sandbox.run_hook("a").exits(0);
    for (name, mode) in names.iter().zip(modes) {
        let path = sandbox.path("a").join(name);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, mode);
        assert!(fs::read_to_string(path).unwrap().contains("worktree-ports"));
    }
}

#[test]
#[ignore = "needs root"]
fn a_mounted_file_and_a_full_disk_are_warnings() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    let paths = ["mounted.env", "full/.env", "other.env"];
    sandbox.configure("repo", config(&sandbox, &paths));
    sandbox.write("a/mounted.env", "A=1\n");
    fs::create_dir(sandbox.path("a/full")).unwrap();
    let run = in_private_mounts(
        &sandbox,
        r#"cd a
        mount --bind mounted.env mounted.env
        mount -t tmpfs -o size=4k tmpfs full
        dd if=/dev/zero of=full/filler 2>/dev/null || :
        "$program" $first_checkout
        "$program" --get cloud
        cat mounted.env
        ls -A full"#,
    );
    assert_eq!(run.stdout, sandbox.with_ports("@1\nA=1\nfiller\n"), "{run}");
    for why in ["mounted by itself", "No space left"] {
        assert_eq!(run.stderr.matches(why).count(), 2, "{run}");
    }
    run.tells(&[&sandbox.with_ports("cloud @1 (.worktree-ports.json, other.env)")]);
    assert_eq!(read(&sandbox, "a/other.env"), made(&sandbox, "a", 1));
}

#[test]
fn an_env_file_reserves_nothing() {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    sandbox.configure("repo", config(&sandbox, &[".env"]));
    sandbox.write("a/.env", made(&sandbox, "a", 1));
    sandbox.run_hook("b").exits(0);
    assert_eq!(sandbox.ports("b"), [sandbox.port(1)]);
}

#[test]
fn check_finds_an_outdated_env_file_and_the_next_call_fixes_it() {
    let sandbox = Sandbox::without_hook();
    sandbox.configure("repo", config(&sandbox, &[".env"]));
    sandbox.run("repo", &["--install"]).exits(0);
    sandbox.add("a");
    sandbox.run("repo", &[]).exits(0);
    sandbox.run("a", &["--check"]).exits(0);
    let changes = ["", "A=1\n", &made(&sandbox, "main", 0)];
    for change in changes {
        sandbox.write("a/.env", change);
        let check = sandbox.run("a", &["--check"]).exits(1);
        assert!(check.stdout.contains("a/.env"), "{check}");
        assert_eq!(read(&sandbox, "a/.env"), change, "it reads only");
        sandbox.run("a", &[]).exits(0);
        sandbox.run("a", &["--check"]).exits(0);
    }
}

/// Fails if there is a temporary file in the worktree `b` or beside its record.
#[track_caller]
fn assert_no_temporary_files(sandbox: &Sandbox) {
    let directories = ["b", "repo/.git/worktrees/b", "repo/.git/worktree-ports"];
    let entries = directories
        .iter()
        .flat_map(|directory| fs::read_dir(sandbox.path(directory)).unwrap());
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let temporary: Vec<String> = names.filter(|name| name.contains(".tmp")).collect();
    assert!(temporary.is_empty(), "{temporary:?}");
}

/// What a record reserves, and the env files that it names. Whether the program made these files is
/// recorded only once the record has its final name.
fn reserved(record: Option<&String>) -> (serde_json::Value, Vec<String>) {
    let mut record: serde_json::Value = serde_json::from_str(record.unwrap()).unwrap();
    let files = record["env_files"].take();
    let files = files.as_object().unwrap().keys().cloned().collect();
    (record, files)
}

/// Kills a call at each of its system calls in turn; `start` sets up the state before it.
#[track_caller]
fn assert_old_or_new(sandbox: &Sandbox, arguments: &[&str], start: &dyn Fn()) {
    const FILES: [&str; 3] = [
        "b/.env",
        "b/.worktree-ports.json",
        "repo/.git/worktrees/b/worktree-ports.json",
    ];
    let files = || FILES.map(|path| fs::read_to_string(sandbox.path(path)).ok());
    start();
    let old = files();
    let calls = strace::calls_from_the_lock(sandbox, "b", arguments);
    let new = files();
    assert_ne!(old[0], new[0]);

    let (mut olds, mut news) = (0, 0);
    for call in &calls {
        start();
        strace::kill_at(sandbox, "b", call, arguments);
        for ((left, old), new) in files().iter().zip(&old).zip(&new).take(2) {
            assert!(left == old || left == new, "{call:?}: {left:?}");
        }
        if files()[0] == old[0] {
            olds += 1;
        } else {
            news += 1;
        }
        sandbox.run("b", &[]).exits(0);
        let now = files();
        assert_eq!(now[..2], new[..2], "{call:?}");
        assert_eq!(
            reserved(now[2].as_ref()),
            reserved(new[2].as_ref()),
            "{call:?}"
        );
        assert_no_temporary_files(sandbox);
    }
    assert!(olds > 10 && news > 5, "{olds} {news}");
}

#[test]
#[ignore = "needs strace"]
fn an_allocation_killed_anywhere_leaves_the_old_env_file_or_the_new() {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    sandbox.configure("repo", config(&sandbox, &[".env"]));
    sandbox.run_hook("a").exits(0);
    for user in [None, Some("A=1\n")] {
        let exclude = read(&sandbox, EXCLUDE);
        assert_old_or_new(&sandbox, &FIRST_CHECKOUT, &|| {
            sandbox.run("b", &["--release"]).exits(0);
            sandbox.write(EXCLUDE, &exclude);
            let _ = fs::remove_file(sandbox.path("b/.env"));
            if let Some(user) = user {
                sandbox.write("b/.env", user);
            }
        });
    }
}

#[test]
#[ignore = "needs strace"]
fn a_call_by_hand_killed_anywhere_leaves_the_old_file_or_the_new() {
    let sandbox = Sandbox::with_worktrees(&["a", "b"]);
    let old = config(&sandbox, &[".env"]);
    let new = old.clone().url("cloud_url", "http://127.0.0.1:{cloud}");
    let new = new.env_file("other.env", &[]);
    let exclude = read(&sandbox, EXCLUDE);
    assert_old_or_new(&sandbox, &[], &|| {
        sandbox.run("b", &["--release"]).exits(0);
        sandbox.write(EXCLUDE, &exclude);
        sandbox.configure("repo", &old);
        sandbox.write("b/.env", "A=1\n");
        sandbox.run("b", &[]).exits(0);
        sandbox.write("b/.env", with_block(&block("b", "WEB_PORT=1\n"), "A=1\n"));
        sandbox.configure("repo", &new);
    });
}

#[test]
#[ignore = "needs strace"]
fn a_release_killed_at_any_system_call_is_finished_by_the_next() {
    let sandbox = Sandbox::with_worktrees(&["b"]);
    sandbox.configure("repo", config(&sandbox, &[".env", "own.env"]));
    let start = || {
        sandbox.write("b/own.env", "A=1\n");
        sandbox.run("b", &[]).exits(0);
    };
    start();
    let calls = strace::calls_from_the_lock(&sandbox, "b", &["--release"]);
    let released = sandbox.content_of("b");
    for call in &calls {
        start();
        strace::kill_at(&sandbox, "b", call, &["--release"]);
        let own = read(&sandbox, "b/own.env");
        let block = block_of(&sandbox, "b", 1);
        assert!(
            own == "A=1\n" || own == with_block(&block, "A=1\n"),
            "{call:?}: {own}"
        );
        sandbox.run("b", &["--release"]).exits(0);
        assert_eq!(sandbox.content_of("b"), released, "{call:?}");
        assert_no_temporary_files(&sandbox);
    }
    assert!(!exists(&sandbox, "b/.env") && !sandbox.has_port_file("b"));
}

/// All worktrees share one exclude file, and a checkout silently overwrites an ignored file that
/// the branch tracks.
#[test]
fn an_env_file_that_is_made_hides_no_file_of_another_worktree() {
    let sandbox = Sandbox::new();
    let config = config(&sandbox, &[".env"]);
    sandbox.write("repo/.env", "SECRET=only-copy\n");
    sandbox.configure("repo", &config);
    sandbox
        .add("a")
        .tells(&["git shows `", "repo/.env", "add `/.env` to `.gitignore`"]);
    let status = |at: &str| sandbox.git(at, &["status", "--porcelain"]).stdout;
    assert!(status("repo").contains("?? .env"), "{}", status("repo"));
    let block = block_of(&sandbox, "a", 1);
    assert_eq!(
        read(&sandbox, "a/.env"),
        with_block(&block, "SECRET=only-copy\n")
    );

    // A file that git ignores already is hidden anyway.
    sandbox.write("repo/.git/info/exclude", "/.env\n");
    let told = "(.worktree-ports.json, .env (from the main worktree))";
    sandbox.add("b").tells(&[told]);
    assert_eq!(status("b"), "");
}

#[test]
fn a_block_that_the_config_names_is_removed_even_without_a_record() {
    let sandbox = Sandbox::with_worktrees(&["a"]);
    sandbox.configure("repo", config(&sandbox, &[".env"]));
    sandbox.run("a", &[]).exits(0);
    fs::remove_file(sandbox.path("repo/.git/worktrees/a/worktree-ports.json")).unwrap();
    sandbox.run("a", &["--release"]).exits(0);
    assert!(!exists(&sandbox, "a/.env"));
}
