"""Opens the page of events in a browser, connects, and disconnects again, as a person would.

Called with the browser, the address of a server and an administrator's key. Speaks Chromium's protocol for developers over
its pipe, which needs no package.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request

BROWSER, URL, KEY = sys.argv[1:4]
WITHIN = 60


class Browser:
    def __init__(self, folder):
        theirs, self.write = os.pipe()
        self.read, answers = os.pipe()
        command = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        command += ["--remote-debugging-pipe", f"--user-data-dir={folder}"]
        # The protocol has the descriptors 3 and 4.
        kept = ["bash", "-c", f'exec "$@" 3<&{theirs} 4>&{answers}', "bash", *command]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(kept, pass_fds=(theirs, answers), stdin=quiet, stdout=quiet, stderr=quiet)
        os.close(theirs)
        os.close(answers)
        self.numbers, self.rest, self.session = itertools.count(1), b"", None

    def ask(self, method, **parameters):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self.rest:
                came = os.read(self.read, 1 << 16)
                assert came, "the browser ended"
                self.rest += came
            text, self.rest = self.rest.split(b"\0", 1)
            answer = json.loads(text)
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]

    def open(self, url):
        target = self.ask("Target.createTarget", url=url)["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def run(self, script):
        answer = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def wait(self, script):
        until = time.monotonic() + WITHIN
        while not (found := self.run(script)):
            assert time.monotonic() < until, f"{script}: {self.run('document.body && document.body.innerText')}"
            time.sleep(0.05)
        return found


def post(path, body):
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(URL + path, json.dumps(body).encode(), headers), timeout=30).close()


def main():
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Browser(folder)
        try:
            browser.open(f"{URL}/events/test")
            browser.wait("document.readyState === 'complete' && !!document.forms.open")
            browser.run(f"document.forms.open.elements.key.value = {json.dumps(KEY)}; document.forms.open.requestSubmit()")
            browser.wait("document.getElementById('state').textContent.startsWith('connected as ')")
            post("/projects", {"id": "seen"})
            post("/projects/seen/buckets", {"name": "b"})
            browser.wait("[...document.querySelectorAll('#events b')].some(kind => kind.textContent.endsWith('bucket.created'))")
            browser.run("document.forms.say.requestSubmit()")
            browser.wait("[...document.querySelectorAll('#events b')].some(kind => kind.textContent.endsWith('job_status'))")
            browser.run("document.getElementById('stats').click()")
            browser.wait("document.getElementById('answer').textContent.includes('client')")
            browser.run("document.getElementById('close').click()")
            browser.wait("document.getElementById('state').textContent === 'not connected'")
        finally:
            browser.process.kill()
            browser.process.wait()


main()
