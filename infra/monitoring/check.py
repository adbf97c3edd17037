#!/usr/bin/env python3
"""Checks what watches Gadwall: rules, dashboards and the configuration of Prometheus.

Every expression is PromQL, every rule has what it needs, every alert has its part in docs/operations.md, and every metric that is
asked for is one that Gadwall has: metrics.txt beside this file is what a server says of them (`curl …/metrics | grep '^#'`).
Nothing is fetched.

    check.py COMPOSE_TOOLS DELIVERY_TOOLS [METRICS]     METRICS: a file, or - for standard input, instead of metrics.txt
"""

import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# What Prometheus says itself of whoever it asks.
OWN = {"up"}
DURATION = re.compile(r"\d+(ms|s|m|h|d)")
RECORDED = re.compile(r"[a-z_]+:[a-z0-9_]+:[a-z0-9_]+")
# Grafana puts something in for these before it asks.
GRAFANA = {"$__rate_interval": "5m", "$__all": ".*", "$instance": ".*"}
SEVERITIES = {"page", "ticket"}


def metrics_in(parser, expression):
    """The metrics that an expression asks for; raises where it isn't PromQL."""
    tree, found = parser.parse(expression), []

    def visit(node):
        if isinstance(node, parser.VectorSelector):
            found.append(node)
        elif isinstance(node, parser.MatrixSelector):
            found.append(node.vector_selector)
        else:
            for field in ("lhs", "rhs", "expr", "param"):
                if (inner := getattr(node, field, None)) is not None:
                    visit(inner)
            arguments = getattr(node, "args", None)
            for inner in arguments if isinstance(arguments, (list, tuple)) else []:
                visit(inner)

    visit(tree)
    return {selector.name for selector in found}


def exposed(text):
    """The names in an exposition, with those that a histogram's or summary's samples have."""
    names = {
        re.match(r"[a-zA-Z_:][\w:]*", line)[0]
        for line in text.splitlines()
        if line and not line.startswith("#")
    }
    typed = re.findall(r"^# TYPE (\S+) (\w+)", text, re.MULTILINE)
    for name, kind in typed:
        names |= {name} | (
            {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else set()
        )
    return names


def rules(path, document, headings):
    """The expressions of a file of rules with where they stand, and what is wrong with it."""
    expressions, errors, recorded = [], [], set()
    for group in document["groups"]:
        for rule in group["rules"]:
            name = rule.get("alert") or rule.get("record") or "?"
            where = f"{path.name}: {name}"
            expressions.append((where, rule["expr"]))
            if "record" in rule:
                recorded.add(name)
                if not RECORDED.fullmatch(name):
                    errors.append(f"{where}: the name isn't level:metric:operation")
                continue
            if rule.get("labels", {}).get("severity") not in SEVERITIES:
                errors.append(f"{where}: the severity is none of {', '.join(sorted(SEVERITIES))}")
            if "for" in rule and not DURATION.fullmatch(rule["for"]):
                errors.append(f"{where}: {rule['for']} is no time")
            notes = rule.get("annotations", {})
            if not notes.get("summary"):
                errors.append(f"{where}: it has no summary")
            if notes.get("runbook_url") != f"docs/operations.md#{name.lower()}":
                errors.append(f"{where}: runbook_url isn't docs/operations.md#{name.lower()}")
            if name not in headings:
                errors.append(f"{where}: docs/operations.md has no part of that name")
    return expressions, errors, recorded


def panels(path, document):
    places = set()
    for panel in document["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        if cells & places or place["x"] + place["w"] > 24:
            raise ValueError(f"{path.name}: {panel['title']} lies over another panel, or beyond the edge")
        places |= cells
        for target in panel.get("targets", []):
            expression = target["expr"]
            for name, value in GRAFANA.items():
                expression = expression.replace(name, value)
            yield f"{path.name}: {panel['title']}", expression


def main():
    for tools in sys.argv[1:3]:
        sys.path.insert(0, str(Path(tools).resolve()))
    import promql_parser
    from ruamel.yaml import YAML

    def parse(path):
        return YAML(typ="safe", pure=True).load(path.read_text())

    given = sys.argv[3] if len(sys.argv) > 3 else str(HERE / "metrics.txt")
    text = sys.stdin.read() if given == "-" else Path(given).read_text()
    headings = set(
        re.findall(r"^#+ (Gadwall\w+)$", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    )
    expressions, errors, known = [], [], exposed(text) | OWN
    alerts = set()
    for path in sorted((HERE / "rules").glob("*.yaml")):
        document = parse(path)
        found, wrong, recorded = rules(path, document, headings)
        expressions += found
        errors += wrong
        known |= recorded
        alerts |= {
            rule["alert"] for group in document["groups"] for rule in group["rules"] if "alert" in rule
        }
    errors += [f"docs/operations.md: there is no alert {name}" for name in sorted(headings - alerts)]
    for path in sorted((HERE / "grafana" / "dashboards").glob("*.json")):
        expressions += panels(path, json.loads(path.read_text()))
    for where, expression in expressions:
        try:
            unknown = metrics_in(promql_parser, expression) - known
        except ValueError as error:
            errors.append(f"{where}: {error}: {expression}")
        else:
            errors += [f"{where}: Gadwall has no metric {name}" for name in sorted(unknown)]
    if not expressions:
        errors.append("there is nothing to check")
    jobs = {config["job_name"] for config in parse(HERE / "prometheus.yml")["scrape_configs"]}
    if "gadwall" not in jobs:
        errors.append("prometheus.yml: nothing gathers Gadwall's metrics as the job gadwall")
    for error in errors:
        print(error, file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
