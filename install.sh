#!/bin/sh
# Installs worktree-ports-hook, then wires it up in a clone: install.sh [CLONE]
set -eu

if [ $# -gt 1 ]; then
  echo "usage: install.sh [CLONE]   (default: the clone around the current directory)" >&2
  exit 2
fi
clone=${1:-.}
source=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

# Asked first, so that a wrong path is not told after a long build.
if ! git -C "$clone" rev-parse --git-dir >/dev/null; then
  echo "install.sh: \`$clone\` is not in a git repository; name a clone: install.sh CLONE" >&2
  exit 1
fi

cargo install --locked --path "$source"
bin=${CARGO_INSTALL_ROOT:-${CARGO_HOME:-$HOME/.cargo}}/bin
case ":$PATH:" in
  *":$bin:"*) ;;
  *) echo "install.sh: \`$bin\` is not on your PATH: add it to call worktree-ports-hook by hand" >&2 ;;
esac

exec "$bin/worktree-ports-hook" -C "$clone" --install
