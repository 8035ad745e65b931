"""The gRPC server of the tests, which is grpcio's own, in a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

SERVER = Path(__file__).with_name("rpc_server.py")


class Process:
    """A server that has begun."""

    def __init__(self, **options):
        command = [sys.executable, str(SERVER), json.dumps(options)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"

    def end(self):
        """Kill it, wherever it is."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
