#!/usr/bin/env python3
"""Checks each overlay as it is rendered: against the schemas of Kubernetes' API, and for what this repository promises.

Fields that the API doesn't know are errors. Nothing is fetched, and no cluster is needed.

    check.py COMPOSE_TOOLS SCHEMAS     where `make setup-dev` puts the packages of .config
"""

import json
import re
import sys
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# The oldest and the newest version of Kubernetes that the manifests are for.
VERSIONS = ["v1.31.0", "v1.37.0"]
# Kinds that Kubernetes itself doesn't have, and what they must have at least.
FOREIGN = {"ServiceMonitor": ("selector", "endpoints")}
SECRET = re.compile(r"PASSWORD|SECRET|ACCESS_KEY|API_KEY|TOKEN")
PROBES = {"startupProbe": "/startupz", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
GRACE = 30
sys.path.insert(0, str(HERE))
import render  # noqa: E402


class Schemas:
    def __init__(self, package, version):
        import jsonschema_rs

        path = f"kubernetes_validate/kubernetes-json-schema/{version}-local-strict/_definitions.json"
        self.definitions = json.loads(package.read(path))["$defs"]
        self.validator_for = jsonschema_rs.validator_for
        self.version = version
        self.kinds = {}
        for name, definition in self.definitions.items():
            for kind in definition.get("x-kubernetes-group-version-kind", []):
                self.kinds[(kind["group"], kind["version"], kind["kind"])] = name

    def errors(self, document):
        group, _, version = document["apiVersion"].rpartition("/")
        name = self.kinds.get((group, version, document["kind"]))
        if name is None:
            yield f"{self.version} has no {document['apiVersion']} {document['kind']}"
            return
        schema = {"$ref": f"#/$defs/{name}", "$defs": self.definitions}
        for error in self.validator_for(schema).iter_errors(document):
            yield f"{self.version}: {'.'.join(map(str, error.instance_path))}: {error.message}"


def of_kind(documents, kind):
    return next((document for document in documents if document["kind"] == kind), None)


def secured(pod, container):
    """What the profile `restricted` of Pod Security asks for, and a file system that nobody writes to."""
    ours = pod.get("securityContext", {})
    of_container = container.get("securityContext", {})
    if not ours.get("runAsNonRoot") or not isinstance(ours.get("runAsUser"), int) or ours["runAsUser"] == 0:
        yield "the pod may run as root"
    if ours.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield "the pod has no seccomp profile"
    if of_container.get("allowPrivilegeEscalation") is not False:
        yield "the container may gain privileges"
    if of_container.get("capabilities", {}).get("drop") != ["ALL"]:
        yield "the container keeps capabilities"
    if not of_container.get("readOnlyRootFilesystem"):
        yield "the container's root file system is writable"


def promises(overlay, documents):
    deployment, config = of_kind(documents, "Deployment"), of_kind(documents, "ConfigMap")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    yield from secured(pod, container)
    for job in filter(None, (of_kind(documents, kind) for kind in ("CronJob", "Job"))):
        of_job = render.pod_of(job)
        for started in [*of_job.get("initContainers", []), *of_job["containers"]]:
            yield from secured(of_job, started)
    for probe, path in PROBES.items():
        if container.get(probe, {}).get("httpGet", {}).get("path") != path:
            yield f"the {probe} doesn't ask {path}"
    slept = int(container["lifecycle"]["preStop"]["exec"]["command"][-1])
    if pod["terminationGracePeriodSeconds"] < slept + GRACE + 10:
        yield "the pod is killed before the server has stopped"
    if config["data"]["GADWALL__SERVER__SHUTDOWN_GRACE"] != f"{GRACE}s":
        yield "server.shutdown_grace isn't what the pod's time to end was made for"
    resources = container["resources"]
    if resources["requests"]["memory"] != resources["limits"]["memory"]:
        yield "memory is promised to others: request what is the limit"
    if not all(isinstance(value, str) for value in config["data"].values()):
        yield "the ConfigMap has values that aren't text"
    if pod.get("enableServiceLinks") is not False:
        yield "the Service's variables reach the server"
    for name in config["data"]:
        if SECRET.search(name):
            yield f"{name} belongs into the Secret"
    if of_kind(documents, "Secret"):
        yield "there is a Secret in the manifests"
    if overlay != "dev":
        yield from replicated(overlay, documents)


def replicated(overlay, documents):
    scaler, ingress = of_kind(documents, "HorizontalPodAutoscaler"), of_kind(documents, "Ingress")
    if "replicas" in of_kind(documents, "Deployment")["spec"]:
        yield "the Deployment names replicas, which the autoscaler does"
    if scaler["spec"]["minReplicas"] < (3 if overlay == "production" else 2):
        yield "there are too few replicas"
    if not of_kind(documents, "PodDisruptionBudget"):
        yield "nothing keeps all replicas from being evicted at once"
    hosts = {rule["host"] for rule in ingress["spec"]["rules"]}
    if hosts != {host for entry in ingress["spec"].get("tls", []) for host in entry["hosts"]}:
        yield "the Ingress serves a host without TLS"


def settings(documents, known):
    """Names of settings that the server wouldn't know: it refuses to start with them."""
    for name in of_kind(documents, "ConfigMap")["data"]:
        if (
            name.startswith("GADWALL__")
            and name.removeprefix("GADWALL__").lower().replace("__", ".") not in known
        ):
            yield f"there is no setting {name}"


def main():
    compose_tools, packed = (Path(argument).resolve() for argument in sys.argv[1:3])
    parse = render.parser(compose_tools)
    known = set(
        re.findall(r"^\| `([a-z0-9_.]+)` \|", (ROOT / "docs" / "configuration.md").read_text(), re.MULTILINE)
    )
    (wheel,) = packed.glob("*.whl")
    with zipfile.ZipFile(wheel) as package:
        schemas = [Schemas(package, version) for version in VERSIONS]
    failed = 0
    for folder in sorted((HERE / "overlays").iterdir()):
        try:
            documents = render.render(folder, parse)
        except render.Unknown as error:
            documents, errors = [], [str(error)]
        else:
            errors = [*promises(folder.name, documents), *settings(documents, known)]
        for document in documents:
            where = "/".join(render.identity(document))
            if document["kind"] in FOREIGN:
                missing = [field for field in FOREIGN[document["kind"]] if not document["spec"].get(field)]
                errors += [f"{where}: spec.{field} is missing" for field in missing]
                continue
            errors += [f"{where}: {error}" for schema in schemas for error in schema.errors(document)]
        for error in errors:
            print(f"overlays/{folder.name}: {error}", file=sys.stderr)
        failed += len(errors)
    secret = parse(HERE / "secret.example.yaml")[0]
    for name, value in secret["stringData"].items():
        if value:
            print(f"secret.example.yaml: {name} has a value", file=sys.stderr)
            failed += 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
