//! Tests of `env_file`: what happens to files, each in a directory of its own.

use std::cell::Cell;
use std::fs;

use super::*;
use crate::error::shell_word;
use crate::git::fixture;

const BLOCK: &str = "# >>> worktree-ports: a >>>\n\
    # Written by worktree-ports-hook. Change .worktree-ports.config.json instead.\n\
    PORT=8100\n\
    # <<< worktree-ports <<<";

struct Sandbox {
    _directory: tempfile::TempDir,
    worktree: Worktree,
    narrator: Narrator,
    held: Held,
}

impl Sandbox {
    fn new() -> Sandbox {
        let directory = tempfile::tempdir().unwrap();
        let [root, common_dir] = ["worktree", "git"].map(|name| directory.path().join(name));
        fs::create_dir_all(&root).unwrap();
        fs::create_dir_all(common_dir.join("info")).unwrap();
        let held = fixture::hold(&common_dir);
        Sandbox {
            worktree: Worktree::main(root, common_dir),
            _directory: directory,
            narrator: Narrator::default(),
            held,
        }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.worktree.root.join(name)
    }

    fn put(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// What lies in the root, sorted.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.worktree.root).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn excluded(&self) -> String {
        fs::read_to_string(self.worktree.common_dir.join("info/exclude")).unwrap_or_default()
    }

    /// An error, with `W` for the root and the separators of Unix.
    fn shown(&self, error: &Error) -> String {
        let root = &self.worktree.root;
        let error = error.to_string().replace(&shell_word(root), "W");
        error
            .replace(root.to_str().unwrap(), "W")
            .replace('\\', "/")
    }

    fn writer(&self) -> Writer<'_> {
        Writer {
            worktree: &self.worktree,
            is_tracked: &|path| Ok(path.starts_with("tracked")),
            shown_elsewhere: &|_| None,
            narrator: &self.narrator,
        }
    }

    fn write(&self, wanted: &[&str], standing: &[&str]) -> Written {
        let written = self
            .writer()
            .write_all(&self.held, "a", &files(wanted), &owned(standing));
        for name in self.names() {
            assert!(!name.ends_with(".worktree-ports.tmp"), "{name}");
        }
        written
    }

    fn is_current(&self, wanted: &[&str], standing: &[&str]) -> bool {
        is_current(&self.worktree, "a", &files(wanted), &owned(standing))
    }

    /// The warning with which a block in `name` is given up; no byte changes.
    fn refusal(&self, name: &str) -> String {
        let before = untouched(&self.path(name));
        let file = EnvPath::new(&self.worktree.root, name);
        let aim = Aim::Block(BLOCK.to_owned());
        let obstacle = file
            .plan(&aim, self.writer().is_tracked)
            .and_then(|plan| {
                self.writer()
                    .carry_out(&self.held, &file, &aim, plan, &|| {})
            })
            .unwrap_err();
        assert_eq!(self.write(&[name], &[]), Written::default());
        assert!(!self.is_current(&[name], &[]));
        assert_eq!(untouched(&self.path(name)), before);
        self.shown(&file.error(&aim, obstacle))
    }
}

fn files(names: &[&str]) -> Vec<EnvFile> {
    let lines = vec![("PORT".to_owned(), "8100".to_owned())];
    names
        .iter()
        .map(|name| EnvFile {
            path: (*name).to_owned(),
            lines: lines.clone(),
        })
        .collect()
}

fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The content of a regular file.
fn untouched(path: &Path) -> Option<Vec<u8>> {
    let is_file = fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file());
    is_file.then(|| fs::read(path).unwrap())
}

fn written(standing: &[&str], written: &[&str], removed: &[&str]) -> Written {
    Written {
        standing: owned(standing),
        written: owned(written),
        removed: owned(removed),
    }
}

#[test]
fn a_block_is_written_kept_up_to_date_and_taken_out() {
    let sandbox = Sandbox::new();
    sandbox.put(".env", "A=1");
    sandbox.put("apps/api/.env", "");
    let both = [".env", "apps/api/.env"];
    assert!(!sandbox.is_current(&both, &[]));

    assert_eq!(sandbox.write(&both, &[]), written(&both, &both, &[]));
    assert_eq!(sandbox.text(".env"), format!("A=1\n\n{BLOCK}"));
    assert_eq!(sandbox.text("apps/api/.env"), format!("\n{BLOCK}\n"));
    assert!(sandbox.is_current(&both, &both));
    assert_eq!(sandbox.write(&both, &both), written(&both, &[], &[]));

    // A tool copies another worktree's file over it.
    sandbox.put(
        ".env",
        format!("B=2\n\n{}\n", BLOCK.replace("8100", "8000")),
    );
    assert!(!sandbox.is_current(&both, &both));
    assert_eq!(sandbox.write(&both, &both), written(&both, &[".env"], &[]));
    assert_eq!(sandbox.text(".env"), format!("B=2\n\n{BLOCK}\n"));

    // The config names one of them no more.
    assert_eq!(
        differing(&sandbox.worktree, "a", &files(&[".env"]), &owned(&both)),
        ["apps/api/.env"]
    );
    assert_eq!(
        sandbox.write(&[".env"], &both),
        written(&[".env"], &[], &["apps/api/.env"])
    );
    assert!(!sandbox.path("apps/api/.env").exists());

    let removed = sandbox
        .writer()
        .remove_all(&sandbox.held, &owned(&[".env"]));
    assert_eq!(removed, written(&[], &[], &[".env"]));
    assert_eq!(sandbox.text(".env"), "B=2\n");
    assert!(sandbox.is_current(&[], &both));
}

#[test]
fn a_file_that_is_made_is_hidden_before_it_appears_and_another_keeps_its_status() {
    let sandbox = Sandbox::new();
    sandbox.put("old.env", "A=1\n");
    let file = EnvPath::new(&sandbox.worktree.root, ".env");
    let aim = Aim::Block(BLOCK.to_owned());
    let plan = file.plan(&aim, &|_| Ok(false)).unwrap();
    sandbox.writer().hide(
        &sandbox.held,
        sandbox.writer().hidden(&file, &plan).as_slice(),
    );
    let asserted = Cell::new(false);
    file.carry_out(&plan, &|| {
        assert_eq!(sandbox.names(), [".env.worktree-ports.tmp", "old.env"]);
        assert_eq!(sandbox.excluded(), "/.env\n/.env.worktree-ports.tmp\n");
        asserted.set(true);
    })
    .unwrap();
    assert!(asserted.get());

    sandbox.write(&[".env", "old.env"], &[]);
    let both = "/.env\n/.env.worktree-ports.tmp\n/old.env.worktree-ports.tmp\n";
    assert_eq!(sandbox.excluded(), both);
}

#[test]
fn a_directory_that_is_not_there_is_not_made() {
    let sandbox = Sandbox::new();
    sandbox.put("file", "");
    let names = ["apps/api/.env", "file/.env"];
    assert_eq!(sandbox.write(&names, &names), Written::default());
    assert_eq!(sandbox.names(), ["file"]);
    assert!(sandbox.is_current(&names, &[]));
    assert_eq!(sandbox.excluded(), "");
}

#[test]
fn what_cannot_be_read_as_text_is_left_alone() {
    let sandbox = Sandbox::new();
    let could_not = "could not write the ports to `W/.env`: ";
    let too_large = vec![b'x'; 256 * 1024 + 1];
    let table: [(&[u8], &str); 4] = [
        (
            b"A=\xff\n",
            "it is not UTF-8; convert it to UTF-8 and run `worktree-ports-hook`",
        ),
        (
            b"A=1\n# >>> worktree-ports: a >>>\nB=2\n",
            "line 2 is one mark of a block, and the other one is missing; delete what is left of \
             that block and run `worktree-ports-hook`",
        ),
        (
            b"# <<< worktree-ports <<<\r\n",
            "line 1 is one mark of a block, and the other one is \
             missing; delete what is left of that block and run `worktree-ports-hook`",
        ),
        (
            &too_large,
            "it is larger than 256 KiB; make it smaller, or take it out of `env_files`",
        ),
    ];
    for (content, why) in table {
        sandbox.put(".env", content);
        let file = EnvPath::new(&sandbox.worktree.root, ".env");
        let aim = Aim::Block(BLOCK.to_owned());
        let obstacle = file.plan(&aim, &|_| Ok(false)).unwrap_err();
        let error = sandbox.shown(&file.error(&aim, obstacle));
        assert_eq!(error, format!("{could_not}{why}"));
        let is_half = content.starts_with(b"A=1") || content.starts_with(b"#");
        let standing: &[&str] = if is_half { &[".env"] } else { &[] };
        assert_eq!(sandbox.write(&[".env"], &[]), written(standing, &[], &[]));
        assert_eq!(fs::read(sandbox.path(".env")).unwrap(), content);
    }
    // The block must fit in, or nobody could take it out again.
    let (fits, room) = (&too_large[BLOCK.len() + 3..], &too_large[BLOCK.len() + 2..]);
    sandbox.put(".env", room);
    assert_eq!(sandbox.write(&[".env"], &[]), written(&[], &[], &[]));
    sandbox.put(".env", fits);
    assert_eq!(
        sandbox.write(&[".env"], &[]),
        written(&[".env"], &[".env"], &[])
    );
}

#[test]
fn a_file_that_git_tracks_is_left_alone_also_where_it_is_not_there() {
    let sandbox = Sandbox::new();
    let tracked = "could not write the ports to `W/tracked.env`: git tracks it; run `git -C W rm \
        --cached tracked.env`, commit, and run `worktree-ports-hook -C W`, or name a file that git \
        ignores, such as `.env.local`";
    assert_eq!(sandbox.refusal("tracked.env"), tracked);
    assert_eq!(sandbox.names(), [""; 0]);
    sandbox.put("tracked.env", "A=1\n");
    assert_eq!(sandbox.refusal("tracked.env"), tracked);
    // The block of one that has come to be tracked stands still, and the record says so.
    sandbox.put("tracked.env", format!("A=1\n\n{BLOCK}\n"));
    let removed = sandbox
        .writer()
        .remove_all(&sandbox.held, &owned(&["tracked.env"]));
    assert_eq!(removed, written(&["tracked.env"], &[], &[]));
    assert_eq!(sandbox.excluded(), "");
}

#[test]
fn no_other_repository_is_entered() {
    let sandbox = Sandbox::new();
    sandbox.put("sub/.git", "gitdir: ../x\n");
    sandbox.put("bare/HEAD", "");
    sandbox.put("bare/objects/x", "");
    fs::create_dir(sandbox.path("sub/deep")).unwrap();
    for (name, repository) in [
        ("sub/.env", "sub"),
        ("sub/deep/.env", "sub"),
        ("bare/.env", "bare"),
    ] {
        let expected = format!(
            "could not write the ports to `W/{name}`: `W/{repository}` is a repository of its own; \
             take the file out of `env_files`"
        );
        assert_eq!(sandbox.refusal(name), expected);
    }
    // A block in there is that repository's.
    sandbox.put("sub/.env", format!("{BLOCK}\n"));
    let removed = sandbox
        .writer()
        .remove_all(&sandbox.held, &owned(&["sub/.env"]));
    assert_eq!(removed, written(&[], &[], &[]));
}

#[test]
fn a_file_that_changes_between_reading_and_renaming_is_read_again_once() {
    let sandbox = Sandbox::new();
    for appears in [false, true] {
        for changes in [1, 2] {
            let name = format!("{appears}{changes}.env");
            if !appears {
                sandbox.put(&name, "A=1\n");
            }
            let file = EnvPath::new(&sandbox.worktree.root, &name);
            let aim = Aim::Block(BLOCK.to_owned());
            let plan = file.plan(&aim, &|_| Ok(false)).unwrap();
            let saves = Cell::new(0);
            // An editor that saves by a rename, so that another inode tells it, whatever the clock.
            let editor = || {
                if saves.get() < changes {
                    saves.set(saves.get() + 1);
                    sandbox.put("saved", format!("A={}\n", saves.get() + 1));
                    fs::rename(sandbox.path("saved"), sandbox.path(&name)).unwrap();
                }
            };
            let outcome = sandbox
                .writer()
                .carry_out(&sandbox.held, &file, &aim, plan, &editor);
            let text = sandbox.text(&name);
            if changes == 1 {
                assert!(matches!(outcome, Ok(Plan::Replace(..))), "{outcome:?}");
                assert_eq!(text, format!("A=2\n\n{BLOCK}\n"));
            } else {
                let error = file.error(&aim, outcome.unwrap_err()).to_string();
                assert!(
                    error.contains("another program changed it twice"),
                    "{error}"
                );
                assert_eq!(text, "A=3\n");
            }
            fs::remove_file(sandbox.path(&name)).unwrap();
            assert_eq!(sandbox.names(), [""; 0]);
        }
    }
}

#[test]
fn a_file_that_changes_while_its_block_is_taken_out_is_not_removed() {
    let sandbox = Sandbox::new();
    sandbox.put(".env", format!("{BLOCK}\n"));
    let file = EnvPath::new(&sandbox.worktree.root, ".env");
    let plan = file.plan(&Aim::NoBlock, &|_| Ok(false)).unwrap();
    assert!(matches!(plan, Plan::Remove(_)), "{plan:?}");
    let done = file.carry_out(&plan, &|| sandbox.put(".env", format!("A=1\n\n{BLOCK}\n")));
    assert!(!done.unwrap());
    assert_eq!(sandbox.text(".env"), format!("A=1\n\n{BLOCK}\n"));
}

#[test]
fn what_a_kill_left_is_removed() {
    let sandbox = Sandbox::new();
    let leftover = ".env.worktree-ports.tmp";
    sandbox.put(leftover, "PORT=");
    sandbox.write(&[".env"], &[]);
    assert_eq!(sandbox.names(), [".env"]);
    // Killed before the file was there, and then released.
    fs::remove_file(sandbox.path(".env")).unwrap();
    sandbox.put(leftover, "PORT=");
    let removed = sandbox
        .writer()
        .remove_all(&sandbox.held, &owned(&[".env"]));
    assert_eq!(removed, Written::default());
    assert_eq!(sandbox.names(), [""; 0]);
}

#[test]
fn one_file_that_cannot_be_written_leaves_the_others_written() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path("b.env")).unwrap();
    fs::create_dir_all(sandbox.path("c.env.worktree-ports.tmp/x")).unwrap();
    let names = ["a.env", "b.env", "c.env", "d.env"];
    let written_now = sandbox
        .writer()
        .write_all(&sandbox.held, "a", &files(&names), &[]);
    assert_eq!(
        written_now,
        written(&["a.env", "d.env"], &["a.env", "d.env"], &[])
    );
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::process::Command;

    use super::*;

    fn run(program: &str, arguments: &[&str]) {
        assert!(
            Command::new(program)
                .args(arguments)
                .status()
                .unwrap()
                .success()
        );
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_link_is_not_followed_in_the_name_or_above() {
        let sandbox = Sandbox::new();
        let outside = sandbox.worktree.root.with_file_name("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join(".env"), "A=1\n").unwrap();
        symlink(outside.join(".env"), sandbox.path(".env")).unwrap();
        symlink("nowhere", sandbox.path("dangling.env")).unwrap();
        symlink(&outside, sandbox.path("apps")).unwrap();

        assert_eq!(
            sandbox.refusal(".env"),
            "could not write the ports to `W/.env`: it is a symbolic link; copy the file that it \
             leads to: `cp W/.env W/.env.copy && mv W/.env.copy W/.env`, then run \
             `worktree-ports-hook -C W`"
        );
        sandbox.refusal("dangling.env");
        assert_eq!(
            sandbox.refusal("apps/.env"),
            "could not write the ports to `W/apps/.env`: `W/apps` is a symbolic link; make that a \
             directory, or take the file out of `env_files`"
        );
        // Nothing of ours stands behind a link, whatever the record says.
        fs::write(outside.join(".env"), format!("{BLOCK}\n")).unwrap();
        let names = [".env", "apps/.env", "dangling.env"];
        assert!(sandbox.is_current(&[], &names));
        assert_eq!(
            sandbox.writer().remove_all(&sandbox.held, &owned(&names)),
            Written::default()
        );
        assert_eq!(
            fs::read_to_string(outside.join(".env")).unwrap(),
            format!("{BLOCK}\n")
        );
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    }

    #[test]
    fn a_link_that_comes_to_stand_above_is_not_followed() {
        let sandbox = Sandbox::new();
        sandbox.put("apps/.env", "A=1\n");
        let file = EnvPath::new(&sandbox.worktree.root, "apps/.env");
        let aim = Aim::Block(BLOCK.to_owned());
        let plan = file.plan(&aim, &|_| Ok(false)).unwrap();
        let done = file.carry_out(&plan, &|| {
            fs::rename(sandbox.path("apps"), sandbox.path("real")).unwrap();
            symlink("real", sandbox.path("apps")).unwrap();
        });
        assert!(!done.unwrap());
        assert_eq!(sandbox.text("real/.env"), "A=1\n");
    }

    #[test]
    fn a_fifo_and_a_directory_are_left_alone_and_not_waited_for() {
        let sandbox = Sandbox::new();
        run("mkfifo", &[sandbox.path(".env").to_str().unwrap()]);
        fs::create_dir(sandbox.path("d.env")).unwrap();
        for (name, kind) in [(".env", "a FIFO"), ("d.env", "a directory")] {
            let expected = format!(
                "could not write the ports to `W/{name}`: it is {kind}; remove it and run \
                 `worktree-ports-hook`"
            );
            assert_eq!(sandbox.refusal(name), expected);
            assert!(sandbox.is_current(&[], &[name]));
        }
    }

    #[test]
    fn a_file_keeps_its_mode_and_a_new_one_gets_that_of_any_new_file() {
        let sandbox = Sandbox::new();
        sandbox.put(".env", "SECRET=1\n");
        for wanted in [0o600, 0o640, 0o444, 0o755] {
            fs::set_permissions(sandbox.path(".env"), fs::Permissions::from_mode(wanted)).unwrap();
            let file = EnvPath::new(&sandbox.worktree.root, ".env");
            let aim = Aim::Block(BLOCK.replace("8100", &wanted.to_string()));
            let plan = file.plan(&aim, &|_| Ok(false)).unwrap();
            assert!(file.carry_out(&plan, &|| {}).unwrap());
            assert_eq!(mode(&sandbox.path(".env")), wanted);
        }
        // A new one is as any new file.
        sandbox.write(&["new.env"], &[]);
        sandbox.put("plain", "");
        assert_eq!(mode(&sandbox.path("new.env")), mode(&sandbox.path("plain")));
    }

    #[test]
    #[ignore = "needs root"]
    fn a_mounted_file_a_read_only_directory_and_a_full_disk_are_warnings() {
        let sandbox = Sandbox::new();
        sandbox.put("mounted.env", "A=1\n");
        sandbox.put("ro/.env", "A=1\n");
        sandbox.put("full/x", "");
        let path = |name: &str| sandbox.path(name).to_str().unwrap().to_owned();
        run(
            "mount",
            &["--bind", &path("mounted.env"), &path("mounted.env")],
        );
        run(
            "mount",
            &["-t", "tmpfs", "-o", "size=4k", "none", &path("full")],
        );
        sandbox.put("full/fill", [b'x'; 4096]);
        run("chattr", &["+i", &path("ro")]);

        let names = ["mounted.env", "ro/.env", "full/.env"];
        let refusals = names.map(|name| sandbox.refusal(name));
        let written_now = sandbox.write(&["mounted.env", "ro/.env", "full/.env", "other.env"], &[]);

        run("chattr", &["-i", &path("ro")]);
        run("umount", &[&path("full")]);
        run("umount", &[&path("mounted.env")]);
        for (refusal, cause) in refusals
            .iter()
            .zip(["os error 16", "os error 1)", "os error 28"])
        {
            assert!(refusal.contains(cause), "{refusal}");
        }
        assert_eq!(written_now, written(&["other.env"], &["other.env"], &[]));
    }
}
