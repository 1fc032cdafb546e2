#!/bin/sh
# Installs worktree-ports-hook, then its hook in a clone: install.sh [--share] [CLONE]
set -eu

share=
if [ "${1-}" = --share ]; then
  share=$1
  shift
fi
if [ $# -gt 1 ]; then
  echo "usage: install.sh [--share] [CLONE]   (default: the clone around the current directory)" >&2
  exit 2
fi
clone=${1:-.}
source=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

# Before the build, so that a wrong path is reported at once.
if ! git -C "$clone" rev-parse --git-dir >/dev/null; then
  echo "install.sh: \`$clone\` is not in a git repository; name a clone: install.sh CLONE" >&2
  exit 1
fi

# In this directory, because a `rust-toolchain.toml` or `.cargo/config.toml` above the current one may
# belong to another project. cargo's messages name the program that it has built, because the installed
# one may not be on the PATH.
messages=$(cd -- "$source" && cargo install --locked --path "$source" --message-format=json-render-diagnostics)
program=$(printf '%s\n' "$messages" | sed -n 's/.*"executable":"\([^"]*\)".*/\1/p')

if [ -z "$program" ]; then
  echo "install.sh: cargo did not say which program it has installed; run worktree-ports-hook --install in \`$clone\`" >&2
  exit 1
fi

exec "$program" -C "$clone" --install ${share:+"$share"}
