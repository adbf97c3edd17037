#!/usr/bin/env python3
"""Renders an overlay as `kubectl kustomize` does, for checks where no such program is.

It knows what the overlays here use: resources, components, namespace, images, and patches that are merged strategically.
What it doesn't know is an error, so that nothing is left out in silence.

    render.py TOOLS OVERLAY     TOOLS is where `make setup-dev` puts the packages of .config/compose-check.txt
"""

import copy
import sys
from pathlib import Path

KNOWN = {"apiVersion", "kind", "resources", "components", "namespace", "images", "patches"}
# Lists of named things are merged by the name; all others are replaced.
MERGED_BY = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
}


class Unknown(Exception):
    """Something in an overlay that can't be rendered here."""


def identity(document):
    return document["kind"], document["metadata"]["name"]


def merged(base, patch, field=None):
    """`patch` over `base`: null removes, objects and lists of named things are merged, all else is replaced."""
    if isinstance(patch, dict):
        result = dict(base) if isinstance(base, dict) else {}
        for key, value in patch.items():
            if value is None:
                result.pop(key, None)
            else:
                result[key] = merged(result.get(key), value, key)
        return result
    if isinstance(patch, list) and field in MERGED_BY and isinstance(base, list):
        by = MERGED_BY[field]
        result = {entry[by]: entry for entry in base}
        for entry in patch:
            result[entry[by]] = merged(result.get(entry[by]), entry)
        return list(result.values())
    return copy.deepcopy(patch)


def patched(documents, patch):
    found = [document for document in documents if identity(document) == identity(patch)]
    if len(found) != 1:
        raise Unknown(f"a patch of {' '.join(identity(patch))} finds {len(found)} of it")
    if patch.get("$patch") == "delete":
        return [document for document in documents if document is not found[0]]
    return [merged(document, patch) if document is found[0] else document for document in documents]


def pod_of(document):
    spec = document.get("spec", {})
    return spec.get("jobTemplate", {}).get("spec", spec).get("template", {}).get("spec", {})


def with_images(document, images):
    pod = pod_of(document)
    for container in pod.get("containers", []) + pod.get("initContainers", []):
        for image in images:
            if container["image"].partition(":")[0] == image["name"]:
                container["image"] = f"{image['newName']}:{image['newTag']}"
    return document


def render(folder, parse, documents=None):
    """What `folder` makes: of its resources, and of the documents that it is a component for."""
    kustomization = parse(folder / "kustomization.yaml")[0]
    if unknown := set(kustomization) - KNOWN:
        raise Unknown(
            f"{folder.name}/kustomization.yaml: {', '.join(sorted(unknown))} isn't known to render.py"
        )
    documents = list(documents or [])
    for resource in kustomization.get("resources", []):
        path = folder / resource
        documents += render(path, parse) if path.is_dir() else parse(path)
    for component in kustomization.get("components", []):
        documents = render(folder / component, parse, documents)
    for patch in kustomization.get("patches", []):
        if set(patch) != {"path"}:
            raise Unknown(f"{folder.name}/kustomization.yaml: a patch is a path here, nothing else")
        for document in parse(folder / patch["path"]):
            documents = patched(documents, document)
    for document in documents:
        with_images(document, kustomization.get("images", []))
        if (namespace := kustomization.get("namespace")) and document["kind"] != "Namespace":
            document["metadata"]["namespace"] = namespace
    return documents


def parser(tools):
    sys.path.insert(0, str(Path(tools).resolve()))
    from ruamel.yaml import YAML

    return lambda path: [
        document for document in YAML(typ="safe", pure=True).load_all(path.read_text()) if document
    ]


def main():
    from_yaml = parser(sys.argv[1])
    from ruamel.yaml import YAML

    try:
        YAML(pure=True).dump_all(render(Path(sys.argv[2]), from_yaml), sys.stdout)
    except (Unknown, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
