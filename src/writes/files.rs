//! The env files and templates of one worktree: what has to be done about each, and doing it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::config::file as config_file;
use crate::config::{EnvFile, Template, label, substitute};
use crate::error::{Error, ErrorKind, Result, quoted, shell_word, unless_shortage};
use crate::files::dir::{Dir, Kind, PlainFile};
use crate::files::staged::{Access, Original, Patience, Staged, remove_leftover, temporary};
use crate::git::lock::Held;
use crate::git::repository::{Repository, is_blob};
use crate::git::worktree::Worktree;
use crate::session::Session;
use crate::state::port_file;
use crate::state::record::{Recorded, WrittenFiles};
use crate::writes::block;
use crate::writes::env_text::{self, WithBlock};
use crate::writes::exclude;
use crate::writes::seed::{Seed, seed};
use crate::writes::target::{FileRole, LIMIT, Target};

/// What has to be written for a worktree. Paths are relative to its root.
#[derive(Debug, Default)]
pub struct Wanted {
    /// The worktree's label, for the marks.
    pub label: String,
    pub env_files: Vec<EnvFile>,
    pub templates: Vec<Template>,
    /// The values of the placeholders in templates.
    pub variables: Vec<(String, String)>,
    /// Whether blocks in other files stay, because there is no config at all.
    pub keeps_blocks: bool,
}

/// Why files are written, which decides what may be done.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// The hook, in a worktree that has ports. In the main worktree it creates no file, so that
    /// looking at somebody's branch creates none. It does not report what cannot be written.
    Update,
    /// The hook in a fresh worktree, or a call by hand.
    Assign,
    /// The ports are given back. A file is only removed if it contains nothing but our block.
    Release,
}

/// What should become of a file.
#[derive(Clone, Copy)]
enum Aim<'a> {
    /// It has a block of these variables.
    Block(&'a [(String, String)]),
    NoBlock,
    /// It is made from this template.
    From(&'a str),
    /// It was made from a template, and is removed.
    Gone,
}

/// A file as it was read, and what should become of it.
struct Planned<'a> {
    path: &'a str,
    aim: Aim<'a>,
    /// `None` if it cannot be reached, or its directory is missing.
    target: Option<Target>,
    original: Option<Original>,
    /// The content that it should have; `None` if there should be no file.
    new: Result<Option<Vec<u8>>>,
    /// What a new env file starts as.
    seed: Seed,
    /// The variables that the user's own lines in an env file define too, because their values span
    /// lines.
    spanning: Vec<&'a str>,
}

/// The files of one worktree.
pub struct Files<'a> {
    worktree: &'a Worktree,
    wanted: Wanted,
    /// What the record names.
    written: WrittenFiles,
    occasion: Occasion,
    session: &'a Session,
}

/// What has to be done about the files of one worktree.
pub struct PlannedFiles<'a> {
    files: &'a Files<'a>,
    planned: Vec<Planned<'a>>,
    /// Those of the paths involved that git tracks, if git was asked.
    tracked: BTreeSet<String>,
}

/// Files under their temporary names, in the order in which they were planned.
pub type StagedFiles<'a> = Vec<Result<Option<Staged<'a>>>>;

/// What was done.
#[derive(Debug, Default)]
pub struct Done {
    /// The files that were written, as they are reported.
    pub told: Vec<String>,
    pub removed: Vec<String>,
    /// What the record should name.
    pub written: WrittenFiles,
    /// Whether a file that has our block or was made by us could not be brought up to date.
    pub has_failed: bool,
}

impl<'a> Files<'a> {
    pub fn new(
        worktree: &'a Worktree,
        wanted: Wanted,
        written: WrittenFiles,
        occasion: Occasion,
        session: &'a Session,
    ) -> Files<'a> {
        Files {
            worktree,
            wanted,
            written,
            occasion,
            session,
        }
    }

    /// All files that may contain our block or that were made from templates, to be cleared. The config
    /// counts too for blocks, because the record may be missing where it could not be written.
    pub fn to_clear(
        worktree: &'a Worktree,
        repository: &Repository,
        recorded: &Recorded,
        session: &'a Session,
    ) -> Result<Files<'a>> {
        let mut written = recorded.written();
        if let Ok(in_force) = unless_shortage(config_file::of(worktree, repository, None))? {
            for (path, _) in in_force.config.env_files {
                written.env_files.entry(path).or_default();
            }
        }
        let wanted = Wanted::default();
        let occasion = Occasion::Release;
        Ok(Files::new(worktree, wanted, written, occasion, session))
    }

    /// Waits, before the lock is taken, for programs that are writing an env file of `worktree`, or one of
    /// the main worktree that may be copied. Errors are reported later, under the lock.
    pub fn wait_for_writers(
        worktree: &Worktree,
        repository: &Repository,
        session: &Session,
    ) -> Result<()> {
        let wait_in = |worktree: &Worktree| -> Result<bool> {
            let recorded = worktree.record()?;
            let files = Files::to_clear(worktree, repository, &recorded, session)?;
            let planned = files.planned(Some(&session.patience))?.planned;
            Ok(planned.iter().any(|file| file.original.is_none()))
        };
        if wait_in(worktree)?
            && !worktree.is_main()
            && let Ok(Some(main)) = unless_shortage(repository.main_worktree())?
        {
            wait_in(&main)?;
        }
        Ok(())
    }

    /// Reads the files. git is not asked, and no other program is waited for.
    pub fn look(&'a self) -> Result<PlannedFiles<'a>> {
        self.planned(None)
    }

    /// As [`Files::look`], but git is asked what it tracks, and missing env files get their first
    /// content.
    pub fn check(&'a self, repository: &Repository) -> Result<PlannedFiles<'a>> {
        self.planned(None)?.with_git(repository, true)
    }

    /// As [`Files::check`], under the lock, and waiting for programs that are writing a file.
    pub fn plan(&'a self, _held: &Held, repository: &Repository) -> Result<PlannedFiles<'a>> {
        self.planned(Some(&self.session.patience))?
            .with_git(repository, false)
    }

    /// # Errors
    /// A shortage of descriptors or memory. Any other error is one of the planned files'.
    fn planned(&'a self, patience: Option<&Patience>) -> Result<PlannedFiles<'a>> {
        let aims = self.aims().into_iter();
        let planned = aims.map(|(path, aim)| self.plan_one(path, aim, patience));
        Ok(PlannedFiles {
            files: self,
            planned: planned.collect::<Result<_>>()?,
            tracked: BTreeSet::new(),
        })
    }

    /// What should become of each file: the wanted ones, then the others in the record.
    fn aims(&'a self) -> Vec<(&'a str, Aim<'a>)> {
        let Files {
            wanted, written, ..
        } = self;
        let mut aims = Vec::new();
        for EnvFile { path, lines } in &wanted.env_files {
            aims.push((&**path, Aim::Block(lines)));
        }
        for Template { target, source } in &wanted.templates {
            aims.push((target, Aim::From(source)));
        }
        let paths: BTreeSet<&str> = aims.iter().map(|(path, _)| *path).collect();
        let blocks = written.env_files.keys().map(|path| (path, Aim::NoBlock));
        let made = written.templates.keys().map(|path| (path, Aim::Gone));
        let left = blocks.filter(|_| !wanted.keeps_blocks).chain(made);
        aims.extend(
            left.map(|(path, aim)| (&**path, aim))
                .filter(|(path, _)| !paths.contains(path)),
        );
        aims
    }

    /// What has to be done about one file; with `patience` if it is about to be done.
    fn plan_one(
        &'a self,
        path: &'a str,
        aim: Aim<'a>,
        patience: Option<&Patience>,
    ) -> Result<Planned<'a>> {
        let mut planned = Planned {
            path,
            aim,
            target: None,
            original: None,
            new: Ok(None),
            seed: Seed::default(),
            spanning: Vec::new(),
        };
        let new = self.new_content(&mut planned, patience);
        planned.new = unless_shortage(new)?;
        Ok(planned)
    }

    /// The content that `file` should have; `None` if there should be no file. What is read for that is
    /// noted in `file`.
    fn new_content(
        &'a self,
        file: &mut Planned<'a>,
        patience: Option<&Patience>,
    ) -> Result<Option<Vec<u8>>> {
        let role = match file.aim {
            Aim::Block(_) | Aim::NoBlock => FileRole::EnvFile,
            Aim::From(_) | Aim::Gone => FileRole::Made,
        };
        let goes = file.goes();
        let target = match unless_shortage(Target::find(self.worktree, file.path, role))? {
            Ok(Some(target)) => file.target.insert(target),
            Ok(None) => return Ok(None),
            // What is in another repository, or reached through a link, is not ours.
            Err(_) if goes && !self.leads_to_ours(file.path) => return Ok(None),
            Err(error) => {
                let path = self.worktree.root.quoted(file.path);
                let error = error.within(&format!("could not write the ports to {path}"));
                return Err(if goes {
                    // It may be out of the config already.
                    error.remedy("delete our block there, or that file")
                } else {
                    error
                });
            }
        };
        let is_ours = || match file.aim {
            Aim::Gone => target.is_small_file() || self.leads_to_ours(file.path),
            _ => target.has_mark() || self.leads_to_ours(file.path),
        };
        file.original = match unless_shortage(target.read(patience))? {
            Err(_) if goes && !is_ours() => return Ok(None),
            original => original?,
        };
        let may_create = self.occasion != Occasion::Update || !self.worktree.is_main();
        let Some(original) = &file.original else {
            return match file.aim {
                Aim::From(source) if may_create => self.made_from(file.path, source).map(Some),
                Aim::Block(_) if may_create => Ok(Some(Vec::new())),
                _ => Ok(None),
            };
        };
        match file.aim {
            Aim::Block(lines) => {
                let WithBlock { text, spanning } =
                    self.with_block(target, target.text(original)?, lines)?;
                file.spanning = spanning;
                Ok(Some(text.into_bytes()))
            }
            Aim::NoBlock => {
                let new = env_text::without(target.text(original)?);
                let new = new.map_err(|half| target.half_block(&half))?.into_bytes();
                let made_from = self.written.env_files.get(file.path).cloned().flatten();
                let is_as_made = self.occasion != Occasion::Release
                    && made_from.is_some_and(|id| is_blob(&new, &id));
                let stays = new == original.bytes || !new.is_empty() && !is_as_made;
                Ok(stays.then_some(new))
            }
            Aim::From(source) => {
                let new = self.made_from(file.path, source)?;
                if original.bytes != new {
                    self.check_as_made(file.path, target, original)?;
                }
                Ok(Some(new))
            }
            Aim::Gone => {
                let is_changed = self.check_as_made(file.path, target, original).is_err();
                Ok(is_changed.then(|| original.bytes.clone()))
            }
        }
    }

    /// The command that tries again what could not be done.
    fn again(&self) -> String {
        let by_hand = self.worktree.by_hand();
        match self.occasion {
            Occasion::Release => by_hand + " --release",
            _ => by_hand,
        }
    }

    /// Whether programs that read the file at `path`, through any links, find this worktree's block or what
    /// we made from a template, and so use its ports. What cannot be read may be that.
    fn leads_to_ours(&self, path: &str) -> bool {
        let root = self.worktree.path();
        let there = match dunce::canonicalize(root.join(path)) {
            Ok(there) => there,
            // Otherwise nothing is there, or the links lead in a circle.
            Err(error) => {
                let kind = ErrorKind::of(&error);
                return matches!(kind, ErrorKind::Shortage | ErrorKind::Refused);
            }
        };
        // Another file of ours is planned itself.
        let root = dunce::canonicalize(root).unwrap_or_default();
        let mut aims = self.aims().into_iter();
        if aims.any(|(other, _)| other != path && root.join(other) == there) {
            return false;
        }
        match Dir::of_file(&there).map(|(dir, name)| dir.read(name, LIMIT)) {
            Ok(Ok(PlainFile::Read(bytes) | PlainFile::TooLarge(bytes))) => {
                let made = self.written.templates.get(path);
                block::find(&bytes).is_err()
                    || block::has_mark_of(&bytes, &label::of(self.worktree))
                    || made.is_some_and(|id| is_blob(&bytes, id))
            }
            Ok(Ok(PlainFile::Missing | PlainFile::NotRegular(_))) => false,
            _ => true,
        }
    }

    fn with_block(
        &self,
        target: &Target,
        old: &str,
        lines: &'a [(String, String)],
    ) -> Result<WithBlock<'a>> {
        let new = env_text::with(old, &self.wanted.label, lines);
        let new = new.map_err(|half| target.half_block(&half))?;
        if new.text.len() > LIMIT {
            return Err(too_large(target, "the block"));
        }
        Ok(new)
    }

    /// Fails unless the file at `path` is what was last made from its template.
    fn check_as_made(&self, path: &str, target: &Target, original: &Original) -> Result<()> {
        let cause = match self.written.templates.get(path) {
            Some(id) if is_blob(&original.bytes, id) => return Ok(()),
            Some(_) => "it has been changed since it was made from its template",
            None => "a file that was not made from its template is there",
        };
        Err(target.left_alone(cause).remedy("delete it"))
    }

    /// The text that the template `source` gives for `path`.
    fn made_from(&self, path: &str, source: &str) -> Result<Vec<u8>> {
        let read = || -> Result<Vec<u8>> {
            let there = self.worktree.root.path_of(source);
            let missing = || {
                let error = Error::at("read the template", &there, "it is not there");
                error.remedy("restore it, or take it out of the config")
            };
            let template = Target::find(self.worktree, source, FileRole::Template)?;
            let template = template.ok_or_else(missing)?;
            let original = template.read(None)?.ok_or_else(missing)?;
            let text = template.text(&original)?;
            let made = substitute(text, &self.wanted.variables, LIMIT);
            let made = made.ok_or_else(|| too_large(&template, "the values in place"))?;
            Ok(made.into_bytes())
        };
        read().map_err(|error| error.within(&format!("`{path}` was not made")))
    }
}

impl<'a> Planned<'a> {
    /// Whether nothing of ours should be left of it.
    fn goes(&self) -> bool {
        matches!(self.aim, Aim::NoBlock | Aim::Gone)
    }

    /// Whether it has to be written or removed.
    fn is_to_do(&self) -> bool {
        let old = self.original.as_ref().map(|original| &original.bytes);
        self.target.is_some() && self.new.as_ref().is_ok_and(|new| new.as_ref() != old)
    }

    /// Whether it is missing and has to be written.
    fn is_made(&self) -> bool {
        self.original.is_none() && matches!(self.new, Ok(Some(_)))
    }

    /// Whether git has to be asked: something would be written, or our text is there.
    fn concerns_git(&self) -> bool {
        let has_text = !self.goes() && !matches!(self.new, Ok(None));
        self.target.is_some() && (self.new.is_err() || has_text || self.is_to_do())
    }

    fn template(&self) -> Option<&'a str> {
        match self.aim {
            Aim::From(source) => Some(source),
            _ => None,
        }
    }

    /// Why it must not be written, given what git tracks.
    fn problem_of_git(
        &self,
        worktree: &Worktree,
        target: &Target,
        tracked: &BTreeSet<&str>,
    ) -> Option<Error> {
        let path = self.path;
        let root = shell_word(worktree.path());
        let leftover = temporary(path);
        let (cause, remedy) = if tracked.contains(path) {
            let untrack = format!("run `git -C {root} rm --cached {path}` and commit");
            let other = "name another file in the config, which git ignores";
            ("git tracks it".to_owned(), format!("{untrack}, or {other}"))
        } else if let Some(submodule) = directories_above(path).find(|it| tracked.contains(it)) {
            let cause = format!("{} is a submodule", worktree.root.quoted(submodule));
            (cause, "take the file out of the config".to_owned())
        } else if tracked.contains(&*leftover) {
            let cause =
                format!("git tracks `{leftover}`, the temporary name under which it is written");
            let remedy = format!("run `git -C {root} rm {leftover}` and commit");
            (cause, remedy)
        } else {
            let untracked = self.template().filter(|source| !tracked.contains(source));
            let source = untracked.filter(|_| self.new.is_ok())?;
            let cause = format!("git does not track its template `{source}`");
            let remedy = format!(
                "if it contains no secrets, run `git -C {root} add {source}` and commit; otherwise, take it out of the config"
            );
            (cause, remedy)
        };
        Some(target.left_alone(cause).remedy(remedy))
    }

    /// Writes it under its temporary name.
    fn stage(&self) -> Result<Option<Staged<'_>>> {
        let (true, Some(target), Ok(Some(new))) = (self.is_to_do(), &self.target, &self.new) else {
            return Ok(None);
        };
        let like = self.original.as_ref().or(self.seed.of_main.as_ref());
        let access = like.map_or(Access::New, Original::access);
        let staged = Staged::prepare(&target.dir, &target.name, new, access);
        staged.map(Some).map_err(target.could_not())
    }

    /// Carries it out; `false` if the file has changed since it was read.
    fn commit(&self, staged: Option<Staged<'_>>, patience: &Patience) -> Result<bool> {
        let new = self.new.as_ref().map_err(Error::clone)?;
        let Some(target) = &self.target else {
            return Ok(true);
        };
        let committed = match (&self.original, staged) {
            (None, Some(staged)) => staged.commit_new(),
            (Some(original), Some(staged)) => staged.commit_over(original, patience),
            (Some(original), None) if new.is_none() => {
                original.remove(&target.dir, &target.name, patience)
            }
            _ => Ok(true),
        };
        committed.map_err(target.could_not())
    }
}

impl<'a> PlannedFiles<'a> {
    /// Asks git what it tracks, turns what must not be written into errors, and gives missing env
    /// files their first content.
    fn with_git(mut self, repository: &Repository, is_check: bool) -> Result<PlannedFiles<'a>> {
        let (files, worktree) = (self.files, self.files.worktree);
        let mut asked: BTreeSet<String> = self.leftovers().map(|(path, ..)| path).collect();
        for file in self.planned.iter().filter(|file| file.concerns_git()) {
            asked.insert(file.path.to_owned());
            asked.extend(directories_above(file.path).map(str::to_owned));
            asked.extend(file.template().map(str::to_owned));
        }
        let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
        let tracked = worktree.tracked(&asked)?;
        for file in self.planned.iter_mut().filter(|file| file.concerns_git()) {
            // A file that is up to date is not written, so only `--check` reports that it is tracked.
            let is_written = file.is_to_do() || file.new.is_err();
            let target = file.target.as_ref();
            let target = target.filter(|_| is_written || is_check && tracked.contains(file.path));
            let problem = target.and_then(|it| file.problem_of_git(worktree, it, &tracked));
            if let Some(problem) = problem {
                file.new = Err(problem);
            }
        }
        if self.planned.iter().any(Planned::is_made) {
            let main = repository.main_worktree()?.filter(|_| !worktree.is_main());
            let patience = &files.session.patience;
            for file in self.planned.iter_mut().filter(|file| file.is_made()) {
                if let (Aim::Block(lines), Some(target)) = (file.aim, &file.target) {
                    let seed = seed(worktree, main.as_ref(), file.path, target, patience);
                    let seed = unless_shortage(seed)?;
                    file.new = seed.and_then(|seed| {
                        let with_block = files.with_block(target, &seed.text, lines)?;
                        (file.seed, file.spanning) = (seed, with_block.spanning);
                        Ok(Some(with_block.text.into_bytes()))
                    });
                }
            }
        }
        self.tracked = tracked.into_iter().map(str::to_owned).collect();
        Ok(self)
    }

    /// The files that are not up to date, each with the reason if it cannot be brought up to date.
    pub fn outdated(&self) -> Vec<(String, Option<Error>)> {
        // Whatever has to go is still in the record.
        let outdated = self
            .planned
            .iter()
            .filter(|file| file.new.is_err() || file.goes() || file.is_to_do());
        let why = |file: &Planned<'_>| {
            let error = file.new.as_ref().err().cloned();
            error.map(|error| error.then_run(&self.files.again()))
        };
        outdated
            .map(|file| (file.path.to_owned(), why(file)))
            .collect()
    }

    /// The variables that the user's own lines in an env file define too, because their values span
    /// lines, each with the path of the file.
    pub fn spanning(&self) -> Vec<(String, String)> {
        let mut spanning = Vec::new();
        for file in self.planned.iter().filter(|file| file.original.is_some()) {
            for name in &file.spanning {
                spanning.push((file.path.to_owned(), (*name).to_owned()));
            }
        }
        spanning
    }

    /// Whether the config lacks a file, or a variable in a file, that is written now.
    pub fn would_take_away(&self) -> bool {
        self.planned
            .iter()
            .any(|file| match (&file.aim, &file.original) {
                (Aim::NoBlock | Aim::Gone, _) => true,
                (Aim::Block(lines), Some(original)) => {
                    let is_lost = |name: &&str| !lines.iter().any(|(own, _)| own == name);
                    let text = String::from_utf8_lossy(&original.bytes);
                    env_text::names_in_blocks(&text).iter().any(is_lost)
                }
                _ => false,
            })
    }

    /// The temporary files that a kill has left: the path of each, its directory, and the final name.
    fn leftovers(&self) -> impl Iterator<Item = (String, &Dir, &str)> {
        let targets = self.planned.iter().filter_map(|file| {
            let target = file.target.as_ref()?;
            Some((file.path, &target.dir, &*target.name))
        });
        let port_file = (port_file::NAME, &self.files.worktree.root, port_file::NAME);
        // A directory of that name is reported when the file is written.
        let has_leftover = |dir: &Dir, name: &str| {
            let stat = dir.look(&temporary(name));
            stat.is_ok_and(|stat| stat.is_some_and(|stat| stat.kind != Kind::Directory))
        };
        let all = targets.chain([port_file]);
        let left = all.filter(move |(_, dir, name)| has_leftover(dir, name));
        left.map(|(path, dir, name)| (temporary(path), dir, name))
    }

    pub fn has_leftovers(&self) -> bool {
        self.leftovers().next().is_some()
    }

    /// Removes the temporary files that a kill has left, unless git tracks them.
    pub fn remove_leftovers(&self, _held: &Held) -> Result<()> {
        for (path, dir, name) in self.leftovers() {
            if !self.tracked.contains(&path) {
                let path = self.files.worktree.root.path_of(&path);
                remove_leftover(dir, name).map_err(Error::could_not("write", path))?;
            }
        }
        Ok(())
    }

    /// Whether the file has our block, or was made from a template and exists: programs that read
    /// it would keep ports that others could get.
    fn has_ours(&self, file: &Planned<'_>) -> bool {
        let is_here = |target: &Target| {
            let is_recorded = self.files.written.templates.contains_key(file.path);
            target.has_mark() || is_recorded && target.dir.has(&target.name)
        };
        file.target.as_ref().is_some_and(is_here) || self.files.leads_to_ours(file.path)
    }

    /// Why a file with our ports cannot be brought up to date.
    fn obstacle(&self, staged: &StagedFiles<'_>) -> Option<Error> {
        let mut both = self.planned.iter().zip(staged);
        both.find_map(|(file, staged)| {
            let error = file.new.as_ref().err().or(staged.as_ref().err())?;
            self.has_ours(file).then(|| error.clone())
        })
    }

    /// Hides the files that are about to be created, so that git never shows them; if our lines are lost, also
    /// those that were created before, in any worktree.
    pub fn hide(&self, held: &Held, repository: &Repository) -> Result<()> {
        let Files {
            worktree, session, ..
        } = self.files;
        // If the list cannot be read, writing it reports the error.
        let hidden = exclude::hidden(&worktree.common_dir).unwrap_or_default();
        let planned = self.planned.iter().filter(|file| file.is_made());
        let new: BTreeSet<String> = planned.map(|file| file.path.to_owned()).collect();
        let mut made = new.clone();
        if !hidden.contains(port_file::NAME) {
            for worktree in repository.live_worktrees()? {
                if let Ok(worktree) = unless_shortage(worktree)? {
                    made.extend(worktree.record()?.written().made().map(str::to_owned));
                }
            }
        }
        let mut paths = Vec::new();
        for path in made.difference(&hidden) {
            // All worktrees share one list, and a checkout overwrites an ignored file silently.
            match shown_in_a_worktree(repository, path)? {
                None => paths.push(path.as_str()),
                Some(other) if new.contains(path) => session.narrator.tell(format_args!(
                    "git shows {}: hiding it for all worktrees would also hide {}, which is not ours; add `/{path}` to `.gitignore`",
                    worktree.root.quoted(path),
                    quoted(&other),
                )),
                Some(_) => {}
            }
        }
        if hidden.contains(port_file::NAME) && paths.is_empty() {
            return Ok(());
        }
        exclude::add(held, &worktree.common_dir, &paths, session)
    }

    /// Writes every file under its temporary name.
    ///
    /// # Errors
    /// A shortage of descriptors or memory. Any other error is one of the staged files', and
    /// [`PlannedFiles::commit`] reports it.
    pub fn stage(&self) -> Result<StagedFiles<'_>> {
        let staged: StagedFiles<'_> = self.planned.iter().map(Planned::stage).collect();
        let mut errors = staged.iter().filter_map(|staged| staged.as_ref().err());
        match errors.find(|error| error.kind() == ErrorKind::Shortage) {
            Some(shortage) => Err(shortage.clone()),
            None => Ok(staged),
        }
    }

    /// The same, or nothing if a file with our ports cannot be brought up to date.
    pub fn stage_all(&self) -> Result<StagedFiles<'_>> {
        let staged = self.stage()?;
        match self.obstacle(&staged) {
            Some(error) => Err(error),
            None => Ok(staged),
        }
    }

    /// Renames and removes the files. If one fails, there is a warning, and the others are done.
    pub fn commit(&self, staged: StagedFiles<'_>, repository: &Repository) -> Done {
        let files = self.files;
        let mut done = Done::default();
        if files.wanted.keeps_blocks {
            done.written.env_files = files.written.env_files.clone();
        }
        for (file, staged) in self.planned.iter().zip(staged) {
            match self.carry_out(file, staged) {
                Ok(again) => self.note(again.as_ref().unwrap_or(file), repository, &mut done),
                Err(error) => {
                    if files.occasion != Occasion::Update || file.new.is_ok() {
                        files.session.narrator.warn(error.then_run(&files.again()));
                    }
                    if self.has_ours(file) {
                        done.has_failed = true;
                        done.written.name_as(&files.written, file.path);
                    }
                }
            }
        }
        done
    }

    /// Carries out the plan for one file. If the file has changed, plans once more, carries that
    /// out, and returns the new plan.
    fn carry_out(
        &self,
        file: &Planned<'a>,
        staged: Result<Option<Staged<'_>>>,
    ) -> Result<Option<Planned<'a>>> {
        let patience = &self.files.session.patience;
        if file.commit(staged?, patience)? {
            return Ok(None);
        }
        let again = self.files.plan_one(file.path, file.aim, Some(patience))?;
        // If it has vanished, its first content is unknown.
        if !again.is_made() && again.commit(again.stage()?, patience)? {
            return Ok(Some(again));
        }
        let path = self.files.worktree.root.path_of(file.path);
        let cause = "another program changed it twice in the meantime";
        Err(Error::at("write the ports to", &path, cause))
    }

    /// What the record names now, and what it should name if everything goes as planned.
    pub fn expected(&self, repository: &Repository) -> WrittenFiles {
        let mut expected = self.files.written.clone();
        for file in &self.planned {
            self.name(file, repository, &mut expected);
        }
        expected
    }

    /// Adds `file` to what the record should name.
    fn name(&self, file: &Planned<'_>, repository: &Repository, names: &mut WrittenFiles) {
        let Ok(Some(new)) = &file.new else { return };
        let path = file.path.to_owned();
        match file.aim {
            Aim::Block(_) => {
                let made_from = if file.is_made() {
                    Some(repository.blob_id(file.seed.text.as_bytes()))
                } else {
                    self.files.written.env_files.get(&path).cloned().flatten()
                };
                names.env_files.insert(path, made_from);
            }
            // A file of somebody else's that happens to be the same stays theirs.
            Aim::From(_) if file.is_to_do() || self.files.written.templates.contains_key(&path) => {
                names.templates.insert(path, repository.blob_id(new));
            }
            _ => {}
        }
    }

    /// Notes what was done about `file`.
    fn note(&self, file: &Planned<'_>, repository: &Repository, done: &mut Done) {
        let narrator = &self.files.session.narrator;
        self.name(file, repository, &mut done.written);
        let path = file.path.to_owned();
        let shown = self.files.worktree.root.quoted(&path);
        for name in file.spanning.iter().filter(|_| file.is_to_do()) {
            narrator.warn(format_args!(
                "`{name}` in {shown} is also set by your own lines, which were left because the value spans several lines: delete them"
            ));
        }
        let tells = self.files.occasion != Occasion::Update;
        match &file.new {
            Ok(Some(_)) if tells && matches!(file.aim, Aim::Gone) => narrator.warn(format_args!(
                "{shown} has been changed since it was made from its template, so it stays: it may still name this worktree's ports"
            )),
            Ok(None) if file.original.is_some() => done.removed.push(path),
            Ok(Some(_)) if file.seed.of_main.is_some() => {
                done.told.push(path + " (from the main worktree)");
            }
            Ok(Some(_)) if file.is_to_do() => done.told.push(path),
            Ok(None) if tells && file.target.is_none() && !file.goes() => {
                let why = "its directory does not exist";
                narrator.tell(format_args!("{shown} was not written: {why}"));
            }
            _ => {}
        }
    }
}

impl WrittenFiles {
    /// Takes over what `other` says about the file at `path`.
    fn name_as(&mut self, other: &WrittenFiles, path: &str) {
        if let Some(id) = other.env_files.get(path) {
            self.env_files.insert(path.to_owned(), id.clone());
        }
        if let Some(id) = other.templates.get(path) {
            self.templates.insert(path.to_owned(), id.clone());
        }
    }
}

/// The file at `path` in a worktree of the repository, if we did not make it and git shows it there as
/// untracked.
fn shown_in_a_worktree(repository: &Repository, path: &str) -> Result<Option<PathBuf>> {
    for worktree in repository.live_worktrees()? {
        let Some(worktree) = unless_shortage(worktree)?.ok() else {
            continue;
        };
        let target = Target::find(&worktree, path, FileRole::EnvFile);
        let target = unless_shortage(target)?.ok().flatten();
        let is_there = target.is_some_and(|target| target.dir.has(&target.name));
        let is_ours = || Ok(worktree.record()?.written().made().any(|it| it == path));
        if is_there && !is_ours()? && worktree.shows_untracked(path)? {
            return Ok(Some(worktree.root.path_of(path)));
        }
    }
    Ok(None)
}

/// The error for a file that would be too large with what has to be written.
fn too_large(target: &Target, what: &str) -> Error {
    let kib = LIMIT / 1024;
    let why = format!("with {what} it would be larger than {kib} KiB");
    target.left_alone(why).remedy("make it smaller")
}

/// The directories above a path, from the root down.
fn directories_above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end])
}

#[cfg(test)]
mod tests;
