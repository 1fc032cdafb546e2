//! Replacing or removing a hook file, unless somebody has changed it since it was read.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::dir::Dir;
use crate::files::staged::{Original, Patience, Staged};
use crate::install::hook_file::{has_block, is_ours_alone, without_us};
use crate::install::seen::{Hook, HookKind, LIMIT};
use crate::install::{HOOK, program};

/// A hook file to be replaced or removed, as it was when it was read.
pub struct HookEdit {
    dir: Dir,
    name: String,
    /// `None` if there is no file yet.
    original: Option<Original>,
}

impl HookEdit {
    /// Opens the hook file `name`, for an edit planned when it was `hook`.
    pub fn open(dir: Dir, name: &str, hook: &Hook, patience: &Patience) -> Result<HookEdit> {
        let path = dir.path_of(name);
        let could_not = Error::could_not("read the hook", &path);
        let original = match hook.kind {
            HookKind::Missing => None,
            _ => Some(Original::read(&dir, name, LIMIT, Some(patience)).map_err(could_not)?),
        };
        match &original {
            Some(now) if now.bytes != hook.content => Err(changed(&path)),
            _ => Ok(HookEdit {
                name: name.to_owned(),
                dir,
                original,
            }),
        }
    }

    /// Stages `script`, executable for whoever may enter the common dir. A file that is not only ours
    /// keeps its owner and its mode.
    pub fn stage(&self, common_dir: &Path, script: &[u8]) -> Result<Staged<'_>> {
        let others = self.original.as_ref().filter(|_| !is_ours_alone(script));
        program::stage(common_dir, &self.dir, &self.name, script, others)
    }

    /// Puts `staged` in the place of the file.
    ///
    /// # Errors
    /// Somebody has changed the file since it was read: their change stays.
    pub fn commit(&self, staged: Staged<'_>, patience: &Patience) -> Result<()> {
        let path = self.dir.path_of(&self.name);
        let committed = match &self.original {
            Some(original) => staged.commit_over(original, patience),
            None => staged.commit_new(),
        };
        let committed = committed.map_err(Error::could_not("write the hook", &path))?;
        committed.then_some(()).ok_or_else(|| changed(&path))
    }
}

fn changed(path: &Path) -> Error {
    let why = "another program changed it in the meantime";
    Error::at("edit the hook", path, why).remedy("run this again")
}

/// Takes us out of every hook file in which we may be: the one that git runs, the one that it would run
/// without `core.hooksPath`, and the names to which managers move either. Returns those that changed.
pub fn take_out_all(
    common_dir: &Path,
    hooks_dir: &Path,
    patience: &Patience,
) -> Result<Vec<PathBuf>> {
    let mut changed = Vec::new();
    for directory in [hooks_dir, &common_dir.join("hooks")] {
        for name in [HOOK, "post-checkout.legacy", "post-checkout.old"] {
            let path = directory.join(name);
            if take_out(&path, patience)? {
                changed.push(path);
            }
        }
    }
    Ok(changed)
}

/// Takes us out of one hook file; returns whether we were in it.
fn take_out(path: &Path, patience: &Patience) -> Result<bool> {
    let hook = Hook::look(path)?;
    if hook.kind != HookKind::File || !has_block(&hook.content) {
        return Ok(false);
    }
    let restore = || {
        let (dir, name) = Dir::of_file(path)?;
        let original = Original::read(&dir, name, LIMIT, Some(patience))?;
        original.replace(&dir, name, without_us(&original.bytes).as_deref(), patience)
    };
    let is_restored = restore().map_err(Error::could_not("restore the hook", path))?;
    is_restored.then_some(true).ok_or_else(|| changed(path))
}

#[cfg(test)]
mod tests {
    use std::fs;
    #[cfg(unix)]
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::install::hook_file::HOOK_FILE;

    const THEIRS: &str = "#!/bin/sh\necho theirs\n";

    /// Opens the hook file with the content `read`, and replaces it after it has come to have the content
    /// `edited`. Returns the error, if any, and the content in the end.
    fn edit(read: Option<&str>, edited: &str, new: &str) -> (Option<String>, String) {
        let clone = tempfile::tempdir().unwrap();
        let path = clone.path().join("post-checkout");
        if let Some(read) = read {
            fs::write(&path, read).unwrap();
            #[cfg(unix)]
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let patience = Patience::default();
        let hook = Hook::look(&path).unwrap();
        let dir = Dir::open(clone.path()).unwrap();
        let edit = HookEdit::open(dir, "post-checkout", &hook, &patience).unwrap();
        let staged = edit.stage(clone.path(), new.as_bytes()).unwrap();
        fs::write(&path, edited).unwrap();
        let outcome = edit.commit(staged, &patience);
        let left = fs::read_dir(clone.path()).unwrap().count();
        assert_eq!(left, 1, "a temporary file is left");
        let content = fs::read_to_string(&path).unwrap();
        (outcome.err().map(|error| error.to_string()), content)
    }

    #[test]
    fn an_edit_made_while_the_hook_is_replaced_is_not_lost() {
        for (read, new) in [
            (Some(THEIRS), "#!/bin/sh\nboth\n"),
            (Some(HOOK_FILE), HOOK_FILE),
            (None, HOOK_FILE),
        ] {
            let edited = format!("{THEIRS}echo more\n");
            let (error, content) = edit(read, &edited, new);
            let error = error.unwrap_or_else(|| panic!("{read:?} {new:?}"));
            assert!(
                error.contains("changed it in the meantime; run this again"),
                "{error}"
            );
            assert_eq!(content, edited);
        }
    }

    #[test]
    fn a_hook_that_nobody_edits_is_replaced() {
        assert_eq!(edit(Some(THEIRS), THEIRS, "new"), (None, "new".to_owned()));
    }
}
