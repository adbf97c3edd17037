#!/usr/bin/env python3
"""Puts the pinned DuckDB library and its signed extensions into .duckdb/.

runtime.json beside this file names the versions, the platforms and the SHA-256 sum of every file. The
packages come through npm and pip, which know their registries themselves. Where all files match, nothing is
fetched.

    fetch.py                                  fetch what is missing or wrong for this machine
    fetch.py --platform osx_arm64 --to DIR    the same for another platform
    fetch.py --update                         after changing a version: write the sums of every platform
"""

import argparse
import json
import os
import shutil
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from packages import Problem, npm_pack, pip_download, require_sum, say, sha256, this_platform, work_folder  # noqa: E402

TABLE = HERE / "runtime.json"
DEFAULT_TARGET = HERE.parents[1] / ".duckdb"


def wanted_files(table, name):
    """The files of a platform: where they go, under which key their sum stands, and what carries them."""
    row = table["platforms"][name]
    library = table["library"]
    package = ("npm", f"{library['npm']}-{row['npm']}@{library['version']}")
    yield Path("lib", row["library"]), row["library"], package
    folder = Path("extensions", f"v{table['duckdb']}", name)
    for extension, source in table["extensions"].items():
        package = ("pip", f"{source['pypi']}=={source['version']}")
        yield folder / f"{extension}.duckdb_extension", extension, package


def is_right(path, expected):
    return path.is_file() and sha256(path) == expected


def extract(package, wheel, file_name, folder):
    """Fetches one package and returns the wanted file out of it."""
    client, name = package
    folder.mkdir()
    out = folder / file_name
    try:
        if client == "npm":
            with tarfile.open(npm_pack(name, folder)) as archive, open(out, "wb") as target:
                shutil.copyfileobj(archive.extractfile(f"package/{file_name}"), target)
        else:
            with zipfile.ZipFile(pip_download(name, wheel, folder)) as archive, open(out, "wb") as target:
                member = next(m for m in archive.namelist() if m.endswith(f"/{file_name}"))
                shutil.copyfileobj(archive.open(member), target)
    except (KeyError, StopIteration, tarfile.TarError, zipfile.BadZipFile) as error:
        raise Problem(f"{name} is damaged or has no {file_name} ({error!r})") from error
    return out


def install(table, name, target):
    """Brings `target` to what the table says; returns the files that had to be fetched."""
    row = table["platforms"][name]
    wrong = [f for f in wanted_files(table, name) if not is_right(target / f[0], row["sha256"].get(f[1]))]
    if not wrong:
        return []
    with work_folder(target) as work:
        return fetch_files(row, wrong, target, work)


def fetch_files(row, wrong, target, work):
    fetched = []
    for path, key, package in wrong:
        expected = row["sha256"].get(key)
        if is_right(target / path, expected):
            continue  # another run fetched it while this one waited for the lock
        say(f"fetching {path} from {package[1]}")
        found = extract(package, row["wheel"], path.name, work / key)
        require_sum(found, expected, f"{path} out of {package[1]}", "infra/duckdb/fetch.py")
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        # A rename in the same file system: readers see the old file or the new one, never half of it.
        os.replace(found, target / path)
        fetched.append(path)
    return fetched


def update(table):
    """Computes the sums of every platform for the versions in the table, and writes them."""
    with tempfile.TemporaryDirectory() as scratch:
        for name, row in table["platforms"].items():
            row["sha256"] = {}
            for path, key, package in wanted_files(table, name):
                say(f"{name}: {package[1]}")
                folder = Path(scratch, f"{name}-{key}")
                row["sha256"][key] = sha256(extract(package, row["wheel"], path.name, folder))
    TABLE.write_text(json.dumps(table, indent=2) + "\n")


def main():
    plain = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    options.add_argument("--platform", help="DuckDB's name of the platform; this machine's by default")
    options.add_argument("--to", type=Path, default=DEFAULT_TARGET, help="folder to install into")
    options.add_argument("--update", action="store_true", help="recompute the sums in runtime.json")
    given = options.parse_args()
    table = json.loads(TABLE.read_text())
    try:
        if given.update:
            update(table)
            return 0
        name = given.platform or this_platform(table["platforms"], "DuckDB")
        if name not in table["platforms"]:
            raise Problem(f"unknown platform {name}; there is: {', '.join(sorted(table['platforms']))}")
        fetched = install(table, name, given.to)
    except (Problem, OSError) as problem:
        say(f"error: {problem}")
        return 1
    say(f"DuckDB {table['duckdb']} for {name}: {f'{len(fetched)} files fetched' if fetched else 'in place'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
