//! The problems that `--check` finds: pure rules over the facts, and one place that lets a cause hide
//! its effects.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::allocate::choose;
use crate::config::Config;
use crate::config::file as config_file;
use crate::error::{Error, error, quoted, shell_word};
use crate::files::staged::SUFFIX;
use crate::git::worktree::by_hand;
use crate::ports::{Bundle, Port, ServiceName};
use crate::report::facts::{Facts, WorktreeFacts};
use crate::state::port_file::{self, FileState};

/// How a problem relates to others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ProblemKind {
    /// Without its main worktree nobody knows the config that the others go by.
    BareByAccident,
    /// The worktree has to move to other ports.
    OtherPorts,
    /// Services have no port yet, or cannot get one.
    MissingPorts,
    /// Anything else in the port file.
    PortFile,
    Record,
    WrittenFile,
    /// What keeps a file from being brought up to date.
    Obstacle,
    Other,
}

/// A problem, and the index of the worktree that has it; `None` if it is the repository's.
struct Finding {
    worktree: Option<usize>,
    kind: ProblemKind,
    problem: Error,
}

/// The problems that were found so far. Each rule adds some.
struct Findings<'a> {
    facts: &'a Facts,
    found: Vec<Finding>,
}

/// Every problem: those of the repository first, then those of the main worktree and of the others by
/// their ids.
pub fn problems(facts: &Facts) -> Vec<Error> {
    let mut findings = Findings {
        facts,
        found: Vec::new(),
    };
    findings.repository();
    findings.few_slots();
    findings.same_names();
    findings.not_ignored();
    findings.configs();
    for (index, worktree) in facts.own() {
        findings.same_base_ports(index);
        for error in worktree.unusable.iter().chain(&worktree.unanswered) {
            findings.failed(index, ProblemKind::Other, error);
        }
        if worktree.unusable.is_none() {
            findings.port_file(index);
            findings.shared(index);
        }
        findings.upkeep(index);
    }
    let found = findings.found;
    let is_effect = |effect: &&Finding| found.iter().any(|cause| cause.hides(effect, facts));
    let mut causes: Vec<&Finding> = found.iter().filter(|it| !is_effect(it)).collect();
    causes.sort_by_key(|finding| finding.worktree.map(|index| facts.rank(index)));
    causes
        .iter()
        .map(|finding| finding.problem.clone())
        .collect()
}

/// What `--install` warns about: why other clones could not be looked at, and the names and base ports that
/// this clone has in common with them.
pub fn problems_between_clones(facts: &Facts) -> Vec<Error> {
    let mut findings = Findings {
        facts,
        found: Vec::new(),
    };
    findings.same_names();
    for (index, _) in facts.own() {
        findings.same_base_ports(index);
    }
    let common = findings.found.into_iter().map(|finding| finding.problem);
    let unknown = facts.sharing.iter().map(|error| {
        let error = error.clone().within("the clones were not compared");
        error.remedy("run `worktree-ports-hook --check`")
    });
    unknown.chain(common).collect()
}

impl Finding {
    /// Whether `effect` follows from this problem, and goes away with it. What follows from a broken config
    /// or from a worktree that is gone is not among the facts.
    fn hides(&self, effect: &Finding, facts: &Facts) -> bool {
        use ProblemKind as P;
        let effects: &[ProblemKind] = match self.kind {
            P::BareByAccident => &[
                P::MissingPorts,
                P::PortFile,
                P::Record,
                P::WrittenFile,
                P::Obstacle,
            ],
            P::OtherPorts | P::MissingPorts => &[P::PortFile, P::Record, P::WrittenFile],
            P::PortFile => &[P::Record, P::WrittenFile],
            // Until it is overcome, the record names the old ports and the new ones.
            P::Obstacle => &[P::Record],
            P::Record | P::WrittenFile | P::Other => &[],
        };
        let is_concerned = match (self.worktree, effect.worktree) {
            (None, Some(other)) => !facts.worktrees[other].has_own_config,
            (one, other) => one == other,
        };
        is_concerned && effects.contains(&effect.kind)
    }
}

impl Facts {
    /// The worktrees of this repository, with their indices: the main one, then the others by their
    /// ids.
    fn own(&self) -> impl Iterator<Item = (usize, &WorktreeFacts)> {
        let all = self.worktrees.iter().enumerate();
        let mut own: Vec<_> = all
            .filter(|(index, _)| self.clone_of(*index).is_none())
            .collect();
        own.sort_by_key(|(index, _)| self.rank(*index));
        own.into_iter()
    }

    /// The common dir of a worktree's repository, if that is another clone.
    fn clone_of(&self, index: usize) -> Option<&Path> {
        self.reservations.holders()[index].clone.as_deref()
    }

    /// The indices of the worktrees in other clones, and the common dirs of these.
    fn others(&self) -> impl Iterator<Item = (usize, &Path)> {
        (0..self.worktrees.len()).filter_map(|index| Some((index, self.clone_of(index)?)))
    }

    /// The ports that are a main worktree's by right.
    fn by_right(&self, index: usize) -> &[Port] {
        &self.reservations.holders()[index].slot_of_main
    }

    /// Main worktrees before linked ones, then the clones by their paths, then the ids.
    fn rank(&self, index: usize) -> (bool, &Path, Option<&str>) {
        let id = self.reservations.holders()[index].entry.id.as_deref();
        let clone = self.clone_of(index).unwrap_or(&self.common_dir);
        (id.is_some(), clone, id)
    }

    /// Whether the worktree at `index`, of two that have the same, is the one that stays. Each of two
    /// clones comes to the same answer.
    fn stays(&self, index: usize, other: usize) -> bool {
        let (own, others) = (&self.worktrees[index], &self.worktrees[other]);
        match (&others.port_file, own.is_listening, others.is_listening) {
            // Fixing that file gives it new ports.
            (FileState::Copied | FileState::Damaged | FileState::Foreign(_), ..)
            | (FileState::Own(_), true, false) => true,
            // If both seem to listen, it is one stack on the port that both have.
            (FileState::Own(_), true, true) | (FileState::Own(_), false, false) => {
                self.rank(index) < self.rank(other)
            }
            // A worktree that only has a record cannot be told to move.
            _ => false,
        }
    }
}

impl WorktreeFacts {
    /// Its config, if it has a valid one of its own.
    fn own_config(&self) -> Option<&Config> {
        let config = self.config.as_ref()?.as_ref().ok();
        config.filter(|_| self.has_own_config)
    }

    fn quoted(&self, path: &str) -> String {
        quoted(&self.root.join(path))
    }
}

impl Findings<'_> {
    fn of_repository(&mut self, problem: Error) {
        self.add(None, ProblemKind::Other, problem);
    }

    fn of(&mut self, index: usize, problem: Error) {
        self.add(Some(index), ProblemKind::Other, problem);
    }

    /// A problem that a call by hand fixes.
    fn fixed_by_a_call(&mut self, index: usize, kind: ProblemKind, what: String) {
        let remedy = format!("run `{}`", by_hand(&self.facts.worktrees[index].root));
        self.add(Some(index), kind, Error::new(what).remedy(remedy));
    }

    /// What a call by hand fails with.
    fn failed(&mut self, index: usize, kind: ProblemKind, error: &Error) {
        let error = or_ask_git(error, &self.facts.worktrees[index].root);
        self.add(Some(index), kind, error);
    }

    fn add(&mut self, worktree: Option<usize>, kind: ProblemKind, problem: Error) {
        self.found.push(Finding {
            worktree,
            kind,
            problem,
        });
    }

    fn repository(&mut self) {
        let facts = self.facts;
        let (path, word) = (quoted(&facts.common_dir), shell_word(&facts.common_dir));
        match &facts.is_bare_by_accident {
            Ok(false) => {}
            Ok(true) => {
                let what =
                    "says that it is bare, but it has an index, so it belongs to a main worktree";
                let problem = error!("{path} {what}")
                    .remedy(format!("run `git -C {word} config core.bare false`"));
                self.add(None, ProblemKind::BareByAccident, problem);
            }
            Err(error) => self.of_repository(or_ask_git(error, &facts.common_dir)),
        }
        for problem in facts.hook.iter().chain(&facts.sharing) {
            self.of_repository(or_ask_git(problem, &facts.common_dir));
        }
    }

    /// Configs that leave too few slots, each once, whichever worktrees have it.
    fn few_slots(&mut self) {
        let facts = self.facts;
        let mut configs: Vec<(&Config, Vec<String>)> = Vec::new();
        for (_, worktree) in facts.own() {
            let Some(config) = worktree.own_config() else {
                continue;
            };
            let path = worktree.quoted(config_file::NAME);
            match configs.iter_mut().find(|(other, _)| *other == config) {
                Some((_, paths)) => paths.push(path),
                None => configs.push((config, vec![path])),
            }
        }
        for (config, paths) in configs {
            let Some(shortage) = config.slot_shortage(choose::is_usable) else {
                continue;
            };
            let usable = match shortage.usable {
                1 => "1 worktree".to_owned(),
                n => format!("{n} worktrees"),
            };
            let remedy = match shortage.better_step {
                Some(better) => format!("set `step` to {better}"),
                None => "give the services base ports that are farther apart".to_owned(),
            };
            let (step, paths) = (config.step, paths.join(", "));
            let what = error!(
                "only {usable} can have ports at the same time: with `step` {step} in {paths}, services take the ports of each other's slots"
            );
            self.of_repository(what.remedy(remedy));
        }
    }

    /// Main worktrees of other clones that share base ports with this clone's. Neither can move.
    fn same_base_ports(&mut self, index: usize) {
        let facts = self.facts;
        let worktree = &facts.worktrees[index];
        let (root, by_hand) = (quoted(&worktree.root), by_hand(&worktree.root));
        let config = worktree.quoted(config_file::NAME);
        for (other, clone) in facts.others() {
            let both: Vec<String> = facts
                .by_right(index)
                .iter()
                .filter(|port| facts.by_right(other).contains(port))
                .map(Port::to_string)
                .collect();
            if !both.is_empty() {
                let (clone, ports) = (quoted(clone), both.join(", "));
                let what = error!(
                    "the main worktree {root} and that of the clone {clone} have the same base ports: {ports}"
                );
                let remedy =
                    format!("change the base ports in {config}, then run `{by_hand} --reallocate`");
                self.of(index, what.remedy(remedy));
            }
        }
    }

    /// Names that this clone shares with another: two stacks would be in one compose project, or in one
    /// database.
    fn same_names(&mut self) {
        let facts = self.facts;
        let own: BTreeSet<&(String, String)> = facts
            .own()
            .flat_map(|(_, worktree)| &worktree.stack_names)
            .collect();
        let mut shared: BTreeMap<(&Path, &str), BTreeSet<String>> = BTreeMap::new();
        for (index, clone) in facts.others() {
            for named in own.intersection(&facts.worktrees[index].stack_names.iter().collect()) {
                let (variable, name) = named;
                let names = shared.entry((clone, variable)).or_default();
                names.insert(format!("`{name}`"));
            }
        }
        let first = facts.own().next();
        let by_hand = by_hand(first.map_or(&facts.common_dir, |(_, worktree)| &worktree.root));
        let config = config_file::NAME;
        for ((clone, variable), names) in shared {
            let names = names.into_iter().collect::<Vec<_>>().join(", ");
            let clone = quoted(clone);
            let what = error!("`{variable}` is {names} both here and in the clone {clone}");
            self.of_repository(what.remedy(format!(
                "change its template in `{config}` so that the names differ, then run `{by_hand} --all`"
            )));
        }
    }

    /// Broken configs, each once, whichever worktrees use it.
    fn configs(&mut self) {
        let facts = self.facts;
        let mut told = BTreeSet::new();
        for (index, worktree) in facts.own() {
            if let Some(Err(error)) = &worktree.config
                && told.insert(error.to_string())
            {
                self.failed(index, ProblemKind::Other, error);
            }
        }
    }

    fn port_file(&mut self, index: usize) {
        let worktree = &self.facts.worktrees[index];
        let path = worktree.quoted(port_file::NAME);
        let broken = match (&worktree.port_file, &worktree.refusal) {
            (FileState::Foreign(_), _) if !worktree.is_tracked => {
                let by_hand = by_hand(&worktree.root);
                let replace = format!("`{by_hand} --reallocate` to replace it");
                let remedy = if worktree.is_adoptable {
                    format!("run `{by_hand} --adopt` to take its ports over, or {replace}")
                } else {
                    format!("run {replace}; `--adopt` cannot take its ports over")
                };
                let problem = error!("{path} belongs to another tool").remedy(remedy);
                return self.of(index, problem);
            }
            (_, Some(refusal)) => return self.failed(index, ProblemKind::Other, refusal),
            (FileState::Copied, None) => "a copy of another worktree's",
            (FileState::Damaged, None) => "damaged",
            _ => return,
        };
        let what = format!("{path} is {broken}");
        self.fixed_by_a_call(index, ProblemKind::OtherPorts, what);
    }

    /// The ports and the slot that a worktree's own port file shares with others, except for base ports of two
    /// clones, which both keep. The problem belongs to the worktree that has to move or, if that is in another
    /// clone, to this one.
    fn shared(&mut self, index: usize) {
        let facts = self.facts;
        let worktree = &facts.worktrees[index];
        let Some(own) = worktree.port_file.own() else {
            return;
        };
        let mut to_move: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (other, what) in shared_with(facts, index, &own.bundle) {
            if !facts.stays(index, other) {
                to_move.entry(index).or_default().push(what);
            } else if facts.clone_of(other).is_some() {
                to_move.entry(other).or_default().push(what);
            }
        }
        for (moved, what) in to_move {
            let kind = if moved == index {
                ProblemKind::OtherPorts
            } else {
                ProblemKind::Other
            };
            let (path, what) = (quoted(&worktree.root), what.join(", "));
            let by_hand = by_hand(&facts.worktrees[moved].root);
            let problem =
                error!("{path} shares {what}").remedy(format!("run `{by_hand} --reallocate`"));
            self.add(Some(index), kind, problem);
        }
    }

    /// What the next call by hand would change, or could not.
    fn upkeep(&mut self, index: usize) {
        let worktree = &self.facts.worktrees[index];
        let upkeep = match &worktree.upkeep {
            None => return,
            Some(Err(error)) => return self.failed(index, ProblemKind::MissingPorts, error),
            Some(Ok(upkeep)) => upkeep,
        };
        let mut fixed = |kind, what| self.fixed_by_a_call(index, kind, what);
        let port_file = worktree.quoted(port_file::NAME);
        if !upkeep.joining.is_empty() {
            let services: Vec<&str> = upkeep.joining.iter().map(ServiceName::as_str).collect();
            let what = format!("{port_file} has no port for {}", services.join(", "));
            fixed(ProblemKind::MissingPorts, what);
        }
        if upkeep.is_port_file_outdated {
            let what = format!("{port_file} does not match the config");
            fixed(ProblemKind::PortFile, what);
        }
        if let Some(record) = &upkeep.outdated_record {
            let what = format!(
                "{} is missing or does not match {port_file}",
                quoted(record)
            );
            fixed(ProblemKind::Record, what);
        }
        for (path, _) in upkeep.files.iter().filter(|(_, why)| why.is_none()) {
            let what = format!("{} is not up to date", worktree.quoted(path));
            fixed(ProblemKind::WrittenFile, what);
        }
        if upkeep.has_leftovers {
            let root = quoted(&worktree.root);
            let what = format!("an interrupted run has left temporary files in {root}");
            fixed(ProblemKind::WrittenFile, what);
        }
        if let Some(error) = &upkeep.left_out {
            self.failed(index, ProblemKind::MissingPorts, error);
        }
        for error in upkeep.files.iter().filter_map(|(_, why)| why.as_ref()) {
            self.failed(index, ProblemKind::Obstacle, error);
        }
        for (path, name) in &upkeep.spanning {
            let path = worktree.quoted(path);
            let what = format!(
                "`{name}` is set twice in {path}: your own lines set it too, to a value that spans several lines"
            );
            let problem = Error::new(what).remedy(format!("delete those lines from {path}"));
            self.of(index, problem);
        }
    }

    /// The files of ours that git shows, so that `git worktree remove` would refuse.
    fn not_ignored(&mut self) {
        let facts = self.facts;
        let (mut rules, mut files) = (BTreeSet::new(), Vec::new());
        for (index, worktree) in facts.own() {
            for (path, rule) in &worktree.not_ignored {
                let file = worktree.quoted(path);
                let what = format!("git does not ignore {file}");
                let problem = if let Some(rule) = rule {
                    error!("{what}, because of the rule `{rule}`").remedy("remove that rule")
                } else if facts.not_hidable.contains(path) {
                    let gitignore = worktree.root.join(".gitignore");
                    let command = append(&[format!("/{path}")], &gitignore);
                    Error::new(what).remedy(format!("run `{command}`"))
                } else {
                    rules.insert(format!("/{path}"));
                    files.push(file);
                    continue;
                };
                self.of(index, problem);
            }
        }
        if !files.is_empty() {
            let info = facts.common_dir.join("info");
            let rules: Vec<String> = rules.into_iter().chain([format!("*{SUFFIX}")]).collect();
            let append = append(&rules, &info.join("exclude"));
            let problem = error!("git does not ignore {}", files.join(", "));
            let remedy = format!("run `mkdir -p {} && {append}`", shell_word(&info));
            self.of_repository(problem.remedy(remedy));
        }
    }
}

/// If git gives no answer, the error has no remedy. Usually, the index is broken.
fn or_ask_git(error: &Error, directory: &Path) -> Error {
    error.clone().remedy_or(&format!(
        "run `git -C {} status`, and fix what it reports",
        shell_word(directory)
    ))
}

/// What others share with `bundle`: the index of each, and the port or slot in words.
fn shared_with(facts: &Facts, index: usize, bundle: &Bundle) -> Vec<(usize, String)> {
    let others = facts.reservations.except(Some(index));
    let name = |other: usize| facts.reservations.holders()[other].name();
    let mut shared = Vec::new();
    for (service, port) in &bundle.ports {
        let is_by_right = |at: usize| facts.by_right(at).contains(port);
        let having = others.having_port(*port);
        for other in having.filter(|other| !(is_by_right(index) && is_by_right(*other))) {
            let theirs = facts.worktrees[other].port_file.own();
            let theirs = theirs.and_then(|own| own.bundle.service(*port));
            let theirs = theirs.map_or(String::new(), |service| format!(" ({service})"));
            let name = name(other);
            shared.push((
                other,
                format!("port {port} ({service}) with {name}{theirs}"),
            ));
        }
    }
    let slot = bundle.slot;
    let having = others
        .having_slot(slot)
        .collect::<BTreeSet<_>>()
        .into_iter();
    shared.extend(having.map(|other| (other, format!("slot {slot} with {}", name(other)))));
    shared
}

/// The command that appends lines to a file, which may be missing or lack a newline at its end.
fn append(lines: &[String], file: &Path) -> String {
    let words: Vec<String> = lines
        .iter()
        .map(|line| shell_word(Path::new(line)))
        .collect();
    let file = shell_word(file);
    format!(r"printf '\n%s' {} '' >> {file}", words.join(" "))
}

// Their paths and shell words are those of Unix.
#[cfg(all(test, unix))]
mod tests;
