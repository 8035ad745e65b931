"""A page in a real browser, by Chromium's own protocol over a pipe: no driver, no port, no network."""

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from contextlib import contextmanager

LIMIT = 30.0
"""Seconds that the browser may take for one answer."""

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # containers of builds have no right to make a sandbox, and the page is ours
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


def program():
    """Chromium's path; None where there is none."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@contextmanager
def browser(folder):
    """A browser with a profile of its own in `folder`."""
    to_it, ours_out = os.pipe()
    ours_in, from_it = os.pipe()
    # Chromium reads from 3 and writes to 4, whichever numbers these have here.
    to_it, from_it = (_moved(number) for number in (to_it, from_it))
    command = f'exec "$0" "$@" 3<&{to_it} 4>&{from_it} {to_it}<&- {from_it}>&-'
    with (folder / "chromium.log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", "-c", command, program(), *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"],
            pass_fds=(to_it, from_it),
            stdout=log,
            stderr=log,
            env={**os.environ, "HOME": str(folder)},
        )
    os.close(to_it)
    os.close(from_it)
    try:
        yield Browser(ours_out, ours_in)
    finally:
        process.kill()
        process.wait()
        os.close(ours_out)
        os.close(ours_in)


def _moved(number):
    """The same open file under a number that is out of the way."""
    out = fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(number)
    return out


class Browser:
    """Speaks with it: messages are JSON, each ended by a zero byte."""

    def __init__(self, out, into):
        self._out, self._in = out, into
        self._numbers = itertools.count(1)
        self._rest = b""
        self.events = []

    def ask(self, method, session=None, **parameters):
        """What it answers; what it tells meanwhile is kept in `events`."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + LIMIT
        while True:
            told = self._next(until)
            if told.get("id") == number:
                assert "error" not in told, (method, told["error"])
                return told["result"]
            self.events.append(told)

    def _next(self, until):
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._in], [], [], max(0.0, until - time.monotonic()))
            data = os.read(self._in, 1 << 16) if ready else b""
            assert data, "the browser doesn't answer, or is gone"
            self._rest += data
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def open(self, url, *, width=1200, height=900, scheme="light", scripts=True):
        """A page in a tab of its own, once it is loaded."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, target, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.ask(f"{domain}.enable")
        page.resize(width, height)
        page.prefer(scheme)
        page.ask("Emulation.setScriptExecutionDisabled", value=not scripts)
        page.ask("Page.navigate", url=url)
        page.until_told("Page.loadEventFired")
        page.ask(
            "Emulation.setScriptExecutionDisabled", value=False
        )  # the page's own had their chance; ours are to run
        return page


class Page:
    """One tab."""

    def __init__(self, browser, target, session):
        self._browser, self._target, self._session = browser, target, session

    def ask(self, method, **parameters):
        """As the browser's `ask`, of this tab."""
        return self._browser.ask(method, self._session, **parameters)

    def told(self, *methods):
        """The parameters of what it told of these methods so far."""
        return [
            one["params"]
            for one in self._browser.events
            if one.get("sessionId") == self._session and one["method"] in methods
        ]

    def until_told(self, method):
        """Wait until it tells that."""
        until = time.monotonic() + LIMIT
        while not self.told(method):
            assert time.monotonic() < until, f"no {method}"
            self.ask("Browser.getVersion")  # any question: what was told before its answer is read on the way

    def run(self, script):
        """The value of an expression; a promise's, once it is kept. An exception in the page fails."""
        answer = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def settled(self):
        """Let two frames go by, so that observers were told and drawings drawn."""
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def resize(self, width, height):
        """The window's size in pixels."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def prefer(self, scheme):
        """What the system prefers: light or dark."""
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def press(self, key):
        """A key, to where the focus is."""
        for kind in ("keyDown", "keyUp"):
            self.ask(
                "Input.dispatchKeyEvent", type=kind, key=key, text=key if len(key) == 1 and kind == "keyDown" else ""
            )
        self.settled()

    def drag(self, start, end):
        """The mouse from one place to another with its button down."""
        (x1, y1), (x2, y2) = start, end
        steps = [("mouseMoved", x1, y1, 0), ("mousePressed", x1, y1, 1), ("mouseMoved", (x1 + x2) / 2, y1, 1)]
        steps += [("mouseMoved", x2, y2, 1), ("mouseReleased", x2, y2, 0)]
        for kind, x, y, buttons in steps:
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=buttons, clickCount=1)
        self.settled()

    def picture(self, path):
        """The whole page as a PNG."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        data = self.ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self):
        """Close the tab."""
        self._browser.ask("Target.closeTarget", targetId=self._target)
