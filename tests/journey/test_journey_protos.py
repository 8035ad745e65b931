"""Steps and journeys whose messages .proto files describe, compiled by protoc; the server has no reflection."""

import asyncio
import sys

import psutil
import pytest
import uvloop
from journey_samples import MemoryRecorder, MemoryTally, plan_of
from rpc_process import Process

from loadgate.plan.document import PlanTarget, PlanTimeouts
from loadgate.plan.targets import Targets
from loadgate_runner.http import Client, Gate, Network
from loadgate_runner.journey import Context, JourneyError, Outcome, compile_scenario
from loadgate_runner.rpc import DescriptorsError, compiled_protos

pytestmark = pytest.mark.processes

COMMON = """syntax = "proto3";
package test.v1;
enum Mood { CALM = 0; CROSS = 1; }
message Inner { string deep_name = 1; }
"""
ECHO = """// An echo.
syntax = "proto3";
package test.v1;
import "test/common.proto";
import "google/protobuf/timestamp.proto";
service Echo { rpc Say(Said) returns (Said); }
message Said {
  string text = 1;
  int64 number = 2;
  Inner inner = 4;
  Mood mood = 5;
  google.protobuf.Timestamp at = 6;
}
"""
FILES = {"test/common.proto": COMMON, "test/echo.proto": ECHO}
MESSAGE = {"text": "hi", "number": "5", "inner": {"deepName": "x"}, "mood": "CROSS", "at": "2026-01-01T00:00:00Z"}


@pytest.fixture(scope="module")
def server():
    """A server that says nothing of its messages."""
    process = Process(reflection="none")
    yield process
    process.end()


class World:
    """A process of a runner whose ConfigMap `cm` has files."""

    def __init__(self, folder, url):
        self.folder, self.url, self.log, self.vus = folder, url, [], []
        (folder / "cm").mkdir()
        self.network = Network(gate=Gate(Targets([]), lambda: None))
        self.recorder = MemoryRecorder()
        self.context = Context(
            run="r", runner_index=0, files=folder, environ={}, recorder=self.recorder, clock=self.network.clock,
            sleep=None, client=lambda: Client(self.network), log=self.log.append,
        )  # fmt: skip

    def keep(self, files=FILES):
        """Put files into the ConfigMap, and give what a step calls them."""
        keys = {path: path.replace("/", "-") for path in files}
        for path, text in files.items():
            (self.folder / "cm" / keys[path]).write_text(text)
        return {path: {"configMapKeyRef": {"name": "cm", "key": key}} for path, key in keys.items()}

    async def vu(self, *steps, script=None):
        """A virtual user that is ready."""
        where = PlanTarget(url=self.url, timeouts=PlanTimeouts(total=10))
        plan = plan_of(*steps, script=script, target=where) if script else plan_of(*steps, target=where)
        journey = compile_scenario(plan.scenarios[0], plan, self.context)
        await journey.ready()
        self.vus.append(journey.new_vu(len(self.vus) + 1, MemoryTally()))
        return self.vus[-1]

    async def do(self, body, outcome=Outcome.COMPLETED):
        """One iteration of a Python journey; gives its variables."""
        code = "from pathlib import Path\nHERE = Path(__file__).parent\nasync def journey(user):\n"
        (self.folder / "cm" / "j.py").write_text(code + "".join(f"    {line}\n" for line in body.splitlines()))
        vu = await self.vu(script="cm/j.py")
        assert await vu.iterate(0) is outcome, self.log
        return vu.state.vars


@pytest.fixture
async def world(tmp_path, server):
    """A runner's process beside the server."""
    made = World(tmp_path, server.url)
    yield made
    for vu in made.vus:
        await vu.close()
    made.network.close()


def say(protos, message=None, **check):
    """A unary call."""
    call = {"name": "say", "method": "test.v1.Echo/Say", "message": message or {}, "protos": protos}
    return {"grpc": call, "check": {"status": "OK", **check}}


def on_disk(folder, files):
    """Files by the paths that they are imported by, each under a name of its own."""
    places = {path: folder / f"{number}.txt" for number, path in enumerate(files)}
    for path, place in places.items():
        place.write_text(files[path])
    return places


async def test_a_step_calls_by_proto_files(world):
    """Files that import each other, and a file that comes with protoc, describe the messages either way."""
    wanted = {"$.text": "hi", "$.number": "5", "$.inner.deepName": "x", "$.mood": "CROSS", "$.at": MESSAGE["at"]}
    vu = await world.vu(say(world.keep(), MESSAGE, json=wanted))
    assert await vu.iterate(0) is Outcome.COMPLETED, world.log
    assert len(world.recorder.checks()) == 6
    assert all(all(results) for results in world.recorder.checks().values()), world.recorder.checks()


async def test_files_are_compiled_once_for_all(world):
    """A second step, and a second scenario, take what the first made, and find it when the files are gone."""
    protos = world.keep()
    await world.vu(say(protos))
    before = dict(world.context.kept)
    await world.vu(say(dict(reversed(protos.items()))), say(protos))
    assert world.context.kept == before


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (
            {**FILES, "test/echo.proto": ECHO.replace("string text = 1;", "string text = 1")},
            ['protos: test/echo.proto:9:3: Expected ";"'],
        ),
        (
            {"test/echo.proto": ECHO},
            [
                "protos: test/common.proto isn't among them, which others import: add it; ",
                'test/echo.proto:4:1: Import "test/common.proto" was not found',
            ],
        ),
        ({"test/echo.proto": ECHO, "common.proto": COMMON}, ["test/common.proto isn't among them"]),
        (
            {"a.proto": 'syntax = "proto3"; import "b.proto";', "b.proto": 'syntax = "proto3"; import "a.proto";'},
            ["a.proto:1:20: File recursively imports itself: a.proto -> b.proto -> a.proto"],
        ),
        ({"a.proto": "\x00\x01"}, ["a.proto:1:1: Invalid control characters"]),
        ({"google/protobuf/timestamp.proto": "message M {"}, ["google/protobuf/timestamp.proto:1:12: Reached end"]),
        ({"a.proto": "message M {" * 3000}, ["a.proto:1:", "Reached maximum recursion limit"]),
        ({"test/common.proto": COMMON}, ["no service 'test.v1.Echo'"]),
        (
            {**FILES, "test/echo.proto": ECHO.replace("rpc Say", "rpc Sag")},
            ["test.v1.Echo has no method 'Say': did you mean 'Sag'?"],
        ),
        ({"a.proto": "//" + "x" * (2 << 20), "b.proto": "//" + "x" * (2 << 20)}, ["larger than 4194304 bytes in all"]),
    ],
)  # fmt: skip
async def test_what_protoc_says_is_told_before_the_load(world, files, words):
    """A file's fault has its path, line and column, a missing import what to add; short, and no folder of ours in it."""
    with pytest.raises(JourneyError) as caught:
        await world.vu(say(world.keep(files)))
    said = str(caught.value)
    assert said.startswith("gRPC call 'say': ")
    assert all(part in said for part in words), said
    assert len(said) < 1_100
    assert str(world.folder) not in said
    assert "site-packages" not in said


async def test_a_file_that_is_not_there_is_named(world):
    """It is told as of any other file."""
    protos = world.keep()
    (world.folder / "cm" / "test-common.proto").unlink()
    with pytest.raises(JourneyError, match=r"test-common\.proto can't be read: No such file"):
        await world.vu(say(protos))


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        ([], "from 1 to 64 files, not 0"),
        ([f"{number}.proto" for number in range(65)], "from 1 to 64 files, not 65"),
        (["../a.proto"], "'../a.proto' must be a path as files import it"),
        (["--version.proto"], "must be a path as files import it"),
        (["a.binpb"], "must be a path as files import it"),
    ],
)
async def test_only_paths_that_imports_have_get_to_protoc(tmp_path, paths, words):
    """Nothing that protoc could take for an option, or for a way out of a folder, whoever gives it."""
    with pytest.raises(DescriptorsError, match=words):
        await compiled_protos(dict.fromkeys(paths, tmp_path / "a"))


async def test_a_folder_that_protoc_would_misread_is_told(tmp_path):
    """It takes a colon for the end of a folder's name."""
    with pytest.raises(DescriptorsError, match="no file that has ':' in its folder's name"):
        await compiled_protos({"a.proto": tmp_path / "a:b"})


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("while True: pass", "protoc took longer than 0.1 s"),
        ("import os; os.abort()", "protoc was ended [(]Aborted[)]: it has 512 MiB of memory and 20 s of CPU"),
        ("import sys; sys.stdout.write('x' * (17 << 20))", "more than 16777216 bytes of descriptors"),
        ("import sys; sys.exit(1)", "protoc fails, and doesn't say why"),
        ("raise MemoryError", "protos: MemoryError$"),
        ("import sys; sys.stderr.write('a.proto:1:1: no\\n' * 99999); sys.exit(1)", "protos: a.proto:1:1: no"),
        ("pass", "without any file in it"),
    ],
)
async def test_a_compiler_that_goes_astray_is_a_fault_and_no_more(tmp_path, code, words):
    """Whether it hangs, crashes, says too much or nothing, it is ended, and what was wrong is told."""
    places = on_disk(tmp_path, FILES)
    with pytest.raises(DescriptorsError, match=words):
        await compiled_protos(places, command=(sys.executable, "-c", code), seconds=0.1 if "while" in code else 30)


async def test_a_compiler_has_no_secrets_and_ends_with_its_runner(tmp_path, monkeypatch):
    """What a runner finds in its environment isn't handed on, and whoever isn't its parent gets nothing of it."""
    monkeypatch.setenv("LOADGATE_SECRET_x", "hidden")
    code = "import os, sys; sys.exit(' '.join(name for name in os.environ if name.startswith('LOADGATE')) or 'none')"
    with pytest.raises(DescriptorsError, match="protos: none"):
        await compiled_protos(on_disk(tmp_path, FILES), command=(sys.executable, "-c", code))
    stranger = "import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-m', 'loadgate_runner.protoc', *sys.argv[1:]]).returncode)"
    with pytest.raises(DescriptorsError, match="doesn't say why"):
        await compiled_protos(on_disk(tmp_path, FILES), command=(sys.executable, "-c", stranger))


async def test_a_compiler_ends_with_what_waits_for_it(tmp_path):
    """Where a run is stopped meanwhile, no process is left."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await compiled_protos(on_disk(tmp_path, FILES), command=(sys.executable, "-c", "while True: pass"))
    commands = [child.cmdline() for child in psutil.Process().children()]
    assert not [command for command in commands if "while True: pass" in command]


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
def test_either_event_loop_reads_what_protoc_writes(tmp_path, run):
    """uvloop, which runners have, gives children sockets for pipes; protoc can write to what we give it all the same."""
    assert run(compiled_protos(on_disk(tmp_path, FILES))).services == ["test.v1.Echo"]


async def test_a_compiler_that_is_not_there_is_told(tmp_path):
    """So it is where a process can't be started for another reason."""
    with pytest.raises(DescriptorsError, match="protoc can't be started: No such file"):
        await compiled_protos(on_disk(tmp_path, FILES), command=(str(tmp_path / "gone"),))


async def test_an_unused_import_is_no_fault(tmp_path):
    """What protoc only warns of is passed over."""
    files = {**FILES, "a.proto": 'syntax = "proto3"; import "test/common.proto"; message Here { int32 x = 1; }'}
    assert (await compiled_protos(on_disk(tmp_path, files))).services == ["test.v1.Echo"]


async def test_a_journey_calls_by_proto_files(world):
    """`protos` takes files beside the script, compiled once for all virtual users, and calls as a step does."""
    protos = "{" + ", ".join(f"{path!r}: HERE / {path.replace('/', '-')!r}" for path in FILES) + "}"
    world.keep()
    body = f"""reply = await user.grpc("test.v1.Echo/Say", {MESSAGE!r}, protos={protos})
user.vars["r"] = (reply.status, reply.message)"""
    assert (await world.do(body))["r"] == ("OK", MESSAGE)
    before = dict(world.context.kept)
    assert (await world.do(body))["r"] == ("OK", MESSAGE)
    assert world.context.kept == before


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("protos={'test/echo.proto': HERE / 'test-echo.proto'}", "test/common.proto isn't among them"),
        ("protos={'../echo.proto': HERE / 'test-echo.proto'}", "must be a path as files import it"),
        ("protos={'a.proto': HERE / 'gone'}", "gone can't be read"),
        ("protos={}", "from 1 to 64 files"),
        ("protos={'a.proto': HERE / 'a'}, protoset=HERE / 'a'", "it has protoset and protos: keep one"),
    ],
)
async def test_a_journeys_mistake_with_its_files_is_an_iteration_that_failed(world, more, words):
    """It is told by its words, and again in the next iteration."""
    world.keep()
    for _ in range(2):
        await world.do(f'await user.grpc("test.v1.Echo/Say", {more})', outcome=Outcome.FAILED)
        assert words in world.log.pop()
