//! Other programs that the tests drive.

use std::path::{Path, PathBuf};

/// What `.ci/tools` fetches, as directories for the PATH.
pub fn fetched() -> [PathBuf; 2] {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools");
    [
        tools.join("npm/node_modules/.bin"),
        tools.join("python/bin"),
    ]
}

/// Where `tool` is: what `.ci/tools` fetched, else on the PATH. Fails where it is not: a test of
/// what a newcomer lacks is `#[ignore = "needs …"]`.
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
