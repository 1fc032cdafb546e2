//! The env files and templates of one worktree: what is to be done about each, and doing it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::config::{EnvFile, Template, substitute};
use crate::error::{Error, Result, quoted, shell_word};
use crate::files::staged::{Access, Original, Patience, Staged, remove_leftover, temporary};
use crate::git::lock::Held;
use crate::git::repository::{Repository, is_blob};
use crate::git::worktree::Worktree;
use crate::session::Session;
use crate::state::port_file;
use crate::state::record::WrittenFiles;
use crate::writes::env_text;
use crate::writes::exclude;
use crate::writes::seed::{Seed, Seeds};
use crate::writes::target::{LIMIT, Target, Way};

/// What is to be written for a worktree. Paths are relative to its root.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Names the worktree in the marks.
    pub label: String,
    pub env_files: Vec<EnvFile>,
    pub templates: Vec<Template>,
    /// What the placeholders of templates stand for.
    pub variables: Vec<(String, String)>,
    /// Whether blocks in other files stay: there is no config that could have named them.
    pub keeps_blocks: bool,
}

/// What a call may do with files.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Manners {
    /// Whether a file that is missing is made.
    pub makes_files: bool,
    /// Whether a file that we made, and that is as we made it, goes with our block.
    pub removes_unchanged: bool,
    /// Whether it is told which files cannot be written, and why.
    pub tells_obstacles: bool,
}

/// What a file is to be.
enum Aim<'a> {
    /// It has a block of these variables.
    Block(&'a [(String, String)]),
    NoBlock,
    /// It is made from this template.
    From(&'a str),
    /// It was made from a template, and is to go.
    Gone,
}

/// What is to be done about a file.
enum Change {
    Nothing,
    /// Nothing, as it is not there.
    Absent,
    Make(String, Seed),
    Replace(Original, String),
    Remove(Original),
}

/// A file, and what is to be done about it.
struct Planned<'a> {
    path: &'a str,
    aim: Aim<'a>,
    way: Option<Way>,
    change: Result<Change>,
}

/// The files of one worktree.
pub struct Files<'a> {
    pub worktree: &'a Worktree,
    pub wanted: &'a Wanted,
    /// What the record names.
    pub written: &'a WrittenFiles,
    pub manners: Manners,
    pub session: &'a Session,
}

/// Files that were planned under the lock.
pub struct PlannedFiles<'a> {
    files: &'a Files<'a>,
    repository: &'a Repository,
    planned: Vec<Planned<'a>>,
}

/// Files under their temporary names, in the order in which they were planned.
pub type StagedFiles<'a> = Vec<Result<Option<Staged<'a>>>>;

/// What was done.
#[derive(Default)]
pub struct Done {
    /// The files that were written, as a person is told.
    pub told: Vec<String>,
    pub removed: Vec<String>,
    /// What the record is to name.
    pub written: WrittenFiles,
    /// Whether a file that has our block or was made by us could not be brought up to date.
    pub has_failed: bool,
}

impl<'a> Files<'a> {
    /// What is to become of each file: the wanted ones, then those that the record names beside them.
    fn aims(&self) -> Vec<(&'a str, Aim<'a>)> {
        let Wanted {
            env_files,
            templates,
            ..
        } = self.wanted;
        let blocks = env_files
            .iter()
            .map(|file| (&*file.path, Aim::Block(&file.lines)));
        let made = templates
            .iter()
            .map(|template| (&*template.target, Aim::From(&template.source)));
        let mut aims: Vec<_> = blocks.chain(made).collect();
        let wanted: BTreeSet<&str> = aims.iter().map(|(path, _)| *path).collect();
        let left = self.written.env_files.keys();
        let left = left
            .filter(|_| !self.wanted.keeps_blocks)
            .map(|path| (&**path, Aim::NoBlock));
        let gone = self.written.templates.keys();
        let gone = gone.map(|path| (&**path, Aim::Gone));
        aims.extend(left.chain(gone).filter(|(path, _)| !wanted.contains(path)));
        aims
    }

    /// The files that are not as they should be, each with the reason if it cannot be brought up to
    /// date. git is not asked, and nobody is waited for.
    pub fn outdated(&self) -> Vec<(&'a str, Option<Error>)> {
        let aims = self.aims().into_iter();
        let planned = aims.map(|(path, aim)| self.plan(path, aim, None));
        planned.filter_map(Planned::outdated).collect()
    }

    /// As [`Files::outdated`], but git is asked too, and it is known what a file to be made starts as.
    /// A file is among them if git tracks it, even one that is as it should be.
    pub fn problems(&self, repository: &Repository) -> Result<Vec<(&'a str, Option<Error>)>> {
        let mut planned = self.plan_with_git(repository, None)?;
        let paths: Vec<&str> = planned.iter().map(|file| file.path).collect();
        let tracked = self.worktree.tracked(&paths)?;
        for file in &mut planned {
            if let (Aim::Block(_) | Aim::From(_), Ok(Change::Nothing), Some(Way::To(target))) =
                (&file.aim, &file.change, &file.way)
                && let Some(problem) = self.problem_of_git(file, target, &tracked)
                && tracked.contains(file.path)
            {
                file.change = Err(problem);
            }
        }
        Ok(planned.into_iter().filter_map(Planned::outdated).collect())
    }

    /// The variables that lines of the user's in the env files define too, because their values span
    /// lines, each with the path of the file.
    pub fn spanning(&self) -> Vec<(&'a str, &'a str)> {
        let names = self.wanted.env_files.iter().flat_map(|file| {
            let original = match Target::find(self.worktree, &file.path) {
                Ok(Way::To(target)) => target.read(None).ok().flatten(),
                _ => None,
            };
            let bytes = original.map_or(Vec::new(), |original| original.bytes);
            let names = env_text::spanning(&String::from_utf8_lossy(&bytes), &file.lines);
            names.into_iter().map(|name| (&*file.path, name))
        });
        names.collect()
    }

    /// Whether the config lacks a variable that is written in a file, or a file.
    pub fn would_take_away(&self) -> bool {
        let lacks = |text: &str, lines: &[(String, String)]| {
            let mut names = env_text::names_in_blocks(text).into_iter();
            names.any(|name| !lines.iter().any(|(own, _)| *own == name))
        };
        self.aims().iter().any(|(path, aim)| match aim {
            Aim::NoBlock | Aim::Gone => true,
            Aim::From(_) => false,
            Aim::Block(lines) => match Target::find(self.worktree, path) {
                Ok(Way::To(target)) => {
                    let original = target.read(None).ok().flatten();
                    original.is_some_and(|it| lacks(&String::from_utf8_lossy(&it.bytes), lines))
                }
                _ => false,
            },
        })
    }

    /// Whether the file at `path` has our block, or was made from a template and is there.
    fn has_ours(&self, path: &str, aim: &Aim<'_>) -> bool {
        let Ok(Way::To(target)) = Target::find(self.worktree, path) else {
            return false;
        };
        match aim {
            Aim::From(_) | Aim::Gone => {
                self.written.templates.contains_key(path) && target.dir.has(&target.name)
            }
            Aim::Block(_) | Aim::NoBlock => target.has_mark(),
        }
    }

    /// The files of which a kill has left a temporary one.
    fn leftovers(&self) -> Vec<(String, Target)> {
        let aims = self.aims();
        let paths = aims.iter().map(|(path, _)| *path).chain([port_file::NAME]);
        paths
            .filter_map(|path| match Target::find(self.worktree, path) {
                // A directory of that name is told by whoever writes there.
                Ok(Way::To(it)) if it.has_leftover() => Some((temporary(path), it)),
                _ => None,
            })
            .collect()
    }

    pub fn has_leftovers(&self) -> bool {
        !self.leftovers().is_empty()
    }

    /// Removes what a kill has left under temporary names, unless it is git's.
    pub fn remove_leftovers(&self, _held: &Held) -> Result<()> {
        let leftovers = self.leftovers();
        let paths: Vec<&str> = leftovers.iter().map(|(path, _)| &**path).collect();
        let tracked = self.worktree.tracked(&paths)?;
        for (path, target) in &leftovers {
            if !tracked.contains(&**path) {
                remove_leftover(&target.dir, &target.name)
                    .map_err(Error::could_not("write", self.worktree.root.path_of(path)))?;
            }
        }
        Ok(())
    }

    /// What is to be done about one file; with `patience` if it is about to be done.
    fn plan(&self, path: &'a str, aim: Aim<'a>, patience: Option<&Patience>) -> Planned<'a> {
        let (way, change) = match Target::find(self.worktree, path) {
            Ok(Way::NoDirectory(directory)) => {
                (Some(Way::NoDirectory(directory)), Ok(Change::Absent))
            }
            Ok(Way::To(mut target)) => {
                target.is_users = matches!(aim, Aim::Block(_) | Aim::NoBlock);
                let change = self.change(path, &aim, &target, patience);
                (Some(Way::To(target)), change)
            }
            // What is in another repository or behind a link is not ours.
            Err(_) if matches!(aim, Aim::NoBlock | Aim::Gone) => (None, Ok(Change::Absent)),
            Err(error) => {
                let path = quoted(&self.worktree.root.path_of(path));
                (
                    None,
                    Err(error.within(&format!("could not write the ports to {path}"))),
                )
            }
        };
        Planned {
            path,
            aim,
            way,
            change: change.map_err(|error| error.then_run(&self.worktree.by_hand())),
        }
    }

    fn change(
        &self,
        path: &str,
        aim: &Aim<'_>,
        target: &Target,
        patience: Option<&Patience>,
    ) -> Result<Change> {
        let original = match target.read(patience) {
            // Nothing of ours is in it.
            Err(_) if matches!(aim, Aim::Gone) && !target.is_regular() => {
                return Ok(Change::Absent);
            }
            Err(_) if matches!(aim, Aim::NoBlock) && !target.has_mark() => {
                return Ok(Change::Absent);
            }
            original => original?,
        };
        let Some(original) = original else {
            let is_made = matches!(aim, Aim::Block(_) | Aim::From(_)) && self.manners.makes_files;
            return match aim {
                Aim::From(source) if is_made => {
                    Ok(Change::Make(self.made_from(path, source)?, Seed::default()))
                }
                _ if is_made => Ok(Change::Make(String::new(), Seed::default())),
                _ => Ok(Change::Absent),
            };
        };
        match aim {
            Aim::Block(lines) => {
                let old = target.text(&original)?;
                let new = self.with_block(target, old, lines)?;
                Ok(if new == old {
                    Change::Nothing
                } else {
                    Change::Replace(original, new)
                })
            }
            Aim::NoBlock => {
                let old = target.text(&original)?;
                let new = env_text::without(old).map_err(|half| target.half_block(&half))?;
                let made_from = self.written.env_files.get(path).and_then(Option::as_ref);
                let is_as_made = made_from.is_some_and(|id| is_blob(new.as_bytes(), id));
                Ok(if new == old {
                    Change::Nothing
                } else if new.is_empty() || self.manners.removes_unchanged && is_as_made {
                    Change::Remove(original)
                } else {
                    Change::Replace(original, new)
                })
            }
            Aim::From(source) => {
                let text = self.made_from(path, source)?;
                // If two records name it, it is written again, for one of them to be right.
                let is_in_doubt = self
                    .written
                    .templates
                    .get(path)
                    .is_some_and(|ids| ids.contains(' '));
                if original.bytes == text.as_bytes() && !is_in_doubt {
                    return Ok(Change::Nothing);
                }
                self.check_as_made(path, target, &original)?;
                Ok(Change::Replace(original, text))
            }
            Aim::Gone => Ok(if self.check_as_made(path, target, &original).is_ok() {
                Change::Remove(original)
            } else {
                Change::Nothing
            }),
        }
    }

    fn with_block(&self, target: &Target, old: &str, lines: &[(String, String)]) -> Result<String> {
        let new = env_text::with(old, &self.wanted.label, lines)
            .map_err(|half| target.half_block(&half))?;
        if new.len() > LIMIT {
            let cause = format!(
                "with the block it would be larger than {} KiB",
                LIMIT / 1024
            );
            return Err(target.left_alone(cause).remedy("make it smaller"));
        }
        Ok(new)
    }

    /// Fails unless what is at `path` is what we made from its template last.
    fn check_as_made(&self, path: &str, target: &Target, original: &Original) -> Result<()> {
        let cause = match self.written.templates.get(path) {
            Some(id) if is_blob(&original.bytes, id) => return Ok(()),
            Some(_) => "it was changed since it was made from its template",
            None => "a file that was not made from its template is there",
        };
        let remedy = format!("delete it and run `{}`", self.worktree.by_hand());
        Err(target.left_alone(cause).remedy(remedy))
    }

    /// The text that the template `source` gives for `path`.
    fn made_from(&self, path: &str, source: &str) -> Result<String> {
        let read = || -> Result<String> {
            let there = self.worktree.root.path_of(source);
            let missing = || Error::at("read the template", &there, "it is not there");
            let Way::To(mut template) = Target::find(self.worktree, source)? else {
                return Err(missing());
            };
            template.purpose = "read the template";
            let original = template.read(None)?.ok_or_else(missing)?;
            Ok(substitute(
                template.text(&original)?,
                &self.wanted.variables,
            ))
        };
        read().map_err(|error| error.within(&format!("`{path}` is not made")))
    }

    /// Plans all files under the lock, asks git which of them it tracks, and finds what those that are
    /// missing start as.
    pub fn plan_all(
        &'a self,
        _held: &Held,
        repository: &'a Repository,
    ) -> Result<PlannedFiles<'a>> {
        Ok(PlannedFiles {
            files: self,
            repository,
            planned: self.plan_with_git(repository, Some(&self.session.patience))?,
        })
    }

    fn plan_with_git(
        &self,
        repository: &Repository,
        patience: Option<&Patience>,
    ) -> Result<Vec<Planned<'a>>> {
        let aims = self.aims().into_iter();
        let mut planned: Vec<_> = aims
            .map(|(path, aim)| self.plan(path, aim, patience))
            .collect();
        self.ask_git(&mut planned)?;
        let mut seeds = None;
        for file in &mut planned {
            let (Aim::Block(lines), Ok(Change::Make(..)), Some(Way::To(target))) =
                (&file.aim, &file.change, &file.way)
            else {
                continue;
            };
            if seeds.is_none() {
                seeds = Some(Seeds::of(
                    self.worktree,
                    repository,
                    &self.session.patience,
                )?);
            }
            let seeds = seeds.as_ref().expect("it was just made");
            file.change = seeds.seed(file.path, target).and_then(|seed| {
                let text = self.with_block(target, &seed.text, lines)?;
                Ok(Change::Make(text, seed))
            });
        }
        Ok(planned)
    }

    /// Turns what would be written over something of git's into an error.
    fn ask_git(&self, planned: &mut [Planned<'_>]) -> Result<()> {
        let asked = planned.iter().filter_map(|file| {
            let target = file.place()?;
            let has_leftover = target.dir.has(&temporary(&target.name));
            let own = [file.path.to_owned()].into_iter();
            let above = directories_above(file.path).map(str::to_owned);
            let source = file.source().map(str::to_owned);
            let leftover = has_leftover.then(|| temporary(file.path));
            Some(own.chain(above).chain(source).chain(leftover))
        });
        let asked: BTreeSet<String> = asked.flatten().collect();
        let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
        let tracked = self.worktree.tracked(&asked)?;
        for file in planned {
            if let Some(target) = file.place()
                && let Some(problem) = self.problem_of_git(file, target, &tracked)
            {
                file.change = Err(problem);
            }
        }
        Ok(())
    }

    fn problem_of_git(
        &self,
        file: &Planned<'_>,
        target: &Target,
        tracked: &BTreeSet<&str>,
    ) -> Option<Error> {
        let path = file.path;
        let leftover = temporary(path);
        let root = shell_word(self.worktree.path());
        let by_hand = self.worktree.by_hand();
        let is_submodule = |above: &&str| tracked.contains(above);
        let (cause, remedy) = if tracked.contains(path) {
            (
                "git tracks it".to_owned(),
                format!(
                    "run `git -C {root} rm --cached {path}`, commit, and run `{by_hand}`, or name another file in the config, which git ignores"
                ),
            )
        } else if let Some(submodule) = directories_above(path).find(is_submodule) {
            let submodule = quoted(&self.worktree.root.path_of(submodule));
            (
                format!("{submodule} is a submodule"),
                "take the file out of the config".to_owned(),
            )
        } else if tracked.contains(&*leftover) {
            (
                format!("git tracks `{leftover}`, under which it is written first"),
                format!("run `git -C {root} rm {leftover}` and commit that"),
            )
        } else if let Some(source) = file.source()
            && file.change.is_ok()
            && !tracked.contains(source)
        {
            (
                format!("git does not track its template `{source}`"),
                format!("run `git -C {root} add {source}`, commit, and run `{by_hand}`"),
            )
        } else {
            return None;
        };
        Some(target.left_alone(cause).remedy(remedy))
    }
}

impl<'a> Planned<'a> {
    /// Its path, if it is not as it should be, with the reason if it cannot be brought up to date.
    fn outdated(self) -> Option<(&'a str, Option<Error>)> {
        match self.change {
            // The record still names it.
            Ok(_) if matches!(self.aim, Aim::NoBlock | Aim::Gone) => Some((self.path, None)),
            Ok(Change::Nothing | Change::Absent) => None,
            Ok(_) => Some((self.path, None)),
            Err(error) => Some((self.path, Some(error))),
        }
    }

    /// The place of a file that is not as it should be.
    fn place(&self) -> Option<&Target> {
        match (&self.change, &self.way) {
            (Ok(Change::Nothing | Change::Absent), _) => None,
            (_, Some(Way::To(target))) => Some(target),
            _ => None,
        }
    }

    /// The place of a file that is to be changed.
    fn target(&self) -> Option<&Target> {
        self.place().filter(|_| self.change.is_ok())
    }

    /// Its template.
    fn source(&self) -> Option<&str> {
        match self.aim {
            Aim::From(source) => Some(source),
            _ => None,
        }
    }

    /// Writes it under its temporary name.
    fn stage(&self) -> Result<Option<Staged<'_>>> {
        let Some(target) = self.target() else {
            return Ok(None);
        };
        let (dir, name) = (&target.dir, &*target.name);
        let staged = match &self.change {
            Ok(Change::Make(text, seed)) => {
                let main = seed.of_main.as_ref();
                let access = main.map_or(Access::New, Original::access);
                Staged::prepare(dir, name, text.as_bytes(), access)
            }
            Ok(Change::Replace(original, text)) => original.stage(dir, name, text.as_bytes()),
            _ => return Ok(None),
        };
        staged.map(Some).map_err(target.could_not())
    }

    /// Does it; `false` if what is there is not what was planned for.
    fn commit(&self, staged: Option<Staged<'_>>, patience: &Patience) -> Result<bool> {
        let change = self.change.as_ref().map_err(Error::clone)?;
        let Some(target) = self.target() else {
            return Ok(true);
        };
        let (dir, name) = (&target.dir, &*target.name);
        let is_unchanged = |original: &Original| original.is_unchanged(dir, name, patience);
        let commit = || match (change, staged) {
            (Change::Make(..), Some(staged)) => staged.commit_new(),
            (Change::Replace(original, _), Some(staged)) => {
                Ok(is_unchanged(original) && staged.commit().map(|()| true)?)
            }
            (Change::Remove(original), _) => {
                Ok(is_unchanged(original) && (dir.remove(name)? | remove_leftover(dir, name)?))
            }
            _ => Ok(true),
        };
        commit().map_err(target.could_not())
    }
}

impl<'a> PlannedFiles<'a> {
    /// Why a file with our block, or one that was made from a template, cannot be brought up to date:
    /// its programs would keep ports that others could get.
    pub fn obstacle(&self, staged: &StagedFiles<'_>) -> Option<Error> {
        let mut both = self.planned.iter().zip(staged);
        both.find_map(|(file, staged)| {
            let error = file.change.as_ref().err().or(staged.as_ref().err())?;
            (self.files.has_ours(file.path, &file.aim)).then(|| error.clone())
        })
    }

    /// Hides the files that are about to be made, so that git does not see them for a moment.
    pub fn hide(&self, held: &Held) -> Result<()> {
        let Files {
            worktree, session, ..
        } = self.files;
        // What keeps it from being read is told by the one that writes it.
        let hidden = exclude::hidden(&worktree.common_dir).unwrap_or_default();
        let mut paths = Vec::new();
        for file in &self.planned {
            if !matches!(file.change, Ok(Change::Make(..))) || hidden.contains(file.path) {
                continue;
            }
            // All worktrees have one list, and a checkout overwrites an ignored file silently.
            match self.shown_elsewhere(file.path)? {
                None => paths.push(file.path),
                Some(other) => session.narrator.tell(format_args!(
                    "git shows {}: to hide it would hide {} too, which git does not ignore; add `/{}` to `.gitignore`",
                    quoted(&worktree.root.path_of(file.path)),
                    quoted(&other),
                    file.path
                )),
            }
        }
        if hidden.contains(port_file::NAME) && paths.is_empty() {
            return Ok(());
        }
        exclude::add(held, &worktree.common_dir, &paths, session)
    }

    /// The file at `path` in another worktree, if git shows it there.
    fn shown_elsewhere(&self, path: &str) -> Result<Option<PathBuf>> {
        let is_there = |worktree: &Worktree| matches!(Target::find(worktree, path), Ok(Way::To(it)) if it.dir.has(&it.name));
        for other in self.repository.live_worktrees()?.flatten() {
            // Here it is about to be made, so it is not there.
            if is_there(&other) && other.shows_untracked(path)? {
                return Ok(Some(other.root.path_of(path)));
            }
        }
        Ok(None)
    }

    /// Writes every file under its temporary name.
    pub fn stage(&self) -> StagedFiles<'_> {
        self.planned.iter().map(Planned::stage).collect()
    }

    /// Gives every file its name, and removes those that are to go. What cannot be done for one file
    /// is a warning, and done for the others.
    pub fn commit(&self, staged: StagedFiles<'_>) -> Done {
        let Files {
            worktree,
            manners,
            session,
            ..
        } = self.files;
        let mut done = Done::default();
        if self.files.wanted.keeps_blocks {
            done.written.env_files = self.files.written.env_files.clone();
        }
        for (file, staged) in self.planned.iter().zip(staged) {
            match self.carry_out(file, staged) {
                Ok(again) => self.note(again.as_ref().unwrap_or(file), &mut done),
                Err(error) => {
                    if manners.tells_obstacles || file.change.is_ok() {
                        session.narrator.warn(error.then_run(&worktree.by_hand()));
                    }
                    if self.files.has_ours(file.path, &file.aim) {
                        done.has_failed = true;
                        done.written.name_as(self.files.written, file.path);
                    }
                }
            }
        }
        done
    }

    /// Carries out what was planned or, if the file has changed since, what is planned anew; the
    /// second plan, if it was that.
    fn carry_out(
        &self,
        file: &Planned<'a>,
        staged: Result<Option<Staged<'_>>>,
    ) -> Result<Option<Planned<'a>>> {
        let patience = &self.files.session.patience;
        if file.commit(staged?, patience)? {
            return Ok(None);
        }
        let mut aims = self.files.aims().into_iter();
        let again = aims.find(|(path, _)| *path == file.path);
        if let Some((path, aim)) = again {
            let again = self.files.plan(path, aim, Some(patience));
            // It vanished, and it is not known what it would start as.
            let is_made = matches!(again.change, Ok(Change::Make(..)));
            if !is_made && again.commit(again.stage()?, patience)? {
                return Ok(Some(again));
            }
        }
        let path = self.files.worktree.root.path_of(file.path);
        let cause = "another program changed it twice in the meantime";
        Err(Error::at("write the ports to", &path, cause))
    }

    /// What the record is to name if all is done as planned, and what it names now.
    pub fn expected(&self) -> WrittenFiles {
        let mut expected = self.files.written.clone();
        for file in &self.planned {
            self.name(file, &mut expected);
        }
        expected
    }

    /// Names `file` in what the record is to name.
    fn name(&self, file: &Planned<'_>, written: &mut WrittenFiles) {
        let recorded = self.files.written;
        let path = file.path.to_owned();
        match (&file.aim, &file.change) {
            (Aim::Block(_), Ok(Change::Make(_, seed))) => {
                let id = self.repository.blob_id(seed.text.as_bytes());
                written.env_files.insert(path, Some(id));
            }
            (Aim::Block(_), Ok(Change::Nothing | Change::Replace(..))) => {
                let made_from = recorded.env_files.get(&path).cloned();
                written.env_files.insert(path, made_from.flatten());
            }
            (Aim::From(_), Ok(Change::Make(text, _) | Change::Replace(_, text))) => {
                let id = self.repository.blob_id(text.as_bytes());
                written.templates.insert(path, id);
            }
            (Aim::From(_), Ok(Change::Nothing)) => written.name_as(recorded, &path),
            _ => {}
        }
    }

    /// Notes what was done about `file`.
    fn note(&self, file: &Planned<'_>, done: &mut Done) {
        let Files {
            worktree,
            manners,
            session,
            ..
        } = self.files;
        self.name(file, &mut done.written);
        let path = file.path.to_owned();
        if let (Aim::Block(lines), Ok(Change::Make(text, _) | Change::Replace(_, text))) =
            (&file.aim, &file.change)
        {
            for name in env_text::spanning(text, lines) {
                session.narrator.warn(format_args!(
                    "`{name}` in {} is also set by lines of yours that were left, because the value spans them: delete those lines",
                    quoted(&worktree.root.path_of(&path))
                ));
            }
        }
        match (&file.aim, &file.change, &file.way) {
            (Aim::Block(_) | Aim::From(_), _, Some(Way::NoDirectory(directory)))
                if manners.tells_obstacles =>
            {
                session.narrator.tell(format_args!(
                    "{} is not written: there is no directory {}",
                    quoted(&worktree.root.path_of(&path)),
                    quoted(directory)
                ));
            }
            (Aim::Block(_) | Aim::From(_), Ok(Change::Make(_, seed)), _) => {
                let from_main = if seed.of_main.is_some() {
                    " (from the main worktree)"
                } else {
                    ""
                };
                done.told.push(path + from_main);
            }
            (_, Ok(Change::Replace(..)), _) => done.told.push(path),
            (_, Ok(Change::Remove(_)), _) => done.removed.push(path),
            _ => {}
        }
    }
}

impl WrittenFiles {
    /// Names the file at `path` as `other` does.
    fn name_as(&mut self, other: &WrittenFiles, path: &str) {
        let env_file = other.env_files.get_key_value(path).into_iter();
        self.env_files
            .extend(env_file.map(|(path, id)| (path.clone(), id.clone())));
        let template = other.templates.get_key_value(path).into_iter();
        self.templates
            .extend(template.map(|(path, id)| (path.clone(), id.clone())));
    }
}

/// The directories above a path, from the root down.
fn directories_above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end])
}

#[cfg(test)]
mod tests;
