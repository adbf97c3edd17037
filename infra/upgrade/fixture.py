#!/usr/bin/env python3
"""Keeps what this version writes, so that the next ones are tested on it: a data directory with something of every kind, and
what the server says of it.

    fixture.py GADWALL FOLDER     the program, and tests/fixtures/upgrade/VERSION

Writes `data.tar.xz` and `answers.json`. What a server says differently of the same data when it is started again, such as
times of its own, is left out. Needs nothing but Python.
"""

import atexit
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

ADMIN = "admin-key-of-the-tests"
P, T = "/projects/old", "/projects/old/buckets/sales/tables"

# What is asked, and with whose key.
ASKED = [
    ("admin", "/projects?limit=100"),
    ("admin", P),
    ("admin", f"{P}/keys"),
    ("admin", f"{P}/quota"),
    ("admin", f"{P}/audit?limit=100"),
    ("owner", f"{P}/buckets"),
    ("owner", T),
    ("owner", f"{T}/orders"),
    ("owner", f"{T}/orders/preview"),
    ("owner", f"{T}/orders/data?order_by=id"),
    ("owner", f"{T}/orders/data?order_by=id&snapshot=4"),
    ("owner", f"{T}/orders/data?order_by=id&tag=first"),
    ("owner", f"{T}/orders/snapshots"),
    ("owner", f"{T}/orders/changes?from=3&to=6"),
    ("owner", f"{T}/orders/contract"),
    ("owner", f"{T}/kinds/data?order_by=id"),
    ("owner", f"{P}/buckets/sales/dropped-tables"),
    ("owner", f"{P}/buckets/sales/views"),
    ("owner", f"{P}/query?query=SELECT%20*%20FROM%20sales.top%20ORDER%20BY%20id"),
    ("owner", f"{P}/snapshots"),
    ("owner", f"{P}/tags"),
    ("owner", f"{P}/datasets"),
    ("owner", f"{P}/datasets/raw"),
    ("owner", f"{P}/datasets/raw/a/b.csv"),
    ("owner", f"{P}/events?after=0&limit=100"),
    ("owner", f"{P}/shares"),
    ("owner", f"{P}/query?query=SELECT%20count(*)%20FROM%20main.projects"),
    ("owner", "/ops/projects"),
    ("owner", "/jobs"),
    ("owner", "/jobs/nightly/runs"),
    ("owner", "/api/v1/lineage?nodeId=dataset:ducklake:sales.large"),
    ("owner", "/api/v1/namespaces/ducklake/datasets"),
    ("reader", f"{T}/orders"),
    ("reader", f"{P}/keys"),
    ("revoked", f"{T}/orders"),
    ("other", "/projects/other/links"),
    ("other", "/projects/other/buckets/ext/tables/orders/preview"),
    ("other", f"{T}/orders"),
]


class Server:
    def __init__(self, program, data):
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        self.url, self.keys = f"http://127.0.0.1:{port}", {"admin": ADMIN}
        settings = {"ADMIN_API_KEY": ADMIN, "PORT": str(port), "HOST": "127.0.0.1", "DATA_DIR": str(data)}
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LD_LIBRARY_PATH") if name in os.environ}
        self.process = subprocess.Popen([program], cwd=data, env=kept | settings, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        atexit.register(self.process.kill)
        for _ in range(600):
            try:
                if self.ask("admin", "GET", "/readyz")[0] == 200:
                    return
            except OSError:
                time.sleep(0.1)
        raise SystemExit("the server doesn't start")

    def ask(self, who, method, path, body=None, kind="application/json"):
        sent = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.keys[who]}", "Content-Type": kind}
        request = urllib.request.Request(self.url + path, data=sent, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                status, text = answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read().decode()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def do(self, who, method, path, body=None, **more):
        status, answer = self.ask(who, method, path, body, **more)
        assert status < 300, f"{method} {path}: {status} {answer}"
        return answer

    def stop(self):
        self.process.terminate()
        assert self.process.wait(60) == 0, "the server doesn't stop well"


def fill(server):
    do, keys = server.do, server.keys
    made = do("admin", "POST", "/projects", {"id": "old", "name": "An old one", "settings": {"team": "sales"}})
    keys["owner"] = made["api_key"]
    keys["other"] = do("admin", "POST", "/projects", {"id": "other"})["api_key"]
    for name in ("reader", "revoked"):
        made = do("owner", "POST", f"{P}/keys", {"name": name, "scopes": ["read"], "bucket": "sales"} if name == "reader"
                  else {"name": name, "scopes": ["read"]})
        keys[name] = next(value for key, value in made.items() if key in ("api_key", "key", "secret"))
        if name == "revoked":
            do("owner", "DELETE", f"{P}/keys/{made['id']}")
    do("admin", "PUT", f"{P}/quota", {"tables": 50})
    do("owner", "POST", f"{P}/buckets", {"name": "sales", "description": "What was sold"})
    columns = [
        {"name": "id", "type": "BIGINT"},
        {"name": "code", "type": "VARCHAR(8)", "checks": {"pattern": "^[A-Z]+$"}},
        {"name": "amount", "type": "DECIMAL(10,2)", "default": "0"},
    ]
    do("owner", "POST", T, {"name": "orders", "primary_key": ["id"], "columns": columns, "comment": "All of them"})
    rows = [{"id": number, "code": "ABC", "amount": number / 4} for number in range(40)]
    do("owner", "POST", f"{T}/orders/rows", rows)
    do("owner", "POST", f"{T}/orders/rows?mode=upsert", [{"id": 1, "code": "X", "amount": 99}, {"id": 50, "code": "Y"}])
    do("owner", "PUT", f"{P}/tags/first", {"description": "before the change of shape"})
    do("owner", "POST", f"{T}/orders/rows/delete", {"filter": {"column": "id", "op": "ge", "value": 30}})
    do("owner", "POST", f"{T}/orders/columns", {"name": "currency", "type": "CHAR(3)", "default": "'EUR'"})
    do("owner", "PUT", f"{T}/orders/columns/code?allow_breaking=true", {"new_name": "kind"})
    kinds = {"b": "BOOLEAN", "ts": "TIMESTAMP WITH TIME ZONE", "l": "INTEGER[]", "s": "STRUCT(x DOUBLE, y VARCHAR)",
             "u": "UUID", "j": "JSON", "blob": "BLOB", "h": "DECIMAL(38,0)", "i": "INTERVAL", "m": "MAP(VARCHAR, INTEGER)"}
    do("owner", "POST", T, {"name": "kinds", "columns": [{"name": "id", "type": "INT"}] + [
        {"name": name, "type": kind} for name, kind in kinds.items()]})
    do("owner", "POST", f"{P}/query", {"query": """INSERT INTO sales.kinds VALUES (1, true, '2026-01-31 12:00:00+00', [1, NULL],
        {'x': 0.5, 'y': 'z'}, '018f0000-0000-7000-8000-000000000000', '{"a": [1]}', 'ab'::BLOB, 12345678901234567890123456789012345678,
        INTERVAL '1 month 2 days', MAP {'k': 1}), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"""})
    do("owner", "POST", f"{P}/query", {"query": "CREATE TABLE sales.large AS SELECT * FROM sales.orders WHERE amount > 5"})
    do("owner", "POST", T, {"name": "gone", "columns": [{"name": "id", "type": "INT"}]})
    do("owner", "DELETE", f"{T}/gone")
    do("owner", "PUT", f"{P}/buckets/sales/views/top", {"query": "SELECT id, amount FROM sales.orders WHERE amount > 5"})
    contract = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": "orders", "version": "1.0.0", "status": "active",
                "schema": [{"name": "orders", "quality": [{"metric": "rowCount", "mustBeGreaterThan": 0}],
                            "properties": [{"name": "id", "logicalType": "integer", "required": True}]}]}
    do("owner", "PUT", f"{T}/orders/contract", contract)
    do("owner", "POST", f"{P}/datasets", {"name": "raw"})
    do("owner", "PUT", f"{P}/datasets/raw/a/b.csv", b"id,code\n1,ABC\n", kind="text/csv")
    do("owner", "POST", f"{P}/buckets/sales/share", {"target_project_id": "other"})
    linked = {"source_project_id": "old", "source_bucket_name": "sales"}
    do("other", "POST", "/projects/other/buckets/ext/link", linked)
    do("owner", "POST", "/ops/initialize")
    do("owner", "POST", "/ops/projects", {"project_name": "Wind farm", "total_amount": 12500000, "maturity_years": 15,
                                          "expected_tri": 7.25, "dscr": 1.35})
    do("owner", "POST", "/jobs", {"name": "nightly"})
    run = do("owner", "POST", "/jobs/nightly/runs")["run_id"]
    lineage = {"metadata": {"inputs": ["sales.orders"], "outputs": ["sales.large"]}}
    do("owner", "PUT", f"/jobs/nightly/runs/{run}/complete", lineage)
    for _ in range(300):
        if do("owner", "GET", "/api/v1/lineage/queue")["waiting"] == 0:
            break
        time.sleep(0.1)


def answers(server):
    found = []
    for who, path in ASKED:
        status, answer = server.ask(who, "GET", path)
        assert status < 500, f"{path}: {status} {answer}"
        found.append({"who": who, "path": path, "status": status, "answer": answer})
    return found


MISSING = object()
# Of the answer, not of the data.
OF_THE_MOMENT = {"request_id", "statistics"}


def same(first, second):
    """What both say."""
    if isinstance(first, dict) and isinstance(second, dict):
        both = {name: same(first[name], second[name]) for name in first if name in second and name not in OF_THE_MOMENT}
        return {name: value for name, value in both.items() if value is not MISSING}
    if isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
        return [{} if value is MISSING else value for value in map(same, first, second)]
    return first if first == second else MISSING


def main():
    program, folder = str(Path(sys.argv[1]).resolve()), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        data, copy = Path(place) / "data", Path(place) / "elsewhere"
        data.mkdir()
        server = Server(program, data)
        fill(server)
        keys = server.keys
        server.stop()
        with tarfile.open(folder / "data.tar.xz", "w:xz") as packed:
            packed.add(data, ".")
        told = []
        for again in (data, copy):
            if again is copy:
                shutil.unpack_archive(folder / "data.tar.xz", copy)
            server = Server(program, again)
            server.keys = keys
            told.append(answers(server))
            server.stop()
    refused = [asked for asked in told[0] if asked["status"] >= 400]
    assert len(refused) == 3, refused
    document = {"keys": keys, "asked": same(*told)}
    (folder / "answers.json").write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{folder}: {len(told[0])} answers, {size // 1000} kB")
    assert size < 300_000, "too much to keep for ever"


main()
