//! The clone's hook: pure decisions about text, then the few writes.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result, quoted};
use crate::exclude;
use crate::lock;
use crate::managers::Manager;
use crate::plain_file::{self, PlainFile};
use crate::worktrees::{self, Found, Worktree};

/// The file that git runs after a checkout.
const HOOK: &str = "post-checkout";

/// Our own hook file: a line that says that the file is ours, then the block that is put into
/// another's script.
const HOOK_FILE: &str = include_str!("../hooks/post-checkout");
const OURS_ALONE: &str =
    "# The hook of worktree-ports alone: `worktree-ports-hook --uninstall` deletes this file.\n";

/// What stands around everything of ours in a file that others write too.
const BEGIN: &str = "# >>> worktree-ports >>>\n";
const END: &str = "# <<< worktree-ports <<<\n";

/// The name of the program in the common dir.
const PROGRAM: &str = "worktree-ports-hook";

/// How much of a hook or a config is read, in bytes.
const LIMIT: usize = 16 * 1024 * 1024;

/// The first git that runs hooks named in its config.
const CONFIG_HOOKS: (u32, u32) = (2, 54);

/// What `--install` came to.
pub enum Installed {
    /// The hook runs from now on. What was done, and the version of git that it was done for.
    Wired(&'static str),
    /// Another's hook is in the way, and was left alone.
    InTheWay {
        /// Whose it is.
        manager: Manager,
        /// What to add the snippet to.
        add_to: PathBuf,
    },
}

/// How our hook is to be run in a clone.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    /// By the clone's config: no file of anybody is touched.
    ByConfig,
    /// By this content of the hook file.
    ByFile(Vec<u8>),
    /// By a call that its owner's config has already.
    AsItIs,
    /// Not by us.
    InTheWay(Manager),
}

/// What is known of a clone's hooks before anything is decided.
struct Clone {
    common_dir: PathBuf,
    /// Where git looks for hooks.
    hooks_dir: PathBuf,
    /// Whether that is `<common dir>/hooks`, a directory of this clone alone.
    is_own_hooks_dir: bool,
    /// Whether the git on the PATH runs hooks that its config names.
    has_config_hooks: bool,
    /// A worktree's root, where managers have their config.
    root: Option<PathBuf>,
}
