//! The problems that `--check` finds: pure rules over the facts, and one place that lets a cause hide
//! its effects.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::allocate::choose;
use crate::config::{Config, SlotShortage};
use crate::error::Error;
use crate::install::HookProblem;
use crate::ports::{Bundle, Port, ServiceName};
use crate::report::facts::{Facts, Unusable, WorktreeFacts};
use crate::state::port_file::FileState;

/// What is wrong.
pub enum Problem<'a> {
    Hook(&'a HookProblem),
    /// The repository says that it is bare, and has a main worktree.
    BareByAccident(&'a Path),
    Unusable(&'a Unusable),
    /// A config that is not valid.
    Config(&'a Error),
    /// Too few slots by the configs in these worktrees.
    FewSlots(SlotShortage, u32, Vec<&'a Path>),
    /// The port file is a copy of another worktree's.
    Copied,
    Damaged,
    /// A port file that a call by hand leaves alone, for this reason.
    LeftAlone(&'a Error),
    /// Another tool's port file, whose ports could be taken over or not.
    Foreign {
        is_adoptable: bool,
    },
    /// Ports or the slot of the worktree at the first path are assigned to others too. The worktree at
    /// the second one is to move.
    Shared {
        of: &'a Path,
        with: Vec<String>,
        to_move: &'a Path,
    },
    /// Ports that are the main worktree's by right are also those of the main worktree of that clone.
    SameBasePorts(Vec<Port>, &'a Path),
    /// A variable has the same values here and in that clone.
    SameNames(&'a str, Vec<&'a str>, &'a Path),
    /// No bundle can be had, or some services get no port.
    NoPorts(&'a Error),
    /// Services of the config that the port file lacks.
    Joining(&'a [ServiceName]),
    /// Anything else in the port file.
    PortFileOutdated,
    RecordOutdated(&'a Path),
    FileOutdated(&'a str),
    /// An env file or a template that cannot be brought up to date.
    Obstacle(&'a Error),
    /// A line of the user's sets the variable too, in the env file at that path.
    Spanning {
        path: &'a str,
        name: &'a str,
    },
    /// An interrupted run has left temporary files.
    Leftovers,
    /// git shows these files; with these paths, the list that all worktrees share would hide them.
    NotIgnored {
        paths: BTreeSet<&'a str>,
        files: Vec<PathBuf>,
    },
    /// git shows a file that only `.gitignore` can hide.
    NotIgnoredHere(&'a str),
    /// git shows a file because of that rule.
    Reincluded {
        path: &'a str,
        rule: &'a str,
    },
    /// What could not be found out.
    Unanswered(&'a Error),
}

/// A problem and the worktree that has it; `None` if it is the repository's.
pub struct Finding<'a> {
    pub worktree: Option<&'a WorktreeFacts>,
    pub problem: Problem<'a>,
}

/// Finds the problems of one kind.
type Rule = for<'a> fn(&'a Facts) -> Vec<Finding<'a>>;

const RULES: [Rule; 10] = [
    repository,
    few_slots,
    same_base_ports,
    same_names,
    usable,
    not_ignored,
    configs,
    port_files,
    shared,
    upkeep,
];

/// Every problem, those of the repository first, then those of the main worktree and of the others by
/// their ids.
pub fn findings(facts: &Facts) -> Vec<Finding<'_>> {
    let found: Vec<Finding<'_>> = RULES.iter().flat_map(|rule| rule(facts)).collect();
    let is_effect = |effect: &Finding<'_>| found.iter().any(|cause| cause.hides(effect));
    let is_cause: Vec<bool> = found.iter().map(|finding| !is_effect(finding)).collect();
    let causes = found.into_iter().zip(is_cause);
    let mut causes: Vec<Finding<'_>> = causes
        .filter_map(|(finding, is_cause)| is_cause.then_some(finding))
        .collect();
    causes.sort_by_key(|finding| {
        let worktree = finding.worktree?;
        let mut all = facts.worktrees.iter();
        let index = all.position(|other| std::ptr::eq(other, worktree))?;
        Some(facts.rank(index))
    });
    causes
}

impl Finding<'_> {
    /// Whether `effect` follows from this problem, and goes with it. What follows from a broken config
    /// or from a worktree that is gone is not among the facts.
    fn hides(&self, effect: &Finding<'_>) -> bool {
        use Problem as P;
        let is_written_anew = matches!(
            effect.problem,
            P::PortFileOutdated | P::RecordOutdated(_) | P::FileOutdated(_) | P::Leftovers
        );
        match (&self.problem, self.worktree, effect.worktree) {
            // Without its main worktree nobody knows the config that the others go by.
            (P::BareByAccident(_), _, Some(other)) => {
                let follows = is_written_anew
                    || matches!(
                        effect.problem,
                        P::Joining(_) | P::NoPorts(_) | P::Obstacle(_)
                    );
                follows && !other.has_own_config
            }
            (problem, Some(one), Some(other)) if std::ptr::eq(one, other) => match problem {
                P::Shared { to_move, .. } => is_written_anew && *to_move == one.root,
                P::Copied | P::Damaged | P::NoPorts(_) | P::Joining(_) => is_written_anew,
                P::PortFileOutdated => {
                    is_written_anew && !matches!(effect.problem, P::PortFileOutdated)
                }
                // Until it is overcome, the record names what was and what is to be.
                P::Obstacle(_) => matches!(effect.problem, P::RecordOutdated(_)),
                _ => false,
            },
            _ => false,
        }
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

    /// The ports that are a main worktree's by right.
    fn by_right(&self, index: usize) -> &[Port] {
        &self.reservations.holders()[index].slot_of_main
    }

    /// Main worktrees before linked ones, then the clones by their paths, then the ids.
    fn rank(&self, index: usize) -> (bool, &Path, Option<&OsStr>) {
        let (is_linked, id) = self.reservations.holders()[index].entry.rank();
        let clone = self.clone_of(index).unwrap_or(&self.common_dir);
        (is_linked, clone, id)
    }

    /// Whether the worktree at `index`, of two that have the same, is the one that stays. Each of two
    /// clones comes to the same answer.
    fn stays(&self, index: usize, other: usize) -> bool {
        let (own, others) = (&self.worktrees[index], &self.worktrees[other]);
        match (&others.port_file, own.is_listening, others.is_listening) {
            // What mends that file moves it.
            (FileState::Copied | FileState::Damaged, ..) | (FileState::Own(_), true, false) => true,
            // If both seem to listen, it is one stack on the port that both have.
            (FileState::Own(_), true, true) | (FileState::Own(_), false, false) => {
                self.rank(index) < self.rank(other)
            }
            // One that is only reserved for, or another tool's, cannot be told to move.
            _ => false,
        }
    }
}

fn of_repository(problem: Problem<'_>) -> Finding<'_> {
    let worktree = None;
    Finding { worktree, problem }
}

fn of<'a>(worktree: &'a WorktreeFacts, problem: Problem<'a>) -> Finding<'a> {
    let worktree = Some(worktree);
    Finding { worktree, problem }
}

fn repository(facts: &Facts) -> Vec<Finding<'_>> {
    let hook = match &facts.hook {
        Ok(problems) => problems.iter().map(Problem::Hook).collect(),
        Err(error) => vec![Problem::Unanswered(error)],
    };
    let bare = match &facts.is_bare_by_accident {
        Ok(true) => Some(Problem::BareByAccident(&facts.common_dir)),
        Ok(false) => None,
        Err(error) => Some(Problem::Unanswered(error)),
    };
    bare.into_iter().chain(hook).map(of_repository).collect()
}

/// Each config that leaves too few slots, once, however many worktrees have it.
fn few_slots(facts: &Facts) -> Vec<Finding<'_>> {
    let mut configs: Vec<(&Config, Vec<&Path>)> = Vec::new();
    for (_, worktree) in facts.own().filter(|(_, worktree)| worktree.has_own_config) {
        let Some(Ok(config)) = &worktree.config else {
            continue;
        };
        match configs.iter_mut().find(|(other, _)| *other == config) {
            Some((_, roots)) => roots.push(&worktree.root),
            None => configs.push((config, vec![&worktree.root])),
        }
    }
    let few = |(config, roots): (&Config, _)| {
        let shortage = config.slot_shortage(choose::is_usable)?;
        Some(of_repository(Problem::FewSlots(
            shortage,
            config.step,
            roots,
        )))
    };
    configs.into_iter().filter_map(few).collect()
}

/// Main worktrees of other clones that have a port which is this one's by right. Neither can move.
fn same_base_ports(facts: &Facts) -> Vec<Finding<'_>> {
    let mut found = Vec::new();
    for (index, worktree) in facts
        .own()
        .filter(|(index, _)| !facts.by_right(*index).is_empty())
    {
        for (other, _) in facts.worktrees.iter().enumerate() {
            let Some(clone) = facts.clone_of(other) else {
                continue;
            };
            let both = facts.by_right(index).iter();
            let both = both.filter(|port| facts.by_right(other).contains(port));
            let both: Vec<Port> = both.copied().collect();
            if !both.is_empty() {
                found.push(of(worktree, Problem::SameBasePorts(both, clone)));
            }
        }
    }
    found
}

/// Names that worktrees of this clone and of another one have both: two stacks in one compose project,
/// or in one database.
fn same_names(facts: &Facts) -> Vec<Finding<'_>> {
    let own: BTreeSet<&(String, String)> = facts
        .own()
        .flat_map(|(_, worktree)| &worktree.stack_names)
        .collect();
    let mut shared: BTreeMap<(&Path, &str), BTreeSet<&str>> = BTreeMap::new();
    for (index, worktree) in facts.worktrees.iter().enumerate() {
        let Some(clone) = facts.clone_of(index) else {
            continue;
        };
        for (variable, name) in worktree
            .stack_names
            .iter()
            .filter(|name| own.contains(name))
        {
            shared.entry((clone, variable)).or_default().insert(name);
        }
    }
    let shared = shared.into_iter();
    shared
        .map(|((clone, variable), names)| {
            of_repository(Problem::SameNames(
                variable,
                names.into_iter().collect(),
                clone,
            ))
        })
        .collect()
}

fn usable(facts: &Facts) -> Vec<Finding<'_>> {
    let found = facts.own().flat_map(|(_, worktree)| {
        let unusable = worktree.unusable.iter().map(Problem::Unusable);
        let unanswered = worktree.unanswered.iter().map(Problem::Unanswered);
        unusable
            .chain(unanswered)
            .map(move |problem| of(worktree, problem))
    });
    found.collect()
}

/// A config that is broken, once, whichever worktrees go by it.
fn configs(facts: &Facts) -> Vec<Finding<'_>> {
    let mut found = Vec::new();
    let mut told = BTreeSet::new();
    for (_, worktree) in facts.own() {
        if let Some(Err(error)) = &worktree.config
            && told.insert(error.to_string())
        {
            found.push(of(worktree, Problem::Config(error)));
        }
    }
    found
}

fn port_files(facts: &Facts) -> Vec<Finding<'_>> {
    let problem = |worktree: &'_ WorktreeFacts| match &worktree.port_file {
        _ if worktree.unusable.is_some() || worktree.is_tracked => None,
        FileState::Copied => Some(Problem::Copied),
        FileState::Damaged => Some(Problem::Damaged),
        FileState::Foreign(_) => Some(Problem::Foreign {
            is_adoptable: worktree.is_adoptable,
        }),
        FileState::Missing | FileState::Own(_) | FileState::Unreadable(_) | FileState::Tracked => {
            None
        }
    };
    let found = facts.own().filter_map(|(_, worktree)| {
        let refusal = worktree.refusal.as_ref().map(Problem::LeftAlone);
        Some(of(worktree, problem(worktree).or(refusal)?))
    });
    found.collect()
}

/// The ports and the slot of a worktree's own port file that others have too, but for those that are a
/// main worktree's by right in two clones. It is told of the worktree that is to move.
fn shared(facts: &Facts) -> Vec<Finding<'_>> {
    let mut found = Vec::new();
    for (index, worktree) in facts.own() {
        let (FileState::Own(own), None) = (&worktree.port_file, &worktree.unusable) else {
            continue;
        };
        let mut to_others = Vec::new();
        for (other, what) in shared_with(facts, index, &own.bundle) {
            let holder = &facts.reservations.holders()[other];
            let to = format!(
                "{} of {}{}",
                what.join(", "),
                holder.name(),
                services(facts, other, &own.bundle)
            );
            if !facts.stays(index, other) {
                to_others.push(to);
            } else if holder.clone.is_some() {
                found.push(of(
                    worktree,
                    Problem::Shared {
                        of: &worktree.root,
                        with: vec![to],
                        to_move: &facts.worktrees[other].root,
                    },
                ));
            }
        }
        if !to_others.is_empty() {
            found.push(of(
                worktree,
                Problem::Shared {
                    of: &worktree.root,
                    with: to_others,
                    to_move: &worktree.root,
                },
            ));
        }
    }
    found
}

/// The worktrees that have a port or the slot of `bundle` too, by their indices, and what they have.
fn shared_with(facts: &Facts, index: usize, bundle: &Bundle) -> BTreeMap<usize, Vec<String>> {
    let others = facts.reservations.others_than(Some(index));
    let mut shared: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (service, port) in &bundle.ports {
        for other in others.having_port(*port) {
            let is_by_right = |at| facts.by_right(at).contains(port);
            if !(is_by_right(index) && is_by_right(other)) {
                let what = format!("port {port} ({service})");
                shared.entry(other).or_default().push(what);
            }
        }
    }
    let having_slot: BTreeSet<usize> = others.having_slot(bundle.slot).collect();
    for other in having_slot {
        let what = format!("slot {}", bundle.slot);
        shared.entry(other).or_default().push(what);
    }
    shared
}

/// ` (web, api)`: the services of a worktree on ports of `bundle`.
fn services(facts: &Facts, index: usize, bundle: &Bundle) -> String {
    let FileState::Own(own) = &facts.worktrees[index].port_file else {
        return String::new();
    };
    let ports = own.bundle.ports.iter();
    let services = ports.filter(|(_, port)| bundle.service(*port).is_some());
    let services: Vec<&str> = services.map(|(service, _)| service.as_str()).collect();
    match services.as_slice() {
        [] => String::new(),
        services => format!(" ({})", services.join(", ")),
    }
}

/// What the next call by hand would change, or could not.
fn upkeep(facts: &Facts) -> Vec<Finding<'_>> {
    let mut found = Vec::new();
    for (_, worktree) in facts.own() {
        let Some(upkeep) = &worktree.upkeep else {
            continue;
        };
        let upkeep = match upkeep {
            Ok(upkeep) => upkeep,
            Err(error) => {
                found.push(of(worktree, Problem::NoPorts(error)));
                continue;
            }
        };
        let joining = Some(upkeep.joining.as_slice()).filter(|joining| !joining.is_empty());
        let mut problems: Vec<Problem<'_>> = joining.map(Problem::Joining).into_iter().collect();
        problems.extend(upkeep.left_out.as_ref().map(Problem::NoPorts));
        problems.extend(
            upkeep
                .is_port_file_outdated
                .then_some(Problem::PortFileOutdated),
        );
        let record = upkeep.outdated_record.as_deref();
        problems.extend(record.map(Problem::RecordOutdated));
        problems.extend(upkeep.files.iter().map(|(path, why)| match why {
            None => Problem::FileOutdated(path),
            Some(error) => Problem::Obstacle(error),
        }));
        let spanning = upkeep.spanning.iter();
        problems.extend(spanning.map(|(path, name)| Problem::Spanning { path, name }));
        problems.extend(upkeep.has_leftovers.then_some(Problem::Leftovers));
        found.extend(problems.into_iter().map(|problem| of(worktree, problem)));
    }
    found
}

/// The files of ours that git shows, so that `git worktree remove` would refuse.
fn not_ignored(facts: &Facts) -> Vec<Finding<'_>> {
    let mut found = Vec::new();
    let (mut paths, mut files) = (BTreeSet::new(), Vec::new());
    for (_, worktree) in facts.own() {
        for shown in &worktree.not_ignored {
            let path = shown.path.as_str();
            match &shown.rule {
                Some(rule) => found.push(of(worktree, Problem::Reincluded { path, rule })),
                None if shown.is_hidable => {
                    paths.insert(path);
                    files.push(worktree.root.join(path));
                }
                None => found.push(of(worktree, Problem::NotIgnoredHere(path))),
            }
        }
    }
    if !files.is_empty() {
        found.push(of_repository(Problem::NotIgnored { paths, files }));
    }
    found
}

#[cfg(test)]
mod tests;
