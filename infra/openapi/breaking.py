#!/usr/bin/env python3
"""Compares two versions of the OpenAPI document: what would break a client that was made for the first?

Operations, statuses and properties that are gone, parameters and properties that are newly needed, types that changed,
values that an enum has no more (of a request) or never had (of an answer). Additions are fine. Exit code 1 if something
breaks; --allow FILE names findings, a line each, that are meant.

    breaking.py OLD NEW     documents, or snapshots of them
"""

import argparse
import json
import sys
from pathlib import Path

METHODS = ("get", "put", "post", "delete", "patch", "head", "options")


class Comparison:
    def __init__(self, old, new):
        self.old, self.new = old, new
        self.found = []
        self.seen = set()

    def add(self, where, what):
        self.found.append(f"{where}: {what}")

    def documents(self):
        for path, operations in self.old["paths"].items():
            for method in METHODS:
                if method not in operations:
                    continue
                where = f"{method.upper()} {path}"
                now = self.new["paths"].get(path, {}).get(method)
                if now is None:
                    self.add(where, "is gone")
                else:
                    self.operation(where, operations[method], now)
        return sorted(set(self.found))

    def operation(self, where, old, new):
        def parameters(operation):
            return {(entry["in"], entry["name"]): entry for entry in operation.get("parameters", [])}

        before, after = parameters(old), parameters(new)
        for key, entry in after.items():
            if key not in before and entry.get("required"):
                self.add(where, f"the parameter {key[1]} is needed")
        for key, entry in before.items():
            if key not in after:
                self.add(where, f"the parameter {key[1]} is gone")
                continue
            if after[key].get("required") and not entry.get("required"):
                self.add(where, f"the parameter {key[1]} is needed")
            self.schema(
                f"{where}: {key[1]}", entry.get("schema", {}), after[key].get("schema", {}), sent=True
            )
        self.contents(f"{where}: body", old.get("requestBody", {}), new.get("requestBody", {}), sent=True)
        if new.get("requestBody", {}).get("required") and not old.get("requestBody", {}).get("required"):
            self.add(where, "a body is needed")
        for status, response in old.get("responses", {}).items():
            # Which failures there are, and how they look, is told by problem documents, not by statuses.
            if not status.startswith("2"):
                continue
            if status not in new.get("responses", {}):
                self.add(where, f"never answers {status} any more")
            else:
                self.contents(f"{where}: {status}", response, new["responses"][status], sent=False)

    def contents(self, where, old, new, sent):
        for media, body in old.get("content", {}).items():
            # A type's parameters, such as a charset, are no other type.
            now = next(
                (
                    b
                    for m, b in new.get("content", {}).items()
                    if m.partition(";")[0] == media.partition(";")[0]
                ),
                None,
            )
            if now is None:
                self.add(where, f"{media} is gone")
            else:
                self.schema(where, body.get("schema", {}), now.get("schema", {}), sent)

    def resolved(self, document, schema):
        while "$ref" in schema:
            schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        if len(schema.get("allOf", [])) == 1:
            return self.resolved(document, schema["allOf"][0])
        return schema

    def schema(self, where, old, new, sent):
        names = old.get("$ref", ""), new.get("$ref", ""), sent
        if any(names[:2]):
            # A schema that many operations share is told of once.
            if names in self.seen:
                return
            self.seen.add(names)
            where = (names[0] or names[1]).rpartition("/")[2] + (" (sent)" if sent else " (answered)")
        old, new = self.resolved(self.old, old), self.resolved(self.new, new)
        if old.get("type") != new.get("type") and "type" in old and "type" in new:
            widened = (old["type"], new["type"]) == (("integer", "number") if sent else ("number", "integer"))
            if not widened:
                self.add(where, f"was {old['type']}, is {new['type']}")
            return
        self.values(where, old, new, sent)
        self.properties(where, old, new, sent)
        if "items" in old and "items" in new:
            self.schema(f"{where}[]", old["items"], new["items"], sent)
        if sent and old.get("nullable") and not new.get("nullable"):
            self.add(where, "null isn't taken any more")

    def values(self, where, old, new, sent):
        before, after = old.get("enum"), new.get("enum")
        if before is None and after is None:
            return
        if sent and after is not None:
            for value in (
                (set(before) - set(after)) if before else ["others than " + ", ".join(map(str, after))]
            ):
                self.add(where, f"{value} isn't taken any more")
        if not sent and before is not None:
            for value in (set(after) - set(before)) if after else ["anything"]:
                self.add(where, f"{value} is answered, which clients don't know")

    def properties(self, where, old, new, sent):
        before, after = old.get("properties", {}), new.get("properties", {})
        needed, was_needed = set(new.get("required", [])), set(old.get("required", []))
        for name in before:
            if name not in after:
                self.add(where, f"{name} is gone")
            else:
                self.schema(f"{where}.{name}", before[name], after[name], sent)
        if sent:
            for name in sorted(needed - was_needed):
                self.add(where, f"{name} is needed")
        else:
            for name in sorted((was_needed - needed) & set(after)):
                self.add(where, f"{name} may be missing")


def document(path):
    """A document, or the one in a snapshot, which has lines of its own in front."""
    text = Path(path).read_text()
    return json.loads(text[text.index("{") :])


def main():
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("old")
    options.add_argument("new")
    options.add_argument("--allow", type=Path, help="a file of findings that are meant")
    given = options.parse_args()
    lines = given.allow.read_text().splitlines() if given.allow and given.allow.exists() else []
    meant = {line.strip() for line in lines if line.strip() and not line.startswith("#")}
    found = [
        finding
        for finding in Comparison(document(given.old), document(given.new)).documents()
        if finding not in meant
    ]
    for finding in found:
        print(finding)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
