//! The plain model: what the port files contain after every step.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use crate::support::{Config, config};

/// A port, counted from the first one of the test's own.
pub type Offset = u16;

/// A config of the model: services with their base ports, a step, and the services with a URL.
pub struct Plain {
    pub services: &'static [(&'static str, Offset)],
    pub step: u16,
    pub urls: &'static [&'static str],
}

/// They overlap, so that worktrees with different configs compete. `None` is an invalid config.
pub const CONFIGS: [Option<Plain>; 5] = [
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

impl Plain {
    pub fn config(&self, first: u16) -> Config {
        let services = self.services.iter();
        let services: Vec<_> = services.map(|(name, base)| (*name, first + base)).collect();
        let plain = config(&services).step(self.step);
        self.urls.iter().fold(plain, |config, service| {
            let template = format!("http://localhost:{{{service}}}/");
            config.url(&format!("{service}_url"), &template)
        })
    }
}

/// What is at the path of a port file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lies {
    Nothing,
    Ours(Ours),
    Other(Other, Offset, Offset),
}

/// A file of our shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ours {
    pub id: Option<String>,
    pub slot: u16,
    pub ports: Vec<(&'static str, Offset)>,
    pub urls: Vec<(&'static str, Offset)>,
}

/// What else may be there, together with two ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    Empty,
    Truncated,
    Conflict,
    Impossible,
    AnotherTools,
    Link,
    Directory,
}

pub const OTHERS: [Other; 7] = [
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

    /// The slot that it reserves.
    fn reserves_slot(&self) -> Option<u16> {
        match self {
            Lies::Ours(ours) => Some(ours.slot),
            // Our shape with an impossible value.
            Lies::Other(Other::Impossible, ..) => Some(1),
            _ => None,
        }
    }

    /// The content, if it is a file.
    pub fn text(&self, first: u16) -> Option<String> {
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
    /// As the program writes it.
    pub fn text(&self, first: u16) -> String {
        let ports = self.ports.iter();
        let ports: Vec<String> = ports
            .map(|(service, port)| format!(r#"    "{service}": {}"#, first + port))
            .collect();
        let mut members = vec![
            format!(r#"  "worktree": {}"#, serde_json::json!(self.id)),
            format!(r#"  "slot": {}"#, self.slot),
            format!("  \"ports\": {{\n{}\n  }}", ports.join(",\n")),
        ];
        members.extend(self.urls.iter().map(|(service, port)| {
            let port = first + port;
            format!(r#"  "{service}_url": "http://localhost:{port}/""#)
        }));
        format!("{{\n{}\n}}\n", members.join(",\n"))
    }
}

#[derive(Clone, Debug)]
pub struct Tree {
    pub id: Option<String>,
    pub path: String,
    pub lies: Lies,
    /// What the record names.
    pub record: Option<Ours>,
    pub config: Option<usize>,
    /// Whether the directory is renamed away, as if unmounted.
    pub is_away: bool,
}

impl Tree {
    /// Its own port file, unless it is away.
    fn own(&self) -> Option<&Ours> {
        match &self.lies {
            Lies::Ours(ours) if ours.id == self.id && !self.is_away => Some(ours),
            _ => None,
        }
    }

    /// The ports and slots that it keeps from the others.
    fn reserves(&self) -> (Vec<Offset>, Vec<u16>) {
        let (mut ports, mut slots) = (Vec::new(), Vec::new());
        if !self.is_away {
            ports = self.lies.reserves();
            slots.extend(self.lies.reserves_slot());
        }
        if let (None, Some(record)) = (self.own(), &self.record) {
            ports.extend(record.ports.iter().map(|(_, port)| port));
            slots.push(record.slot);
        }
        (ports, slots)
    }

    /// The path to which it is renamed.
    pub fn away(&self) -> String {
        format!("{}-away", self.path)
    }
}

#[derive(Clone, Debug)]
pub struct Model {
    /// The main worktree, then the linked ones.
    pub trees: Vec<Tree>,
    pub listening: BTreeSet<Offset>,
    /// How many paths were used so far.
    pub paths: usize,
    /// What the system must do next.
    pub next: Step,
}

/// A step of the system.
#[derive(Clone, Debug)]
pub enum Step {
    Nothing,
    Git(Vec<String>),
    Clean(usize),
    Rename(String, String),
    MoveByHand(String, String),
    RemoveRecord(usize),
    PutPortFile(usize),
    PutConfig(usize),
    Listen(Offset),
    Close(Offset),
    Call(usize, How, Expected),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Hook,
    Bare,
    Reallocate,
    Release,
}

/// The expected result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Kept,
    Followed,
    Restored,
    Chosen,
    Refused,
}

/// An operation; its numbers are reduced to what exists.
#[derive(Clone, Debug)]
pub enum Operation {
    Add,
    Remove(usize),
    Move(usize),
    MoveByHand(usize),
    Disappear(usize),
    ComeBack(usize),
    Prune,
    Clean(usize),
    LoseRecord(usize),
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
    /// The config that applies in that worktree.
    fn config(&self, tree: usize) -> Option<&'static Plain> {
        let of_main = self.trees[0].config.unwrap();
        CONFIGS[self.trees[tree].config.unwrap_or(of_main)].as_ref()
    }

    /// The ports and slots of the others.
    fn reserved(&self, tree: usize) -> (BTreeSet<Offset>, BTreeSet<u16>) {
        let (mut ports, mut slots) = (BTreeSet::new(), BTreeSet::new());
        for (_, other) in self.trees.iter().enumerate().filter(|(i, _)| *i != tree) {
            let (of_other, slots_of_other) = other.reserves();
            ports.extend(of_other);
            slots.extend(slots_of_other);
        }
        if tree != 0 {
            for config in [self.config(0), self.config(tree)].into_iter().flatten() {
                ports.extend(config.services.iter().map(|(_, base)| base));
            }
            slots.insert(0);
        }
        (ports, slots)
    }

    fn call(&mut self, tree: usize, how: How) -> Expected {
        let id = self.trees[tree].id.clone();
        let own = self.trees[tree].own().cloned();
        if tree == 0 && how == How::Hook && own.is_none() {
            return Expected::Kept;
        }
        let is_another_tools =
            matches!(self.trees[tree].lies, Lies::Other(Other::AnotherTools, ..));
        match how {
            How::Hook if is_another_tools => return Expected::Kept,
            // The hook uses only the worktree's own config.
            How::Hook if own.is_some() && self.trees[tree].config.is_none() => {
                return Expected::Kept;
            }
            How::Bare | How::Release if is_another_tools => return Expected::Refused,
            How::Release => {
                self.trees[tree].lies = Lies::Nothing;
                self.trees[tree].record = None;
                return Expected::Kept;
            }
            _ => {}
        }
        let Some(config) = self.config(tree) else {
            return Expected::Refused;
        };
        let restored = || {
            let record = self.trees[tree].record.as_ref()?;
            let ports = self.restore(tree, record, config);
            (how != How::Reallocate && !ports.is_empty()).then_some((record.slot, ports))
        };
        let mut is_restored = false;
        let (slot, ports) = match &own {
            Some(own) if how != How::Reallocate => (own.slot, self.follow(tree, own, config)),
            _ => match restored() {
                Some(restored) => {
                    is_restored = true;
                    restored
                }
                None => self.choose(tree, config),
            },
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
            Some(own) if how != How::Reallocate && *own == ours => Expected::Kept,
            Some(_) if how != How::Reallocate => Expected::Followed,
            _ if is_restored => Expected::Restored,
            _ => Expected::Chosen,
        };
        self.trees[tree].record = Some(ours.clone());
        self.trees[tree].lies = Lies::Ours(ours);
        expected
    }

    fn choose(&self, tree: usize, config: &Plain) -> (u16, Vec<(&'static str, Offset)>) {
        let (reserved, slots) = self.reserved(tree);
        let found = (0..).filter(|slot| !slots.contains(slot)).find_map(|slot| {
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

    /// What the record restores under a config that may have changed: nothing if another worktree
    /// has its slot or one of its ports.
    fn restore(&self, tree: usize, record: &Ours, config: &Plain) -> Vec<(&'static str, Offset)> {
        let (reserved, slots) = self.reserved(tree);
        let mut ports = record.ports.iter();
        if slots.contains(&record.slot) || ports.any(|(_, port)| reserved.contains(port)) {
            return Vec::new();
        }
        self.follow(tree, record, config)
    }

    /// The ports of a bundle under a config that may have changed; empty if none is left.
    fn follow(&self, tree: usize, own: &Ours, config: &Plain) -> Vec<(&'static str, Offset)> {
        let (reserved, _) = self.reserved(tree);
        let has = |wanted: &str| own.ports.iter().find(|(service, _)| *service == wanted);
        let in_slot = |base: Offset| base + own.slot * config.step;
        let all_stand = (config.services.iter())
            .all(|(service, base)| has(service).is_none_or(|(_, port)| *port == in_slot(*base)));
        // A listener there may be the worktree's own server.
        let joins = |port: &Offset| all_stand && !reserved.contains(port);
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
            record: None,
            config: Some(0),
            is_away: false,
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
        let how = prop_oneof![
            3 => Just(How::Hook),
            3 => Just(How::Bare),
            3 => Just(How::Reallocate),
            1 => Just(How::Release),
        ];
        prop_oneof![
            4 => Just(Operation::Add),
            1 => tree().prop_map(Operation::Remove),
            1 => tree().prop_map(Operation::Move),
            1 => tree().prop_map(Operation::MoveByHand),
            2 => tree().prop_map(Operation::Disappear),
            2 => tree().prop_map(Operation::ComeBack),
            1 => Just(Operation::Prune),
            1 => tree().prop_map(Operation::Clean),
            1 => tree().prop_map(Operation::LoseRecord),
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

    #[expect(clippy::too_many_lines, reason = "a match, an arm for each operation")]
    fn apply(mut model: Model, operation: &Operation) -> Model {
        let count = model.trees.len();
        let here: Vec<usize> = (0..count)
            .filter(|tree| !model.trees[*tree].is_away)
            .collect();
        let away: Vec<usize> = (0..count)
            .filter(|tree| model.trees[*tree].is_away)
            .collect();
        // Operations only reach worktrees that are not away.
        let any = |tree: usize| here[tree % here.len()];
        // The main worktree can be neither moved nor removed.
        let linked = |tree: usize| here[1..].get(tree % (here.len() - 1).max(1)).copied();
        model.next = match *operation {
            Operation::Add if count < 7 => {
                let path = format!("w{}", model.paths);
                model.paths += 1;
                model.trees.push(Tree {
                    id: Some(path.clone()),
                    path: path.clone(),
                    lies: Lies::Nothing,
                    record: None,
                    config: None,
                    is_away: false,
                });
                // git runs the hook in it.
                model.call(count, How::Hook);
                git(&["add", "--quiet", &format!("../{path}")])
            }
            Operation::Remove(tree) if here.len() > 1 => {
                let gone = model.trees.remove(linked(tree).unwrap());
                git(&["remove", "--force", &format!("../{}", gone.path)])
            }
            Operation::Move(tree) if here.len() > 1 => {
                let to = format!("w{}", model.paths);
                model.paths += 1;
                let tree = &mut model.trees[linked(tree).unwrap()];
                let from = std::mem::replace(&mut tree.path, to);
                git(&["move", &format!("../{from}"), &format!("../{}", tree.path)])
            }
            Operation::MoveByHand(tree) if here.len() > 1 => {
                let to = format!("w{}", model.paths);
                model.paths += 1;
                let tree = &mut model.trees[linked(tree).unwrap()];
                let from = std::mem::replace(&mut tree.path, to.clone());
                Step::MoveByHand(from, to)
            }
            Operation::Disappear(tree) if here.len() > 1 => {
                let tree = &mut model.trees[linked(tree).unwrap()];
                tree.is_away = true;
                Step::Rename(tree.path.clone(), tree.away())
            }
            Operation::ComeBack(tree) if !away.is_empty() => {
                let tree = &mut model.trees[away[tree % away.len()]];
                tree.is_away = false;
                Step::Rename(tree.away(), tree.path.clone())
            }
            Operation::Prune => {
                model.trees.retain(|tree| !tree.is_away);
                git(&["prune"])
            }
            Operation::Clean(tree) if here.len() > 1 => {
                let index = linked(tree).unwrap();
                model.trees[index].lies = Lies::Nothing;
                model.trees[index].config = None;
                Step::Clean(index)
            }
            Operation::LoseRecord(tree) => {
                model.trees[any(tree)].record = None;
                Step::RemoveRecord(any(tree))
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
