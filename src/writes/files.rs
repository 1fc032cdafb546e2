//! The env files and templates of one worktree: what is to be done about each, and doing it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::config::file as config_file;
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
}

/// How files are treated that a call may or may not touch.
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
    Block(&'a [(String, String)]),
    NoBlock,
    From(&'a str),
    Gone,
}

/// What is to be done about a file.
enum Change {
    Nothing,
    /// Nothing, as it is not there.
    Absent,
    /// Nothing can: this directory is not there.
    NoDirectory(PathBuf),
    Make {
        target: Target,
        text: String,
        seed: Seed,
    },
    Replace {
        target: Target,
        original: Original,
        text: String,
    },
    Remove {
        target: Target,
        original: Original,
    },
}

/// What an env file that is missing starts as.
#[derive(Default)]
struct Seed {
    text: String,
    /// The main worktree's file, whose access it gets.
    of_main: Option<Original>,
}

/// A file, and what is to be done about it.
struct Planned<'a> {
    path: &'a str,
    aim: Aim<'a>,
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

/// What was done.
#[derive(Default)]
pub struct Done {
    /// The files that were written, as a person is told.
    pub told: Vec<String>,
    /// The files that were removed, or from which our block was taken.
    pub removed: Vec<String>,
    /// What the record is to name.
    pub written: WrittenFiles,
    /// Whether a file that held our block or was made by us could not be brought up to date.
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
        let rendered = templates
            .iter()
            .map(|template| (&*template.target, Aim::From(&template.source)));
        let wanted: BTreeSet<&str> = self.wanted.paths().collect();
        let left = self.written.env_files.keys();
        let left = left.map(|path| (&**path, Aim::NoBlock));
        let gone = self.written.templates.keys();
        let gone = gone.map(|path| (&**path, Aim::Gone));
        let unwanted = left.chain(gone).filter(|(path, _)| !wanted.contains(path));
        blocks.chain(rendered).chain(unwanted).collect()
    }

    /// The files that are not as they should be, each with the reason if it cannot be brought up to
    /// date. git is not asked, and a file to be made has no seed yet.
    pub fn outdated(&self) -> Vec<(&'a str, Option<Error>)> {
        let planned = self.aims().into_iter().filter_map(|(path, aim)| {
            match self.plan(path, &aim, None) {
                Ok(Change::Nothing | Change::Absent | Change::NoDirectory(_)) => match aim {
                    Aim::Block(_) | Aim::From(_) => None,
                    // The record still names it.
                    Aim::NoBlock | Aim::Gone => Some((path, None)),
                },
                Ok(_) => Some((path, None)),
                Err(error) => Some((path, Some(error))),
            }
        });
        planned.collect()
    }

    /// Whether the config lacks a variable that is written in a file, or a file.
    pub fn would_take_away(&self) -> bool {
        self.aims().iter().any(|(path, aim)| match aim {
            Aim::NoBlock | Aim::Gone => true,
            Aim::From(_) => false,
            Aim::Block(lines) => self.original(path).is_some_and(|text| {
                let mut names = env_text::names_in_blocks(&text).into_iter();
                names.any(|name| !lines.iter().any(|(own, _)| *own == name))
            }),
        })
    }

    /// Whether the file at `path` has our block, or was made from a template.
    fn holds_ours(&self, path: &str, aim: &Aim<'_>) -> bool {
        match aim {
            Aim::From(_) | Aim::Gone => self.written.templates.contains_key(path),
            Aim::Block(_) | Aim::NoBlock => matches!(
                Target::find(self.worktree, path),
                Ok(Way::To(target)) if target.has_mark()
            ),
        }
    }

    fn original(&self, path: &str) -> Option<String> {
        let Ok(Way::To(target)) = Target::find(self.worktree, path) else {
            return None;
        };
        let original = target.read(None).ok()??;
        String::from_utf8(original.bytes).ok()
    }

    /// The files of which a kill has left a temporary one.
    pub fn has_leftovers(&self) -> bool {
        self.aims().iter().any(|(path, _)| {
            matches!(Target::find(self.worktree, path), Ok(Way::To(target)) if target.dir.has(&temporary(&target.name)))
        })
    }

    /// Removes what a kill has left under temporary names, unless it is git's.
    pub fn remove_leftovers(&self, _held: &Held) -> Result<()> {
        let mut targets = Vec::new();
        for (path, _) in self.aims() {
            if let Ok(Way::To(target)) = Target::find(self.worktree, path) {
                targets.push((temporary(path), target));
            }
        }
        let port_file = Target::find(self.worktree, port_file::NAME)?;
        if let Way::To(target) = port_file {
            targets.push((temporary(port_file::NAME), target));
        }
        targets.retain(|(_, target)| target.dir.has(&temporary(&target.name)));
        let paths: Vec<&str> = targets.iter().map(|(path, _)| &**path).collect();
        let tracked = self.worktree.tracked(&paths)?;
        for (path, target) in &targets {
            if !tracked.contains(&**path) {
                let path = self.worktree.root.path_of(path);
                remove_leftover(&target.dir, &target.name)
                    .map_err(Error::could_not("remove", &path))?;
            }
        }
        Ok(())
    }

    /// What is to be done about one file; with `patience` if it is about to be done.
    fn plan(&self, path: &str, aim: &Aim<'_>, patience: Option<&Patience>) -> Result<Change> {
        let target = match Target::find(self.worktree, path) {
            Ok(Way::To(target)) => target,
            Ok(Way::NoDirectory(directory)) => return Ok(Change::NoDirectory(directory)),
            // What is in another repository or behind a link is not ours.
            Err(_) if matches!(aim, Aim::NoBlock | Aim::Gone) => return Ok(Change::Nothing),
            Err(error) => {
                let path = self.worktree.root.path_of(path);
                return Err(
                    error.within(&format!("could not write the ports to {}", quoted(&path)))
                );
            }
        };
        match aim {
            Aim::Block(lines) => self.plan_block(target, lines, patience),
            Aim::NoBlock => self.plan_removal_of_block(path, target, patience),
            Aim::From(source) => self.plan_template(path, target, source, patience),
            Aim::Gone => {
                let Ok(Some(original)) = target.read(patience) else {
                    return Ok(Change::Nothing);
                };
                Ok(if self.is_as_made(path, &original) {
                    Change::Remove { target, original }
                } else {
                    Change::Nothing
                })
            }
        }
    }

    fn plan_block(
        &self,
        target: Target,
        lines: &[(String, String)],
        patience: Option<&Patience>,
    ) -> Result<Change> {
        let Some(original) = target.read(patience)? else {
            return Ok(if self.manners.makes_files {
                let (text, seed) = (String::new(), Seed::default());
                Change::Make { target, text, seed }
            } else {
                Change::Absent
            });
        };
        let old = target.text(&original)?;
        let text = self.with_block(&target, old, lines)?;
        if text == old {
            return Ok(Change::Nothing);
        }
        Ok(Change::Replace {
            target,
            original,
            text,
        })
    }

    fn with_block(&self, target: &Target, old: &str, lines: &[(String, String)]) -> Result<String> {
        let with = env_text::with(old, &self.wanted.label, lines);
        let with = with.map_err(|half| half_block(target, half.line))?;
        if with.len() > LIMIT {
            let cause = format!(
                "with the block it would be larger than {} KiB",
                LIMIT / 1024
            );
            return Err(target.left_alone(cause).remedy("make it smaller"));
        }
        Ok(with)
    }

    fn plan_removal_of_block(
        &self,
        path: &str,
        target: Target,
        patience: Option<&Patience>,
    ) -> Result<Change> {
        let original = match target.read(patience) {
            Err(_) if !target.has_mark() => return Ok(Change::Nothing),
            original => original?,
        };
        let Some(original) = original else {
            return Ok(Change::Nothing);
        };
        let old = target.text(&original)?;
        let text = env_text::without(old).map_err(|half| half_block(&target, half.line))?;
        if text == old {
            return Ok(Change::Nothing);
        }
        let made_from = self.written.env_files.get(path).and_then(Option::as_ref);
        let is_unchanged = self.manners.removes_unchanged
            && made_from.is_some_and(|id| is_blob(text.as_bytes(), id));
        Ok(if text.is_empty() || is_unchanged {
            Change::Remove { target, original }
        } else {
            Change::Replace {
                target,
                original,
                text,
            }
        })
    }

    fn plan_template(
        &self,
        path: &str,
        target: Target,
        source: &str,
        patience: Option<&Patience>,
    ) -> Result<Change> {
        let text = substitute(&self.template(source)?, &self.wanted.variables);
        let Some(original) = target.read(patience)? else {
            return Ok(if self.manners.makes_files {
                let seed = Seed::default();
                Change::Make { target, text, seed }
            } else {
                Change::Absent
            });
        };
        if original.bytes == text.as_bytes() {
            return Ok(Change::Nothing);
        }
        if !self.is_as_made(path, &original) {
            let cause = match self.written.templates.get(path) {
                Some(_) => "it was changed since it was made from its template",
                None => "a file that was not made from its template is there",
            };
            let remedy = format!("delete it and run `{}`", self.worktree.by_hand());
            return Err(target.left_alone(cause).remedy(remedy));
        }
        Ok(Change::Replace {
            target,
            original,
            text,
        })
    }

    /// Whether what is at `path` is what we made from its template last.
    fn is_as_made(&self, path: &str, original: &Original) -> bool {
        let recorded = self.written.templates.get(path);
        recorded.is_some_and(|id| is_blob(&original.bytes, id))
    }

    fn template(&self, source: &str) -> Result<String> {
        let path = self.worktree.root.path_of(source);
        let Way::To(template) = Target::find(self.worktree, source)? else {
            return Err(Error::at("read the template", &path, "it is not there"));
        };
        let original = template.read(None)?;
        let original =
            original.ok_or_else(|| Error::at("read the template", &path, "it is not there"))?;
        template.text(&original).map(str::to_owned)
    }

    /// Plans all files under the lock, and asks git which of them it tracks.
    pub fn plan_all(
        &'a self,
        _held: &Held,
        repository: &'a Repository,
    ) -> Result<PlannedFiles<'a>> {
        let mut planned = Vec::new();
        for (path, aim) in self.aims() {
            let change = self.plan(path, &aim, Some(&self.session.patience));
            planned.push(Planned { path, aim, change });
        }
        let mut files = PlannedFiles {
            files: self,
            repository,
            planned,
        };
        files.ask_git()?;
        files.fill_seeds()?;
        Ok(files)
    }
}

impl Wanted {
    fn paths(&self) -> impl Iterator<Item = &str> {
        let env_files = self.env_files.iter().map(|file| &*file.path);
        env_files.chain(self.templates.iter().map(|template| &*template.target))
    }
}

fn half_block(target: &Target, line: usize) -> Error {
    target
        .left_alone(format!(
            "line {line} is one mark of a block, and the other one is missing"
        ))
        .remedy("delete what is left of that block")
}

impl PlannedFiles<'_> {
    /// Turns what would be written over something of git's into an error.
    fn ask_git(&mut self) -> Result<()> {
        let worktree = self.files.worktree;
        let mut asked: BTreeSet<String> = BTreeSet::new();
        for planned in &self.planned {
            let Some(target) = planned.target() else {
                continue;
            };
            asked.insert(planned.path.to_owned());
            asked.extend(directories_above(planned.path).map(str::to_owned));
            if target.dir.has(&temporary(&target.name)) {
                asked.insert(temporary(planned.path));
            }
            if let Aim::From(source) = planned.aim {
                asked.insert(source.to_owned());
            }
        }
        let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
        let tracked = worktree.tracked(&asked)?;
        let root = shell_word(worktree.path());
        for planned in &mut self.planned {
            let Some(target) = planned.target() else {
                continue;
            };
            let path = planned.path;
            let in_submodule = directories_above(path).find(|above| tracked.contains(above));
            let problem = if tracked.contains(path) {
                target.left_alone("git tracks it").remedy(format!(
                    "run `git -C {root} rm --cached {path}`, commit, and run `{}`, or name a file that git ignores, such as `.env.local`",
                    worktree.by_hand()
                ))
            } else if let Some(submodule) = in_submodule {
                let submodule = quoted(&worktree.root.path_of(submodule));
                target
                    .left_alone(format!("{submodule} is a submodule"))
                    .remedy("take the file out of the config")
            } else if tracked.contains(&*temporary(path)) {
                let temporary = temporary(path);
                target
                    .left_alone(format!(
                        "git tracks `{temporary}`, which it is written as first"
                    ))
                    .remedy(format!(
                        "run `git -C {root} rm {temporary}` and commit that"
                    ))
            } else if let Aim::From(source) = planned.aim
                && !tracked.contains(source)
            {
                let source = quoted(&worktree.root.path_of(source));
                target
                    .left_alone(format!("git does not track its template {source}"))
                    .remedy(format!(
                        "run `git -C {root} add` for the template, and commit it"
                    ))
            } else {
                continue;
            };
            planned.change = Err(problem);
        }
        Ok(())
    }

    /// Decides what the env files that are missing start as.
    fn fill_seeds(&mut self) -> Result<()> {
        let mut main = None;
        for planned in &mut self.planned {
            let Aim::Block(lines) = planned.aim else {
                continue;
            };
            let Ok(Change::Make { target, .. }) = &planned.change else {
                continue;
            };
            if main.is_none() {
                main = Some(MainFiles::of(self.files, self.repository)?);
            }
            let seed = main
                .as_ref()
                .expect("it was just filled")
                .seed(planned.path, target);
            let seeded = seed.and_then(|seed| {
                let text = self.files.with_block(target, &seed.text, lines)?;
                Ok((text, seed))
            });
            let change = std::mem::replace(&mut planned.change, Ok(Change::Nothing));
            planned.change = match (change, seeded) {
                (Ok(Change::Make { target, .. }), Ok((text, seed))) => {
                    Ok(Change::Make { target, text, seed })
                }
                (_, Err(error)) => Err(error),
                (change, Ok(_)) => change,
            };
        }
        Ok(())
    }

    /// Why a file with our block, or one that was made from a template, cannot be brought up to date:
    /// its programs would keep ports that others could get.
    pub fn obstacle(&self, staged: &[Result<Option<Staged<'_>>>]) -> Option<Error> {
        let mut both = self.planned.iter().zip(staged);
        both.find_map(|(planned, staged)| {
            let error = planned.change.as_ref().err().or(staged.as_ref().err())?;
            (self.files.holds_ours(planned.path, &planned.aim)).then(|| error.clone())
        })
    }

    /// Hides the files that are about to be made, so that git does not see them for a moment.
    pub fn hide(&self, held: &Held) -> Result<()> {
        let Files {
            worktree, session, ..
        } = self.files;
        let hidden = exclude::hidden(&worktree.common_dir)?;
        let mut paths = Vec::new();
        for planned in &self.planned {
            if !matches!(planned.change, Ok(Change::Make { .. })) || hidden.contains(planned.path) {
                continue;
            }
            // All worktrees have one list, and a checkout overwrites an ignored file silently.
            match self.shown_elsewhere(planned.path)? {
                None => paths.push(planned.path),
                Some(other) => session.narrator.tell(format_args!(
                    "git shows {}: to hide it would hide {} too, which git does not ignore; add `/{}` to `.gitignore`",
                    quoted(&worktree.root.path_of(planned.path)),
                    quoted(&other),
                    planned.path
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
        for other in self.repository.live_worktrees()? {
            let Ok(other) = other else { continue };
            let is_own =
                other.git_dir.identity().ok() == self.files.worktree.git_dir.identity().ok();
            let there = || matches!(Target::find(&other, path), Ok(Way::To(target)) if target.dir.has(&target.name));
            if !is_own && there() && other.shows_untracked(path)? {
                return Ok(Some(other.root.path_of(path)));
            }
        }
        Ok(None)
    }

    /// Writes every file under its temporary name.
    pub fn stage(&self) -> Vec<Result<Option<Staged<'_>>>> {
        let changes = self.planned.iter().map(|planned| planned.change.as_ref());
        changes
            .map(|change| change.map_or(Ok(None), Change::stage))
            .collect()
    }

    /// Gives every file its name, and removes those that are to go. What cannot be done for one file
    /// is a warning, and done for the others.
    pub fn commit(&self, staged: Vec<Result<Option<Staged<'_>>>>) -> Done {
        let mut done = Done::default();
        for (planned, staged) in self.planned.iter().zip(staged) {
            self.commit_one(planned, staged, &mut done);
        }
        done
    }

    fn commit_one(
        &self,
        planned: &Planned<'_>,
        staged: Result<Option<Staged<'_>>>,
        done: &mut Done,
    ) {
        let Files {
            worktree,
            written,
            manners,
            session,
            ..
        } = self.files;
        let Planned { path, aim, .. } = planned;
        let recorded_env = written.env_files.get(*path);
        let recorded_blob = written.templates.get(*path);
        let outcome = self.carry_out(planned, staged);
        if let Err(error) = &outcome {
            if manners.tells_obstacles || planned.change.is_ok() {
                let error = error.clone();
                session
                    .narrator
                    .warn(error.remedy_or(&format!("run `{}`", worktree.by_hand())));
            }
            if self.files.holds_ours(path, aim) {
                done.has_failed = true;
                done.written.keep(path, recorded_env, recorded_blob, aim);
            }
            return;
        }
        let again = outcome.ok().flatten();
        let Some(change) = again.as_ref().or(planned.change.as_ref().ok()) else {
            return;
        };
        match (change, aim) {
            (Change::NoDirectory(directory), Aim::Block(_) | Aim::From(_)) => {
                if manners.tells_obstacles {
                    session.narrator.tell(format_args!(
                        "{} is not written: there is no directory {}",
                        quoted(&worktree.root.path_of(path)),
                        quoted(directory)
                    ));
                }
            }
            (Change::Absent | Change::NoDirectory(_), _) => {}
            (Change::Nothing, Aim::Block(_) | Aim::From(_)) => {
                done.written
                    .keep(path, recorded_env.or(Some(&None)), recorded_blob, aim);
            }
            (Change::Nothing, Aim::NoBlock | Aim::Gone) => {}
            (Change::Make { text, seed, .. }, Aim::Block(lines)) => {
                let note = seed
                    .of_main
                    .as_ref()
                    .map_or("", |_| " (from the main worktree)");
                done.told.push(format!("{path}{note}"));
                let id = self.repository.blob_id(seed.text.as_bytes());
                done.written.env_files.insert((*path).to_owned(), Some(id));
                self.warn_of_spanning(path, text, lines);
            }
            (Change::Replace { text, .. }, Aim::Block(lines)) => {
                done.told.push((*path).to_owned());
                done.written
                    .keep(path, recorded_env.or(Some(&None)), None, aim);
                self.warn_of_spanning(path, text, lines);
            }
            (Change::Make { text, .. } | Change::Replace { text, .. }, Aim::From(_)) => {
                done.told.push((*path).to_owned());
                let id = self.repository.blob_id(text.as_bytes());
                done.written.templates.insert((*path).to_owned(), id);
            }
            (Change::Make { .. } | Change::Replace { .. } | Change::Remove { .. }, _) => {
                done.removed.push((*path).to_owned());
            }
        }
    }

    fn warn_of_spanning(&self, path: &str, text: &str, lines: &[(String, String)]) {
        for name in env_text::spanning(text, lines) {
            self.files.session.narrator.warn(format_args!(
                "`{name}` in {} is also set by lines of yours that were left, because the value spans them: delete those lines",
                quoted(&self.files.worktree.root.path_of(path))
            ));
        }
    }

    /// Carries out what was planned or, if the file has changed since, what is planned anew; what
    /// was done in the second case.
    fn carry_out(
        &self,
        planned: &Planned<'_>,
        staged: Result<Option<Staged<'_>>>,
    ) -> Result<Option<Change>> {
        let patience = &self.files.session.patience;
        let change = planned.change.as_ref().map_err(Error::clone)?;
        if change.commit(staged?, patience)? {
            return Ok(None);
        }
        let again = self
            .files
            .plan(planned.path, &planned.aim, Some(patience))?;
        if !matches!(again, Change::Make { .. }) && again.commit(again.stage()?, patience)? {
            return Ok(Some(again));
        }
        let path = self.files.worktree.root.path_of(planned.path);
        let cause = "another program changed it twice in the meantime";
        Err(Error::at("write the ports to", &path, cause))
    }
}

impl WrittenFiles {
    /// These, and all that are `wanted`.
    pub fn and(mut self, wanted: &Wanted) -> WrittenFiles {
        for file in &wanted.env_files {
            self.env_files.entry(file.path.clone()).or_default();
        }
        for template in &wanted.templates {
            self.templates.entry(template.target.clone()).or_default();
        }
        self
    }

    /// Goes on naming a file as it is recorded.
    fn keep(
        &mut self,
        path: &str,
        made_from: Option<&Option<String>>,
        blob: Option<&String>,
        aim: &Aim<'_>,
    ) {
        match (aim, made_from, blob) {
            (Aim::Block(_) | Aim::NoBlock, Some(made_from), _) => {
                self.env_files.insert(path.to_owned(), made_from.clone());
            }
            (Aim::From(_) | Aim::Gone, _, Some(blob)) => {
                self.templates.insert(path.to_owned(), blob.clone());
            }
            _ => {}
        }
    }
}

impl Change {
    fn target(&self) -> Option<&Target> {
        match self {
            Change::Nothing | Change::Absent | Change::NoDirectory(_) => None,
            Change::Make { target, .. }
            | Change::Replace { target, .. }
            | Change::Remove { target, .. } => Some(target),
        }
    }

    fn stage(&self) -> Result<Option<Staged<'_>>> {
        let (target, staged) = match self {
            Change::Make { target, text, seed } => {
                let like = seed.of_main.as_ref().map(Original::file);
                let access = like.map_or(Access::New, Access::Like);
                let staged = Staged::prepare(&target.dir, &target.name, text.as_bytes(), access);
                (target, staged)
            }
            Change::Replace {
                target,
                original,
                text,
            } => {
                let staged = original.stage(&target.dir, &target.name, text.as_bytes());
                (target, staged)
            }
            _ => return Ok(None),
        };
        staged.map(Some).map_err(target.could_not())
    }

    /// Does it; `false` if what is there is not what was planned for.
    fn commit(&self, staged: Option<Staged<'_>>, patience: &Patience) -> Result<bool> {
        let Some(target) = self.target() else {
            return Ok(true);
        };
        let (dir, name) = (&target.dir, &*target.name);
        let commit = || match (self, staged) {
            (Change::Make { .. }, Some(staged)) => staged.commit_new(),
            (Change::Replace { original, .. }, Some(staged)) => {
                let is_unchanged = original.is_unchanged(dir, name, patience)?;
                if is_unchanged {
                    staged.commit()?;
                }
                Ok(is_unchanged)
            }
            (Change::Remove { original, .. }, _) => {
                let is_unchanged = original.is_unchanged(dir, name, patience)?;
                Ok(is_unchanged && (dir.remove(name)? | remove_leftover(dir, name)?))
            }
            _ => Ok(true),
        };
        commit().map_err(target.could_not())
    }
}

impl Planned<'_> {
    fn target(&self) -> Option<&Target> {
        self.change.as_ref().ok()?.target()
    }
}

/// The directories above a path, from the root down.
fn directories_above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end])
}

/// The main worktree, from whose files those of a linked one start.
struct MainFiles<'a> {
    files: &'a Files<'a>,
    /// Its root, and the env files that its own config names.
    main: Option<(Worktree, Vec<String>)>,
}

impl<'a> MainFiles<'a> {
    fn of(files: &'a Files<'a>, repository: &Repository) -> Result<MainFiles<'a>> {
        let main = match repository.main_worktree()? {
            Some(main) if !files.worktree.is_main() => {
                let config = config_file::load(&main)?;
                let named = config.into_iter().flat_map(|config| config.env_files);
                let named = named.map(|(path, _)| path).collect();
                Some((main, named))
            }
            _ => None,
        };
        Ok(MainFiles { files, main })
    }

    /// What the env file at `path`, which is missing, starts as: the main worktree's, if that one's
    /// config names it too, so that a branch cannot choose which of its secrets it gets; else an
    /// example beside it.
    fn seed(&self, path: &str, target: &Target) -> Result<Seed> {
        let patience = Some(&self.files.session.patience);
        if let Some((main, named)) = &self.main
            && named.iter().any(|name| name == path)
            && let Some(seed) = seed_from_main(main, path, patience)
                .map_err(|error| self.cannot_take(main, path, &error))?
        {
            return Ok(seed);
        }
        for suffix in ["example", "sample", "template", "dist"] {
            let name = format!("{}.{suffix}", target.name);
            if let Ok(example) = Original::read(&target.dir, &name, LIMIT, patience)
                && let Ok(text) = String::from_utf8(example.bytes)
            {
                let of_main = None;
                return Ok(Seed { text, of_main });
            }
        }
        Ok(Seed::default())
    }

    fn cannot_take(&self, main: &Worktree, path: &str, error: &Error) -> Error {
        let worktree = self.files.worktree;
        let [from, to] = [main, worktree].map(|it| shell_word(&it.root.path_of(path)));
        Error::at(
            "start the env file",
            &worktree.root.path_of(path),
            format!("the main worktree's cannot be copied: {}", error.parts().0),
        )
        .remedy(format!(
            "copy it by hand (`cp {from} {to}`) and run `{}`",
            worktree.by_hand()
        ))
    }
}

/// The main worktree's file at `path` as it would be without us; `None` if there is none, or git
/// tracks it.
fn seed_from_main(
    main: &Worktree,
    path: &str,
    patience: Option<&Patience>,
) -> Result<Option<Seed>> {
    let Way::To(there) = Target::find(main, path)? else {
        return Ok(None);
    };
    let Some(original) = there.read(patience)? else {
        return Ok(None);
    };
    if main.tracks(path)? {
        return Ok(None);
    }
    let text = env_text::without(there.text(&original)?);
    let text = text.map_err(|half| half_block(&there, half.line))?;
    // What holds nothing but our block was not there before us.
    Ok((!text.is_empty()).then_some(Seed {
        text,
        of_main: Some(original),
    }))
}
