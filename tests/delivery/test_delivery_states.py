"""Those who wait on us read every state rightly, from statuses that a real cluster had."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import lupa
import orjson
import pytest
from delivery_states import STATES, conditions, fixture, made

from loadgate_cli.standings import ending

ROOT = Path(__file__).parents[2]
HEALTH = ROOT / "examples/pipelines/argocd/health.lua"
KUBEBOX = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "kubebox"


def health(obj: dict[str, Any]) -> dict[str, str]:
    """What the script says, run as Argo CD does: the object is the global `obj`, and it returns a table."""
    lua = lupa.LuaRuntime(unpack_returned_tuples=True)
    lua.globals().obj = lua.table_from(obj, recursive=True)
    return dict(lua.execute(HEALTH.read_text()))


@pytest.mark.parametrize("state", STATES)
def test_fixture_is_what_the_reconciler_writes(state: str):
    """A stored status has the phase and the conditions that the reconciler gives that state today."""
    stored, now = fixture(state), made(state)
    assert conditions(stored) == conditions(now)
    assert stored["status"].get("phase") == now["status"].get("phase")
    for obj in (stored, now):
        seen, generation = obj["status"]["observedGeneration"], obj["metadata"]["generation"]
        assert (seen, seen < generation) == {"unseen": (-1, True), "edited": (1, True)}.get(state, (generation, False))


@pytest.mark.parametrize("state", STATES)
def test_argo_cd_reads_the_health(state: str):
    """health.lua never calls a test healthy that hasn't passed, and always says why."""
    said = health(fixture(state))
    assert said["status"] == STATES[state].health
    assert said["message"]


def test_argo_cd_waits_for_an_object_without_status():
    """A hook that was made this instant isn't done yet."""
    assert health({"metadata": {"generation": 1}, "spec": {}})["status"] == "Progressing"


@pytest.mark.processes
@pytest.mark.skipif(
    not KUBEBOX.is_dir(), reason="kstatus's library isn't built: `make cluster` builds it, and needs Go"
)
@pytest.mark.parametrize("state", STATES)
def test_flux_reads_the_status(state: str):
    """Flux's own library judges each state as the table says."""
    done = subprocess.run(
        [ROOT / "tests/cluster/cluster", "kstatus"], input=orjson.dumps(fixture(state)), capture_output=True, check=True
    )
    assert done.stdout.decode().split()[0].rstrip(":") == STATES[state].kstatus


@pytest.mark.parametrize("state", STATES)
def test_wait_knows_an_ending(state: str):
    """`loadgate wait` ends by the verdict, and only with one that is of the spec as it is now."""
    assert ending(fixture(state)) == STATES[state].code
