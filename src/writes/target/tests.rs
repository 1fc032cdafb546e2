//! Tests of `target`.

use std::fs;

use super::*;
use crate::git::fixture;

/// Runs `test` with a worktree that has these directories.
fn with_directories(names: &[&str], test: impl Fn(&Worktree)) {
    let directory = tempfile::tempdir().unwrap();
    let worktree = fixture::linked(directory.path(), "a");
    for name in names {
        fs::create_dir_all(worktree.root.path_of(name)).unwrap();
    }
    test(&worktree);
}

fn target(worktree: &Worktree, path: &str) -> Target {
    let target = Target::find(worktree, path, FileRole::EnvFile);
    target.unwrap().unwrap()
}

#[test]
fn a_path_leads_to_its_directory_unless_one_on_the_way_is_missing() {
    with_directories(&["apps/web"], |worktree| {
        for path in [".env", "apps/.env", "apps/web/.env"] {
            assert_eq!(target(worktree, path).path(), worktree.root.path_of(path));
        }
        fs::write(worktree.root.path_of("file"), "").unwrap();
        for path in ["api/.env", "apps/x/y/.env", "file/.env"] {
            let target = Target::find(worktree, path, FileRole::EnvFile);
            assert!(target.unwrap().is_none(), "{path}");
        }
    });
}

#[test]
fn no_other_repository_is_entered() {
    let directories = [
        "sub/deep",
        "bare/objects",
        "clone/.git",
        "objects",
        "head/x",
    ];
    with_directories(&directories, |worktree| {
        fs::write(worktree.root.path_of("sub/.git"), "gitdir: ../x\n").unwrap();
        for name in ["bare/HEAD", "head/HEAD"] {
            fs::write(worktree.root.path_of(name), "").unwrap();
        }
        for (path, repository) in [
            ("sub/.env", "sub"),
            ("sub/deep/.env", "sub"),
            ("bare/.env", "bare"),
            ("clone/.env", "clone"),
        ] {
            let error = Target::find(worktree, path, FileRole::EnvFile)
                .err()
                .unwrap()
                .to_string();
            let repository = quoted(&worktree.root.path_of(repository));
            let start = format!("{repository} is a repository of its own; ");
            assert!(error.starts_with(&start), "{error}");
        }
        target(worktree, "head/.env");
    });
}

#[test]
fn what_cannot_be_read_as_text_is_told_with_what_helps() {
    with_directories(&["d.env"], |worktree| {
        let put = |name: &str, content: &[u8]| {
            fs::write(worktree.root.path_of(name), content).unwrap();
        };
        put("large.env", &vec![b'x'; LIMIT + 1]);
        put("bytes.env", b"A=\xff\n");
        put("fits.env", &vec![b'x'; LIMIT]);
        let read = |name: &str| -> Result<Option<String>> {
            let target = target(worktree, name);
            let original = target.read(Some(&Patience::default()))?;
            original
                .map(|it| target.text(&it).map(str::to_owned))
                .transpose()
        };
        for (name, cause) in [
            ("large.env", "it is larger than 256 KiB; make it smaller"),
            ("bytes.env", "it is not UTF-8; convert it to UTF-8"),
            ("d.env", "it is a directory; move it away, or take"),
        ] {
            let error = read(name).unwrap_err().to_string();
            let path = quoted(&worktree.root.path_of(name));
            let start = format!("could not write the ports to {path}: {cause}");
            assert!(error.starts_with(&start), "{error}");
        }
        assert_eq!(read("nothing.env").unwrap(), None);
        assert_eq!(read("fits.env").unwrap().unwrap().len(), LIMIT);
    });
}

#[test]
fn a_mark_is_seen_in_a_file_that_cannot_be_changed_too() {
    with_directories(&["d.env"], |worktree| {
        let put = |name: &str, content: &[u8]| {
            fs::write(worktree.root.path_of(name), content).unwrap();
        };
        put("half.env", b"A=\xff\n# >>> worktree-ports: a >>>\n");
        put("none.env", b"# > worktree-ports\n");
        for (name, expected) in [
            ("half.env", true),
            ("none.env", false),
            ("d.env", false),
            ("x.env", false),
        ] {
            assert_eq!(target(worktree, name).has_mark(), expected, "{name}");
        }
    });
}

#[cfg(unix)]
#[test]
fn a_link_is_not_followed_in_the_name_nor_above() {
    use std::os::unix::fs::symlink;
    with_directories(&["real"], |worktree| {
        let path = |name: &str| worktree.root.path_of(name);
        fs::write(path("real/.env"), "# >>> worktree-ports: a >>>\n").unwrap();
        symlink("real", path("apps")).unwrap();
        symlink("real/.env", path(".env")).unwrap();
        symlink("nowhere", path("dangling.env")).unwrap();
        let error = Target::find(worktree, "apps/.env", FileRole::EnvFile)
            .err()
            .unwrap()
            .to_string();
        let start = format!(
            "{} is a symbolic link; make that a directory",
            quoted(&path("apps"))
        );
        assert!(error.starts_with(&start), "{error}");
        let copy = "it is a symbolic link; copy the file that it leads to: `cp ";
        let remove = "it is a symbolic link; remove it";
        // Only text of the user's is copied, and only if there is some.
        for (name, role, told) in [
            (".env", FileRole::EnvFile, copy),
            (".env", FileRole::Made, remove),
            ("dangling.env", FileRole::EnvFile, remove),
        ] {
            let mut target = target(worktree, name);
            target.role = role;
            let error = target.read(None).err().unwrap().to_string();
            assert!(error.contains(told), "{error}");
            assert!(!target.has_mark(), "{name}");
        }
    });
}
