"""Runs the blocks of a Markdown file against a server, in their order, as a reader would who types them all.

Called with the file, the address of a fresh server, an administrator's key, and the folder of the program `gadwall`. Blocks of `sh`, `bash` and `python` are run,
in a folder of their own and with one another's variables; `localhost:8000` is the server, 8001 and 8002 are ports for servers
that a block starts with `gadwall`, which end with it. A block that can't be run here
says why behind its language: ```sh no-run needs a cluster. What a reader has already, and what a block should have brought
about, stands in comments: <!-- run: commands -->. A request that is refused fails its block.
"""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

LANGUAGES = ("sh", "bash", "python")
PIECES = re.compile(r"^(?:```(\S+)([^\n]*)\n(.*?)^```$|<!-- run:(.*?)-->)", re.MULTILINE | re.DOTALL)

# Streams have no end: a reader looks at them for a while.
CURL = """#!/usr/bin/env bash
for argument in "$@"; do
  if [ "$argument" = -N ]; then
    %s --fail-with-body --silent --show-error --max-time 3 "$@" || [ $? -eq 28 ]
    exit
  fi
done
exec %s --fail-with-body --show-error "$@"
"""


def pieces(text):
    """Line, language, what keeps it from being run, and commands of each block, and of each comment that is run."""
    for found in PIECES.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        language, info, block, comment = found.groups()
        if comment is not None:
            yield line, None, None, comment.strip()
        elif language in LANGUAGES:
            kept = re.fullmatch(r"\s*(?:no-run\s+(\S.*))?\s*", info)
            assert kept, f"line {line}: {info!r} is neither nothing nor no-run with a reason"
            yield line, language, kept[1], block


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def script(text, host):
    lines, kept = ["set -aeuo pipefail"], []
    places = {"localhost:8000": host} | {f"127.0.0.1:{port}": f"127.0.0.1:{free_port()}" for port in (8001, 8002)}
    count = 0
    for line, language, reason, block in pieces(text):
        if reason:
            kept.append((line, reason))
            continue
        count += language is not None
        lines.append(f"LINE={line}")
        for told, place in places.items():
            block = block.replace(told, place).replace(f"PORT={told[-4:]} ", f"PORT={place.rsplit(':')[-1]} ")
        lines.append(f"python3 - <<'END_OF_BLOCK'\n{block}\nEND_OF_BLOCK" if language == "python" else block)
    end = "trap 'echo \"the block at line $LINE failed\" >&2; kill $(jobs -p) 2>/dev/null' EXIT"
    return "\n".join([end, *lines, "trap - EXIT", "kill $(jobs -p) 2>/dev/null || true"]), count, kept


def main():
    file, url, key, programs = Path(sys.argv[1]), *sys.argv[2:5]
    commands, count, kept = script(file.read_text(), url.removeprefix("http://"))
    with tempfile.TemporaryDirectory() as folder:
        tools = Path(folder) / "tools"
        tools.mkdir()
        curl = shutil.which("curl")
        (tools / "curl").write_text(CURL % (curl, curl))
        (tools / "curl").chmod(0o755)
        work = Path(folder) / "work"
        work.mkdir()
        path = os.pathsep.join([str(tools), programs, os.environ["PATH"]])
        environment = dict(os.environ, PATH=path, GADWALL=url, ADMIN_API_KEY=key)
        done = subprocess.run(
            ["bash", "-c", commands], cwd=work, env=environment, capture_output=True, text=True, timeout=240
        )
    said = done.stdout[-6_000:] + done.stderr[-4_000:]
    assert done.returncode == 0, f"{file.name}: {said}"
    print(f"{file.name}: {count} blocks ran")
    for line, reason in kept:
        print(f"{file.name}: line {line} did not: {reason}")


main()
