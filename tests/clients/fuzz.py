"""Asks a server what its OpenAPI document says can be asked, and much that it says can't: no fault of the server, no
status, content type or form of an answer that the document doesn't know.

Called with the address of a server, an administrator's key, the document's file, and the number of seconds that it may
take. Requests are the same each time. With --long it makes up new ones until the time is over.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import requests

CONFIG = Path(__file__).with_name("schemathesis.toml")
METHODS = {"get", "put", "post", "delete", "patch", "head", "options"}


class Place:
    """A project with something of every kind in it."""

    def __init__(self, url, key):
        self.url, self.session = url, requests.Session()
        self.session.headers["Authorization"] = f"Bearer {key}"

    def ask(self, method, path, body=None, **more):
        answer = self.session.request(method, self.url + path, json=body, timeout=30, **more)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def furnish(self):
        self.ask("POST", "/projects", {"id": "fuzz"})
        self.ask("PUT", "/projects/fuzz", {"deletion_protection": True})
        project = "/projects/fuzz"
        self.ask("POST", f"{project}/buckets", {"name": "sales"})
        columns = [
            {"name": "id", "type": "INT"},
            {"name": "customer", "type": "VARCHAR"},
            {"name": "amount", "type": "DECIMAL(10,2)"},
        ]
        for bucket in ("sales", "main"):
            for table in ("orders", "spare"):
                made = {"name": table, "primary_key": ["id"], "columns": columns}
                self.ask("POST", f"{project}/buckets/{bucket}/tables", made)
                rows = [{"id": 1, "customer": "ann", "amount": 10.5}, {"id": 2, "customer": "bob", "amount": None}]
                self.ask("POST", f"{project}/buckets/{bucket}/tables/{table}/rows", rows)
        self.ask("PUT", f"{project}/buckets/sales/views/top", {"query": "SELECT * FROM sales.orders"})
        self.ask("PUT", f"{project}/tags/first", {"snapshot_id": 1})
        self.ask("POST", f"{project}/datasets", {"name": "raw"})
        for name in ("a.csv", "b.bin"):
            kind = {"Content-Type": "text/csv"} if name == "a.csv" else {}
            self.ask("PUT", f"{project}/datasets/raw/{name}", data=b"id,customer\n1,ann\n", headers=kind)
        self.ask("POST", "/jobs", {"name": "nightly", "namespace": "gadwall"})
        self.ask("POST", "/ops/initialize")


def run(options):
    operations = {
        f"{method.upper()} {path}"
        for path, known in json.loads(Path(options.document).read_text())["paths"].items()
        for method in known
        if method in METHODS
    }
    Place(options.url, options.key).furnish()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
        command += ["--config-file", str(CONFIG), "run", options.document, "--url", options.url, "--no-color"]
        # One worker: with more, requests come in another order each time, and Python 3.11 sometimes fails to parse.
        command += ["--header", f"Authorization: Bearer {options.key}", "--workers", "1"]
        command += ["--report", "json", "--report-json-path", str(report), "--warnings", "off"]
        command += ["--phases", "examples,coverage,fuzzing,stateful" if options.long else "examples,coverage"]
        command += ["--max-time", str(options.seconds)]
        if not options.long:
            command += ["--seed", "1", "--generation-deterministic"]
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(CONFIG.parent), os.environ.get("PYTHONPATH", "")]))
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=not options.long, text=True)
        said = f"{(done.stdout or '')[-400_000:]}\n{done.stderr or ''}"
        if not report.exists():
            sys.exit(f"{said}\nschemathesis did not run")
        told = json.loads(report.read_text())
    for failure in told["failures"]:
        print(failure["code"], failure["title"], failure["count"], *failure["operations"], sep="\n    ", file=sys.stderr)
    if done.returncode:
        sys.exit(f"{said}\nschemathesis is not content (seed {told['seed']})")
    tested, cases = told["operations"]["tested"], told["test_cases"]["generated"]
    assert tested == len(operations), f"{tested} of {len(operations)} operations were asked"
    assert cases > 10 * tested, f"only {cases} requests"
    assert told["complete"], "the time was over before every request was sent"
    reached = {
        name
        for name, phases in told["valid_rates"].items()
        if any(rates["accepted"] for rates in phases.values())
    }
    assert len(reached) >= REACHED, f"only {len(reached)} operations did what they are for"
    print(f"{cases} requests of {tested} operations, {len(reached)} of which did what they are for")


# Of so many operations at least one request was taken: were it none, nothing but refusals would have been seen.
REACHED = 90


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("key")
    parser.add_argument("document")
    parser.add_argument("seconds", type=int)
    parser.add_argument("--long", action="store_true")
    run(parser.parse_args())
