//! Tests of `files`: what others do to a file between its plan and its rename.

use std::fs;

use super::*;
use crate::git::fixture::Fixture;
use crate::git::lock;

const BLOCK: &str = "# >>> worktree-ports: a >>>\n\
    # Written by worktree-ports-hook. Change .worktree-ports.config.json instead.\n\
    PORT=8100\n\
    # <<< worktree-ports <<<\n\n";

/// Env files with the one variable `PORT`.
fn wanted(paths: &[&str]) -> Wanted {
    let lines = vec![("PORT".to_owned(), "8100".to_owned())];
    let file = |path: &&str| EnvFile {
        path: (*path).to_owned(),
        lines: lines.clone(),
    };
    Wanted {
        label: "a".to_owned(),
        env_files: paths.iter().map(file).collect(),
        ..Wanted::default()
    }
}

/// Files that a record names as having our block.
fn recorded(paths: &[&str]) -> WrittenFiles {
    WrittenFiles {
        env_files: paths
            .iter()
            .map(|path| ((*path).to_owned(), None))
            .collect(),
        ..WrittenFiles::default()
    }
}

/// Writes the wanted files of `worktree`; `meanwhile` happens between the staging and the renames.
fn write(
    fixture: &Fixture,
    worktree: &Worktree,
    wanted: Wanted,
    written: WrittenFiles,
    meanwhile: impl FnOnce(),
) -> Done {
    let repository = fixture.repository();
    let held = lock::acquire(&fixture.common_dir(), &fixture.session).unwrap();
    let session = &fixture.session;
    let files = Files::new(worktree, wanted, written, Occasion::Assign, session);
    let planned = files.plan(&held, &repository).unwrap();
    let staged = planned.stage().unwrap();
    meanwhile();
    let done = planned.commit(staged, &repository);
    assert!(!planned.has_leftovers());
    done
}

fn text(worktree: &Worktree, name: &str) -> String {
    fs::read_to_string(worktree.root.path_of(name)).unwrap()
}

#[test]
fn what_others_write_before_the_rename_is_kept_above_or_below_the_block() {
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    let path = |name: &str| worktree.root.path_of(name);
    let nothing = WrittenFiles::default;
    for name in ["appended.env", "saved.env", "removed.env"] {
        fs::write(path(name), "A=1\n").unwrap();
    }
    let names = ["appended.env", "saved.env", "made.env"];
    let done = write(&fixture, &worktree, wanted(&names), nothing(), || {
        fs::write(path("appended.env"), "A=1\nPORT=1\n").unwrap();
        // The same text in another file, as an editor saves it.
        fs::write(path("new"), "A=1\n").unwrap();
        fs::rename(path("new"), path("saved.env")).unwrap();
        fs::write(path("made.env"), "B=2\n").unwrap();
    });
    assert_eq!(
        text(&worktree, names[0]),
        format!("{BLOCK}A=1\n# replaced by worktree-ports: PORT=1\n")
    );
    assert_eq!(text(&worktree, names[1]), format!("{BLOCK}A=1\n"));
    assert_eq!(text(&worktree, names[2]), format!("{BLOCK}B=2\n"));
    assert!(!done.has_failed);
    // None of them was made by us.
    assert_eq!(done.written, recorded(&names));
    // One that is gone by then stays so.
    let done = write(
        &fixture,
        &worktree,
        wanted(&["removed.env"]),
        nothing(),
        || {
            fs::remove_file(path("removed.env")).unwrap();
        },
    );
    assert!(!path("removed.env").exists());
    assert_eq!((done.told, done.written), (Vec::new(), nothing()));
}

#[test]
fn a_file_that_changes_while_its_block_is_taken_out_is_not_removed() {
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    let path = worktree.root.path_of(".env");
    fs::write(&path, BLOCK).unwrap();
    let written = recorded(&[".env"]);
    let done = write(
        &fixture,
        &worktree,
        Wanted::default(),
        written.clone(),
        || {
            fs::write(&path, format!("{BLOCK}A=1\n")).unwrap();
        },
    );
    assert_eq!(text(&worktree, ".env"), "A=1\n");
    assert_eq!(
        (done.told, done.removed, done.has_failed),
        (vec![".env".to_owned()], Vec::new(), false)
    );
    // Nothing changes, and it goes.
    fs::write(&path, BLOCK).unwrap();
    write(&fixture, &worktree, Wanted::default(), written, || {});
    assert!(!path.exists());
}

#[cfg(unix)]
#[test]
fn a_link_that_is_swapped_in_above_a_file_leads_nowhere() {
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    let elsewhere = fixture.directory().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let path = |name: &str| worktree.root.path_of(name);
    fs::create_dir(path("apps")).unwrap();
    fs::write(path("apps/.env"), "A=1\n").unwrap();
    fs::write(elsewhere.join(".env"), "A=1\n").unwrap();
    let names = ["apps/.env", "apps/new.env"];
    write(
        &fixture,
        &worktree,
        wanted(&names),
        WrittenFiles::default(),
        || {
            fs::rename(path("apps"), path("real")).unwrap();
            std::os::unix::fs::symlink(&elsewhere, path("apps")).unwrap();
        },
    );
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(elsewhere.join(".env")).unwrap(), "A=1\n");
    // What was opened is what is written to.
    assert_eq!(text(&worktree, "real/.env"), format!("{BLOCK}A=1\n"));
    assert!(!worktree.root.has("real/.env.worktree-ports.tmp"));
}

#[test]
fn one_file_that_cannot_be_written_leaves_the_others_written() {
    let fixture = Fixture::new();
    let worktree = fixture.add("a");
    let path = |name: &str| worktree.root.path_of(name);
    fs::create_dir(path("b.env")).unwrap();
    fs::create_dir_all(path("c.env.worktree-ports.tmp/x")).unwrap();
    fs::write(path("half.env"), "# <<< worktree-ports <<<\n").unwrap();
    fs::write(path("tracked.env"), "A=1\n").unwrap();
    fixture.git(worktree.path(), &["add", "tracked.env"]);
    let names = [
        "a.env",
        "b.env",
        "c.env",
        "half.env",
        "tracked.env",
        "no/d.env",
        "e.env",
    ];
    let repository = fixture.repository();
    let held = lock::acquire(&fixture.common_dir(), &fixture.session).unwrap();
    let (wanted, written) = (wanted(&names), WrittenFiles::default());
    let session = &fixture.session;
    let files = Files::new(&worktree, wanted, written, Occasion::Assign, session);
    let planned = files.plan(&held, &repository).unwrap();
    let staged = planned.stage().unwrap();
    // The one that may have ports of ours in it.
    let obstacle = planned.obstacle(&staged).unwrap().to_string();
    assert!(obstacle.contains("half.env"), "{obstacle}");
    let done = planned.commit(staged, &repository);
    assert_eq!(done.told, ["a.env", "e.env"]);
    assert!(done.has_failed);
    for name in ["a.env", "e.env"] {
        assert_eq!(text(&worktree, name), BLOCK);
        assert!(done.written.env_files[name].is_some(), "it was made");
    }
    assert_eq!(text(&worktree, "tracked.env"), "A=1\n");
}
