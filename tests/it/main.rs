//! Drives the real program and the real git, each test in its own temporary directory.
//!
//! A test is named after the sentence that it proves. Shared helpers are in `support`.

#![cfg(unix)]

mod adopt;
mod all;
mod by_hand;
mod changed_config;
mod check;
mod choosing;
mod concurrency;
mod configs;
mod entries;
mod env_files;
mod exec;
mod failing_calls;
mod file_systems;
mod fresh_worktree;
mod get_and_env;
mod help;
mod holes;
mod hook_updates;
mod install;
mod install_by_hand;
mod install_config;
mod install_handover;
mod install_pages;
mod install_refused;
mod install_sh;
mod installed;
mod killed;
mod list;
mod living_env_files;
mod locking;
mod managers;
mod model;
mod names;
mod pages;
mod readme;
mod real_readers;
mod recipes;
mod records;
mod release;
mod repositories;
mod reserved;
mod rights;
mod shared_clones;
mod slots;
mod storm;
mod submodules;
mod support;
mod surroundings;
mod templates;
mod whose_file;
