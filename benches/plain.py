"""A home-made hook without a lock: lists the worktrees, reads their ports, probes, writes."""
import json
import socket
import subprocess
import sys
from pathlib import Path

NAME = ".plain-ports.json"


def is_free(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def taken():
    listing = subprocess.run(
        ["git", "worktree", "list", "--porcelain"], capture_output=True, text=True, check=True
    )
    for line in listing.stdout.splitlines():
        if line.startswith("worktree "):
            try:
                yield json.loads((Path(line[len("worktree "):]) / NAME).read_text())["port"]
            except (OSError, ValueError, KeyError):
                pass


if sys.argv[3] == "1" and not Path(NAME).exists():
    reserved = set(taken())
    port = 8010
    while port in reserved or not is_free(port):
        port += 10
    Path(NAME).write_text(json.dumps({"port": port}) + "\n")
