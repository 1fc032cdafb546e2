//! The first content of a missing env file: what a project's own setup would have put there.

use crate::config::file as config_file;
use crate::error::{Error, Result, quoted, shell_word, unless_shortage};
use crate::files::staged::{Original, Patience};
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

/// The first content of the env file at `path` in `worktree`: that of the file in the `main` worktree, if
/// main's config names it too, so that a branch cannot choose which secrets it gets; otherwise, an example
/// beside it.
///
/// # Errors
/// The main worktree's file cannot be copied. Then no file must be created, because a setup script that
/// copies it if it is missing would find ours.
pub fn seed(
    worktree: &Worktree,
    main: Option<&Worktree>,
    path: &str,
    target: &Target,
    patience: &Patience,
) -> Result<Seed> {
    if let Some(main) = main {
        let seed = unless_shortage(seed_from(main, path, patience))?;
        if let Some(seed) = seed.map_err(|error| cannot_copy(main, worktree, path, &error))? {
            return Ok(seed);
        }
    }
    for suffix in ["example", "sample", "template", "dist"] {
        let name = format!("{}.{suffix}", target.name);
        let example = Original::read(&target.dir, &name, LIMIT, None);
        let example = example.map_err(Error::could_not("read", target.dir.path_of(&name)));
        if let Ok(example) = unless_shortage(example)?
            && let Ok(text) = String::from_utf8(example.bytes)
        {
            let of_main = None;
            return Ok(Seed { text, of_main });
        }
    }
    Ok(Seed::default())
}

/// The file at `path` in `main` without our block; `None` if there is none, if the config of `main` does
/// not name it, or if git tracks it.
fn seed_from(main: &Worktree, path: &str, patience: &Patience) -> Result<Option<Seed>> {
    let there = Target::find(main, path, FileRole::Seed)?;
    let is_missing = |there: &Target| matches!(there.dir.look(&there.name), Ok(None));
    let Some(there) = there.filter(|there| !is_missing(there)) else {
        return Ok(None);
    };
    let env_files = config_file::load(main)?.map(|config| config.env_files);
    let is_named = env_files
        .unwrap_or_default()
        .iter()
        .any(|(named, _)| named == path);
    if !is_named || main.tracks(path)? {
        return Ok(None);
    }
    let Some(original) = there.read(Some(patience))? else {
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

fn cannot_copy(main: &Worktree, worktree: &Worktree, path: &str, error: &Error) -> Error {
    let (from, to) = (main.root.path_of(path), worktree.root.path_of(path));
    let what = format!("{} was not made: {}", quoted(&to), error.parts().0);
    let first = if from.is_file() || from.symlink_metadata().is_err() {
        ""
    } else {
        "put a regular file there, "
    };
    let [from, to] = [&from, &to].map(|path| shell_word(path));
    let by_hand = worktree.by_hand();
    Error::new(what).remedy(format!(
        "{first}copy it by hand (`cp {from} {to}`) and run `{by_hand}`"
    ))
}
