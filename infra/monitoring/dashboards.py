#!/usr/bin/env python3
"""Writes the dashboards. They are code here and JSON for Grafana in grafana/dashboards; `make lint-delivery` compares.

dashboards.py             write them
dashboards.py --check     fail if what is there isn't what would be written
"""

import json
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent / "grafana" / "dashboards"
SOURCE = {"type": "prometheus", "uid": "prometheus"}
WIDTH, HEIGHT = 24, 8
# Every question is asked of the chosen servers only.
HERE = 'job="gadwall", instance=~"$instance"'


def target(expression, legend):
    return {"datasource": SOURCE, "expr": expression, "legendFormat": legend}


def panel(title, unit, *targets, kind="timeseries", width=8, says=""):
    return {
        "title": title,
        "description": says,
        "type": kind,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 10}}, "overrides": []},
        "targets": [dict(entry, refId=chr(ord("A") + place)) for place, entry in enumerate(targets)],
        "width": width,
    }


def number(title, unit, expression, says=""):
    return panel(title, unit, target(expression, ""), kind="stat", width=4, says=says)


def text(content):
    return {"title": "", "type": "text", "options": {"mode": "markdown", "content": content}, "width": WIDTH}


def laid_out(panels):
    """From the left to the right, and on in the next row."""
    x = y = tallest = 0
    for place, one in enumerate(panels, 1):
        width = one.pop("width")
        height = 3 if one["type"] == "text" else 4 if one["type"] == "stat" else HEIGHT
        if x + width > WIDTH:
            x, y = 0, y + tallest
        tallest = height if x == 0 else max(tallest, height)
        one |= {"id": place, "gridPos": {"x": x, "y": y, "w": width, "h": height}}
        x += width
    return panels


def dashboard(name, title, says, *panels):
    chosen = {
        "name": "instance",
        "label": "Server",
        "type": "query",
        "datasource": SOURCE,
        "query": 'label_values(up{job="gadwall"}, instance)',
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }
    return {
        "uid": f"gadwall-{name}",
        "title": f"Gadwall: {title}",
        "description": says,
        "tags": ["gadwall"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [chosen]},
        "links": [
            {
                "title": "Gadwall",
                "type": "dashboards",
                "tags": ["gadwall"],
                "asDropdown": True,
                "keepTime": True,
            }
        ],
        "panels": laid_out(list(panels)),
    }


REQUESTS = f"http_server_request_duration_seconds_count{{{HERE}}}"


def requests(where):
    return f"http_server_request_duration_seconds_count{{{HERE}, {where}}}"


def quantile(share, metric, by, where=""):
    more = f", {where}" if where else ""
    return f"histogram_quantile({share}, sum by ({by}le) (rate({metric}_bucket{{{HERE}{more}}}[$__rate_interval])))"


def service():
    duration = "http_server_request_duration_seconds"
    failed = requests('http_response_status_code=~"5.."')
    return dashboard(
        "service",
        "service",
        "What callers see, and what the servers need for it.",
        number("Servers", "short", f"sum(up{{{HERE}}})"),
        number("Requests", "reqps", f"sum(rate({REQUESTS}[5m]))"),
        number("Failed (5xx)", "percentunit", f"sum(rate({failed}[5m])) / sum(rate({REQUESTS}[5m]))"),
        number("99 of 100 within", "s", quantile(0.99, duration, "")),
        number("Being served", "short", f"sum(http_server_active_requests{{{HERE}}})"),
        number("Up since", "dateTimeFromNow", f"min(process_start_time_seconds{{{HERE}}}) * 1000"),
        panel(
            "Requests by status",
            "reqps",
            target(
                f"sum by (http_response_status_code) (rate({REQUESTS}[$__rate_interval]))",
                "{{http_response_status_code}}",
            ),
        ),
        panel(
            "Requests by route",
            "reqps",
            target(f"topk(10, sum by (http_route) (rate({REQUESTS}[$__rate_interval])))", "{{http_route}}"),
        ),
        panel(
            "Seconds that 99 of 100 take, by route",
            "s",
            target(f"topk(10, {quantile(0.99, duration, 'http_route, ')})", "{{http_route}}"),
        ),
        panel(
            "Seconds of all requests",
            "s",
            *[target(quantile(share, duration, ""), f"{share * 100:g} of 100") for share in (0.5, 0.9, 0.99)],
        ),
        panel(
            "Memory",
            "bytes",
            target(f"process_resident_memory_bytes{{{HERE}}}", "{{instance}}"),
            target(f"max(sum by (instance) (system_memory_usage_bytes{{{HERE}}}))", "there is"),
        ),
        panel(
            "Processor",
            "short",
            target(f"rate(process_cpu_seconds_total{{{HERE}}}[$__rate_interval])", "{{instance}}"),
            says="Cores in use.",
        ),
        panel("Open files and connections", "short", target(f"process_open_fds{{{HERE}}}", "{{instance}}")),
        panel(
            "Free on the data's disk",
            "bytes",
            target(f'system_filesystem_usage_bytes{{{HERE}, state="free"}}', "{{instance}}"),
        ),
        panel(
            "Breakers that are open",
            "short",
            target(f'gadwall_circuit_breaker_state{{{HERE}, state="open"}}', "{{instance}} {{name}}"),
        ),
    )


def lake():
    operation = "db_client_operation_duration_seconds"
    return dashboard(
        "lake",
        "lake",
        "Queries, the engines that run them, and the databases below.",
        panel(
            "Operations",
            "ops",
            target(
                f"sum by (db_operation_name) (rate({operation}_count{{{HERE}}}[$__rate_interval]))",
                "{{db_operation_name}}",
            ),
        ),
        panel(
            "Seconds that 99 of 100 take",
            "s",
            target(quantile(0.99, operation, "db_operation_name, "), "{{db_operation_name}}"),
        ),
        panel(
            "Operations that failed",
            "ops",
            target(
                f'sum by (db_operation_name) (rate({operation}_count{{{HERE}, error_type!=""}}[$__rate_interval]))',
                "{{db_operation_name}}",
            ),
        ),
        panel(
            "Queries that run and wait",
            "short",
            target(f"gadwall_queries_active{{{HERE}}}", "{{instance}} run or wait"),
            target(f"gadwall_engine_waiting{{{HERE}}}", "{{instance}} statements that wait"),
        ),
        panel(
            "Queries that ended",
            "ops",
            target(
                f"sum by (outcome) (rate(gadwall_queries_total{{{HERE}}}[$__rate_interval]))", "{{outcome}}"
            ),
        ),
        panel(
            "Answers out of the cache",
            "percentunit",
            target(
                f'sum(rate(gadwall_result_cache_requests_total{{{HERE}, result="hit"}}[$__rate_interval]))'
                f" / sum(rate(gadwall_result_cache_requests_total{{{HERE}}}[$__rate_interval]))",
                "hits",
            ),
            says="Of the queries that might have been answered so.",
        ),
        panel(
            "Open engines",
            "short",
            target(f"gadwall_engines{{{HERE}}}", "{{instance}}"),
            says="One, unless catalogs are in PostgreSQL: then one for each open project.",
        ),
        panel(
            "Memory of the engines",
            "bytes",
            target(
                f"sum by (instance, kind) (gadwall_engine_memory_bytes{{{HERE}}})", "{{instance}} {{kind}}"
            ),
        ),
        panel(
            "Put aside on disk", "bytes", target(f"gadwall_engine_spilled_bytes{{{HERE}}}", "{{instance}}")
        ),
        panel(
            "Connections in use",
            "short",
            target(
                f'db_client_connection_count{{{HERE}, db_client_connection_state="used"}}',
                "{{instance}} {{db_client_connection_pool_name}}",
            ),
        ),
        panel(
            "Breakers that opened",
            "short",
            target(
                f"increase(gadwall_circuit_breaker_openings_total{{{HERE}}}[1h])", "{{instance}} {{name}}"
            ),
        ),
        panel(
            "Breakers",
            "short",
            target(f"gadwall_circuit_breaker_state{{{HERE}}} == 1", "{{instance}} {{name}} {{state}}"),
            kind="state-timeline",
        ),
    )


def tenants():
    def rate(where):
        return f"sum by (http_route) (rate({requests(where)}[$__rate_interval]))"

    return dashboard(
        "tenants",
        "tenants",
        "What projects are refused, and for what.",
        text(
            "Metrics name no project: there may be thousands. Who they are: `GET /usage` has bytes, rows and queries of each, "
            "`GET /audit?outcome=refused` who was refused, `GET /projects/{project}/queries` what runs."
        ),
        panel(
            "Too often (429)",
            "reqps",
            target(rate('http_response_status_code="429"'), "{{http_route}}"),
            says="Rate limits and quotas.",
        ),
        panel(
            "No room (507)",
            "reqps",
            target(rate('http_response_status_code="507"'), "{{http_route}}"),
            says="Quotas of bytes, tables and buckets.",
        ),
        panel(
            "No good key (401)", "reqps", target(rate('http_response_status_code="401"'), "{{http_route}}")
        ),
        panel("Not theirs (403)", "reqps", target(rate('http_response_status_code="403"'), "{{http_route}}")),
        panel(
            "Turned away (503)", "reqps", target(rate('http_response_status_code="503"'), "{{http_route}}")
        ),
        panel("Too long (504)", "reqps", target(rate('http_response_status_code="504"'), "{{http_route}}")),
        panel(
            "Projects' own mistakes (4xx)",
            "reqps",
            target(rate('http_response_status_code=~"400|404|409|412|422"'), "{{http_route}}"),
            width=12,
        ),
        panel(
            "Projects made and removed",
            "reqps",
            target(
                rate('http_request_method=~"POST|DELETE", http_route=~"/projects(/[:{][a-z_]+}?)?"'),
                "{{http_route}}",
            ),
            width=12,
        ),
    )


def writer():
    rows = 'http_request_method!="GET", http_route=~".*(rows|batch|import|truncate).*"'
    return dashboard(
        "writer",
        "writer",
        "How rows get in.",
        panel(
            "Requests that write rows",
            "reqps",
            target(f"sum by (http_route) (rate({requests(rows)}[$__rate_interval]))", "{{http_route}}"),
        ),
        panel(
            "Seconds that 99 of 100 take",
            "s",
            target(
                quantile(0.99, "http_server_request_duration_seconds", "http_route, ", rows), "{{http_route}}"
            ),
            says="Until they are durable.",
        ),
        panel(
            "How full the queues are",
            "percentunit",
            target('instance:gadwall_writer_queue:fullness{instance=~"$instance"}', "{{instance}}"),
            says="All queues together, against the limit of one project's: 100 % doesn't mean that writes are turned away.",
        ),
        panel("Writes that wait", "short", target(f"gadwall_writer_queue_length{{{HERE}}}", "{{instance}}")),
        panel(
            "Keys and preconditions that were hit (409, 412)",
            "reqps",
            target(
                f"sum by (http_response_status_code) (rate({requests(rows + ', http_response_status_code=~' + chr(34) + '409|412' + chr(34))}[$__rate_interval]))",
                "{{http_response_status_code}}",
            ),
        ),
        panel(
            "Commits",
            "ops",
            target(
                f'sum by (db_operation_name) (rate(db_client_operation_duration_seconds_count{{{HERE}, db_operation_name!~"select|explain|other"}}[$__rate_interval]))',
                "{{db_operation_name}}",
            ),
        ),
    )


def maintenance():
    return dashboard(
        "maintenance",
        "maintenance",
        "What works in the background, and what it leaves.",
        panel(
            "Events of lineage that wait, and that can't be worked off",
            "short",
            target(f"max by (state) (gadwall_lineage_queue_events{{{HERE}}})", "{{state}}"),
            says="They are worked off by whichever server comes first.",
        ),
        panel(
            "Engines opened anew",
            "short",
            target(f"increase(gadwall_engine_reopenings_total{{{HERE}}}[1h])", "{{instance}}"),
        ),
        panel(
            "Stretches in which memory only grew",
            "short",
            target(f"increase(gadwall_memory_growth_alerts_total{{{HERE}}}[1h])", "{{instance}}"),
        ),
        panel(
            "Imports and exports asked for",
            "reqps",
            target(
                f"sum by (http_route) (rate({requests('http_request_method=~' + chr(34) + 'POST' + chr(34) + ', http_route=~' + chr(34) + '.*(import|export)' + chr(34))}[$__rate_interval]))",
                "{{http_route}}",
            ),
        ),
        panel(
            "Free on the data's disk",
            "bytes",
            target(f'system_filesystem_usage_bytes{{{HERE}, state="free"}}', "{{instance}}"),
        ),
        panel(
            "Versions",
            "short",
            target(f"count by (version) (gadwall_build_info{{{HERE}}})", "{{version}}"),
            kind="stat",
        ),
        panel(
            "Started",
            "dateTimeFromNow",
            target(f"process_start_time_seconds{{{HERE}}} * 1000", "{{instance}}"),
            kind="stat",
        ),
    )


def main():
    wanted = {
        one["uid"]: json.dumps(one, indent=2) + "\n"
        for one in (service(), lake(), tenants(), writer(), maintenance())
    }
    if "--check" not in sys.argv:
        FOLDER.mkdir(parents=True, exist_ok=True)
        for name, content in wanted.items():
            (FOLDER / f"{name}.json").write_text(content)
        return 0
    there = {path.stem: path.read_text() for path in FOLDER.glob("*.json")}
    if there != wanted:
        print("the dashboards aren't what infra/monitoring/dashboards.py writes: run it", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
