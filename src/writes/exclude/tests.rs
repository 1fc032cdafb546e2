//! Tests of `exclude`.

use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::error::quoted;
use crate::git::fixture;

const ALWAYS: &str = "# >>> worktree-ports >>>\n*.worktree-ports.tmp\n/.worktree-ports.json\n# <<< worktree-ports <<<\n";
const WITH_ENV: &str = "# >>> worktree-ports >>>\n*.worktree-ports.tmp\n/.env\n/.worktree-ports.json\n# <<< worktree-ports <<<\n";

/// A common dir whose lock is held.
struct CommonDir {
    directory: TempDir,
    held: Held,
    session: Session,
}

impl CommonDir {
    fn new() -> CommonDir {
        let directory = tempfile::tempdir().unwrap();
        CommonDir {
            held: fixture::hold(directory.path()),
            directory,
            session: fixture::session(),
        }
    }

    fn with(content: impl AsRef<[u8]>) -> CommonDir {
        let common_dir = CommonDir::new();
        fs::create_dir(common_dir.path().join("info")).unwrap();
        fs::write(common_dir.list(), content).unwrap();
        common_dir
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn list(&self) -> PathBuf {
        path(self.path())
    }

    fn content(&self) -> Vec<u8> {
        fs::read(self.list()).unwrap()
    }

    fn add(&self, paths: &[&str]) -> Result<()> {
        add(&self.held, self.path(), paths, &self.session)
    }

    fn remove(&self, needed: &[&str]) -> Result<()> {
        let is_needed = |path: &str| needed.contains(&path);
        remove(&self.held, self.path(), &is_needed, &self.session)
    }

    fn hidden(&self) -> Vec<String> {
        let hidden = hidden(self.path()).unwrap();
        hidden.into_iter().collect()
    }
}

#[test]
fn there_is_one_block_above_the_list_and_every_byte_below_stays() {
    for content in [
        &b""[..],
        b"*.o\n",
        b"*.o",
        b"*.o\r\n\r\n",
        b"\n\n",
        b"\xff\xfe\n",
        b"\r",
    ] {
        let common_dir = CommonDir::with(content);
        common_dir.add(&[]).unwrap();
        assert_eq!(common_dir.content(), [ALWAYS.as_bytes(), content].concat());
        common_dir.add(&[".env"]).unwrap();
        let with_env = [WITH_ENV.as_bytes(), content].concat();
        assert_eq!(common_dir.content(), with_env);
        assert_eq!(common_dir.hidden(), [".env", ".worktree-ports.json"]);
        // Nothing is written the second time.
        let before = fs::metadata(common_dir.list()).unwrap().modified().unwrap();
        common_dir.add(&[".env"]).unwrap();
        common_dir.add(&[]).unwrap();
        assert_eq!(common_dir.content(), with_env);
        assert_eq!(
            fs::metadata(common_dir.list()).unwrap().modified().unwrap(),
            before
        );
    }
}

#[test]
fn a_byte_order_mark_which_git_skips_stays_at_the_top() {
    let common_dir = CommonDir::with("\u{feff}*.o\n");
    common_dir.add(&[]).unwrap();
    let with = format!("\u{feff}{ALWAYS}*.o\n");
    assert_eq!(common_dir.content(), with.as_bytes());
    common_dir.add(&[]).unwrap();
    assert_eq!(common_dir.content(), with.as_bytes());
    assert_eq!(common_dir.hidden(), [".worktree-ports.json"]);
    common_dir.remove(&[]).unwrap();
    assert_eq!(common_dir.content(), "\u{feff}*.o\n".as_bytes());
}

#[test]
fn what_is_taken_out_leaves_the_list_as_it_was() {
    let common_dir = CommonDir::with("*.o");
    common_dir.add(&[".env", "a/.env"]).unwrap();
    common_dir
        .remove(&["a/.env", ".worktree-ports.json"])
        .unwrap();
    assert_eq!(common_dir.hidden(), [".worktree-ports.json", "a/.env"]);
    common_dir.remove(&[]).unwrap();
    assert_eq!(common_dir.content(), b"*.o");
    common_dir.remove(&[]).unwrap();
    assert_eq!(common_dir.content(), b"*.o");
    assert_eq!(common_dir.hidden(), [""; 0]);
}

#[test]
fn a_list_that_was_made_for_our_block_goes_with_it() {
    let common_dir = CommonDir::new();
    common_dir.remove(&[]).unwrap();
    assert!(!common_dir.path().join("info").exists());
    common_dir.add(&[]).unwrap();
    assert_eq!(common_dir.content(), ALWAYS.as_bytes());
    common_dir.remove(&[]).unwrap();
    assert_eq!(
        fs::read_dir(common_dir.path().join("info"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn several_blocks_become_one() {
    let common_dir = CommonDir::with(format!("a\n{WITH_ENV}b\n{ALWAYS}c"));
    common_dir.add(&["x"]).unwrap();
    let block = WITH_ENV.replace("json\n", "json\n/x\n");
    assert_eq!(common_dir.content(), format!("{block}a\nb\nc").as_bytes());
}

#[test]
fn half_a_block_is_an_error_and_nothing_is_written() {
    let half = "*.o\n# >>> worktree-ports >>>\n/.env\n";
    let common_dir = CommonDir::with(half);
    let errors = [common_dir.add(&[]), common_dir.remove(&[])];
    for error in errors {
        let error = error.unwrap_err().to_string();
        let start = format!(
            "could not edit {}: line 2 is one mark of a block",
            quoted(&common_dir.list())
        );
        assert!(error.starts_with(&start), "{error}");
    }
    assert!(hidden(common_dir.path()).is_err());
    assert_eq!(common_dir.content(), half.as_bytes());
}

#[test]
fn a_list_that_cannot_be_written_is_told_with_the_lines_to_add() {
    let common_dir = CommonDir::new();
    fs::create_dir_all(common_dir.list()).unwrap();
    let error = common_dir.add(&[".env"]).unwrap_err().to_string();
    let remedy = "; add `/.worktree-ports.json`, `*.worktree-ports.tmp`, `/.env` to `.gitignore`";
    assert!(error.ends_with(remedy), "{error}");
}

#[test]
fn lines_that_others_append_or_save_in_between_are_kept() {
    for is_rename in [false, true] {
        let common_dir = CommonDir::with("*.o\n");
        let (dir, list) = (common_dir.path().join("info"), common_dir.list());
        let patience = &common_dir.session.patience;
        let read = List::read(common_dir.path(), Some(patience)).unwrap();
        // Between the read and the rename.
        if is_rename {
            fs::write(dir.join("saved"), "*.o\n").unwrap();
            fs::rename(dir.join("saved"), &list).unwrap();
        } else {
            fs::write(&list, "*.o\n*.log\n").unwrap();
        }
        let before = common_dir.content();
        let lines = BTreeSet::from(["/x".to_owned()]);
        let is_replaced = read.replace(common_dir.path(), &lines, patience).unwrap();
        assert!(!is_replaced);
        assert_eq!(common_dir.content(), before);
        common_dir.add(&[]).unwrap();
        assert_eq!(common_dir.content(), [ALWAYS.as_bytes(), &before].concat());
    }
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    #[test]
    fn what_is_made_has_the_mode_of_the_common_dir() {
        let common_dir = CommonDir::new();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        fs::set_permissions(common_dir.path(), fs::Permissions::from_mode(0o2770)).unwrap();
        common_dir.add(&[]).unwrap();
        let info = common_dir.path().join("info");
        assert_eq!((mode(&info), mode(&common_dir.list())), (0o2770, 0o660));
        // A list that is there keeps its own.
        fs::set_permissions(common_dir.list(), fs::Permissions::from_mode(0o604)).unwrap();
        common_dir.add(&["x"]).unwrap();
        assert_eq!(mode(&common_dir.list()), 0o604);
    }

    #[test]
    fn a_link_stays_a_link_to_a_list_that_is_edited() {
        for original in ["", "*.o\n"] {
            let common_dir = CommonDir::new();
            let elsewhere = common_dir.path().join("elsewhere");
            fs::create_dir(common_dir.path().join("info")).unwrap();
            fs::create_dir(&elsewhere).unwrap();
            let (list, link) = (elsewhere.join("list"), common_dir.list());
            fs::write(&list, original).unwrap();
            symlink(&list, &link).unwrap();
            common_dir.add(&[]).unwrap();
            let content = fs::read_to_string(&list).unwrap();
            assert_eq!(content, format!("{ALWAYS}{original}"));
            common_dir.remove(&[]).unwrap();
            assert_eq!(fs::read_to_string(&list).unwrap(), original);
            assert!(link.is_symlink());
            assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1);
        }
    }

    #[test]
    fn a_fifo_is_an_error_and_not_waited_for() {
        let common_dir = CommonDir::new();
        fs::create_dir(common_dir.path().join("info")).unwrap();
        let mkfifo = std::process::Command::new("mkfifo")
            .arg(common_dir.list())
            .status();
        assert!(mkfifo.unwrap().success());
        let errors = [common_dir.add(&[]), common_dir.remove(&[])];
        for error in errors {
            let error = error.unwrap_err().to_string();
            let start = format!(
                "could not read {}: it is a FIFO",
                quoted(&common_dir.list())
            );
            assert!(error.starts_with(&start), "{error}");
        }
    }
}

proptest! {
    #[test]
    fn whatever_a_list_holds_is_split_from_our_lines_again(
        rest in proptest::collection::vec(
            prop_oneof![Just(b"\n".to_vec()), Just(b"\r\n".to_vec()), any::<Vec<u8>>()], 0..9),
        lines in proptest::collection::btree_set("[/*][a-zA-Z0-9._@+/-]{1,12}", 1..5),
    ) {
        let rest = rest.concat();
        let both = joined(&rest, &lines);
        prop_assert_eq!(split(&both).unwrap(), (rest.clone(), lines));
        // Also with what others append.
        let appended = [&both[..], b"*.log\n"].concat();
        prop_assert_eq!(split(&appended).unwrap().0, [&rest[..], b"*.log\n"].concat());
        prop_assert_eq!(joined(&rest, &BTreeSet::new()), rest);
    }
}
