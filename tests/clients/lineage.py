"""Sends events as the client of OpenLineage does, and reads lineage as the client of Marquez does.

Called with the address of a server and a key. Ends without a word if all is as it should be.
"""

import datetime
import sys
import time
import uuid

from marquez_client import MarquezClient
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import (
    DatasetEvent,
    InputDataset,
    Job,
    JobEvent,
    OutputDataset,
    Run,
    RunEvent,
    RunState,
)
from openlineage.client.facet_v2 import column_lineage_dataset, parent_run, schema_dataset
from openlineage.client.transport.http import HttpConfig, HttpTransport

URL, KEY = sys.argv[1:3]
PRODUCER = "https://example.org/tests"
WAREHOUSE = "warehouse://host:5432"


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat()


def event(state, run, namespace, job, inputs=(), outputs=(), facets=None):
    return RunEvent(
        eventType=state,
        eventTime=now(),
        run=Run(run, facets or {}),
        job=Job(namespace, job),
        inputs=list(inputs),
        outputs=list(outputs),
        producer=PRODUCER,
    )


def airflow(client):
    """A DAG and its two tasks, each a run with the DAG's run as its parent; the second one fails."""
    dag, load, report = (str(uuid.uuid4()) for _ in range(3))
    parent = {"parent": parent_run.ParentRunFacet(run=parent_run.Run(dag), job=parent_run.Job("airflow", "dag"))}
    raw = InputDataset("s3://raw", "orders/day=1/*.csv")
    lineage = column_lineage_dataset
    fields = {
        "id": lineage.Fields(
            inputFields=[
                lineage.InputField(
                    namespace="s3://raw",
                    name="orders/day=1/*.csv",
                    field="order_id",
                    transformations=[lineage.Transformation(type="DIRECT", subtype="IDENTITY")],
                )
            ]
        )
    }
    columns = [schema_dataset.SchemaDatasetFacetFields(name="id", type="BIGINT")]
    orders = OutputDataset(
        WAREHOUSE,
        "public.orders",
        facets={
            "schema": schema_dataset.SchemaDatasetFacet(fields=columns),
            "columnLineage": lineage.ColumnLineageDatasetFacet(fields=fields),
        },
    )
    client.emit(event(RunState.START, dag, "airflow", "dag"))
    client.emit(event(RunState.START, load, "airflow", "dag.load", facets=parent))
    client.emit(event(RunState.COMPLETE, load, "airflow", "dag.load", [raw], [orders], parent))
    client.emit(event(RunState.START, report, "airflow", "dag.report", facets=parent))
    orders_in = InputDataset(WAREHOUSE, "public.orders")
    client.emit(event(RunState.FAIL, report, "airflow", "dag.report", [orders_in], [], parent))
    client.emit(event(RunState.FAIL, dag, "airflow", "dag"))
    return load, report


def dbt(client):
    """Models in the order in which dbt runs them; START and COMPLETE name what they read and write."""
    for model, reads in (("stg_orders", "public.orders"), ("fct_orders", "dbt.stg_orders")):
        run = str(uuid.uuid4())
        inputs, outputs = [InputDataset(WAREHOUSE, reads)], [OutputDataset(WAREHOUSE, f"dbt.{model}")]
        for state in (RunState.START, RunState.COMPLETE):
            client.emit(event(state, run, "dbt", f"model.{model}", inputs, outputs))


def other_kinds(client):
    client.emit(DatasetEvent(eventTime=now(), dataset=OutputDataset(WAREHOUSE, "public.lonely"), producer=PRODUCER))
    job = Job("airflow", "static")
    reads = [InputDataset(WAREHOUSE, "public.orders")]
    client.emit(JobEvent(eventTime=now(), job=job, inputs=reads, outputs=[], producer=PRODUCER))


def worked_off(client):
    import requests

    for _ in range(200):
        queue = requests.get(f"{URL}/api/v1/lineage/queue", headers={"Authorization": f"Bearer {KEY}"}, timeout=10)
        if queue.json()["waiting"] == 0:
            assert queue.json()["dead"] == 0, queue.json()
            return
        time.sleep(0.05)
    raise AssertionError("the queue is not worked off")


def main():
    config = {"type": "http", "url": URL, "auth": {"type": "api_key", "apiKey": KEY}}
    client = OpenLineageClient(transport=HttpTransport(HttpConfig.from_dict(config)))
    load, report = airflow(client)
    dbt(client)
    other_kinds(client)
    client.close()
    worked_off(client)

    marquez = MarquezClient(url=URL, api_key=KEY)
    namespaces = [namespace["name"] for namespace in marquez.list_namespaces()["namespaces"]]
    assert namespaces == ["airflow", "dbt", "s3://raw", WAREHOUSE], namespaces
    jobs = [job["name"] for job in marquez.list_jobs("airflow")["jobs"]]
    assert jobs == ["dag", "dag.load", "dag.report", "static"], jobs
    job = marquez.get_job("dbt", "model.fct_orders")
    assert job["latestRun"]["state"] == "COMPLETED", job
    assert [found["name"] for found in job["inputs"]] == ["dbt.stg_orders"], job
    assert marquez.get_job_run(load)["state"] == "COMPLETED"
    assert marquez.get_job_run(report)["state"] == "FAILED"
    assert marquez.list_job_runs("airflow", "dag.load")["runs"][0]["id"] == load
    tables = [found["name"] for found in marquez.list_datasets(WAREHOUSE)["datasets"]]
    assert tables == ["dbt.fct_orders", "dbt.stg_orders", "public.lonely", "public.orders"], tables
    orders = marquez.get_dataset(WAREHOUSE, "public.orders")
    assert [(field["name"], field["type"]) for field in orders["fields"]] == [("id", "BIGINT")], orders
    columns = marquez.get_column_lineage_by_dataset(WAREHOUSE, "public.orders", depth=5, with_downstream=False)
    origins = [edge["origin"] for node in columns["graph"] for edge in node["inEdges"]]
    assert origins == ["datasetField:s3://raw:orders/day=1/*.csv:order_id"], columns


main()
