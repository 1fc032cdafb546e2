//! Replacing or removing hook files, unless somebody has changed them since they were read.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::files::dir::{Dir, is_same_directory};
use crate::files::staged::{Original, Patience, Staged};
use crate::install::hook_file::{has_block, is_ours_alone, without_us};
use crate::install::seen::{Hook, HookKind, LIMIT};
use crate::install::{HOOK, program};

/// A hook file to be written or removed, as it was when it was read.
pub struct HookEdit {
    dir: Dir,
    name: String,
    /// `None` if there is no file yet.
    original: Option<Original>,
    /// `None` if nothing is to be left of the file.
    new: Option<Vec<u8>>,
}

impl HookEdit {
    /// Opens the hook file, for an edit planned when it was `hook`.
    pub fn open(hook: &Hook, new: Option<Vec<u8>>, patience: &Patience) -> Result<HookEdit> {
        let open = || -> io::Result<HookEdit> {
            let (dir, name) = Dir::of_file(&hook.path)?;
            let original = match hook.kind {
                HookKind::Missing => None,
                _ => Some(Original::read(&dir, name, LIMIT, Some(patience))?),
            };
            let name = name.to_owned();
            Ok(HookEdit {
                dir,
                name,
                original,
                new,
            })
        };
        let edit = open().map_err(Error::could_not("read the hook", &hook.path))?;
        match &edit.original {
            Some(now) if now.bytes != hook.content => Err(edit.changed()),
            _ => Ok(edit),
        }
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path_of(&self.name)
    }

    /// Writes the new content under the temporary name. A file of only our lines is executable for
    /// whoever may enter the common dir; any other keeps its owner and its mode.
    pub fn stage(&self, common_dir: &Path) -> Result<Option<Staged<'_>>> {
        let could_not = Error::could_not("write the hook", self.path());
        let stage = |new: &Vec<u8>| match &self.original {
            Some(original) if !is_ours_alone(new) => {
                let staged = original.stage(&self.dir, &self.name, new);
                staged.map_err(could_not)
            }
            _ => program::stage(common_dir, &self.dir, &self.name, new),
        };
        self.new.as_ref().map(stage).transpose()
    }

    /// Puts `staged` in the place of the file, or removes it.
    ///
    /// # Errors
    /// Somebody has changed the file since it was read: their change stays.
    pub fn commit(&self, staged: Option<Staged<'_>>, patience: &Patience) -> Result<()> {
        let committed = match (staged, &self.original) {
            (Some(staged), Some(original)) => staged.commit_over(original, patience),
            (Some(staged), None) => staged.commit_new(),
            (None, Some(original)) => original.remove(&self.dir, &self.name, patience),
            (None, None) => Ok(true),
        };
        let committed = committed.map_err(Error::could_not("change the hook", self.path()))?;
        committed.then_some(()).ok_or_else(|| self.changed())
    }

    fn changed(&self) -> Error {
        let why = "another program changed it in the meantime";
        Error::at("edit the hook", &self.path(), why).remedy("run this again")
    }
}

/// The edits that take us out of every hook file in which we may be: the one that git runs, the one that
/// it would run without `core.hooksPath`, and the names to which managers move either.
pub fn take_out(common_dir: &Path, hooks_dir: &Path, patience: &Patience) -> Result<Vec<HookEdit>> {
    let own = common_dir.join("hooks");
    let mut directories = vec![hooks_dir];
    if !is_same_directory(hooks_dir, &own) {
        directories.push(&own);
    }
    let mut edits = Vec::new();
    for directory in directories {
        for name in [HOOK, "post-checkout.legacy", "post-checkout.old"] {
            let hook = Hook::look(directory.join(name))?;
            if hook.kind == HookKind::Other {
                continue;
            }
            hook.half_block().map_or(Ok(()), Err)?;
            if has_block(&hook.content) {
                edits.push(HookEdit::open(&hook, without_us(&hook.content), patience)?);
            }
        }
    }
    Ok(edits)
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
        let hook = Hook::look(path.clone()).unwrap();
        let new = Some(new.as_bytes().to_owned());
        let edit = HookEdit::open(&hook, new, &patience).unwrap();
        let staged = edit.stage(clone.path()).unwrap();
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
