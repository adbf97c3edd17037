"""What breaks clients is found, and what doesn't isn't."""

import copy
import unittest

from breaking import Comparison

BUCKET = {
    "type": "object",
    "required": ["name", "tables"],
    "properties": {
        "name": {"type": "string"},
        "tables": {"type": "integer"},
        "kind": {"type": "string", "enum": ["own", "linked"]},
    },
}
NEW_BUCKET = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string"},
        "description": {"type": "string", "nullable": True},
        "mode": {"type": "string", "enum": ["a", "b"]},
    },
}


def document():
    reference = {"application/json": {"schema": {"$ref": "#/components/schemas/Bucket"}}}
    sent = {"application/json": {"schema": {"$ref": "#/components/schemas/NewBucket"}}}
    return copy.deepcopy(
        {
            "paths": {
                "/buckets": {
                    "get": {
                        "parameters": [{"in": "query", "name": "limit", "schema": {"type": "integer"}}],
                        "responses": {"200": {"content": reference}, "404": {}},
                    },
                    "post": {
                        "requestBody": {"required": True, "content": sent},
                        "responses": {"201": {"content": reference}},
                    },
                }
            },
            "components": {"schemas": {"Bucket": BUCKET, "NewBucket": NEW_BUCKET}},
        }
    )


class Breaking(unittest.TestCase):
    def changed(self, change):
        new = document()
        change(new["paths"]["/buckets"], new["components"]["schemas"])
        return Comparison(document(), new).documents()

    def test_the_same_document_breaks_nothing(self):
        self.assertEqual(self.changed(lambda paths, schemas: None), [])

    def test_additions_break_nothing(self):
        def change(paths, schemas):
            paths["delete"] = {"responses": {"204": {}}}
            paths["get"]["parameters"].append({"in": "query", "name": "after", "schema": {"type": "string"}})
            schemas["Bucket"]["properties"]["owner"] = {"type": "string"}
            schemas["Bucket"]["required"].append("kind")
            schemas["NewBucket"]["properties"]["mode"]["enum"].append("c")

        self.assertEqual(self.changed(change), [])

    def test_removals_are_found(self):
        def change(paths, schemas):
            del paths["post"]
            paths["get"]["parameters"].clear()
            del schemas["Bucket"]["properties"]["tables"]

        self.assertEqual(
            self.changed(change),
            [
                "Bucket (answered): tables is gone",
                "GET /buckets: the parameter limit is gone",
                "POST /buckets: is gone",
            ],
        )

    def test_new_needs_are_found(self):
        def change(paths, schemas):
            paths["get"]["parameters"].append(
                {"in": "query", "name": "tenant", "required": True, "schema": {"type": "string"}}
            )
            schemas["NewBucket"]["required"].append("mode")

        self.assertEqual(
            self.changed(change),
            ["GET /buckets: the parameter tenant is needed", "NewBucket (sent): mode is needed"],
        )

    def test_other_values_are_found_by_their_direction(self):
        def change(paths, schemas):
            schemas["Bucket"]["properties"]["kind"]["enum"].append("shared")
            schemas["NewBucket"]["properties"]["mode"]["enum"].remove("a")
            schemas["NewBucket"]["properties"]["description"] = {"type": "string"}

        self.assertEqual(
            self.changed(change),
            [
                "Bucket (answered).kind: shared is answered, which clients don't know",
                "NewBucket (sent).description: null isn't taken any more",
                "NewBucket (sent).mode: a isn't taken any more",
            ],
        )

    def test_other_types_and_missing_answers_are_found(self):
        def change(paths, schemas):
            paths["post"]["responses"] = {"200": paths["post"]["responses"]["201"]}
            schemas["Bucket"]["properties"]["tables"] = {"type": "string"}
            schemas["Bucket"]["required"].remove("name")

        self.assertEqual(
            self.changed(change),
            [
                "Bucket (answered).tables: was integer, is string",
                "Bucket (answered): name may be missing",
                "POST /buckets: never answers 201 any more",
            ],
        )


if __name__ == "__main__":
    unittest.main()
