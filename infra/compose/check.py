#!/usr/bin/env python3
"""Checks compose.yaml against the Compose specification, and for what this repository promises of it.

Every service that stays has a health check, no password stands in the file, and each configuration file that is mounted
is there and can be parsed. No engine is needed.

    check.py TOOLS [compose.yaml]     TOOLS is where `make setup-dev` puts the packages of .config/compose-check.txt
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = Path("check_jsonschema", "builtin_schemas", "vendor", "compose-spec.json")
SECRET = re.compile(r"password|secret|_key$|access_key|token", re.IGNORECASE)
# Required, never defaulted: `${NAME:?why}`, alone or inside an address.
REQUIRED = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")


def at(path):
    return ".".join(str(part) for part in path) or "the file"


def environment(service):
    given = service.get("environment") or {}
    return given.items() if isinstance(given, dict) else (entry.partition("=")[::2] for entry in given)


def promises(compose, parse):
    for name, service in compose["services"].items():
        stays = service.get("restart", "no") != "no"
        if stays and "test" not in service.get("healthcheck", {}):
            yield f"services.{name}: it has no health check"
        for variable, value in environment(service):
            secret = SECRET.search(variable) and not variable.endswith("_FILE")
            if secret and not REQUIRED.search(str(value)):
                yield f"services.{name}.environment.{variable}: a secret stands in the file; require a variable instead"
        for volume in service.get("volumes", []):
            source = volume.split(":")[0] if isinstance(volume, str) else volume.get("source", "")
            if not source.startswith("."):
                continue
            path = ROOT / source
            if not path.exists():
                yield f"services.{name}: {source} is not there"
            elif path.suffix in (".yaml", ".yml"):
                try:
                    parse(path.read_text())
                except Exception as error:
                    yield f"{source}: {error}"


def main():
    tools = Path(sys.argv[1]).resolve()
    file = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "compose.yaml"
    sys.path.insert(0, str(tools))
    import jsonschema_rs
    from ruamel.yaml import YAML

    def parse(text):
        return YAML(typ="safe", pure=True).load(text)

    compose = parse(file.read_text())
    schema = json.loads((tools / SCHEMA).read_text())
    errors = [f"{at(e.instance_path)}: {e.message}" for e in jsonschema_rs.validator_for(schema).iter_errors(compose)]
    errors = errors or list(promises(compose, parse))
    for error in errors:
        print(f"{file.name}: {error}", file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
