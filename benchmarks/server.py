"""nginx on one core of its own, with a small JSON answer, and its own count of requests."""

import contextlib
import json
import re
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from benchmarks.tools import pinned

_ITEM = {"id": 7, "sku": "a1-0007", "name": "a small thing", "price": 12.5, "tags": ["new", "blue"], "text": "x" * 180}
_START_LIMIT = 5.0  # seconds
_CONFIG = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600;
    default_type application/json;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /status {{ stub_status; }}
        location = /unique {{ add_header X-Request-Id $request_id; alias {folder}/item; }}
        location / {{ root {folder}; open_file_cache max=10; }}
    }}
}}
"""


class Server:
    """Where it listens, and what it counts."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def requests(self) -> int:
        """Requests so far by nginx's own count, those for the count included."""
        with urllib.request.urlopen(f"{self.url}/status", timeout=5) as answer:
            numbers = re.search(r"\n\s*(\d+)\s+(\d+)\s+(\d+)", answer.read().decode())
        if numbers is None:
            raise RuntimeError("nginx's stub_status says nothing")
        return int(numbers[3])


@contextlib.contextmanager
def serve(core: int) -> Iterator[Server]:
    """Run nginx with one worker on a core, in a folder and on a port of its own."""
    with tempfile.TemporaryDirectory(prefix="loadgate-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx's worker may be another user
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (folder / "item").write_text(json.dumps(_ITEM))
        (folder / "nginx.conf").write_text(_CONFIG.format(folder=folder, port=port))
        process = subprocess.Popen(pinned(core, "nginx", "-c", str(folder / "nginx.conf")), stderr=subprocess.PIPE)
        try:
            server = Server(port)
            _wait_for(server, process)
            yield server
        finally:
            process.terminate()
            process.wait()


def _wait_for(server: Server, process: subprocess.Popen[bytes]) -> None:
    """Until it answers. Raises RuntimeError with what it said where it ends instead."""
    until = time.monotonic() + _START_LIMIT
    while time.monotonic() < until:
        if process.poll() is not None:
            said = process.stderr.read().decode() if process.stderr else ""
            raise RuntimeError(f"nginx didn't start: {said}")
        with contextlib.suppress(OSError):
            server.requests()
            return
        time.sleep(0.02)
    raise RuntimeError("nginx doesn't answer")
