"""Follows a project's events as a client of server-sent events does that loses its connection, and compares with the log.

Called with the address of a server and an administrator's key.
"""

import sys

import httpx
from httpx_sse import connect_sse

URL, ADMIN = sys.argv[1:3]


def follow(client, count, after=None):
    """So many events of the log, from the beginning or behind one; then the connection is cut."""
    headers = {"Accept": "text/event-stream"} | ({} if after is None else {"Last-Event-ID": after})
    found = []
    query = "?after=0" if after is None else ""
    with connect_sse(client, "GET", f"/projects/live/events{query}", headers=headers) as source:
        assert source.response.headers["content-type"].startswith("text/event-stream"), source.response.headers
        for event in source.iter_sse():
            if event.id and event.event not in ("connected", "ping", "heartbeat"):
                found.append((event.id, event.json()))
                if len(found) == count:
                    return found
    raise AssertionError(f"the stream ended after {len(found)} of {count} events")


def logged(client):
    found, after = [], 0
    while True:
        page = client.get("/projects/live/events", params={"after": after, "limit": 2}).raise_for_status().json()
        found += page["events"]
        if not page["more"]:
            return found
        after = page["next_after"]


def main():
    admin = httpx.Client(base_url=URL, headers={"Authorization": f"Bearer {ADMIN}"}, timeout=30)
    key = admin.post("/projects", json={"id": "live"}).raise_for_status().json()["api_key"]
    client = httpx.Client(base_url=URL, headers={"Authorization": f"Bearer {key}"}, timeout=30)
    client.post("/projects/live/buckets", json={"name": "b"}).raise_for_status()
    tables = "/projects/live/buckets/b/tables"
    table = {"name": "t", "columns": [{"name": "id", "type": "INT"}]}
    client.post(tables, json=table).raise_for_status()

    before = follow(client, 2)
    for number in range(3):
        client.post(f"{tables}/t/rows", json=[{"id": number}]).raise_for_status()
    log = logged(client)
    after = follow(client, len(log) - len(before), before[-1][0])
    seen = [event["id"] for _, event in before + after]
    assert seen == [event["id"] for event in log], (seen, log)
    kinds = [event["type"].rsplit(".", 2)[-2:] for _, event in after]
    assert kinds.count(["rows", "appended"]) == 3, kinds
    client.delete(f"{tables}/t").raise_for_status()
    (_, last), = follow(client, 1, after[-1][0])
    assert last["type"].endswith("table.dropped") or last["type"].endswith("table.deleted"), last


main()
