//! Tests of `new_file`.

use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

fn names(directory: &TempDir) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory.path()).unwrap();
    let mut names: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().file_name().into())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_has_its_temporary_name_until_it_is_renamed_and_replaces_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let (temporary, path) = (directory.path().join("a.tmp"), directory.path().join("a"));
    fs::write(&path, "old").unwrap();
    let mut file = NewFile::create(&temporary, b"longer than new").unwrap();
    assert_eq!(file.path(), temporary);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    file.rewrite(b"new").unwrap();
    assert_eq!(fs::read(&temporary).unwrap(), b"new");
    file.rename_to(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(names(&directory), [PathBuf::from("a")]);
}

#[test]
fn one_that_is_dropped_or_cannot_be_renamed_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let temporary = directory.path().join("a.tmp");
    drop(NewFile::create(&temporary, b"x").unwrap());
    assert_eq!(names(&directory), [] as [PathBuf; 0]);

    let in_the_way = directory.path().join("a");
    fs::create_dir(&in_the_way).unwrap();
    let file = NewFile::create(&temporary, b"x").unwrap();
    file.rename_to(&in_the_way).unwrap_err();
    assert_eq!(names(&directory), [PathBuf::from("a")]);
}

#[cfg(unix)]
#[test]
fn a_leftover_of_any_kind_is_removed_and_what_a_link_leads_to_stays_as_it_is() {
    type Leave = fn(&Path, &Path);
    let table: [Leave; 3] = [
        |at, _| fs::write(at, "a longer leftover").unwrap(),
        |at, other| std::os::unix::fs::symlink(other, at).unwrap(),
        |at, other| fs::hard_link(other, at).unwrap(),
    ];
    for leave in table {
        let directory = tempfile::tempdir().unwrap();
        let (temporary, other) = (directory.path().join("a.tmp"), directory.path().join("b"));
        fs::write(&other, "other").unwrap();
        leave(&temporary, &other);
        let file = NewFile::create(&temporary, b"new").unwrap();
        assert_eq!(fs::read(&other).unwrap(), b"other");
        assert!(fs::symlink_metadata(&temporary).unwrap().is_file());
        file.rename_to(&directory.path().join("a")).unwrap();
        assert_eq!(fs::read(directory.path().join("a")).unwrap(), b"new");
    }
}

#[test]
fn a_directory_of_the_temporary_name_is_an_error_and_stays() {
    let directory = tempfile::tempdir().unwrap();
    let temporary = directory.path().join("a.tmp");
    fs::create_dir(&temporary).unwrap();
    assert!(NewFile::create(&temporary, b"x").is_err());
    assert!(temporary.is_dir());
}
