//! Tests of `dir`.

use std::fs;

use super::*;

/// The content of a file, or the word for what is there instead.
fn content(found: PlainFile) -> (String, bool) {
    match found {
        PlainFile::Missing => ("missing".to_owned(), false),
        PlainFile::NotRegular(word) => (word.to_owned(), false),
        PlainFile::Unreadable(error) => (error.to_string(), false),
        PlainFile::Read(bytes) => (String::from_utf8(bytes).unwrap(), false),
        PlainFile::TooLarge(bytes) => (String::from_utf8(bytes).unwrap(), true),
    }
}

#[test]
fn a_file_is_read_up_to_the_limit_and_a_longer_one_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let dir = Dir::open(directory.path()).unwrap();
    for length in [0, 1, 254, 255, 256, 257, 1000] {
        let text = "x".repeat(length);
        fs::write(dir.path_of("a"), &text).unwrap();
        for limit in [0, 1, 255, 256, 1000, 1 << 20] {
            let expected = (text[..length.min(limit)].to_owned(), length > limit);
            let found = [dir.read("a", limit), dir.read_of_git("a", limit)];
            for found in found {
                assert_eq!(content(found.unwrap()), expected, "{length} {limit}");
            }
        }
    }
}

#[test]
fn what_is_not_there_is_missing_also_in_a_directory_that_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("file"), "").unwrap();
    let dir = Dir::open(&path).unwrap();
    let is_missing = |name: &str| {
        let read = [dir.read(name, 10), dir.read_of_git(name, 10)];
        !dir.has(name)
            && dir.look(name).unwrap().is_none()
            && read
                .into_iter()
                .all(|it| matches!(it, Ok(PlainFile::Missing)))
    };
    assert!(is_missing("nothing") && is_missing("file/nothing"));
    assert!(!dir.remove("nothing").unwrap() && dir.remove("file").unwrap());
    fs::remove_dir(&path).unwrap();
    assert!(is_missing("file") && !dir.remove("file").unwrap());
    assert!(dir.create("file", 0o600).is_err() && !path.exists());
}

#[test]
fn a_name_that_is_taken_is_kept_by_create_and_rename_new() {
    let directory = tempfile::tempdir().unwrap();
    let dir = Dir::open(directory.path()).unwrap();
    fs::write(dir.path_of("new"), "new").unwrap();
    fs::write(dir.path_of("old"), "old").unwrap();
    let taken = [
        dir.create("old", 0o600).map(drop),
        dir.rename_new("new", "old"),
    ];
    for outcome in taken {
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
    assert_eq!(fs::read(dir.path_of("old")).unwrap(), b"old");
    dir.rename("new", "old").unwrap();
    assert_eq!(fs::read(dir.path_of("old")).unwrap(), b"new");
    dir.rename_new("old", "free").unwrap();
    assert!(dir.has("free") && !dir.has("old"));
}

#[test]
fn two_paths_to_one_directory_are_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (directory.path().join("a"), directory.path().join("b"));
    fs::create_dir(&one).unwrap();
    fs::create_dir(&other).unwrap();
    let dir = Dir::open(&one).unwrap();
    assert_eq!(
        dir.identity().unwrap(),
        dir.enter(".").unwrap().identity().unwrap()
    );
    assert_ne!(dir.identity().unwrap(), identity_at(&other).unwrap());
    assert!(is_same_directory(&one, &other.join("../a")));
    assert!(!is_same_directory(&one, &other));
    let gone = directory.path().join("gone");
    assert!(!is_same_directory(&one, &gone) && is_same_directory(&gone, &gone));
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_link_is_looked_at_and_neither_entered_nor_read() {
        let directory = tempfile::tempdir().unwrap();
        let dir = Dir::open(directory.path()).unwrap();
        fs::create_dir(dir.path_of("real")).unwrap();
        fs::write(dir.path_of("real/file"), "secret").unwrap();
        symlink("real", dir.path_of("link")).unwrap();
        symlink("real/file", dir.path_of("file")).unwrap();
        symlink("nowhere", dir.path_of("dangling")).unwrap();
        for name in ["link", "file", "dangling"] {
            assert_eq!(dir.look(name).unwrap().unwrap().kind, Kind::Link);
            assert!(dir.enter(name).is_err() && dir.open_file(name).is_err());
            assert!(dir.open_lock(name).is_err() && dir.create(name, 0o600).is_err());
            let found = dir.read(name, 10).unwrap();
            assert!(
                matches!(found, PlainFile::NotRegular("a symbolic link")),
                "{name}"
            );
            let found = dir.read_of_git(name, 10).unwrap();
            assert!(matches!(found, PlainFile::Unreadable(_)), "{name}");
        }
        // The link goes, and not what it leads to.
        assert!(dir.remove("file").unwrap() && !dir.has("file"));
        assert_eq!(fs::read(dir.path_of("real/file")).unwrap(), b"secret");
        assert!(!dir.has("nowhere"));
    }

    #[test]
    fn what_is_no_file_is_not_waited_for_and_called_by_its_word() {
        let directory = tempfile::tempdir().unwrap();
        let dir = Dir::open(directory.path()).unwrap();
        let mkfifo = std::process::Command::new("mkfifo");
        assert!(
            { mkfifo }
                .arg(dir.path_of("fifo"))
                .status()
                .unwrap()
                .success()
        );
        let _socket = UnixListener::bind(dir.path_of("socket")).unwrap();
        fs::create_dir(dir.path_of("dir")).unwrap();
        for (name, word) in [
            ("fifo", "a FIFO"),
            ("socket", "a socket"),
            ("dir", "a directory"),
        ] {
            assert_eq!(dir.look(name).unwrap().unwrap().kind.word(), word);
            assert_eq!(content(dir.read(name, 10).unwrap()).0, word);
            assert!(dir.open_file(name).is_err() && dir.open_lock(name).is_err());
            // Nor in git's own directories, where nothing of that kind is expected.
            let found = dir.read_of_git(name, 10).unwrap();
            assert!(!matches!(found, PlainFile::Missing), "{name}");
        }
    }

    #[test]
    fn a_handle_follows_its_directory_and_not_what_takes_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let (path, moved) = (directory.path().join("a"), directory.path().join("b"));
        let elsewhere = directory.path().join("elsewhere");
        for made in [&path, &elsewhere] {
            fs::create_dir(made).unwrap();
        }
        let dir = Dir::open(&path).unwrap();
        fs::create_dir(path.join("deep")).unwrap();
        let deep = dir.enter("deep").unwrap();
        fs::rename(&path, &moved).unwrap();
        symlink(&elsewhere, &path).unwrap();

        dir.create("file", 0o600).unwrap();
        deep.create("file", 0o600).unwrap();
        dir.rename("file", "renamed").unwrap();
        assert!(moved.join("renamed").exists() && moved.join("deep/file").exists());
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
        assert_eq!(dir.path(), path);
        assert_eq!(dir.identity().unwrap(), identity_at(&moved).unwrap());
    }
}
