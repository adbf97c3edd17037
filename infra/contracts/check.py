#!/usr/bin/env python3
"""Checks contracts against the schema of the Open Data Contract Standard, as other tools that read them do.

    check.py TOOLS FILE...     TOOLS is where `make setup-test` puts the packages of .config/contract-check.txt
"""

import json
import sys
from pathlib import Path

SCHEMA = Path("datacontract", "schemas", "odcs-3.1.0.schema.json")


def main():
    tools = Path(sys.argv[1]).resolve()
    sys.path.insert(0, str(tools))
    import jsonschema_rs
    from ruamel.yaml import YAML

    validator = jsonschema_rs.validator_for(json.loads((tools / SCHEMA).read_text()))
    problems = []
    for name in sys.argv[2:]:
        document = YAML(typ="safe").load(Path(name).read_text())
        for error in validator.iter_errors(document):
            place = "/".join(str(part) for part in error.instance_path)
            problems.append(f"{Path(name).name}: {place or 'the document'}: {error.message}")
    print("\n".join(problems) or f"{len(sys.argv) - 2} contracts are as the standard has them")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
