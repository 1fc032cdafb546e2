//! Other programs that the tests use.

use std::path::{Path, PathBuf};

/// The directories of what `.ci/tools` fetched, for the PATH.
pub fn fetched() -> [PathBuf; 2] {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools");
    [
        tools.join("npm/node_modules/.bin"),
        tools.join("python/bin"),
    ]
}

/// The path of `tool`: what `.ci/tools` fetched, or else what is on the PATH. Fails if there is
/// none, so a test of a tool that a newcomer may lack is `#[ignore = "needs …"]`.
#[track_caller]
pub fn tool(tool: &str) -> PathBuf {
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    fetched()
        .into_iter()
        .chain(std::env::split_paths(&on_path))
        .map(|directory| directory.join(tool))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{tool} is not on this machine; `.ci/tools` fetches it"))
}
