"""What the scripts that fetch pinned packages share. The packages come through pip and npm, which know their registries."""

import fcntl
import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path

# Progress goes beside the output, so that a make target can print a document and nothing else.
say = partial(print, file=sys.stderr, flush=True)


class Problem(Exception):
    """Something the reader of the message can put right."""


def this_platform(platforms, what):
    """This machine's name among those of a table."""
    machine = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}.get(platform.machine())
    system = {"Linux": "linux", "Darwin": "osx"}.get(platform.system())
    name = f"{system}_{machine}"
    if name not in platforms:
        known = ", ".join(sorted(platforms))
        raise Problem(f"no prebuilt {what} for {platform.system()} on {platform.machine()} (there is: {known})")
    if system == "linux" and platform.libc_ver()[0] != "glibc":
        raise Problem(f"the prebuilt {what} needs glibc; this system has another C library (Alpine?)")
    return name


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def require_sum(path, expected, origin, script):
    """Refuses a file that isn't the one this repository was tested with."""
    actual = sha256(path)
    if actual != expected:
        raise Problem(
            f"{origin} is not what this repository was tested with.\n"
            f"    expected SHA-256 {expected}\n    received SHA-256 {actual}\n"
            "    It was not installed. Don't use that package; if the version was changed on purpose,\n"
            f"    run {script} --update and review the new sums."
        )


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


@contextmanager
def work_folder(target):
    """An empty folder beside what is installed, for one run at a time."""
    target.mkdir(parents=True, exist_ok=True)
    with open(target / ".lock", "w") as lock:
        # The lock ends with the process, however it ends; what is found under work/ then is left over.
        fcntl.flock(lock, fcntl.LOCK_EX)
        work = target / "work"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        try:
            yield Path(tempfile.mkdtemp(dir=work))
        finally:
            shutil.rmtree(work, ignore_errors=True)
