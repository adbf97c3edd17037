"""The manifests of infra/k8s as Pulumi's resources, with the stack's settings and secrets.

A stack is named as the overlay that it brings to the cluster. Nothing here belongs to a cloud: the cluster, PostgreSQL and the
bucket are there, and the stack is told how to reach them.
"""

import copy
import hashlib
import json
import sys
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import pulumi
import pulumi_kubernetes as kubernetes
import yaml

MANIFESTS = Path(__file__).resolve().parents[1] / "k8s"
sys.path.insert(0, str(MANIFESTS))
import render  # noqa: E402

# The Secret's names, and the stack's for them. Without PostgreSQL and a bucket only the first is needed.
ADMIN_KEY = {"ADMIN_API_KEY": "adminKey"}
SHARED = {
    "GADWALL_SECRET_KEY": "secretKey",
    "GADWALL__POSTGRES__PASSWORD": "postgresPassword",
    "GADWALL__STORAGE__ACCESS_KEY": "storageAccessKey",
    "GADWALL__STORAGE__SECRET_KEY": "storageSecretKey",
}

# The provider of the version that requirements.txt names.
PROVIDER = pulumi.ResourceOptions(version=metadata.version("pulumi-kubernetes"))


@dataclass
class Wanted:
    """What a stack says of itself."""

    overlay: str
    version: str | None = None
    host: str | None = None
    settings: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, pulumi.Output[str]] = field(default_factory=dict)

    @classmethod
    def from_config(cls, overlay: str, config: pulumi.Config) -> "Wanted":
        needed = ADMIN_KEY if overlay == "dev" else ADMIN_KEY | SHARED
        return cls(
            overlay=overlay,
            version=config.get("version"),
            host=config.get("host"),
            settings=config.get_object("settings") or {},
            secrets={name: config.require_secret(key) for name, key in needed.items()},
        )


@dataclass
class Made:
    """What others may want to know of a stack."""

    namespace: str
    image: str
    url: str
    resources: dict[str, pulumi.Resource]


def documents(wanted: Wanted) -> list[dict]:
    """The overlay's manifests with the stack's settings in them."""
    folder = MANIFESTS / "overlays" / wanted.overlay
    if not folder.is_dir():
        raise ValueError(f"there is no overlay {wanted.overlay}: name the stack dev, staging or production")
    rendered = copy.deepcopy(
        render.render(folder, lambda path: [one for one in yaml.safe_load_all(path.read_text()) if one])
    )
    by_kind = {document["kind"]: document for document in rendered}
    config, deployment, ingress = by_kind["ConfigMap"], by_kind["Deployment"], by_kind["Ingress"]
    config["data"] |= {name: str(value) for name, value in wanted.settings.items()}
    template = deployment["spec"]["template"]
    (container,) = template["spec"]["containers"]
    if wanted.version:
        name = container["image"].rpartition(":")[0]
        container["image"] = f"{name}{'@' if wanted.version.startswith('sha256:') else ':'}{wanted.version}"
    # Pods read their settings when they start: other settings are other pods.
    told = hashlib.sha256(json.dumps(config["data"], sort_keys=True).encode()).hexdigest()
    template["metadata"].setdefault("annotations", {})["gadwall/settings"] = told
    if wanted.host:
        (rule,) = ingress["spec"]["rules"]
        rule["host"] = wanted.host
        for entry in ingress["spec"].get("tls", []):
            entry["hosts"] = [wanted.host]
    return rendered


def resource(document: dict, options: pulumi.ResourceOptions) -> pulumi.Resource:
    """A manifest as a resource of its kind, whose own rules hold: a Deployment is made once its pods are ready."""
    version = document["apiVersion"]
    # What has no group is of the group that Pulumi names `core`.
    kind = f"kubernetes:{version if '/' in version else 'core/' + version}:{document['kind']}"
    name = f"{document['kind'].lower()}-{document['metadata']['name']}"
    return pulumi.CustomResource(kind, name, document, pulumi.ResourceOptions.merge(PROVIDER, options))


def build(wanted: Wanted) -> Made:
    """Makes everything, in the order in which it needs one another."""
    rendered = documents(wanted)
    space = next(document for document in rendered if document["kind"] == "Namespace")
    namespace = resource(space, pulumi.ResourceOptions())
    inside = pulumi.ResourceOptions(depends_on=[namespace])
    labels = space["metadata"]["labels"]
    secret = kubernetes.core.v1.Secret(
        "secret-gadwall",
        metadata={
            "name": "gadwall",
            "namespace": space["metadata"]["name"],
            "labels": {"app.kubernetes.io/name": labels["app.kubernetes.io/name"]},
        },
        string_data=wanted.secrets,
        opts=inside,
    )
    resources = {"Namespace": namespace, "Secret": secret}
    rest = [document for document in rendered if document["kind"] not in ("Namespace", "Deployment")]
    for document in rest:
        resources[document["kind"]] = resource(document, inside)
    deployment = next(document for document in rendered if document["kind"] == "Deployment")
    # Settings and volumes are there before pods look for them.
    resources["Deployment"] = resource(
        deployment, pulumi.ResourceOptions(depends_on=list(resources.values()))
    )
    ingress = next(document for document in rendered if document["kind"] == "Ingress")
    scheme = "https" if ingress["spec"].get("tls") else "http"
    return Made(
        namespace=space["metadata"]["name"],
        image=deployment["spec"]["template"]["spec"]["containers"][0]["image"],
        url=f"{scheme}://{ingress['spec']['rules'][0]['host']}",
        resources=resources,
    )
