"""Makes a client out of the API's document with openapi-python-client, and does with it what the README starts with.

Called with the address of a server, an administrator's key and the document's file.
"""

import importlib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

URL, KEY, DOCUMENT = sys.argv[1:4]
PACKAGE = "gadwall_client"
TABLE = {"project": "acme", "bucket": "sales", "table": "orders"}

# The generator knows JSON, forms and plain files. A client of it appends rows as JSON, puts contracts as JSON, and sends
# SQL in a JSON document; what else these operations take has to be sent by hand.
BEYOND_THE_GENERATOR = {
    "POST /projects/{project}/buckets/{bucket}/tables/{table}/rows": {
        "application/x-ndjson",
        "text/csv",
        "application/vnd.apache.parquet",
        "application/vnd.apache.arrow.stream",
        "application/vnd.apache.arrow.file",
    },
    "PUT /tables/{table}": {
        "application/x-ndjson",
        "text/csv",
        "application/vnd.apache.parquet",
        "application/vnd.apache.arrow.stream",
        "application/vnd.apache.arrow.file",
    },
    "PUT /projects/{project}/buckets/{bucket}/tables/{table}/contract": {"application/yaml", "application/odcs+yaml"},
    "POST /projects/{project}/query": {"application/sql"},
    "POST /ops/{entity}/bulk": {"application/x-ndjson"},
    "POST /ops/projects/bulk": {"application/x-ndjson"},
}


def generate(folder):
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--path", DOCUMENT, "--meta", "none"]
    # Formatting and linting what was made would need a linter, and takes most of the time.
    config = folder / "config.yml"
    config.write_text("post_hooks: []\n")
    command += ["--output-path", str(folder / PACKAGE), "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    found = {}
    for where, what in re.findall(r"^WARNING parsing (.+?) within \w+\.[^\n]*\n\s*\n([^\n]+)", said, re.MULTILINE):
        kind = re.fullmatch(r"Unsupported content type (\S+)", what)
        assert kind, f"{where}: {what}"
        found.setdefault(where, set()).add(kind[1])
    assert found == BEYOND_THE_GENERATOR, found
    assert "will not be generated" not in said and "Unable to" not in said, said


def operations():
    paths = json.loads(Path(DOCUMENT).read_text())["paths"]
    return {operation["operationId"] for known in paths.values() for operation in known.values()}


def quick_start():
    def module(name):
        return importlib.import_module(f"{PACKAGE}.{name}")

    def call(operation, connected=None, **arguments):
        answer = module(f"api.{operation}").sync_detailed(client=connected or client, **arguments)
        assert 200 <= answer.status_code < 300, f"{operation}: {answer.status_code} {answer.content}"
        assert answer.parsed is not None, f"{operation}: nothing was made of {answer.content}"
        return answer.parsed

    models = module("models")
    admin = module("client").AuthenticatedClient(base_url=URL, token=KEY)
    made = call("projects.create_project", admin, body=models.CreateProject(id="acme"))
    client = module("client").AuthenticatedClient(base_url=URL, token=made.api_key)
    call("buckets.create_bucket", project="acme", body=models.CreateBucket(name="sales", description="What we sold"))
    columns = [("id", "INT"), ("customer", "VARCHAR"), ("amount", "DECIMAL(10,2)")]
    columns = [models.NewColumn(name=name, type_=kind) for name, kind in columns]
    table = models.CreateTable(name="orders", primary_key=["id"], columns=columns)
    call("tables.create_table", project="acme", bucket="sales", body=table)
    rows = [{"id": 1, "customer": "ann", "amount": 10.5}, {"id": 2, "customer": "bob", "amount": 20}]
    appended = call("rows.append_rows", **TABLE, body=rows)
    assert appended.inserted == 2, appended
    preview = call("tables.preview_table", **TABLE, limit=10)
    assert [row["customer"] for row in preview.rows] == ["ann", "bob"], preview
    query = "SELECT customer, sum(amount) AS total FROM sales.orders GROUP BY customer ORDER BY customer"
    result = call("queries.run_query", project="acme", body=models.QueryRequest(query=query))
    assert [(column.name, column.type_) for column in result.columns][1] == ("total", "DECIMAL(38,2)"), result
    assert result.rows == [["ann", 10.5], ["bob", 20]], result
    usage = call("projects.get_project_usage", project="acme")
    assert usage.tables == 1, usage

    refused = module("api.tables.get_table").sync(client=client, **dict(TABLE, table="none"))
    assert isinstance(refused, models.Problem) and refused.code == "table_not_found", refused


def main():
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        generate(folder)
        functions = {path.stem for path in (folder / PACKAGE / "api").glob("*/*.py")} - {"__init__"}
        assert functions == operations(), functions ^ operations()
        sys.path.insert(0, str(folder))
        quick_start()
        print(f"{len(functions)} operations in a generated client")


main()
