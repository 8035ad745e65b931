"""The load of one process: its share of every scenario, compiled, armed and driven."""

from __future__ import annotations

import asyncio
import json
import time
import zlib
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from loadgate.api.grammar.source import parse_source
from loadgate.plan import Targets, most_vus
from loadgate.plan.share import Share
from loadgate_runner import garbage
from loadgate_runner.executors import Drive, executor_of
from loadgate_runner.executors.alarm import Alarm
from loadgate_runner.http import Client, Dns, Gate, Network, Shortage, Sources, locate
from loadgate_runner.http.oauth2 import TokenError
from loadgate_runner.journey import (
    BlockError,
    Context,
    JourneyError,
    check_block,
    compile_scenario,
    redacted,
    run_block,
)
from loadgate_runner.journey.credentials import signer_of, tokens_of
from loadgate_runner.kernel_timer import best_timer
from loadgate_runner.limits import descriptor_fault
from loadgate_runner.maker import ArmError, LoadError, Reading, View
from loadgate_runner.pauses import Pauses
from loadgate_runner.scenario import ScenarioStage
from loadgate_runner.telemetry.health import Allowance, HealthMonitor, OwnProcess
from loadgate_runner.telemetry.recorder import Recorder
from loadgate_runner.telemetry.timeline import SECOND
from loadgate_runner.unchanged import changed_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from loadgate.metrics import Health
    from loadgate.plan import Plan, PlanScenario, PlanTarget
    from loadgate_runner.http.tokens import Tokens
    from loadgate_runner.journey import Rows
    from loadgate_runner.journey.vu import Ready
    from loadgate_runner.settings import Identity
    from loadgate_runner.telemetry.cgroup import Cgroup

LATE = 1.0
"""Seconds. A runner that begins later than this in the schedule has not done its whole share."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Which part of a run this process makes."""

    identity: Identity
    process: int = 0
    processes: int = 1


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Where the process lives: files and environment of the pod, what it may use, where its log goes."""

    files: Path
    environ: Mapping[str, str]
    cgroup: Cgroup
    cores: float
    memory_limit: int
    log: Callable[[str], None]
    rows: Mapping[str, Rows] = field(default_factory=dict)
    """Of the plan's data, what another process has read for this one."""


class Load:
    """A Maker in this process. See maker.Maker."""

    def __init__(self, plan: Plan, part: Part, surroundings: Surroundings) -> None:
        self._plan = plan
        self._part = part
        self._surroundings = surroundings
        self._clock = time.perf_counter_ns
        self._recorder = Recorder(self._clock)
        allowance = Allowance.of(surroundings.cores, surroundings.memory_limit, part.processes)
        self._health = HealthMonitor(self._recorder, OwnProcess(surroundings.cgroup), allowance)
        self._gate = Gate(Targets(plan.allowed_targets), self._end_denied)
        self._shortage = Shortage(lambda: self._recorder.judging)
        self._sources = Sources([parse_source(one) for one in plan.target.connection.source_addresses])
        self._network = self._make_network(plan.target)
        self._pauses = Pauses(self._clock)
        self._context = self._make_context()
        self._stages: list[ScenarioStage] = []
        self._drives: list[Drive] = []
        self._alarm = Alarm(lambda: self._clock() / SECOND)
        self._stopped = False
        self._first_denied = ""
        self._began_late = 0.0
        self._tokens: Tokens | None = None

    async def arm(self) -> None:
        """Compile every scenario, see that descriptors suffice, and get the token that requests will carry."""
        if fault := self._sources.fault():
            raise ArmError(f"spec.target.connection.sourceAddresses: {fault}")
        await self._check_descriptors()
        self._check_files()
        try:
            self._tokens = self._context.tokens = tokens_of(self._plan, self._context, self._network)
            self._context.signer = signer_of(self._plan, self._context, time.time)
        except JourneyError as error:
            raise ArmError(f"target: {error}") from error
        ready = await self._compile()
        await self._get_token()
        await self._make_ready(ready)
        self._check_files()  # once more: what was read in between is what was looked at
        garbage.settle()

    async def _compile(self) -> dict[str, Ready]:
        """Compile all that is to be done; by where it stands, what has to be awaited before it."""
        faults: list[str] = []
        ready: dict[str, Ready] = {}
        first_vu = 0
        for scenario in self._plan.scenarios:
            where = f"scenario {scenario.name}"
            try:
                ready[where] = self._prepare(scenario, first_vu)
            except JourneyError as error:
                faults.append(f"{where}: {error}")
            first_vu += most_vus(scenario.schedule)
            await asyncio.sleep(0)
        for name, steps in (("setup", self._plan.setup), ("teardown", self._plan.teardown)):
            try:
                ready[name] = check_block(name, steps, self._plan, self._context)
            except JourneyError as error:
                faults.append(f"{name}: {error}")
        if faults:
            raise ArmError("; ".join(faults))
        return ready

    @staticmethod
    async def _make_ready(ready: Mapping[str, Ready]) -> None:
        faults: list[str] = []
        for where, make in ready.items():
            try:
                await make()
            except JourneyError as error:
                faults.append(f"{where}: {error}")
        if faults:
            raise ArmError("; ".join(faults))

    def _make_network(self, target: PlanTarget) -> Network:
        dns, path, part = target.dns, target.connection.unix_socket, self._part
        return Network(
            clock=self._clock,
            gate=self._gate,
            shortage=self._shortage,
            dns=Dns(dns.ttl, dns.select, dns.policy),
            sources=self._sources,
            sockets={locate(target.url)[0]: path} if path else None,
            most=connections_of(self._plan, part.identity.index, part.process, part.processes),
        )

    def _check_files(self) -> None:
        """Nothing is run, or sent, of a file that the run wasn't made with."""
        if faults := changed_files(self._plan, self._surroundings.files):
            raise ArmError("; ".join(faults))

    async def run_block(self, name: str, setup: Mapping[str, Any]) -> dict[str, Any]:
        """Do setup or teardown here."""
        self._context.setup.update(setup)
        steps = self._plan.setup if name == "setup" else self._plan.teardown
        try:
            return await run_block(name, steps, self._plan, self._context)
        except JourneyError as error:
            raise BlockError(str(error)) from error

    async def run(self, begin: int, offset: float, setup: Mapping[str, Any]) -> bool:
        """Drive all scenarios from their place in the schedule to their end."""
        self._context.setup.update(setup)
        origin = begin - round(offset * SECOND)
        for stage in self._stages:
            stage.begin(origin)
        watching = asyncio.ensure_future(self._health.watch())
        try:
            await self._alarm.wait(begin / SECOND)
            self._began_late = 0.0 if self._stopped else max(0, self._clock() - begin) / SECOND
            self._recorder.begin(origin, self._plan.warmup)
            if self._tokens is not None:
                self._tokens.begin()
            self._health.sample()
            await self._drive(offset)
        finally:
            self._health.sample()
            self._recorder.end()
            watching.cancel()
        return not self._stopped and offset < LATE and all(drive.whole for drive in self._drives)

    def stop(self, *, graceful: bool) -> None:
        """End every scenario."""
        self._stopped = True
        self._alarm.ring()
        for drive in self._drives:
            drive.stop(graceful=graceful)

    async def read(self, view: View) -> Reading:
        """What was measured so far."""
        measurement = await self._recorder.measure(slices=view.slices, warmup=view.warmup)
        return Reading(measurement, self._with_own(self._health.health()))

    async def close(self) -> None:
        """Close what VUs left open."""
        if self._tokens is not None:
            await self._tokens.close()
        self._pauses.close()
        self._network.close()

    def _with_own(self, health: Health) -> Health:
        """What isn't sampled but counted."""
        if self._tokens is not None and self._tokens.lapses:
            why = redacted(self._tokens.first_lapse, self._plan, self._context)
            health = replace(health, tokens_lapsed=self._tokens.lapses, first_lapse=why)
        return replace(
            health,
            began_late=self._began_late,
            no_port=self._shortage.ports,
            no_descriptor=self._shortage.descriptors,
            no_buffer=self._shortage.buffers,
            denied=self._gate.denied,
            first_denied=self._first_denied,
        )

    def _end_denied(self) -> None:
        """Load may not go where it is led: no verdict can come of it any more, so it ends."""
        self._first_denied = redacted(self._gate.first, self._plan, self._context)
        self._surroundings.log(f"{self._first_denied}; the load ends")
        asyncio.get_running_loop().call_soon(partial(self.stop, graceful=True))

    async def _drive(self, offset: float) -> None:
        starts = (scenario.start for scenario in self._plan.scenarios)
        runs = (self._see_through(drive, offset - start) for drive, start in zip(self._drives, starts, strict=True))
        ended = await asyncio.gather(*runs, return_exceptions=True)
        withstood = sum(drive.withstood for drive in self._drives)
        if withstood:
            self._surroundings.log(f"{withstood} iterations went on after they were cancelled, and were left behind")
        for error in ended:
            if isinstance(error, BaseException):
                raise LoadError(f"a VU broke down: {type(error).__name__}: {error}") from error

    async def _see_through(self, drive: Drive, since: float) -> None:
        over = False
        try:
            await drive.run(max(0.0, since))
            over = True
        finally:
            if not over:
                # What is left of the others is not what was asked for.
                self.stop(graceful=True)

    def _prepare(self, scenario: PlanScenario, first_vu: int) -> Ready:
        journey = compile_scenario(scenario, self._plan, self._context)
        identity, part = self._part.identity, self._part
        share = scenario.share(identity.index, self._plan.runners).divide(part.process, part.processes)
        executor = executor_of(scenario.schedule, share)
        stage = ScenarioStage(scenario, journey, self._recorder, first_vu=first_vu)
        self._stages.append(stage)
        timer = best_timer() if stage.open else None
        self._drives.append(Drive(executor, stage, graceful_stop=scenario.graceful_stop, timer=timer))
        return journey.ready

    async def _get_token(self) -> None:
        try:
            if self._tokens is not None:
                await self._tokens.start()
        except TokenError as error:
            why = redacted(str(error), self._plan, self._context)
            hint = "see to tokenUrl, clientId and the secrets of spec.target.auth.oauth2"
            raise ArmError(f"no token for the target: {why}; {hint}") from error

    async def _check_descriptors(self) -> None:
        where = (self._part.identity.index, self._part.process, self._part.processes)
        if fault := descriptor_fault(vus_of(self._plan, *where), connections_of(self._plan, *where)):
            raise ArmError(fault)

    def _make_context(self) -> Context:
        identity, part = self._part.identity, self._part
        # A run repeats another's random choices only where it has its name; no two processes make the same ones.
        seed = zlib.crc32(json.dumps([identity.run, identity.index, part.process]).encode())
        return Context(
            run=identity.run,
            runner_index=identity.index,
            files=self._surroundings.files,
            environ=self._surroundings.environ,
            recorder=self._recorder,
            clock=self._clock,
            sleep=self._pauses.sleep,
            client=lambda: Client(self._network),
            log=self._surroundings.log,
            seed=seed,
            share=Share.of(identity.index, self._plan.runners).divide(part.process, part.processes),
            shared=self._surroundings.rows,
        )


def vus_of(plan: Plan, index: int, process: int = 0, processes: int = 1) -> int:
    """The most VUs that a runner, or one of its processes, may have at once."""
    return sum(
        scenario.share(index, plan.runners).divide(process, processes).count(most_vus(scenario.schedule))
        for scenario in plan.scenarios
    )


def connections_of(plan: Plan, index: int, process: int = 0, processes: int = 1) -> int | None:
    """The most connections to one origin that a runner's process takes, one at least; None: each VU has its own."""
    most = plan.target.connection.max_connections
    if most is None:
        return None
    return max(1, Share.of(index, plan.runners).divide(process, processes).count(most))
