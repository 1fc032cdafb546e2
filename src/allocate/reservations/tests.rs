//! Tests of `reservations`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::files::staged::temporary;
use crate::git::fixture;
use crate::ports::fixture::port;

/// A common dir, and roots beside it, made without git: entries in any state.
struct Registered {
    directory: TempDir,
}

impl Registered {
    fn bare() -> Registered {
        Registered::with_config("bare = true")
    }

    fn with_main() -> Registered {
        Registered::with_config("worktree = ../main")
    }

    fn with_config(core: &str) -> Registered {
        let registered = Registered {
            directory: tempfile::tempdir().unwrap(),
        };
        let common_dir = registered.common_dir();
        for name in ["objects", "refs"] {
            fs::create_dir_all(common_dir.join(name)).unwrap();
        }
        fs::write(common_dir.join("HEAD"), "ref: refs/heads/main\n").unwrap();
        fs::write(common_dir.join("config"), format!("[core]\n{core}\n")).unwrap();
        registered
    }

    fn common_dir(&self) -> PathBuf {
        self.directory.path().join("common")
    }

    fn repository(&self) -> Repository {
        let common_dir = self.common_dir();
        Repository::open_to_read(&common_dir, &common_dir).unwrap()
    }

    fn root(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn git_dir(&self, name: &str) -> PathBuf {
        self.common_dir().join("worktrees").join(name)
    }

    /// Registers a worktree and puts a port file there; with `None`, nothing is at its root.
    fn add(&self, name: &str, port_file: Option<&str>) {
        fs::create_dir_all(self.git_dir(name)).unwrap();
        let line = format!("{}\n", self.root(name).join(".git").display());
        fs::write(self.git_dir(name).join("gitdir"), line).unwrap();
        if let Some(content) = port_file {
            self.put_root(name, &self.git_dir(name));
            fs::write(self.root(name).join(port_file::NAME), content).unwrap();
        }
    }

    /// Makes the root of a worktree, whose `.git` leads to `git_dir`.
    fn put_root(&self, name: &str, git_dir: &Path) {
        fs::create_dir_all(self.root(name)).unwrap();
        let line = format!("gitdir: {}\n", git_dir.display());
        fs::write(self.root(name).join(".git"), line).unwrap();
    }

    /// Makes the root of the main worktree, with that config.
    fn put_main(&self, config: &str) {
        self.put_root("main", &self.common_dir());
        fs::write(self.root("main").join(config::file::NAME), config).unwrap();
    }

    fn record(&self, name: &str, content: &str) {
        fs::write(self.git_dir(name).join(RECORD), content).unwrap();
    }

    /// A record that a kill left under its temporary name.
    fn pending_record(&self, name: &str, content: &str) {
        fs::write(self.git_dir(name).join(temporary(RECORD)), content).unwrap();
    }

    fn gather(&self, own: Option<&Worktree>, clones: &[Repository]) -> Reservations<'static> {
        let held = fixture::hold(&self.common_dir());
        let repository = self.repository();
        Reservations::gather(&held, &repository, own, clones)
            .unwrap()
            .past()
    }
}

const RECORD: &str = "worktree-ports.json";

fn ours(id: &str, slot: u32, port: u16) -> String {
    format!("{{\"worktree\": \"{id}\", \"slot\": {slot}, \"ports\": {{\"a\": {port}}}}}")
}

fn has(reservations: &Reservations<'_>, ports: [u16; 3]) -> [bool; 3] {
    ports.map(|number| reservations.except(None).has_port(port(number)))
}

#[test]
fn an_intact_port_file_in_its_own_worktree_stands_alone() {
    let registered = Registered::bare();
    registered.add("a", Some(&ours("a", 1, 5001)));
    registered.record("a", &ours("a", 2, 5002));
    let reservations = registered.gather(None, &[]);
    assert_eq!(has(&reservations, [5001, 5002, 5003]), [true, false, false]);
}

#[test]
fn a_record_counts_too_if_the_git_file_does_not_lead_back() {
    let registered = Registered::bare();
    let own = ours("a", 1, 5001);
    registered.add("a", Some(&own));
    registered.record("a", &ours("a", 2, 5002));
    // Another clone's worktree at the same path can have the same id.
    registered.put_root("a", &registered.root("clone/.git/worktrees/a"));
    let reservations = registered.gather(None, &[]);
    assert_eq!(has(&reservations, [5001, 5002, 5003]), [true, true, false]);
    // What another worktree of the repository has there is that one's.
    registered.add("b", Some(&ours("b", 3, 5003)));
    registered.put_root("a", &registered.git_dir("b"));
    let reservations = registered.gather(None, &[]);
    assert_eq!(has(&reservations, [5001, 5002, 5003]), [false, true, true]);
}

#[test]
fn a_record_and_its_temporary_file_count_beside_whatever_is_there() {
    let own = ours("a", 1, 5001);
    let extra = own.replace("}}", "}, \"note\": 0}");
    let table = [
        // A kill left the record half-way: what it names may stand in the env files.
        (Some(own.as_str()), [true, true, true]),
        (None, [false, true, true]),
        (Some(""), [false, true, true]),
        (Some("{"), [false, true, true]),
        (Some("{\"app\": 5001}"), [true, true, true]),
        (Some(&ours("b", 1, 5001)), [true, true, true]),
        (Some(&own.replace("\"a\",", "null,")), [true, true, true]),
        (Some(&extra), [true, true, true]),
        (
            Some(&own.replace("5001", "5001,\"b\":80")),
            [true, true, true],
        ),
    ];
    for (content, expected) in table {
        let registered = Registered::bare();
        registered.add("a", content);
        registered.record("a", &ours("a", 2, 5002));
        registered.pending_record("a", &ours("a", 3, 5003));
        let reservations = registered.gather(None, &[]);
        assert_eq!(
            has(&reservations, [5001, 5002, 5003]),
            expected,
            "{content:?}"
        );
        let others = reservations.except(None);
        let slots = [2, 3].map(|slot| others.has_slot(Slot(slot)));
        assert_eq!(slots, [expected[1], expected[2]], "{content:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_record_counts_beside_a_link_a_directory_and_an_unknown_root() {
    type Put = fn(&Registered, &Path);
    let table: [Put; 4] = [
        |_, path| std::os::unix::fs::symlink("/dev/zero", path).unwrap(),
        |_, path| fs::create_dir(path).unwrap(),
        |registered, _| fs::write(registered.git_dir("a").join("gitdir"), "").unwrap(),
        |registered, _| fs::remove_file(registered.git_dir("a").join("gitdir")).unwrap(),
    ];
    for put in table {
        let registered = Registered::bare();
        registered.add("a", None);
        fs::create_dir(registered.root("a")).unwrap();
        put(&registered, &registered.root("a").join(port_file::NAME));
        registered.record("a", &ours("a", 2, 5002));
        let reservations = registered.gather(None, &[]);
        assert_eq!(has(&reservations, [5001, 5002, 5003]), [false, true, false]);
        assert!(reservations.except(None).has_slot(Slot(2)));
    }
}

#[test]
fn what_a_worktree_has_itself_is_not_among_what_others_have() {
    let registered = Registered::bare();
    registered.add("a", Some(&ours("a", 1, 5001)));
    registered.add("b", Some(&ours("b", 2, 5002)));
    let own = fixture::opened(Some("a"), &registered.root("a"), &registered.common_dir());
    let without = registered.gather(Some(&own), &[]);
    assert_eq!(has(&without, [5001, 5002, 5003]), [false, true, false]);
    let all = registered.gather(None, &[]);
    let index = all.holders().iter().position(|holder| holder.name() == "a");
    let others = all.except(index);
    assert!(!others.has_port(port(5001)) && !others.has_slot(Slot(1)));
    assert!(others.has_port(port(5002)) && others.has_slot(Slot(2)));
}

#[test]
fn slot_0_is_the_main_worktrees_by_its_own_config() {
    let registered = Registered::with_main();
    registered.put_main("{\"services\": {\"a\": 5001, \"b\": 5002}}");
    let reservations = registered.gather(None, &[]);
    assert_eq!(has(&reservations, [5001, 5002, 5003]), [true, true, false]);
    let others = reservations.except(None);
    assert!(others.has_slot(Slot::MAIN) && others.has_main());
    assert!(!Registered::bare().gather(None, &[]).except(None).has_main());
}

#[test]
fn of_other_clones_the_ports_count_and_not_the_slots() {
    let (one, other) = (Registered::bare(), Registered::with_main());
    one.add("a", Some(&ours("a", 1, 5001)));
    other.add("b", Some(&ours("b", 2, 5002)));
    other.put_main("{\"services\": {\"a\": 5003}}");
    let reservations = one.gather(None, &[other.repository()]);
    assert_eq!(has(&reservations, [5001, 5002, 5003]), [true, true, true]);
    let others = reservations.except(None);
    let slots = [0, 1, 2].map(|slot| others.has_slot(Slot(slot)));
    assert_eq!(slots, [false, true, false]);
    // Both main worktrees have their slot 0 by right, and no linked one is in the way.
    let of_main = [5001, 5002, 5003].map(|number| others.has_port_of_main(port(number)));
    assert_eq!(of_main, [true, true, false]);
}

#[test]
fn what_cannot_be_read_is_a_doubt_here_and_an_error_in_a_shared_clone() {
    let record = ours("a", 2, 5002);
    let (own, copied) = (ours("a", 1, 5001), ours("b", 1, 5001));
    // The port file, the record, and a part of the doubt.
    let table = [
        (Some("{\"x\": 5001}"), None, None),
        (None, Some(record.as_str()), None),
        (None, None, None),
        (Some("x: 5001"), None, Some("is not JSON")),
        (Some("x: 5001"), Some(&record), Some("is not JSON")),
        (
            Some("\0\0"),
            None,
            Some("is empty; the ports of that worktree are unknown"),
        ),
        (Some(""), Some(&record), None),
        (
            None,
            Some(""),
            Some("is empty; the ports of that worktree are unknown"),
        ),
        (
            None,
            Some("{"),
            Some("names no port; the ports of that worktree are unknown"),
        ),
        (
            Some(&copied),
            Some("\0"),
            Some("is empty; the ports of that worktree are unknown"),
        ),
        (Some(&own), Some(""), None),
    ];
    for (port_file, record, expected) in table {
        let registered = Registered::bare();
        registered.add("a", port_file);
        if let Some(record) = record {
            registered.record("a", record);
        }
        let reservations = registered.gather(None, &[]);
        let doubts: Vec<String> = reservations
            .doubts()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            doubts.len(),
            expected.iter().len(),
            "{port_file:?} {doubts:?}"
        );
        let part = expected.unwrap_or_default();
        assert!(doubts.concat().contains(part), "{port_file:?} {doubts:?}");

        let own = Registered::bare();
        let held = fixture::hold(&own.common_dir());
        let clones = [registered.repository()];
        let gathered = Reservations::gather(&held, &own.repository(), None, &clones);
        let is_unknown = part.contains("unknown");
        assert_eq!(gathered.is_err(), is_unknown, "{port_file:?} {record:?}");
    }
}

#[test]
fn an_empty_temporary_record_is_what_a_kill_leaves_that_wrote_nothing() {
    let (own, registered) = (Registered::bare(), Registered::bare());
    registered.add("a", None);
    registered.pending_record("a", "");
    assert!(registered.gather(None, &[]).doubts().is_empty());
    let held = fixture::hold(&own.common_dir());
    let clones = [registered.repository()];
    assert!(Reservations::gather(&held, &own.repository(), None, &clones).is_ok());
}

#[test]
fn worktrees_that_are_gone_and_have_a_lower_slot_are_counted_once() {
    let registered = Registered::with_main();
    for (name, slot) in [("a", 1), ("b", 2), ("c", 3)] {
        registered.add(name, None);
        registered.record(name, &ours(name, slot, 5010));
    }
    // Two slots of one worktree.
    registered.pending_record("a", &ours("a", 0, 5009));
    registered.add("d", Some(&ours("d", 4, 5004)));
    let reservations = registered.gather(None, &[]);
    let others = reservations.except(None);
    let counts = [0, 1, 2, 3, 4, 5].map(|slot| others.gone_below(Slot(slot)));
    assert_eq!(counts, [0, 1, 1, 2, 3, 3]);
}

#[test]
fn a_worktree_whose_file_names_more_than_100_ports_is_crowded() {
    let registered = Registered::bare();
    let numbers = |count: u16| {
        let numbers: Vec<String> = (0..count).map(|i| (5000 + i).to_string()).collect();
        // Each stands twice, and counts once.
        format!("{0} {0}", numbers.join(" "))
    };
    registered.add("a", Some(&numbers(100)));
    registered.add("b", Some(&numbers(101)));
    let reservations = registered.gather(None, &[]);
    let crowded: Vec<(String, usize)> = reservations
        .except(None)
        .crowded()
        .map(|holder| (holder.name(), holder.ports))
        .collect();
    assert_eq!(crowded, [("b".to_owned(), 101)]);
}

proptest! {
    /// Against a plain list.
    #[test]
    fn what_others_have_is_what_all_but_the_own_one_have(
        rows in prop::collection::vec(
            (prop::option::of(0_u32..6), prop::collection::vec(1024_u16..1034, 0..5)), 0..6),
        own in prop::option::of(0_usize..6),
    ) {
        let names: Vec<String> = (0..rows.len()).map(|i| i.to_string()).collect();
        let all: Vec<(&str, Option<u32>, &[u16], bool)> = names.iter().zip(&rows)
            .map(|(name, (slot, ports))| (name.as_str(), *slot, ports.as_slice(), false))
            .collect();
        let reservations = Reservations::of(&all);
        let others = reservations.except(own);
        let theirs: Vec<usize> = (0..rows.len()).filter(|index| Some(*index) != own).collect();
        for number in 1024..1034 {
            let expected: BTreeSet<usize> =
                theirs.iter().copied().filter(|i| rows[*i].1.contains(&number)).collect();
            prop_assert_eq!(others.has_port(port(number)), !expected.is_empty());
            prop_assert_eq!(others.having_port(port(number)).collect::<BTreeSet<_>>(), expected);
        }
        for slot in 0..6 {
            let expected: Vec<usize> =
                theirs.iter().copied().filter(|i| rows[*i].0 == Some(slot)).collect();
            prop_assert_eq!(others.having_slot(Slot(slot)).collect::<Vec<_>>(), expected);
        }
    }
}
