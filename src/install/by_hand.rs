//! What to do by hand if somebody else's hook is in the way.

use std::path::Path;

use crate::error::{quoted, shell_word};
use crate::install::PROGRAM;
use crate::install::hook_file::is_shell_script;
use crate::install::managers::LINE;
use crate::install::seen::{HookKind, HookPlace};

/// Instructions that make the hook of `place` call us, and the text to use: lines for a config, a line or
/// a whole file for a hook, or commands for a shell. Only the text goes to stdout.
pub fn instructions(place: &HookPlace) -> (String, String) {
    let path = &place.hook.path;
    let hook = quoted(path);
    let commit = if path.starts_with(&place.at) && !place.is_own_dir {
        "; then commit it, so that other worktrees have it"
    } else {
        ""
    };
    let install_again = format!("{PROGRAM} -C {} --install\n", shell_word(&place.at));
    match (place.manager, place.hook.kind) {
        (Some(manager), _) => {
            let (config, snippet) = manager.addition(&place.at);
            let told = format!(
                "the hook belongs to {}; add this to {}, commit that file if git tracks it, and run its own install:",
                manager.name,
                quoted(&config)
            );
            (told, snippet.to_owned())
        }
        (None, HookKind::Missing) if place.hooks_dir.exists() && !place.hooks_dir.is_dir() => (
            format!(
                "`core.hooksPath` names {}, which is not a directory, so git runs no hooks; remove \
                 that setting from git's config, then install again:",
                quoted(&place.hooks_dir)
            ),
            install_again,
        ),
        (None, HookKind::Missing) => {
            let make = if place.hooks_dir.exists() {
                String::new()
            } else {
                format!("run `mkdir -p {}`, ", shell_word(&place.hooks_dir))
            };
            let told = format!(
                "`core.hooksPath` names a directory without a `post-checkout`; {make}write this file \
                 to {hook} and run `chmod +x {}`{commit}:",
                shell_word(path)
            );
            (told, format!("#!/bin/sh\n{LINE}"))
        }
        // In the clone's own hooks directory, `--install` adds the line itself.
        (None, HookKind::File) if is_shell_script(&place.hook.content) => (
            format!(
                "{hook} is not ours to change; add this line to it, below the first line{commit}:"
            ),
            LINE.to_owned(),
        ),
        (None, HookKind::NotAHook) => (
            format!("git cannot run {hook}; remove it, then install again:"),
            format!("rm -r {}\n{install_again}", shell_word(path)),
        ),
        (None, _) => (
            format!(
                "{hook} is not a plain shell script, so no line can be added to it; git 2.54 or later \
                 needs none, and with an older git these commands put a script in its place that \
                 runs {PROGRAM}, then the hook{commit}:"
            ),
            wrap(path),
        ),
    }
}

/// Commands that rename a hook and put a shell script in its place, which runs it. The hook stays in its
/// directory, so a relative link still works.
fn wrap(hook: &Path) -> String {
    let mut moved = hook.as_os_str().to_owned();
    moved.push(".own");
    let (hook, moved) = (shell_word(hook), shell_word(Path::new(&moved)));
    format!(
        "mv {hook} {moved}\n\
         cat > {hook} <<'EOF'\n\
         #!/bin/sh\n\
         {LINE}\
         exec \"${{0%/*}}/post-checkout.own\" \"$@\"\n\
         EOF\n\
         chmod +x {hook}\n"
    )
}
