#!/usr/bin/env python3
"""Brings an image to a service on Koyeb, tries it, and goes back to the former one unless it works.

The service is there already, made by hand with its settings and secrets; only its image changes. The token is in
KOYEB_TOKEN. Exit code 1: it didn't work, and the former image serves again; 2: that one doesn't serve either.

    deploy.py --service APP/SERVICE --image IMAGE --url URL [--version VERSION]
"""

import argparse
import copy
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

API = "https://app.koyeb.com"
GOOD, BAD = {"HEALTHY"}, {"ERROR", "ERRORING", "UNHEALTHY", "DEGRADED", "CANCELED", "CANCELING", "STOPPED"}


class Failed(Exception):
    """Why a deployment isn't what was wanted."""


class Koyeb:
    def __init__(self, token, api=API):
        self.token, self.api = token, api

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.api + path, data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise Failed(f"{method} {path}: Koyeb answered {error.code}") from error
        except (OSError, ValueError) as error:
            raise Failed(f"{method} {path}: {error}") from error

    def find(self, kind, name, **more):
        query = urllib.parse.urlencode({"name": name, **more})
        found = [entry for entry in self.ask("GET", f"/v1/{kind}?{query}")[kind] if entry["name"] == name]
        if len(found) != 1:
            raise Failed(f"Koyeb has {len(found)} of the {kind} {name}")
        return found[0]

    def service(self, name):
        app, _, service = name.partition("/")
        return self.find("services", service, app_id=self.find("apps", app)["id"])

    def definition(self, deployment):
        return self.ask("GET", f"/v1/deployments/{deployment}")["deployment"]["definition"]

    def update(self, service, definition):
        answer = self.ask("PATCH", f"/v1/services/{service}", {"definition": definition})
        return answer["service"]["latest_deployment_id"]

    def wait(self, deployment, seconds, pause):
        until = time.monotonic() + seconds
        while True:
            status = self.ask("GET", f"/v1/deployments/{deployment}")["deployment"]["status"]
            if status in GOOD:
                return
            if status in BAD:
                raise Failed(f"the deployment is {status}")
            if time.monotonic() > until:
                raise Failed(f"the deployment is still {status} after {seconds} s")
            time.sleep(pause)


def answer_of(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, b""
    except OSError as error:
        raise Failed(f"{url}: {error}") from error


def smoke(url, version):
    """Whether the server at `url` works, lets nobody in without a key, and is the one that was deployed."""
    for path, wanted in [("/livez", 200), ("/readyz", 200), ("/openapi.json", 200), ("/projects", 401)]:
        status, _ = answer_of(url + path)
        if status != wanted:
            raise Failed(f"{path} answered {status}, not {wanted}")
    told = json.loads(answer_of(url + "/version")[1])["version"]
    if version and told != version:
        raise Failed(f"the server says it is {told}, not {version}")


def tried(check, tries, pause):
    """The proxy in front may take a moment to see a new deployment."""
    for left in reversed(range(tries)):
        try:
            return check()
        except (Failed, ValueError, KeyError) as error:
            if not left:
                raise Failed(str(error)) from error
            time.sleep(pause)


def deploy(koyeb, given, seconds=900, pause=5):
    service = koyeb.service(given.service)
    former = koyeb.definition(service["active_deployment_id"])
    wanted = copy.deepcopy(former)
    wanted["docker"]["image"] = given.image
    try:
        koyeb.wait(koyeb.update(service["id"], wanted), seconds, pause)
        tried(lambda: smoke(given.url, given.version), 12, pause)
    except Failed as reason:
        print(f"error: {reason}; going back to {former['docker']['image']}", file=sys.stderr)
        try:
            koyeb.wait(koyeb.update(service["id"], former), seconds, pause)
            tried(lambda: smoke(given.url, None), 12, pause)
        except Failed as again:
            print(f"error: going back failed, too: {again}", file=sys.stderr)
            return 2
        return 1
    print(f"{given.service} serves {given.image}")
    return 0


def main():
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--service", required=True, help="APP/SERVICE on Koyeb")
    options.add_argument("--image", required=True, help="with a digest, so that it is what was built")
    options.add_argument("--url", required=True, help="where the service is reached")
    options.add_argument("--version", help="what /version must say then")
    given = options.parse_args()
    given.url = given.url.rstrip("/")
    try:
        return deploy(Koyeb(os.environ["KOYEB_TOKEN"]), given)
    except KeyError as missing:
        print(f"error: {missing} is missing", file=sys.stderr)
    except Failed as reason:
        print(f"error: {reason}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
