//! Random sequences of operations on a repository, each step compared with a plain model.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::Config as Proptest;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use crate::support::{Config, PORT_FILE, Sandbox, TEMPORARY, can_bind, close, config, listen};

prop_state_machine! {
    #![proptest_config(Proptest { cases: 40, max_shrink_iters: 200, ..Proptest::default() })]

    #[test]
    fn after_every_step_the_port_files_are_as_the_model_has_them(sequential 10..40 => System);
}

/// A port, counted from the first one of the block that the test has for itself.
type Offset = u16;

/// A config of the model: services with their base ports, a step, and the services with a URL.
struct Plain {
    services: &'static [(&'static str, Offset)],
    step: u16,
    urls: &'static [&'static str],
}

/// They overlap, so that worktrees with different ones compete. `None` is a broken one.
const CONFIGS: [Option<Plain>; 5] = [
    Some(Plain {
        services: &[("web", 1), ("api", 2)],
        step: 2,
        urls: &[],
    }),
    Some(Plain {
        services: &[("web", 1)],
        step: 3,
        urls: &["web"],
    }),
    Some(Plain {
        services: &[("api", 2), ("web", 1), ("db", 3)],
        step: 5,
        urls: &["api", "db"],
    }),
    Some(Plain {
        services: &[("web", 7), ("db", 8)],
        step: 4,
        urls: &["web"],
    }),
    None,
];

/// What lies at the path of a port file.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Lies {
    Nothing,
    Ours(Ours),
    Other(Other, Offset, Offset),
}

/// A file of our shape.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ours {
    id: Option<String>,
    slot: u16,
    ports: Vec<(&'static str, Offset)>,
    urls: Vec<(&'static str, Offset)>,
}

/// What else there can be; two ports go with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Other {
    Empty,
    Truncated,
    Conflict,
    Impossible,
    AnotherTools,
    Link,
    Directory,
}

const OTHERS: [Other; 7] = [
    Other::Empty,
    Other::Truncated,
    Other::Conflict,
    Other::Impossible,
    Other::AnotherTools,
    Other::Link,
    Other::Directory,
];

impl Lies {
    /// The ports that it reserves.
    fn reserves(&self) -> Vec<Offset> {
        match self {
            Lies::Nothing | Lies::Other(Other::Empty | Other::Link | Other::Directory, ..) => {
                vec![]
            }
            Lies::Ours(ours) => ours.ports.iter().map(|(_, port)| *port).collect(),
            Lies::Other(_, one, other) => vec![*one, *other],
        }
    }

    /// The content, where it is a file.
    fn text(&self, first: u16) -> Option<String> {
        Some(match self {
            Lies::Ours(ours) => ours.text(first),
            Lies::Other(kind, one, other) => {
                let (one, other) = (first + one, first + other);
                match kind {
                    Other::Empty => String::new(),
                    Other::Truncated => format!(r#"{{"ports": {{"web": {one}, "api": {other}"#),
                    Other::Conflict => format!("<<<<<<< a\n{one}\n=======\n{other}\n>>>>>>> b\n"),
                    Other::Impossible => format!(
                        r#"{{"worktree": null, "slot": 1, "ports": {{"web": {one}, "api": "{other}"}}}}"#
                    ),
                    Other::AnotherTools => format!(r#"{{"app": {one}, "urls": ["x:{other}"]}}"#),
                    Other::Link | Other::Directory => return None,
                }
            }
            Lies::Nothing => return None,
        })
    }
}

impl Ours {
    fn text(&self, first: u16) -> String {
        let id = match &self.id {
            Some(id) => format!(r#""{id}""#),
            None => "null".to_owned(),
        };
        let ports = self.ports.iter();
        let ports: Vec<String> = ports
            .map(|(service, port)| format!(r#"    "{service}": {}"#, first + port))
            .collect();
        let urls = self.urls.iter();
        let urls: Vec<String> = urls
            .map(|(service, port)| {
                format!(
                    ",\n  \"{service}_url\": \"http://localhost:{}/\"",
                    first + port
                )
            })
            .collect();
        format!(
            "{{\n  \"worktree\": {id},\n  \"slot\": {},\n  \"ports\": {{\n{}\n  }}{}\n}}\n",
            self.slot,
            ports.join(",\n"),
            urls.concat()
        )
    }
}

#[derive(Clone, Debug)]
struct Tree {
    id: Option<String>,
    path: String,
    lies: Lies,
    config: Option<usize>,
}

/// The model.
#[derive(Clone, Debug)]
struct Model {
    /// The main worktree, then the linked ones.
    trees: Vec<Tree>,
    listening: BTreeSet<Offset>,
    /// How many paths there were.
    paths: usize,
    /// What the system is to do next.
    next: Step,
}

/// A step of the system.
#[derive(Clone, Debug)]
enum Step {
    Nothing,
    Git(Vec<String>),
    PutPortFile(usize),
    PutConfig(usize),
    Listen(Offset),
    Close(Offset),
    Call(usize, How, Expected),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Hook,
    Bare,
    Reallocate,
}

/// What a call is to come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Kept,
    Followed,
    Chosen,
    Refused,
}

/// An operation; its numbers are cut down to what there is.
#[derive(Clone, Debug)]
enum Operation {
    Add,
    Remove(usize),
    Move(usize),
    Call(usize, How),
    Damage(usize, usize, Offset, Offset),
    Delete(usize),
    Edit(usize, Offset),
    Copy(usize, usize),
    Configure(usize, usize),
    Listen(Offset),
    Close(usize),
}

impl Model {
    /// The config that counts in that worktree.
    fn config(&self, tree: usize) -> Option<&'static Plain> {
        let of_main = self.trees[0].config.unwrap();
        CONFIGS[self.trees[tree].config.unwrap_or(of_main)].as_ref()
    }

    /// What the others have.
    fn reserved(&self, tree: usize) -> BTreeSet<Offset> {
        let others = self.trees.iter().enumerate().filter(|(i, _)| *i != tree);
        let mut reserved: BTreeSet<Offset> = others
            .flat_map(|(_, other)| other.lies.reserves())
            .collect();
        if tree != 0 {
            for config in [self.config(0), self.config(tree)].into_iter().flatten() {
                reserved.extend(config.services.iter().map(|(_, base)| base));
            }
        }
        reserved
    }

    fn call(&mut self, tree: usize, how: How) -> Expected {
        if tree == 0 && how == How::Hook {
            return Expected::Kept;
        }
        let id = self.trees[tree].id.clone();
        let own = match &self.trees[tree].lies {
            Lies::Ours(ours) if ours.id == id => Some(ours.clone()),
            _ => None,
        };
        let is_another_tools =
            matches!(self.trees[tree].lies, Lies::Other(Other::AnotherTools, ..));
        match how {
            How::Hook if own.is_some() || is_another_tools => return Expected::Kept,
            How::Bare if is_another_tools => return Expected::Refused,
            _ => {}
        }
        let Some(config) = self.config(tree) else {
            return Expected::Refused;
        };
        let (slot, ports) = match &own {
            Some(own) if how == How::Bare => (own.slot, self.follow(tree, own, config)),
            _ => self.choose(tree, config),
        };
        if ports.is_empty() {
            return Expected::Refused;
        }
        let port_of = |wanted: &str| ports.iter().find(|(service, _)| *service == wanted);
        let ours = Ours {
            id,
            slot,
            urls: (config.urls.iter())
                .filter_map(|service| port_of(service).copied())
                .collect(),
            ports,
        };
        let expected = match &own {
            Some(own) if how == How::Bare && *own == ours => Expected::Kept,
            Some(_) if how == How::Bare => Expected::Followed,
            _ => Expected::Chosen,
        };
        self.trees[tree].lies = Lies::Ours(ours);
        expected
    }

    fn choose(&self, tree: usize, config: &Plain) -> (u16, Vec<(&'static str, Offset)>) {
        let reserved = self.reserved(tree);
        let found = (0..).find_map(|slot| {
            let services = config.services.iter();
            let ports: Vec<(&'static str, Offset)> = services
                .map(|(service, base)| (*service, base + slot * config.step))
                .collect();
            let is_clear =
                |set: &BTreeSet<Offset>| ports.iter().all(|(_, port)| !set.contains(port));
            let is_free = (tree == 0 && slot == 0) || is_clear(&self.listening);
            (is_clear(&reserved) && is_free).then_some((slot, ports))
        });
        found.unwrap()
    }

    /// The ports of a bundle under a config that may have changed: none where that cannot be.
    fn follow(&self, tree: usize, own: &Ours, config: &Plain) -> Vec<(&'static str, Offset)> {
        let reserved = self.reserved(tree);
        let has = |wanted: &str| own.ports.iter().find(|(service, _)| *service == wanted);
        let in_slot = |base: Offset| base + own.slot * config.step;
        let all_stand = (config.services.iter())
            .all(|(service, base)| has(service).is_none_or(|(_, port)| *port == in_slot(*base)));
        let joins = |port: &Offset| {
            let is_free = (tree == 0 && own.slot == 0) || !self.listening.contains(port);
            all_stand && !reserved.contains(port) && is_free
        };
        let services = config.services.iter();
        services
            .filter_map(|(service, base)| {
                let new = Some(in_slot(*base)).filter(joins);
                has(service).copied().or(new.map(|port| (*service, port)))
            })
            .collect()
    }
}

impl ReferenceStateMachine for Model {
    type State = Model;
    type Transition = Operation;

    fn init_state() -> BoxedStrategy<Model> {
        let main = Tree {
            id: None,
            path: "repo".to_owned(),
            lies: Lies::Nothing,
            config: Some(0),
        };
        Just(Model {
            trees: vec![main],
            listening: BTreeSet::new(),
            paths: 0,
            next: Step::PutConfig(0),
        })
        .boxed()
    }

    fn transitions(_: &Model) -> BoxedStrategy<Operation> {
        let tree = || 0..7_usize;
        let port = || 1..40_u16;
        let how = prop_oneof![Just(How::Hook), Just(How::Bare), Just(How::Reallocate)];
        prop_oneof![
            4 => Just(Operation::Add),
            1 => tree().prop_map(Operation::Remove),
            1 => tree().prop_map(Operation::Move),
            6 => (tree(), how).prop_map(|(tree, how)| Operation::Call(tree, how)),
            2 => (tree(), 0..OTHERS.len(), port(), port()).prop_map(|(tree, kind, one, other)| Operation::Damage(tree, kind, one, other)),
            1 => tree().prop_map(Operation::Delete),
            1 => (tree(), port()).prop_map(|(tree, port)| Operation::Edit(tree, port)),
            1 => (tree(), tree()).prop_map(|(from, to)| Operation::Copy(from, to)),
            2 => (tree(), 0..CONFIGS.len()).prop_map(|(tree, config)| Operation::Configure(tree, config)),
            2 => port().prop_map(Operation::Listen),
            1 => (0..5_usize).prop_map(Operation::Close),
        ]
        .boxed()
    }

    fn apply(mut model: Model, operation: &Operation) -> Model {
        let count = model.trees.len();
        let any = |tree: usize| tree % count;
        // The main worktree can be neither moved nor removed.
        let linked = |tree: usize| (count > 1).then(|| 1 + tree % (count - 1).max(1));
        model.next = match *operation {
            Operation::Add if count < 7 => {
                let path = format!("w{}", model.paths);
                model.paths += 1;
                model.trees.push(Tree {
                    id: Some(path.clone()),
                    path: path.clone(),
                    lies: Lies::Nothing,
                    config: None,
                });
                // The hook runs in it.
                model.call(count, How::Hook);
                git(&["add", "--quiet", &format!("../{path}")])
            }
            Operation::Remove(tree) if count > 1 => {
                let gone = model.trees.remove(linked(tree).unwrap());
                git(&["remove", "--force", &format!("../{}", gone.path)])
            }
            Operation::Move(tree) if count > 1 => {
                let to = format!("w{}", model.paths);
                model.paths += 1;
                let tree = &mut model.trees[linked(tree).unwrap()];
                let from = std::mem::replace(&mut tree.path, to);
                git(&["move", &format!("../{from}"), &format!("../{}", tree.path)])
            }
            Operation::Call(tree, how) => {
                let expected = model.call(any(tree), how);
                Step::Call(any(tree), how, expected)
            }
            Operation::Damage(tree, kind, one, other) => {
                model.trees[any(tree)].lies = Lies::Other(OTHERS[kind], one, other);
                Step::PutPortFile(any(tree))
            }
            Operation::Delete(tree) => {
                model.trees[any(tree)].lies = Lies::Nothing;
                Step::PutPortFile(any(tree))
            }
            Operation::Edit(tree, port) => match &mut model.trees[any(tree)].lies {
                Lies::Ours(ours) => {
                    ours.ports[0].1 = port;
                    Step::PutPortFile(any(tree))
                }
                _ => Step::Nothing,
            },
            Operation::Copy(from, to) => {
                model.trees[any(to)].lies = model.trees[any(from)].lies.clone();
                Step::PutPortFile(any(to))
            }
            Operation::Configure(tree, config) => {
                model.trees[any(tree)].config = Some(config);
                Step::PutConfig(any(tree))
            }
            Operation::Listen(port)
                if model.listening.len() < 5 && model.listening.insert(port) =>
            {
                Step::Listen(port)
            }
            Operation::Close(nth) => match model.listening.iter().nth(nth).copied() {
                Some(port) => {
                    model.listening.remove(&port);
                    Step::Close(port)
                }
                None => Step::Nothing,
            },
            _ => Step::Nothing,
        };
        model
    }
}

fn git(arguments: &[&str]) -> Step {
    let arguments = ["worktree"].iter().chain(arguments);
    Step::Git(arguments.map(|&argument| argument.to_owned()).collect())
}

/// The real thing.
struct System {
    sandbox: Sandbox,
    listeners: BTreeMap<Offset, TcpListener>,
}

impl System {
    /// The number from which offsets are counted.
    fn first(&self) -> u16 {
        self.sandbox.port(0)
    }

    fn take(&mut self, model: &Model) {
        match &model.next {
            Step::Nothing => {}
            Step::Git(arguments) => {
                self.sandbox.git("repo", arguments);
            }
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

    fn call(&self, model: &Model, tree: usize, how: How, expected: Expected) {
        let path = &model.trees[tree].path;
        let run = match how {
            How::Hook => self.sandbox.run_hook(path).exits(0),
            How::Bare | How::Reallocate => {
                let arguments: &[&str] = if how == How::Bare {
                    &["--json"]
                } else {
                    &["--reallocate"]
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

    /// Without asking the model: the ports stand in no other worktree's file, and can be bound.
    fn assert_chosen_well(&self, model: &Model, tree: usize) {
        let ports = self.sandbox.ports(&model.trees[tree].path);
        for (i, other) in model.trees.iter().enumerate().filter(|(i, _)| *i != tree) {
            let path = self.sandbox.path(&other.path).join(PORT_FILE);
            if path.is_symlink() || !path.is_file() {
                continue;
            }
            let text = fs::read_to_string(path).unwrap();
            // In a file of our shape, a URL that an edit has left behind reserves nothing.
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

impl Plain {
    fn config(&self, first: u16) -> Config {
        let services = self.services.iter();
        let services: Vec<_> = services.map(|(name, base)| (*name, first + base)).collect();
        let plain = config(&services).step(self.step);
        self.urls.iter().fold(plain, |config, service| {
            let template = format!("http://localhost:{{{service}}}/");
            config.url(&format!("{service}_url"), &template)
        })
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
            let root = system.sandbox.path(&tree.path);
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
