"""Real runner processes for tests: a target to send load to, a plan on disk, and the control port by hand."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx

from loadgate.api.validate import validate_loadtest
from loadgate.plan import compile_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RUN = "shop-1-abcde"
TOKEN = "a-token-of-this-run"
ANSWER = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"id": "7"}'


class Target(asyncio.Protocol):
    """Answers everything at once."""

    requests = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        n = data.count(b"\r\n\r\n")
        type(self).requests += n
        self.transport.write(ANSWER * n)


async def target() -> tuple[asyncio.Server, str]:
    """A server on loopback, and its URL."""
    server = await asyncio.get_running_loop().create_server(Target, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


class Stalling(Target):
    """Answers at once, but for some time in which it answers nothing."""

    begins: float | None = None
    after = seconds = 0.0

    def data_received(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        kind = type(self)
        if kind.begins is None:
            kind.begins = loop.time() + kind.after
        frozen = kind.begins <= loop.time() < kind.begins + kind.seconds
        if frozen:
            loop.call_at(kind.begins + kind.seconds, self.answer, data)
        else:
            self.answer(data)

    def answer(self, data: bytes) -> None:
        if not self.transport.is_closing():
            super().data_received(data)


async def stalling_target(*, after: float, seconds: float) -> tuple[asyncio.Server, str]:
    """A server that freezes for some seconds, so long after its first request."""
    kind = type("OneStall", (Stalling,), {"begins": None, "after": after, "seconds": seconds})
    server = await asyncio.get_running_loop().create_server(kind, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def plan_file(folder: Path, url: str, scenarios: list[dict[str, Any]], **spec: Any) -> Path:
    """A plan on disk, from the scenarios of a manifest; each gets one request step unless it has steps."""
    steps = [{"request": {"name": "home", "url": "/"}, "check": {"status": 200}}]
    test = validate_loadtest(
        {
            "apiVersion": "loadgate.dev/v1alpha1",
            "kind": "LoadTest",
            "metadata": {"name": "shop"},
            "spec": {
                "target": {"url": url},
                "scenarios": [
                    {"name": f"s{i}", **({} if "script" in s else {"steps": steps}), **s}
                    for i, s in enumerate(scenarios)
                ],
                **spec,
            },
        }
    )
    path = folder / "plan.json"
    path.write_bytes(compile_plan(test, run=RUN).encode())
    return path


@dataclass
class RunnerProcess:
    """One `loadgate-runner`, and a client of its control port."""

    process: asyncio.subprocess.Process
    url: str
    lines: list[str]
    reading: asyncio.Task[None]
    http: httpx.AsyncClient
    out: list[str] = field(default_factory=list)

    @classmethod
    async def start(
        cls,
        plan: Path,
        *arguments: str,
        wrapper: tuple[str, ...] = (),
        stdout: int = asyncio.subprocess.PIPE,
        **environ: str,
    ) -> RunnerProcess:
        """Start it, and wait until it says where it listens (or ends)."""
        base = ["-m", "loadgate_runner", "--plan", str(plan), "--files", str(plan.parent), "--port", "0"]
        if not wrapper and not any(argument.startswith("--die-with-parent") for argument in arguments):
            # However a test ends, nothing is left of it.
            base.append(f"--die-with-parent={os.getpid()}")
        process = await asyncio.create_subprocess_exec(
            *(wrapper or (sys.executable,)),
            *base,
            *arguments,
            env={**os.environ, "LOADGATE_RUN": RUN, "LOADGATE_TOKEN": TOKEN, "LOADGATE_POD_UID": "pod-1", **environ},
            stdout=stdout,
            stderr=asyncio.subprocess.PIPE,
            limit=1 << 24,
        )
        lines: list[str] = []
        listening = asyncio.get_running_loop().create_future()

        async def read() -> None:
            assert process.stderr
            async for raw in process.stderr:
                lines.append(raw.decode().rstrip())
                if "listens on" in lines[-1] and not listening.done():
                    listening.set_result("http://" + lines[-1].rsplit(" ", 1)[-1])
            if not listening.done():
                listening.set_result("")

        reading = asyncio.ensure_future(read())
        url = await listening
        headers = {"Authorization": f"Bearer {TOKEN}"}
        return cls(process, url, lines, reading, httpx.AsyncClient(base_url=url, headers=headers, trust_env=False))

    async def get(self, path: str) -> Any:
        answer = await self.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, **message: Any) -> Any:
        answer = await self.http.post(path, content=json.dumps({"run": RUN, **message}))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def until(self, *states: str, within: float = 20) -> Any:
        """Poll the state until it is one of these."""
        return await self._poll(lambda report: report["state"] in states, within)

    async def until_block(self, name: str, state: str = "done", within: float = 5) -> Any:
        """Poll until a block is that far."""
        return await self._poll(lambda report: report[name]["state"] == state, within)

    async def _poll(self, is_so: Callable[[Any], bool], within: float) -> Any:
        async with asyncio.timeout(within):
            while not is_so(report := await self.get("/state")):  # noqa: ASYNC110 - another process changes it
                await asyncio.sleep(0.02)
        return report

    async def wait(self, within: float = 20) -> tuple[int, str]:
        """The exit code and standard output."""
        assert self.process.stdout
        async with asyncio.timeout(within):
            out = await self.process.stdout.read()
            code = await self.process.wait()
            await self.reading
        return code, out.decode()

    async def close(self) -> None:
        await self.http.aclose()
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
        await self.reading
        self.process._transport.close()
