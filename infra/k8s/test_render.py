"""Overlays are merged as Kubernetes would merge them, and what can't be isn't left out in silence."""

import json
import tempfile
import unittest
from pathlib import Path

import render


def parse(path):
    """JSON instead of YAML, so that the tests need nothing: a document, or a list of them."""
    found = json.loads(path.read_text())
    return found if isinstance(found, list) else [found]


class Merging(unittest.TestCase):
    def test_objects_are_merged_and_null_removes(self):
        base = {"a": {"b": 1, "c": 2}, "d": 3}
        self.assertEqual(render.merged(base, {"a": {"c": None, "e": 4}}), {"a": {"b": 1, "e": 4}, "d": 3})
        self.assertEqual(base["a"], {"b": 1, "c": 2})

    def test_lists_of_named_things_are_merged_by_name_and_others_replaced(self):
        base = {"volumes": [{"name": "data", "emptyDir": {}}, {"name": "tmp"}], "args": ["serve"]}
        patch = {
            "volumes": [{"name": "data", "emptyDir": None, "claim": 1}, {"name": "new"}],
            "args": ["config"],
        }
        self.assertEqual(
            render.merged(base, patch),
            {"volumes": [{"name": "data", "claim": 1}, {"name": "tmp"}, {"name": "new"}], "args": ["config"]},
        )


class Rendering(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = Path(scratch.name)
        container = {"name": "server", "image": "gadwall"}
        self.write("base/kustomization.yaml", {"resources": ["all.yaml"]})
        self.write(
            "base/all.yaml",
            [
                {
                    "kind": "Deployment",
                    "metadata": {"name": "a"},
                    "spec": {"template": {"spec": {"containers": [container]}}},
                },
                {"kind": "Service", "metadata": {"name": "a"}},
            ],
        )

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))

    def overlay(self, **more):
        self.write("over/kustomization.yaml", {"resources": ["../base"]} | more)
        return render.render(self.folder / "over", parse)

    def test_images_and_the_namespace_are_set(self):
        rendered = self.overlay(
            namespace="n", images=[{"name": "gadwall", "newName": "r/gadwall", "newTag": "2"}]
        )
        self.assertEqual({document["metadata"]["namespace"] for document in rendered}, {"n"})
        self.assertEqual(rendered[0]["spec"]["template"]["spec"]["containers"][0]["image"], "r/gadwall:2")

    def test_patches_change_and_delete(self):
        self.write("over/change.yaml", {"kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [1]}})
        self.write("over/delete.yaml", {"kind": "Deployment", "metadata": {"name": "a"}, "$patch": "delete"})
        (service,) = self.overlay(patches=[{"path": "change.yaml"}, {"path": "delete.yaml"}])
        self.assertEqual((service["kind"], service["spec"]), ("Service", {"ports": [1]}))

    def test_components_add(self):
        self.write("part/kustomization.yaml", {"kind": "Component", "resources": ["monitor.yaml"]})
        self.write("part/monitor.yaml", {"kind": "ServiceMonitor", "metadata": {"name": "a"}})
        kinds = [document["kind"] for document in self.overlay(components=["../part"])]
        self.assertEqual(kinds, ["Deployment", "Service", "ServiceMonitor"])

    def test_what_it_does_not_know_is_refused(self):
        with self.assertRaisesRegex(render.Unknown, "replicas"):
            self.overlay(replicas=[{"name": "a", "count": 2}])
        with self.assertRaisesRegex(render.Unknown, "a patch is a path"):
            self.overlay(patches=[{"target": {"kind": "Service"}, "path": "change.yaml"}])
        self.write("over/lost.yaml", {"kind": "Service", "metadata": {"name": "b"}})
        with self.assertRaisesRegex(render.Unknown, "finds 0"):
            self.overlay(patches=[{"path": "lost.yaml"}])


if __name__ == "__main__":
    unittest.main()
