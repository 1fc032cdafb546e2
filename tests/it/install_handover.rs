//! `--install` and `--check` name an older hook that also writes the port file.

use std::fs;

use crate::support::Sandbox;
use crate::support::hooks::{HOOK, NEW, OLD, Prepare, sandbox_with_git};

const WRITES: &str = "#!/bin/sh\necho '{\"cloud\": 9100}' >.worktree-ports.json\n";
const SCRIPT: &str = "f=.worktree-ports.json\nprintf '{}' >\"$f.tmp\"\nmv \"$f.tmp\" \"$f\"\n";

#[test]
fn an_older_hook_that_writes_the_port_file_is_named() {
    let older: [(&str, &str, Prepare); 5] = [
        (OLD, "line 2 of", |sandbox| {
            sandbox.write_script(HOOK, WRITES);
        }),
        (NEW, "line 2 of", |sandbox| {
            sandbox.write_script(HOOK, WRITES);
        }),
        (OLD, "line 3 of", |sandbox| {
            sandbox.write("repo/tools/ports.sh", SCRIPT);
            sandbox.write_script(HOOK, "#!/bin/sh\nset -e\nexec tools/ports.sh \"$@\"\n");
        }),
        (OLD, ".husky/post-checkout`", |sandbox| {
            sandbox.write(
                "repo/scripts/ports.mjs",
                "fs.writeFileSync('.worktree-ports.json', x)",
            );
            sandbox.write(
                "repo/.husky/post-checkout",
                "worktree-ports-hook \"$@\"\nnode scripts/ports.mjs\n",
            );
            sandbox.write_script("repo/.husky/_/post-checkout", "#!/bin/sh\n. ./h\n");
            sandbox.git("repo", &["config", "core.hooksPath", ".husky/_"]);
        }),
        (NEW, "`hook.ports.command`", |sandbox| {
            let command = "echo '{}' > .worktree-ports.json";
            sandbox.git("repo", &["config", "hook.ports.command", command]);
            sandbox.git("repo", &["config", "hook.ports.event", "post-checkout"]);
        }),
    ];
    for (git, told, prepare) in older {
        let sandbox = sandbox_with_git(git);
        prepare(&sandbox);
        let parts = [told, "writes `.worktree-ports.json` too", "--all --adopt`"];
        sandbox.run("repo", &["--install"]).exits(0).tells(&parts);
        let found = sandbox.run("repo", &["--check"]).exits(1).stdout;
        for part in parts {
            assert!(found.contains(part), "no {part:?} in {found}");
        }
        sandbox.run("repo", &["--install"]).exits(0).tells(&parts);
    }
}

#[test]
fn a_hook_that_reads_the_port_file_is_no_problem() {
    for git in [OLD, NEW] {
        let sandbox: Sandbox = sandbox_with_git(git);
        let script = "#!/bin/sh\njq .ports.web .worktree-ports.json >port\n";
        sandbox.write_script(HOOK, script);
        let run = sandbox.run("repo", &["--install"]).exits(0);
        assert!(!run.stderr.contains("writes `"), "{run}");
        let check = sandbox.run("repo", &["--check"]);
        assert!(!check.stdout.contains("writes `"), "{check}");
        assert!(
            fs::read_to_string(sandbox.path(HOOK))
                .unwrap()
                .contains("jq")
        );
    }
}
