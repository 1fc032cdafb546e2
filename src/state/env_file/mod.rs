//! Env files: the variables of a worktree in a block of the files that its programs read.

mod block;
mod file;

use std::path::{Path, PathBuf};

use crate::config::EnvFile;
use crate::error::{Error, Result, quoted};
use crate::git::exclude::{self, Hidden};
use crate::git::lock::Held;
use crate::git::worktree::Worktree;
use crate::narrator::Narrator;
use file::{Aim, EnvPath, Obstacle, Plan};

/// What became of the env files of a worktree. Each path is relative to its root.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Those in which a block of ours stands now, or may stand: what the record is to name.
    pub standing: Vec<String>,
    /// Those that were written now.
    pub written: Vec<String>,
    /// Those from which a block was taken now.
    pub removed: Vec<String>,
}

/// The wanted files whose block is not as it should be, and those of `standing`, which the record
/// names, that hold a block and are not wanted. A file that cannot be written is among them; one
/// whose directory is not there is not. Reads only.
pub fn differing<'a>(
    worktree: &Worktree,
    label: &str,
    wanted: &'a [EnvFile],
    standing: &'a [String],
) -> Vec<&'a str> {
    let aims = aims(label, wanted, standing).into_iter();
    aims.filter(|(path, aim)| !EnvPath::new(&worktree.root, path).is_current(aim))
        .map(|(path, _)| path)
        .collect()
}

/// Whether no file is [`differing`].
pub fn is_current(
    worktree: &Worktree,
    label: &str,
    wanted: &[EnvFile],
    standing: &[String],
) -> bool {
    differing(worktree, label, wanted, standing).is_empty()
}

/// What is to stand in which file.
fn aims<'a>(label: &str, wanted: &'a [EnvFile], standing: &'a [String]) -> Vec<(&'a str, Aim)> {
    let blocks = wanted
        .iter()
        .map(|file| (&*file.path, Aim::Block(block::render(label, &file.lines))));
    let is_wanted = |path: &String| wanted.iter().any(|file| file.path == *path);
    let leftovers = standing
        .iter()
        .filter(|path| !is_wanted(path))
        .map(|path| (&**path, Aim::NoBlock));
    blocks.chain(leftovers).collect()
}

/// Writes the env files of one worktree.
pub struct Writer<'a> {
    /// The worktree.
    pub worktree: &'a Worktree,
    /// Whether git tracks a path, relative to the worktree's root.
    pub is_tracked: &'a dyn Fn(&str) -> Result<bool>,
    /// The file of another worktree that git would no longer show if it did not show that path.
    pub shown_elsewhere: &'a dyn Fn(&str) -> Option<PathBuf>,
    /// Where is told which file was left alone, and why.
    pub narrator: &'a Narrator,
}

impl Writer<'_> {
    /// Brings the block of each wanted file up to date, and takes it out of the files of `standing`
    /// that are not wanted. `label` names the worktree in the marks. What cannot be done for one
    /// file is a warning, and done for the others.
    ///
    /// Until the record names what is returned, it must name `wanted` and `standing`: a kill in
    /// between leaves blocks in any of them.
    pub fn write_all(
        &self,
        held: &Held,
        label: &str,
        wanted: &[EnvFile],
        standing: &[String],
    ) -> Written {
        self.reach(held, &aims(label, wanted, standing), standing)
    }

    /// Takes the blocks out of the files of `standing`, and removes those that then are empty. Lines
    /// in the list of what git ignores stay: see [`exclude::remove_unneeded`].
    pub fn remove_all(&self, held: &Held, standing: &[String]) -> Written {
        self.reach(held, &aims("", &[], standing), standing)
    }

    /// Each file that is [`differing`]: its path, and the reason if it cannot be brought up to date.
    pub fn problems(
        &self,
        label: &str,
        wanted: &[EnvFile],
        standing: &[String],
    ) -> Vec<(PathBuf, Option<Error>)> {
        let aims = aims(label, wanted, standing).into_iter();
        let files = aims.map(|(path, aim)| (EnvPath::new(&self.worktree.root, path), aim));
        files
            .filter(|(file, aim)| !file.is_current(aim))
            .map(|(file, aim)| {
                let obstacle = file.plan(&aim, self.is_tracked).err();
                let why = obstacle.map(|obstacle| file.error(&aim, obstacle));
                (file.path().to_owned(), why)
            })
            .collect()
    }

    fn reach(&self, held: &Held, aims: &[(&str, Aim)], standing: &[String]) -> Written {
        let planned: Vec<_> = aims
            .iter()
            .map(|(path, aim)| {
                let file = EnvPath::new(&self.worktree.root, path);
                let plan = file.plan(aim, self.is_tracked);
                (file, aim, plan)
            })
            .collect();
        // Before the files, so that git does not see them for a moment.
        let hidden: Vec<Hidden> = planned
            .iter()
            .filter_map(|(file, _, plan)| self.hidden(file, plan.as_ref().ok()?))
            .collect();
        self.hide(held, &hidden);

        let mut written = Written::default();
        for (file, aim, plan) in planned {
            let path = || file.relative().to_owned();
            let outcome = plan.and_then(|plan| self.carry_out(held, &file, aim, plan, &|| {}));
            match &outcome {
                Ok(Plan::Make(_) | Plan::Replace(..)) if matches!(aim, Aim::Block(_)) => {
                    written.written.push(path());
                }
                Ok(Plan::Replace(..) | Plan::Remove(_)) => written.removed.push(path()),
                _ => {}
            }
            let stands = match outcome {
                Ok(Plan::NoDirectory(directory)) => {
                    self.narrator.tell(format_args!(
                        "{} is not written: there is no directory {}",
                        quoted(file.path()),
                        quoted(&directory)
                    ));
                    false
                }
                Ok(_) => matches!(aim, Aim::Block(_)),
                Err(obstacle) => {
                    self.narrator.warn(file.error(aim, obstacle));
                    let was_standing = || standing.iter().any(|path| path == file.relative());
                    file.holds_block().unwrap_or_else(was_standing)
                }
            };
            if stands {
                written.standing.push(path());
            }
        }
        written
    }

    /// Carries out `plan`, or, if what it was made for has changed since, a new one. Returns what was
    /// done.
    fn carry_out(
        &self,
        held: &Held,
        file: &EnvPath<'_>,
        aim: &Aim,
        mut plan: Plan,
        meanwhile: &dyn Fn(),
    ) -> Result<Plan, Obstacle> {
        if matches!(aim, Aim::NoBlock) && !file.is_temporary_tracked(self.is_tracked)? {
            // Once nothing hides it any more, `git worktree remove` would refuse for it.
            file.remove_leftover()
                .map_err(|error| Obstacle::of(&error))?;
        }
        if !file.carry_out(&plan, meanwhile)? {
            plan = file.plan(aim, self.is_tracked)?;
            self.hide(held, self.hidden(file, &plan).as_slice());
            if !file.carry_out(&plan, meanwhile)? {
                return Err(Obstacle::changing());
            }
        }
        if let (Aim::Block(_), Plan::Make(text) | Plan::Replace(_, text)) = (aim, &plan) {
            self.warn_of_open_quote(file.path(), text);
        }
        Ok(plan)
    }

    /// What git is not to see of a file that is about to be written.
    fn hidden(&self, file: &EnvPath<'_>, plan: &Plan) -> Option<Hidden> {
        match plan {
            Plan::Make(_) => Some(match (self.shown_elsewhere)(file.relative()) {
                None => Hidden::made(file.relative()),
                // All worktrees have one list, and an ignored file is overwritten silently by a
                // checkout of a branch that tracks it.
                Some(other) => {
                    self.narrator.warn(format_args!(
                        "git shows {}: to hide it would hide {} too, which git does not ignore; add \
                         `/{}` to `.gitignore`",
                        quoted(file.path()),
                        quoted(&other),
                        file.relative()
                    ));
                    Hidden::temporary(file.relative())
                }
            }),
            Plan::Replace(..) => Some(Hidden::temporary(file.relative())),
            Plan::Keep | Plan::NoDirectory(_) | Plan::Remove(_) => None,
        }
    }

    fn hide(&self, held: &Held, hidden: &[Hidden]) {
        if !hidden.is_empty() {
            let added = exclude::add(held, &self.worktree.common_dir, hidden);
            self.narrator.or_warn(added);
        }
    }

    fn warn_of_open_quote(&self, path: &Path, text: &str) {
        if let Some(line) = block::open_quote(text) {
            self.narrator.warn(format_args!(
                "line {line} of {} opens a quote that is never closed: docker compose and sh \
                 cannot read the file",
                quoted(path)
            ));
        }
    }
}

#[cfg(test)]
mod tests;
