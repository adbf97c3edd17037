#!/usr/bin/env python3
"""Prints what a release is made of, as CycloneDX 1.6: the crates of Cargo.lock, and DuckDB with its extensions.

Nothing is fetched, and the same sources give the same document but for its time.

    sbom.py VERSION [TIME]     TIME as 2026-01-01T00:00:00Z; without, the document has none
"""

import json
import sys
import uuid
from pathlib import Path

try:
    import tomllib
except ImportError:  # before Python 3.11
    from pip._vendor import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]


def crates(lock):
    for package in lock["package"]:
        # The workspace's own members have no source: they are what is described.
        if "source" not in package:
            continue
        url = f"pkg:cargo/{package['name']}@{package['version']}"
        component = {
            "type": "library",
            "bom-ref": url,
            "name": package["name"],
            "version": package["version"],
            "purl": url,
        }
        if "checksum" in package:
            component["hashes"] = [{"alg": "SHA-256", "content": package["checksum"]}]
        yield component


def duckdb(runtime):
    library = runtime["library"]
    npm = library["npm"].replace("@", "%40")
    rows = sorted({row["npm"] for row in runtime["platforms"].values()})
    packages = [("duckdb", runtime["duckdb"], f"pkg:npm/{npm}-{row}@{library['version']}") for row in rows]
    for name, source in runtime["extensions"].items():
        packages.append(
            (f"duckdb-extension-{name}", source["version"], f"pkg:pypi/{source['pypi']}@{source['version']}")
        )
    for name, version, url in packages:
        yield {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}


def document(version, time, lock, runtime):
    components = [*crates(lock), *duckdb(runtime)]
    listed = json.dumps(components, sort_keys=True)
    own = f"pkg:github/gadwall/gadwall@v{version}"
    metadata = {
        "component": {
            "type": "application",
            "bom-ref": own,
            "name": "gadwall",
            "version": version,
            "purl": own,
        }
    }
    if time:
        metadata["timestamp"] = time
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, own + listed)}",
        "version": 1,
        "metadata": metadata,
        "components": components,
        "dependencies": [{"ref": own, "dependsOn": [component["bom-ref"] for component in components]}],
    }


def main():
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
    runtime = json.loads((ROOT / "infra" / "duckdb" / "runtime.json").read_text())
    version, time = sys.argv[1].removeprefix("v"), sys.argv[2] if len(sys.argv) > 2 else None
    print(json.dumps(document(version, time, lock, runtime), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
