"""Targets that answer at length: what they say makes no status longer."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.processes, pytest.mark.timeout(300, func_only=True)]

SETUP = {"setup": {"steps": [{"request": {"name": "seed", "url": "/seed"}, "check": {"status": 200}}]}}


class Talker(BaseHTTPRequestHandler):
    """Answers every request with an error and a megabyte of words about it."""

    protocol_version = "HTTP/1.1"
    WORDS = b"it went wrong because " * 50_000

    def do_GET(self):
        self.send_response(500, "words " * 5_000)
        self.send_header("Content-Type", "text/plain")
        self.send_header("X-Why", "words " * 5_000)
        self.send_header("Content-Length", str(len(self.WORDS)))
        self.end_headers()
        self.wfile.write(self.WORDS)

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def talker():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Talker)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(("spec", "phase"), [({}, "Failed"), (SETUP, "Inconclusive")], ids=["under-load", "in-setup"])
def test_a_target_that_answers_at_length(kube, stage, spec, phase):
    """Errors of a megabyte each make a verdict, and a status that is as small as any."""
    if not kube.local:
        pytest.skip("the target is on this machine's loopback")
    with talker() as url:
        stage.apply(seconds=3, target={"url": url}, **spec)
        stage.finish(phase)
    stage.small()
    stage.removed()
