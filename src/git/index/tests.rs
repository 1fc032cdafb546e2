use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// The lengths of an object id in bytes, with git's names of the formats.
pub const FORMATS: [(&str, usize); 2] = [("sha1", 20), ("sha256", 32)];

const NAME: &str = ".worktree-ports.json";

/// A repository without a user's git config.
pub struct Repository {
    directory: TempDir,
    hash_len: usize,
}

impl Repository {
    pub fn new((format, hash_len): (&str, usize)) -> Repository {
        let directory = tempfile::tempdir().unwrap();
        let repository = Repository {
            directory,
            hash_len,
        };
        repository.git(
            &["init", "--quiet", &format!("--object-format={format}")],
            "",
        );
        repository
    }

    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    pub fn worktree(&self) -> Worktree {
        Worktree::main(self.root().to_owned(), self.root().join(".git"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command::git(self.root());
        let nowhere = self.root().join("nowhere");
        for name in ["HOME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL"] {
            command.env(name, &nowhere);
        }
        for name in ["GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"] {
            command.env(name, "a");
        }
        for name in ["GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"] {
            command.env(name, "a@example.com");
        }
        command.env("GIT_CONFIG_NOSYSTEM", "1").args(arguments);
        command
    }

    #[track_caller]
    pub fn git(&self, arguments: &[&str], input: &str) -> Vec<u8> {
        let mut command = self.command(arguments);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "git {arguments:?}");
        output.stdout
    }

    /// Makes the index one of that version with these entries.
    fn index(&self, version: u8, entries: &[Entry]) {
        let hash = "1".repeat(2 * self.hash_len);
        let mut lines = String::new();
        for Entry {
            mode, stage, path, ..
        } in entries
        {
            write!(lines, "{mode:o} {hash} {stage}\t{path}\0").unwrap();
        }
        self.git(&["update-index", "-z", "--index-info"], &lines);
        // Entries in conflict cannot be marked, nor those that a file of their directory's name has displaced.
        let tracked = self.tracked();
        let mut extended = String::new();
        for Entry { path, .. } in entries
            .iter()
            .filter(|entry| entry.is_extended && entry.stage == 0)
        {
            if tracked.contains_key(path) {
                extended += path;
                extended.push('\0');
            }
        }
        self.git(
            &["update-index", "-z", "--skip-worktree", "--stdin"],
            &extended,
        );
        let version = version.to_string();
        self.git(&["update-index", "--index-version", &version], "");
    }

    /// What git says: the paths in the index with the mode of the first entry.
    fn tracked(&self) -> BTreeMap<String, u32> {
        let listed = String::from_utf8(self.git(&["ls-files", "--stage", "-z"], "")).unwrap();
        let mut tracked = BTreeMap::new();
        for line in listed.split_terminator('\0') {
            let (entry, path) = line.split_once('\t').unwrap();
            let mode = u32::from_str_radix(&entry[..6], 8).unwrap();
            tracked.entry(path.to_owned()).or_insert(mode);
        }
        tracked
    }

    fn find(&self, path: &str) -> Found {
        find(&self.root().join(".git"), path, self.hash_len).unwrap()
    }

    fn tracks(&self, path: &str) -> bool {
        tracks(&self.worktree(), path, self.hash_len).unwrap()
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.root().join(".git/index")).unwrap()
    }
}

#[derive(Clone, Debug)]
struct Entry {
    mode: u32,
    stage: u8,
    is_extended: bool,
    path: String,
}

fn file(path: impl Into<String>) -> Entry {
    Entry {
        mode: 0o100_644,
        stage: 0,
        is_extended: false,
        path: path.into(),
    }
}

fn any_path() -> impl Strategy<Value = String> {
    let component =
        "[ab.é~-]{1,9}".prop_filter("git refuses it", |name| name != "." && name != "..");
    let some = vec(component, 1..4).prop_map(|components| components.join("/"));
    prop_oneof![9 => some, 1 => Just(NAME.to_owned())]
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let mode = prop::sample::select(vec![0o100_644, 0o100_755, 0o120_000, 0o160_000]);
    let stage = prop_oneof![3 => Just(0), 1 => 1..=3u8];
    (mode, stage, any::<bool>(), any_path()).prop_map(|(mode, stage, is_extended, path)| Entry {
        mode,
        stage,
        is_extended,
        path,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_git_has_in_its_index_is_found_and_nothing_else(
        entries in vec(any_entry(), 0..60),
        others in vec(any_path(), 10),
        is_extended in any::<bool>(),
        format in prop::sample::select(FORMATS.to_vec()),
    ) {
        let repository = Repository::new(format);
        let entries: Vec<Entry> = entries
            .into_iter()
            .map(|entry| Entry { is_extended: entry.is_extended && is_extended, ..entry })
            .collect();
        for version in [2, 3, 4] {
            repository.index(version, &entries);
            let tracked = repository.tracked();
            let prefixes = tracked.keys().flat_map(|path| {
                path.char_indices().map(|(end, _)| path[..end].to_owned())
            });
            let longer = tracked.keys().map(|path| format!("{path}a"));
            let asked = tracked.keys().cloned().chain(prefixes).chain(longer).chain(others.clone());
            let by_libgit2 = git2::Index::open(&repository.root().join(".git/index"))
                .ok()
                .filter(|_| format.1 == 20);
            for path in asked.filter(|path| !path.is_empty()) {
                let expected = match tracked.get(&path) {
                    Some(&mode) => Found::Tracked { mode },
                    None => Found::Untracked,
                };
                prop_assert_eq!(repository.find(&path), expected, "{:?}, version {}", path, version);
            }
            // libgit2 refuses to look up a path with a component `.`, such as some of the prefixes.
            for path in tracked.keys().chain(&others) {
                if let Some(index) = &by_libgit2 {
                    let has = (0..=3).any(|stage| index.get_path(Path::new(path), stage).is_some());
                    prop_assert_eq!(has, tracked.contains_key(path));
                }
            }
        }
    }
}

#[test]
fn a_path_of_any_length_is_found_among_thousands() {
    for format in FORMATS {
        for version in [2, 3, 4] {
            let repository = Repository::new(format);
            // A length of 4095 and more has no room in an entry's flags.
            let mut long = [4094, 4095, 4096, 9000]
                .map(|length| file("x".repeat(length)))
                .to_vec();
            // In version 4, it drops all of the one before.
            long.push(file("y"));
            let mut entries: Vec<Entry> = (0..5000).map(|i| file(format!("d/{i}"))).collect();
            entries.extend(long.clone());
            entries[17].is_extended = version == 3;
            repository.index(version, &entries);
            assert_eq!(repository.bytes()[7], version);
            for entry in entries.iter().step_by(97).chain(&long) {
                let path = &entry.path;
                assert_eq!(
                    repository.find(path),
                    Found::Tracked { mode: 0o100_644 },
                    "{path}"
                );
                assert_eq!(repository.find(&format!("{path}~")), Found::Untracked);
            }
        }
    }
}

#[test]
fn the_index_is_read_no_further_than_the_first_greater_path() {
    for version in [2, 4] {
        let repository = Repository::new(FORMATS[0]);
        let entries: Vec<Entry> = (0..5000).map(|i| file(format!("d/{i}"))).collect();
        repository.index(version, &entries);
        let start = &repository.bytes()[..100];
        let found = search(start, NAME.as_bytes(), 20).unwrap();
        assert_eq!(found, Found::Untracked);
    }
}

#[test]
fn a_path_in_conflict_is_tracked() {
    let repository = Repository::new(FORMATS[0]);
    let conflict = [2, 3].map(|stage| Entry {
        stage,
        ..file(NAME)
    });
    repository.index(2, &conflict);
    assert!(repository.tracks(NAME));
}

#[test]
fn no_index_tracks_nothing() {
    let repository = Repository::new(FORMATS[0]);
    assert_eq!(repository.find(NAME), Found::Untracked);
}

#[test]
fn a_split_index_is_gits_to_read() {
    for version in [2, 4] {
        let repository = Repository::new(FORMATS[0]);
        let entries: Vec<Entry> = [NAME, "a", "z"].map(file).into();
        repository.index(version, &entries);
        repository.git(&["update-index", "--split-index"], "");
        for path in [NAME, "a", "z"] {
            assert_eq!(repository.find(path), Found::AskGit, "{path}");
            assert!(repository.tracks(path), "{path}");
        }
        assert!(!repository.tracks("b"));
        // Entries that replace others have no path, and a new one has.
        repository.index(
            version,
            &[
                file("b"),
                Entry {
                    mode: 0o100_755,
                    ..file("a")
                },
            ],
        );
        for path in [NAME, "a", "b", "z"] {
            assert!(repository.tracks(path), "{path}");
        }
        assert!(!repository.tracks("c"));
        // What is left of a split index costs a question and no more.
        repository.git(&["update-index", "--no-split-index"], "");
        assert_eq!(repository.find("a"), Found::Tracked { mode: 0o100_755 });
        assert_eq!(repository.find("c"), Found::AskGit);
        assert!(!repository.tracks("c"));
    }
}

#[test]
fn inside_a_directory_that_a_sparse_index_has_as_one_entry_git_tells() {
    let repository = Repository::new(FORMATS[0]);
    let root = repository.root();
    for path in ["in/a", "out/deep/.env", "out-side", "outer/a"] {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    repository.git(&["add", "."], "");
    repository.git(&["commit", "--quiet", "--message=a"], "");
    let sparse = ["sparse-checkout", "set", "--cone", "--sparse-index", "in"];
    repository.git(&sparse, "");
    for path in ["out/deep/.env", "out/deep/.envy", "outer/a"] {
        assert_eq!(repository.find(path), Found::AskGit, "{path}");
    }
    assert!(repository.tracks("out/deep/.env"));
    assert!(!repository.tracks("out/deep/.envy"));
    // Beside it, the index tells.
    for path in ["in/a", "out-side"] {
        assert_eq!(
            repository.find(path),
            Found::Tracked { mode: 0o100_644 },
            "{path}"
        );
    }
    for path in [NAME, "in/b", "out.", "z"] {
        assert_eq!(repository.find(path), Found::Untracked, "{path}");
    }
}

#[test]
fn what_is_not_understood_is_gits_to_read() {
    let repository = Repository::new(FORMATS[0]);
    repository.index(2, &[file("a")]);
    let whole = repository.bytes();
    let with = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        search(bytes.as_slice(), b"b", 20)
    };
    let is_damaged = |found: io::Result<Found>| found.is_err_and(|error| is_damage(&error));
    assert_eq!(with(0, b'X').unwrap(), Found::AskGit);
    for version in [0, 1, 5, 255] {
        assert_eq!(with(7, version).unwrap(), Found::AskGit, "{version}");
    }
    // Flags: a wrong length, and the extension that version 2 has not.
    assert!(is_damaged(with(73, 2)));
    assert!(is_damaged(with(72, 0x40)));
    // More entries are announced than there are.
    assert!(is_damaged(with(11, 2)));
    // The object ids of the other format are longer.
    assert!(is_damaged(search(whole.as_slice(), b"b", 32)));
    for end in 0..=12 + 62 {
        assert!(is_damaged(search(&whole[..end], b"b", 20)), "{end}");
    }
    fs::write(repository.root().join(".git/index"), &whole[..20]).unwrap();
    assert_eq!(repository.find("a"), Found::AskGit);
    let error = tracks(&repository.worktree(), "a", 20)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`git ls-files -z -- :(literal)a`"),
        "{error}"
    );
}

#[cfg(unix)]
#[test]
fn an_index_that_is_a_fifo_or_a_directory_is_an_error_and_no_wait() {
    let repository = Repository::new(FORMATS[0]);
    let index = repository.root().join(".git/index");
    let find = || find(&repository.root().join(".git"), NAME, 20);
    fs::create_dir(&index).unwrap();
    find().unwrap_err();
    fs::remove_dir(&index).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(&index)
            .status()
            .unwrap()
            .success()
    );
    let error = find().unwrap_err().to_string();
    assert!(
        error.contains(".git/index`: it is not a regular file"),
        "{error}"
    );
}

mod fuzz {
    //! Whatever the index says, it is read to an end and without a panic.

    use super::*;

    /// The bytes, as they are or with a head that promises entries.
    fn check(version: u8, content: &[u8]) {
        let head = [b"DIRC\0\0\0", &[version][..], &u32::MAX.to_be_bytes()].concat();
        for hash_len in [0, 20, 32, usize::MAX] {
            for bytes in [content.to_vec(), [&head, content].concat()] {
                if let Err(error) = search(bytes.as_slice(), NAME.as_bytes(), hash_len) {
                    assert!(is_damage(&error), "{error}");
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_an_index_or_damage() {
        bolero::check!()
            .with_type::<(u8, Vec<u8>)>()
            .for_each(|(version, content)| check(version % 6, content));
    }

    #[test]
    fn any_entries_are_an_index_or_damage() {
        bolero::check!()
            .with_type::<(u8, Vec<(u16, u8, Vec<u8>)>)>()
            .for_each(|(version, entries)| {
                let mut content = Vec::new();
                for (flags, shared, path) in entries {
                    content.extend([0; 60]);
                    content.extend(flags.to_be_bytes());
                    content.push(*shared);
                    content.extend(path);
                    content.push(0);
                }
                check(2 + version % 3, &content);
            });
    }
}
