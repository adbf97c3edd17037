"""What a release says of itself: its notes, and what it is made of."""

import json
import unittest

import notes
import sbom

CHANGELOG = """# Changelog

## Unreleased

- not yet

## 1.2.0 - 2026-11-21

### Added

- this

## [1.1.0]

- that
"""


class Notes(unittest.TestCase):
    def test_they_are_the_part_of_that_version(self):
        self.assertEqual(notes.notes(CHANGELOG, "1.2.0"), "### Added\n\n- this")
        self.assertEqual(notes.notes(CHANGELOG, "1.1.0"), "- that")

    def test_another_version_has_none(self):
        for version in ("1.2", "1.2.00", "2.0", "1x2.0"):
            self.assertEqual(notes.notes(CHANGELOG, version), "", version)


class Sbom(unittest.TestCase):
    def document(self, **more):
        lock = {
            "package": [
                {"name": "gadwall", "version": "1.0.0"},
                {"name": "serde", "version": "1.0.1", "source": "elsewhere", "checksum": "ab" * 32},
            ]
        }
        runtime = {
            "duckdb": "1.5.5",
            "library": {"npm": "@duckdb/node-bindings", "version": "1.5.5-r.5"},
            "platforms": {"linux_amd64": {"npm": "linux-x64"}, "osx_arm64": {"npm": "darwin-arm64"}},
            "extensions": {"httpfs": {"pypi": "duckdb-extension-httpfs", "version": "1.5.5"}},
        }
        return sbom.document("1.0.0", more.get("time"), lock, runtime)

    def test_it_has_the_crates_of_others_and_the_engine(self):
        urls = [component["purl"] for component in self.document()["components"]]
        self.assertEqual(
            urls,
            [
                "pkg:cargo/serde@1.0.1",
                "pkg:npm/%40duckdb/node-bindings-darwin-arm64@1.5.5-r.5",
                "pkg:npm/%40duckdb/node-bindings-linux-x64@1.5.5-r.5",
                "pkg:pypi/duckdb-extension-httpfs@1.5.5",
            ],
        )
        self.assertEqual(
            self.document()["components"][0]["hashes"], [{"alg": "SHA-256", "content": "ab" * 32}]
        )

    def test_the_same_sources_give_the_same_document_but_for_its_time(self):
        self.assertEqual(json.dumps(self.document()), json.dumps(self.document()))
        timed = self.document(time="2026-01-01T00:00:00Z")
        self.assertEqual(timed["metadata"].pop("timestamp"), "2026-01-01T00:00:00Z")
        self.assertEqual(timed, self.document())


if __name__ == "__main__":
    unittest.main()
