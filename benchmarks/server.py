"""nginx on a core of its own, with a small JSON answer, and its own count of requests."""

import contextlib
import json
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import trustme

from benchmarks.tools import pinned

_ITEM = {"id": 7, "sku": "a1-0007", "name": "a small thing", "price": 12.5, "tags": ["new", "blue"], "text": "x" * 180}
_START_LIMIT = 5.0  # seconds
TLS_REQUESTS = 1000
"""After so many on one connection nginx closes it, so that clients which can do it resume their TLS session."""
_CONFIG = """
worker_processes {workers};
worker_cpu_affinity {masks};
worker_rlimit_nofile 32768;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 16384; }}
http {{
    access_log off;
    log_format handshake "$ssl_session_reused";
    map $connection_requests $first {{ default 0; 1 1; }}
    keepalive_requests 1000000000;
    keepalive_timeout 600;
    default_type application/json;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} backlog=16384 reuseport;
        location = /status {{ stub_status; }}
        location = /unique {{ add_header X-Request-Id $request_id; alias {folder}/item; }}
        location / {{ root {folder}; open_file_cache max=10; }}
    }}
    server {{
        listen 127.0.0.1:{tls_port} ssl backlog=16384 reuseport;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        ssl_session_cache shared:bench:10m;
        keepalive_requests {tls_requests};
        access_log {folder}/handshakes handshake if=$first;
        location / {{ root {folder}; open_file_cache max=10; }}
    }}
}}
"""


class Server:
    """Where it listens, with TLS and without, and what it counts."""

    def __init__(self, port: int, tls_port: int, folder: Path, pid: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.tls_url = f"https://127.0.0.1:{tls_port}"
        self.pid = pid
        self.polls = 0
        self._status = (port, b"GET /status HTTP/1.0\r\n\r\n")
        self._handshakes = folder / "handshakes"

    def requests(self) -> int:
        """Requests so far by nginx's own count, those for the count included, whose number is `polls`."""
        return self._counts()[0]

    def connections(self) -> int:
        """How many are open now, that of the question included."""
        return self._counts()[1]

    def resumed(self) -> tuple[int, int]:
        """Over TLS so far: connections that resumed a session, and all."""
        marks = self._handshakes.read_text().split() if self._handshakes.exists() else []
        return marks.count("r"), len(marks)

    def _counts(self) -> tuple[int, int]:
        port, question = self._status
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(question)
            answer = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
        self.polls += 1
        open_now = re.search(r"Active connections: (\d+)", answer)
        numbers = re.search(r"\n\s*(\d+)\s+(\d+)\s+(\d+)", answer)
        if open_now is None or numbers is None:
            raise RuntimeError("nginx's stub_status says nothing")
        return int(numbers[3]), int(open_now[1])


@contextlib.contextmanager
def serve(cores: int | str) -> Iterator[Server]:
    """Run nginx with a worker for each of the cores ("1", or "0,1"), in a folder and on ports of its own."""
    with tempfile.TemporaryDirectory(prefix="loadgate-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # nginx's worker may be another user
        port, tls_port = _free_ports()
        (folder / "item").write_text(json.dumps(_ITEM))
        certificate = trustme.CA().issue_cert("127.0.0.1", "localhost")
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
        settings = {"folder": folder, "port": port, "tls_port": tls_port, "tls_requests": TLS_REQUESTS}
        own = [int(core) for core in str(cores).split(",")]
        settings |= {"workers": len(own), "masks": " ".join(f"1{'0' * core}" for core in own)}
        (folder / "nginx.conf").write_text(_CONFIG.format(**settings))
        process = subprocess.Popen(pinned(cores, "nginx", "-c", str(folder / "nginx.conf")), stderr=subprocess.PIPE)
        try:
            server = Server(port, tls_port, folder, process.pid)
            _wait_for(server, process)
            _see_to_cores(process.pid, own)
            yield server
        finally:
            process.terminate()
            process.wait()


def _see_to_cores(pid: int, own: list[int]) -> None:
    """Workers on the client's core would be measured with it, and nothing else would tell. Raises RuntimeError."""
    found = sorted(core for worker in psutil.Process(pid).children() for core in worker.cpu_affinity() or ())
    if found != sorted(own):
        raise RuntimeError(f"nginx's workers run on the cores {found}, not on {own}")


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        for free in (one, other):
            free.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


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
