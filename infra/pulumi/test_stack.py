"""Builds each stack against Pulumi's mocks: no cluster and no Pulumi engine."""

import json
import unittest
from pathlib import Path

import pulumi
import yaml
from pulumi.runtime import rpc


class Mocks(pulumi.runtime.Mocks):
    def __init__(self):
        self.made = {}

    def new_resource(self, args):
        self.made[args.typ.rpartition(":")[2]] = args.inputs
        return [f"{args.name}-id", args.inputs]

    def call(self, args):
        return {}


MOCKS = Mocks()
pulumi.runtime.set_mocks(MOCKS, project="gadwall", stack="test")
import stack  # noqa: E402

# How Pulumi's engine is told that a value is secret.
SPECIAL, A_SECRET = rpc._special_sig_key, rpc._special_secret_sig
SECRETS = {name: f"the {key}" for name, key in (stack.ADMIN_KEY | stack.SHARED).items()}


def wanted(overlay, **more):
    needed = stack.ADMIN_KEY if overlay == "dev" else SECRETS
    secrets = {name: pulumi.Output.secret(SECRETS[name]) for name in needed}
    return stack.Wanted(overlay=overlay, secrets=secrets, **more)


class Stacks(unittest.TestCase):
    def setUp(self):
        MOCKS.made.clear()

    @pulumi.runtime.test
    def build(self, of):
        built = stack.build(of)
        return pulumi.Output.all(*[made.urn for made in built.resources.values()]).apply(
            lambda _: self.keep(built)
        )

    def keep(self, built):
        self.built = built

    def secret(self):
        """What the Secret has. Pulumi marks it, and keeps what is marked encrypted in its state."""
        told = MOCKS.made["Secret"]["stringData"]
        self.assertEqual(told[SPECIAL], A_SECRET)
        return told["value"]

    def test_every_stack_makes_what_its_overlay_has_and_a_secret(self):
        for overlay in ("dev", "staging", "production"):
            with self.subTest(overlay):
                MOCKS.made.clear()
                of = wanted(overlay)
                self.build(of)
                kinds = {document["kind"] for document in stack.documents(of)}
                self.assertEqual(set(MOCKS.made), kinds | {"Secret"})

    def test_the_secret_is_told_to_nobody(self):
        self.build(wanted("production"))
        self.assertEqual(self.secret(), SECRETS)
        self.assertEqual(MOCKS.made["Secret"]["metadata"]["namespace"], "gadwall")
        others = {kind: inputs for kind, inputs in MOCKS.made.items() if kind != "Secret"}
        for value in SECRETS.values():
            self.assertNotIn(value, json.dumps(others))

    def test_dev_needs_no_database_and_no_bucket(self):
        self.build(wanted("dev"))
        self.assertEqual(set(self.secret()), {"ADMIN_API_KEY"})
        self.assertEqual(self.built.url, "http://gadwall.localtest.me")

    def test_version_and_host_are_the_stacks(self):
        self.build(wanted("production", version="9.9.9", host="data.example.net"))
        container = MOCKS.made["Deployment"]["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual(container["image"], "ghcr.io/gadwall/gadwall:9.9.9")
        self.assertEqual(MOCKS.made["Ingress"]["spec"]["tls"][0]["hosts"], ["data.example.net"])
        self.assertEqual(self.built.url, "https://data.example.net")

    def test_a_digest_is_a_version_too(self):
        self.build(wanted("staging", version="sha256:abc"))
        self.assertEqual(self.built.image, "ghcr.io/gadwall/gadwall@sha256:abc")

    def test_other_settings_are_other_pods(self):
        def told(settings):
            self.build(wanted("production", settings=settings))
            self.assertEqual(
                MOCKS.made["ConfigMap"]["data"]["GADWALL__ENGINE__THREADS"],
                str(settings["GADWALL__ENGINE__THREADS"]),
            )
            return MOCKS.made["Deployment"]["spec"]["template"]["metadata"]["annotations"]["gadwall/settings"]

        self.assertEqual(told({"GADWALL__ENGINE__THREADS": 2}), told({"GADWALL__ENGINE__THREADS": "2"}))
        self.assertNotEqual(told({"GADWALL__ENGINE__THREADS": 2}), told({"GADWALL__ENGINE__THREADS": 4}))

    def test_a_stack_is_named_as_its_overlay(self):
        with self.assertRaisesRegex(ValueError, "there is no overlay test"):
            stack.documents(wanted("test"))

    def test_each_overlay_has_its_stack_without_secrets(self):
        here = Path(stack.__file__).parent
        stacks = {path.suffixes[0].removeprefix(".") for path in here.glob("Pulumi.*.yaml")}
        self.assertEqual(stacks, {path.name for path in (stack.MANIFESTS / "overlays").iterdir()})
        for name in stacks:
            config = yaml.safe_load((here / f"Pulumi.{name}.yaml").read_text())["config"]
            self.assertFalse(
                set(config) & {f"gadwall:{key}" for key in (stack.ADMIN_KEY | stack.SHARED).values()}
            )


if __name__ == "__main__":
    unittest.main()
