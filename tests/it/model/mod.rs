//! Random sequences of operations on a repository, each step compared with a plain model.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use proptest::test_runner::Config as Proptest;
use proptest_state_machine::{StateMachineTest, prop_state_machine};
use serde_json::Value;

use crate::support::{PORT_FILE, Sandbox, TEMPORARY, can_bind, close, listen};

use reference::{CONFIGS, Expected, How, Lies, Model, Offset, Operation, Other, Step, Tree};

mod reference;

prop_state_machine! {
    #![proptest_config(Proptest { cases: 28, max_shrink_iters: 200, ..Proptest::default() })]

    #[test]
    fn after_every_step_the_port_files_are_what_the_model_says(sequential 10..40 => System);
}

/// The real program and the real git.
struct System {
    sandbox: Sandbox,
    listeners: BTreeMap<Offset, TcpListener>,
}

impl System {
    /// The port that offsets are counted from.
    fn first(&self) -> u16 {
        self.sandbox.port(0)
    }

    fn take(&mut self, model: &Model) {
        match &model.next {
            Step::Nothing => {}
            Step::Git(arguments) => {
                self.sandbox.git("repo", arguments);
            }
            Step::Clean(tree) => {
                let path = &model.trees[*tree].path;
                self.sandbox.git(path, &["clean", "--quiet", "-fdx"]);
            }
            Step::Rename(from, to) => {
                fs::rename(self.sandbox.path(from), self.sandbox.path(to)).unwrap();
            }
            Step::MoveByHand(from, to) => {
                fs::rename(self.sandbox.path(from), self.sandbox.path(to)).unwrap();
                self.sandbox.git(to, &["worktree", "repair"]);
            }
            Step::RemoveRecord(tree) => remove(&self.record(&model.trees[*tree])),
            Step::PutPortFile(tree) => {
                let tree = &model.trees[*tree];
                let path = self.sandbox.path(&tree.path).join(PORT_FILE);
                remove(&path);
                match (&tree.lies, tree.lies.text(self.first())) {
                    (_, Some(text)) => fs::write(&path, text).unwrap(),
                    (Lies::Other(Other::Link, ..), _) => {
                        std::os::unix::fs::symlink("elsewhere", &path).unwrap();
                    }
                    (Lies::Other(Other::Directory, ..), _) => fs::create_dir(&path).unwrap(),
                    _ => {}
                }
            }
            Step::PutConfig(tree) => {
                let tree = &model.trees[*tree];
                let config = CONFIGS[tree.config.unwrap()].as_ref();
                let text = config.map_or("{".to_owned(), |plain| {
                    plain.config(self.first()).to_string()
                });
                self.sandbox.configure(&tree.path, text);
            }
            Step::Listen(port) => {
                let listener = listen(self.first() + port);
                self.listeners.insert(*port, listener);
            }
            Step::Close(port) => {
                close(self.listeners.remove(port).unwrap());
            }
            Step::Call(tree, how, expected) => self.call(model, *tree, *how, *expected),
        }
    }

    fn record(&self, tree: &Tree) -> PathBuf {
        let record = match &tree.id {
            Some(id) => format!("repo/.git/worktrees/{id}/worktree-ports.json"),
            None => "repo/.git/worktree-ports/main.json".to_owned(),
        };
        self.sandbox.path(record)
    }

    fn call(&self, model: &Model, tree: usize, how: How, expected: Expected) {
        let path = &model.trees[tree].path;
        let run = match how {
            How::Hook => self.sandbox.run_hook(path).exits(0),
            How::Bare | How::Reallocate | How::Release => {
                let arguments: &[&str] = match how {
                    How::Reallocate => &["--reallocate"],
                    How::Release => &["--release"],
                    _ => &["--json"],
                };
                let code = i32::from(expected == Expected::Refused);
                self.sandbox.run(path, arguments).exits(code)
            }
        };
        let is_error = run.stderr.contains("error: ");
        assert_eq!(is_error, expected == Expected::Refused, "{run}");
        if how == How::Bare && expected != Expected::Refused {
            assert_eq!(run.stdout, self.sandbox.port_file(path));
        }
        if expected == Expected::Chosen {
            self.assert_chosen_well(model, tree);
        }
    }

    /// Independently of the model: no other visible port file names these ports, and they can be
    /// bound.
    fn assert_chosen_well(&self, model: &Model, tree: usize) {
        let ports = self.sandbox.ports(&model.trees[tree].path);
        for (i, other) in model.trees.iter().enumerate().filter(|(i, _)| *i != tree) {
            let path = self.sandbox.path(&other.path).join(PORT_FILE);
            if path.is_symlink() || !path.is_file() {
                continue;
            }
            let text = fs::read_to_string(path).unwrap();
            // In a file of our shape, a URL with an old port reserves nothing.
            let lines = text.lines().filter(|line| !line.contains("_url"));
            let text: String = lines.collect();
            for port in &ports {
                assert!(
                    !text.contains(&port.to_string()),
                    "{port} is in that of {i}"
                );
            }
        }
        let is_slot_0_of_main =
            tree == 0 && matches!(&model.trees[0].lies, Lies::Ours(ours) if ours.slot == 0);
        for port in ports.into_iter().filter(|_| !is_slot_0_of_main) {
            assert!(can_bind(port), "{port}");
        }
    }
}

impl StateMachineTest for System {
    type SystemUnderTest = System;
    type Reference = Model;

    fn init_test(model: &Model) -> System {
        let mut system = System {
            sandbox: Sandbox::new(),
            listeners: BTreeMap::new(),
        };
        system.take(model);
        system
    }

    fn apply(mut system: System, model: &Model, _: Operation) -> System {
        system.take(model);
        system
    }

    fn check_invariants(system: &System, model: &Model) {
        for tree in &model.trees {
            let record = fs::read_to_string(system.record(tree)).ok();
            let record: Option<Value> = record.map(|text| serde_json::from_str(&text).unwrap());
            let expected = tree.record.as_ref().map(|ours| {
                let mut record: Value = serde_json::from_str(&ours.text(system.first())).unwrap();
                record["env_files"] = Value::Object(serde_json::Map::new());
                record["templates"] = Value::Object(serde_json::Map::new());
                record
            });
            assert_eq!(record, expected, "the record of {}", tree.path);
            let away = tree.away();
            let root = system
                .sandbox
                .path(if tree.is_away { &away } else { &tree.path });
            let path = root.join(PORT_FILE);
            assert!(!root.join(TEMPORARY).exists());
            match (&tree.lies, tree.lies.text(system.first())) {
                (_, Some(text)) => {
                    assert!(!path.is_symlink());
                    assert_eq!(fs::read_to_string(&path).unwrap(), text, "in {}", tree.path);
                }
                (Lies::Other(Other::Link, ..), _) => assert!(path.is_symlink()),
                (Lies::Other(Other::Directory, ..), _) => assert!(path.is_dir()),
                _ => assert!(path.symlink_metadata().is_err(), "in {}", tree.path),
            }
        }
    }
}

fn remove(path: &Path) {
    if path.is_dir() && !path.is_symlink() {
        fs::remove_dir(path).unwrap();
    } else {
        let _ = fs::remove_file(path);
    }
}
