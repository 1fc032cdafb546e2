//! A repository of real git in a temporary directory, for unit tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tempfile::TempDir;

use crate::git::command;
use crate::git::entries::{Entry, Place};
use crate::git::lock::{self, Held};
use crate::git::repository::Repository;
use crate::git::worktree::Worktree;
use crate::narrator::Narrator;
use crate::session::Session;

/// libgit2's options are the process's, and tests are its threads.
static LIBGIT2: Mutex<()> = Mutex::new(());

/// Takes the lock of a common dir that no other test has.
pub fn hold(common_dir: &Path) -> Held {
    lock::acquire(common_dir, &session_within(Duration::ZERO)).unwrap()
}

/// A session that waits as long as it takes: a program that another test starts holds all descriptors
/// of this process, locks too, until it runs.
pub fn session() -> Session {
    session_within(Duration::from_secs(600))
}

/// A session that waits for locks no longer than `timeout`.
pub fn session_within(timeout: Duration) -> Session {
    Session::new(Narrator::default(), timeout)
}

/// The directories of a linked worktree `id`, made without git: its root, and its entry in `common`.
pub fn linked(directory: &Path, id: &str) -> Worktree {
    let (root, common_dir) = (directory.join(id), directory.join("common"));
    let git_dir = common_dir.join("worktrees").join(id);
    for made in [&root, &git_dir] {
        fs::create_dir_all(made).unwrap();
    }
    opened(Some(id), &root, &common_dir)
}

/// The entry of the worktree with that id in `common_dir`; `None` is the main worktree.
pub fn entry(id: Option<&str>, place: Place, common_dir: &Path) -> Entry {
    Entry {
        id: id.map(str::to_owned),
        git_dir: match id {
            Some(id) => common_dir.join("worktrees").join(id),
            None => common_dir.to_owned(),
        },
        common_dir: common_dir.into(),
        place,
    }
}

/// The worktree with that entry, at `root`.
pub fn opened(id: Option<&str>, root: &Path, common_dir: &Path) -> Worktree {
    let entry = entry(id, Place::At(root.to_owned()), common_dir);
    Worktree::of(&entry).unwrap().unwrap()
}

/// A repository with a main worktree at `main` and one commit in it.
pub struct Fixture {
    directory: TempDir,
    pub session: Session,
    _libgit2: MutexGuard<'static, ()>,
}

impl Fixture {
    /// A new one; other tests wait until it is dropped.
    pub fn new() -> Fixture {
        let fixture = Fixture {
            directory: tempfile::tempdir().unwrap(),
            session: session(),
            _libgit2: LIBGIT2.lock().unwrap_or_else(PoisonError::into_inner),
        };
        fs::create_dir(fixture.main()).unwrap();
        fixture.git(&fixture.main(), &["init", "--quiet"]);
        fixture.git(
            &fixture.main(),
            &["commit", "--quiet", "--allow-empty", "--message=x"],
        );
        fixture
    }

    /// The directory around it.
    pub fn directory(&self) -> PathBuf {
        dunce::canonicalize(self.directory.path()).unwrap()
    }

    /// The root of the main worktree.
    pub fn main(&self) -> PathBuf {
        self.directory().join("main")
    }

    /// The common dir.
    pub fn common_dir(&self) -> PathBuf {
        self.main().join(".git")
    }

    /// Runs git without the user's config, and fails if it does.
    pub fn git(&self, directory: &Path, arguments: &[&str]) {
        let mut git = command::git(directory);
        for name in ["HOME", "XDG_CONFIG_HOME"] {
            git.env(name, self.directory.path());
        }
        git.env("GIT_CONFIG_NOSYSTEM", "1");
        git.args([
            "-c",
            "maintenance.auto=false",
            "-c",
            "gc.auto=0",
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.com",
            "-c",
            "core.hooksPath=/dev/null",
        ]);
        let output = git.args(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// Adds a linked worktree; its id is its name.
    pub fn add(&self, name: &str) -> Worktree {
        let root = self.directory().join(name);
        self.git(
            &self.main(),
            &[
                "worktree",
                "add",
                "--quiet",
                "--detach",
                root.to_str().unwrap(),
            ],
        );
        Worktree::at(&root).unwrap().unwrap()
    }

    /// The main worktree.
    pub fn main_worktree(&self) -> Worktree {
        Worktree::at(&self.main()).unwrap().unwrap()
    }

    /// The repository, opened.
    pub fn repository(&self) -> Repository {
        Repository::open(&self.common_dir()).unwrap()
    }
}
