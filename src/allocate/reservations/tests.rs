//! Tests of `reservations`.

use std::cell::RefCell;
use std::fs;
use std::time::Duration;

use super::*;
use crate::allocate::lock::{self, Manner};

/// A common dir whose entry `name` says that its worktree is at `root`.
fn register(common_dir: &Path, name: &str, root: &Path) {
    let entry = common_dir.join("worktrees").join(name);
    fs::create_dir_all(&entry).unwrap();
    let line = format!("{}\n", root.join(".git").display());
    fs::write(entry.join("gitdir"), line).unwrap();
}

fn put(root: &Path, content: &str) {
    fs::create_dir_all(root).unwrap();
    fs::write(root.join(port_file::NAME), content).unwrap();
}

/// `git worktree move` renames the directory, and tells the entry after that. Whichever of the
/// two states the first look meets, the worktree's ports are reserved.
#[test]
fn a_worktree_that_is_being_moved_is_looked_at_again_after_all_others() {
    let dir = tempfile::tempdir().unwrap();
    let common_dir = dir.path().join("common");
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    for name in ["x", "y"] {
        register(&common_dir, name, &old);
    }
    // The first in the order of the listing is on its way; the last one's warning is the
    // moment at which its entry is told.
    let repository = Repository {
        common_dir: common_dir.clone(),
        main: Main::None,
    };
    let order: Vec<String> = (entries::list(&repository.common_dir).unwrap().iter())
        .map(|entry| {
            entry
                .git_dir
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let [moving, last] = order.as_slice() else {
        panic!("two entries: {order:?}");
    };
    put(&new, "{\"app\": 8100}");
    let damaged = dir.path().join("damaged");
    put(&damaged, "8200,");

    let own = Worktree {
        root: dir.path().join("own"),
        id: Some("own".to_owned()),
        common_dir: common_dir.clone(),
        git_dir: common_dir.join("worktrees/own"),
    };
    let told = RefCell::new(Vec::new());
    let narrate = |line: &str| {
        told.borrow_mut().push(line.to_owned());
        register(&common_dir, moving, &new);
    };
    let manner = Manner {
        patience: Duration::ZERO,
        narrate: &narrate,
    };
    let held = lock::acquire(&common_dir, &manner).unwrap();
    let gathered = |first: &str| {
        // Written in place, so that the order stays.
        let gitdir = common_dir.join("worktrees").join(moving).join("gitdir");
        fs::write(gitdir, first).unwrap();
        register(&common_dir, last, &damaged);
        let config = Config::default();
        gather(&held, &repository, &own, &config, &narrate).unwrap()
    };
    for first in [format!("{}/.git\n", old.display()), String::new()] {
        let reserved = gathered(&first);
        let has = |port| reserved.ports().contains(Port::new(port).unwrap());
        assert!(has(8100), "{first:?}");
        assert!(has(8200) && !has(8300));
        assert_eq!(told.take().len(), 1);
    }
}
