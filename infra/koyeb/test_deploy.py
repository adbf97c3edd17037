"""Deploys against a server that answers as Koyeb and Gadwall do."""

import json
import threading
import unittest
from argparse import Namespace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from deploy import Koyeb, deploy

GOOD, BROKEN, DEAD = "gadwall:1", "gadwall:2", "gadwall:3"


class World:
    """A service and its deployments. An image may never become healthy, or serve a server that isn't ready."""

    def __init__(self, never_healthy=(), never_ready=()):
        self.never_healthy, self.never_ready = never_healthy, never_ready
        self.images = [GOOD]
        self.secrets = [{"key": "ADMIN_API_KEY", "secret": "admin"}]

    def definition(self, number):
        return {"name": "gadwall", "docker": {"image": self.images[number]}, "env": self.secrets}

    def answer(self, method, path, body):
        place = path.partition("?")[0]
        if place in ("/v1/apps", "/v1/services"):
            # A name is looked for as a part of others, so more comes back than was meant.
            names = ["staging", "staging-2"] if place == "/v1/apps" else ["gadwall", "gadwall-worker"]
            entries = [{"id": f"{name}-id", "name": name, "active_deployment_id": "0"} for name in names]
            return 200, {place.rpartition("/")[2]: entries}
        if method == "PATCH" and place == "/v1/services/gadwall-id":
            if body["definition"]["env"] != self.secrets:
                return 400, {}
            self.images.append(body["definition"]["docker"]["image"])
            return 200, {"service": {"latest_deployment_id": str(len(self.images) - 1)}}
        if place.startswith("/v1/deployments/"):
            number = int(place.rpartition("/")[2])
            status = "ERROR" if self.images[number] in self.never_healthy else "HEALTHY"
            return 200, {"deployment": {"status": status, "definition": self.definition(number)}}
        return self.gadwall(place)

    def gadwall(self, place):
        if place == "/readyz" and self.images[-1] in self.never_ready:
            return 503, {}
        if place == "/projects":
            return 401, {}
        return 200, {"version": self.images[-1].partition(":")[2]}


class Deploys(unittest.TestCase):
    def deploy(self, world, image, version=None):
        class Handler(BaseHTTPRequestHandler):
            def reply(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                status, document = world.answer(self.command, self.path, body)
                data = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_PATCH = reply

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        url = f"http://127.0.0.1:{server.server_port}"
        given = Namespace(service="staging/gadwall", image=image, url=url, version=version)
        return deploy(Koyeb("token", api=url), given, seconds=1, pause=0)

    def test_a_good_image_stays(self):
        world = World()
        self.assertEqual(self.deploy(world, "gadwall:4", version="4"), 0)
        self.assertEqual(world.images, [GOOD, "gadwall:4"])

    def test_an_image_that_does_not_become_healthy_gives_way_to_the_former(self):
        world = World(never_healthy=[DEAD])
        self.assertEqual(self.deploy(world, DEAD), 1)
        self.assertEqual(world.images, [GOOD, DEAD, GOOD])

    def test_an_image_that_is_not_ready_gives_way_to_the_former(self):
        world = World(never_ready=[BROKEN])
        self.assertEqual(self.deploy(world, BROKEN), 1)
        self.assertEqual(world.images, [GOOD, BROKEN, GOOD])

    def test_another_version_than_the_wanted_gives_way_to_the_former(self):
        world = World()
        self.assertEqual(self.deploy(world, "gadwall:4", version="5"), 1)
        self.assertEqual(world.images[-1], GOOD)

    def test_it_is_told_when_the_former_does_not_serve_either(self):
        world = World(never_healthy=[DEAD], never_ready=[GOOD])
        self.assertEqual(self.deploy(world, DEAD), 2)


if __name__ == "__main__":
    unittest.main()
