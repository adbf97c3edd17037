#!/usr/bin/env python3
"""Prints what the changelog says of a version, as the notes of its release; fails if it says nothing.

notes.py VERSION
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def notes(changelog, version):
    """The part below the version's heading, `## 1.2.3` with or without brackets and a date."""
    heading = re.compile(rf"^## \[?{re.escape(version)}\]?(?: .*)?$", re.MULTILINE)
    found = heading.search(changelog)
    return changelog[found.end() :].partition("\n## ")[0].strip() if found else ""


def main():
    text = notes((ROOT / "CHANGELOG.md").read_text(), sys.argv[1].removeprefix("v"))
    if not text:
        print(f"error: CHANGELOG.md says nothing of {sys.argv[1]}", file=sys.stderr)
        return 1
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
