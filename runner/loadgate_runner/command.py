"""What the `loadgate-runner` command does: reads what it is told, chooses who makes the load, serves."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NoReturn

import uvloop

from loadgate.plan import Plan, PlanError
from loadgate_runner import garbage, orphan
from loadgate_runner.limits import raise_descriptor_limit
from loadgate_runner.load import Load, Part, Surroundings, vus_of
from loadgate_runner.log import hand_out, log
from loadgate_runner.processes import Processes
from loadgate_runner.service import EXIT_UNUSABLE, serve
from loadgate_runner.settings import Settings, SettingsError, read
from loadgate_runner.telemetry.cgroup import Cgroup
from loadgate_runner.unchanged import is_same

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadgate_runner.maker import Maker


def run(arguments: Sequence[str]) -> NoReturn:
    """Run the command, and end the process with its exit code."""
    cgroup = Cgroup.find()
    try:
        settings = read(arguments, os.environ, cgroup)
        plan = read_plan(settings)
    except (SettingsError, PlanError) as error:
        _unusable(str(error))
    except OSError as error:
        _unusable(f"cannot read the plan {error.filename}: {error.strerror}")
    raise_descriptor_limit()
    garbage.calm()
    uvloop.run(_serve(settings, plan, cgroup))


def read_plan(settings: Settings) -> Plan:
    """The plan, which must be of our run. Raises OSError, PlanError or SettingsError."""
    data, own = settings.plan.read_bytes(), settings.identity
    if not is_same(data, settings.plan_digest):
        raise SettingsError(
            f"the plan isn't the one that run {own.run} was made with: its ConfigMap was changed; run the test again"
        )
    plan = Plan.decode(data)
    if plan.run != own.run:
        raise SettingsError(f"the plan is of run {plan.run!r}, and LOADGATE_RUN is {own.run!r}")
    if own.index >= plan.runners:
        raise SettingsError(f"the plan has {plan.runners} runners, and LOADGATE_INDEX is {own.index}")
    return plan


async def _serve(settings: Settings, plan: Plan, cgroup: Cgroup) -> NoReturn:
    orphan.leave(await serve(settings, plan, _maker(settings, plan, cgroup), log, hand_out))


def _maker(settings: Settings, plan: Plan, cgroup: Cgroup) -> Maker:
    count = settings.process_count(plan.processes, vus_of(plan, settings.identity.index))
    if count > 1:
        return Processes(plan, settings, count, cgroup)
    surroundings = Surroundings(
        files=settings.files,
        environ=os.environ,
        cgroup=cgroup,
        cores=settings.cores,
        memory_limit=settings.memory_limit,
        log=log,
    )
    return Load(plan, Part(identity=settings.identity), surroundings)


def _unusable(message: str) -> NoReturn:
    log(message)
    orphan.leave(EXIT_UNUSABLE)
