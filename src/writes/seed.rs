//! The first content of a missing env file: what a project's own setup would have put there.

use crate::config::file as config_file;
use crate::error::{Error, Result, quoted, shell_word};
use crate::files::staged::{Original, Patience};
use crate::git::repository::Repository;
use crate::git::worktree::Worktree;
use crate::writes::env_text;
use crate::writes::target::{FileRole, LIMIT, Target};

/// The first content of an env file.
#[derive(Default)]
pub struct Seed {
    pub text: String,
    /// The main worktree's file, if it is a copy of that; it gets the same access rights.
    pub of_main: Option<Original>,
}

/// Where the first content comes from.
pub struct Seeds<'a> {
    worktree: &'a Worktree,
    /// The main worktree, unless this is it, and the env files that its own config names.
    main: Option<(Worktree, Result<Vec<String>>)>,
    patience: &'a Patience,
}

impl<'a> Seeds<'a> {
    pub fn of(
        worktree: &'a Worktree,
        repository: &Repository,
        patience: &'a Patience,
    ) -> Result<Seeds<'a>> {
        let main = repository.main_worktree()?.filter(|_| !worktree.is_main());
        let main = main.map(|main| {
            let named = config_file::load(&main).map(|config| {
                let files = config.into_iter().flat_map(|config| config.env_files);
                files.map(|(path, _)| path).collect()
            });
            (main, named)
        });
        Ok(Seeds {
            worktree,
            main,
            patience,
        })
    }

    /// The first content of the env file at `path`: that of the main worktree's file, if the main
    /// worktree's config names it too, so that a branch cannot choose which secrets it gets;
    /// otherwise, an example beside it.
    ///
    /// # Errors
    /// The main worktree's file cannot be copied. Then no file must be created, because a setup
    /// script that copies it if it is missing would find ours.
    pub fn seed(&self, path: &str, target: &Target) -> Result<Seed> {
        if let Some((main, named)) = &self.main
            && let Some(seed) = self
                .seed_from(main, named, path)
                .map_err(|error| self.cannot_take(main, path, &error))?
        {
            return Ok(seed);
        }
        let example = |suffix: &str| {
            let name = format!("{}.{suffix}", target.name);
            let example = Original::read(&target.dir, &name, LIMIT, None).ok()?;
            String::from_utf8(example.bytes).ok()
        };
        let suffixes = ["example", "sample", "template", "dist"];
        let text = suffixes.into_iter().find_map(example);
        Ok(Seed {
            text: text.unwrap_or_default(),
            of_main: None,
        })
    }

    /// The file at `path` in `main` without our block; `None` if there is none, if the config of
    /// `main` does not name it, or if git tracks it.
    fn seed_from(
        &self,
        main: &Worktree,
        named: &Result<Vec<String>>,
        path: &str,
    ) -> Result<Option<Seed>> {
        let there = Target::find(main, path, FileRole::Seed)?;
        let Some(there) = there.filter(|there| there.dir.has(&there.name)) else {
            return Ok(None);
        };
        let named = named.as_ref().map_err(Error::clone)?;
        if !named.iter().any(|name| name == path) || main.tracks(path)? {
            return Ok(None);
        }
        let Some(original) = there.read(Some(self.patience))? else {
            return Ok(None);
        };
        let text = env_text::without(there.text(&original)?);
        let text = text.map_err(|half| there.half_block(&half))?;
        // If it only contains our block, it did not exist before.
        Ok((!text.is_empty()).then_some(Seed {
            text,
            of_main: Some(original),
        }))
    }

    fn cannot_take(&self, main: &Worktree, path: &str, error: &Error) -> Error {
        let (from, to) = (main.root.path_of(path), self.worktree.root.path_of(path));
        let by_hand = self.worktree.by_hand();
        let what = format!("{} was not made: {}", quoted(&to), error.parts().0);
        let first = if from.is_file() {
            ""
        } else {
            "put a regular file there, "
        };
        let [from, to] = [&from, &to].map(|path| shell_word(path));
        Error::new(what).remedy(format!(
            "{first}copy it by hand (`cp {from} {to}`) and run `{by_hand}`"
        ))
    }
}
