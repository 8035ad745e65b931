"""From a validated LoadTest to its plan: everything resolved that need not be decided again by each runner."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadgate.api.scenarios import (
    ConstantArrivalRate,
    ConstantVUs,
    PerVUIterations,
    RampingArrivalRate,
    RampingVUs,
    SharedIterations,
)
from loadgate.plan.document import (
    Plan,
    PlanConnection,
    PlanData,
    PlanDns,
    PlanProxy,
    PlanScenario,
    PlanTarget,
    PlanTimeouts,
)
from loadgate.plan.schedule import (
    ArrivalSchedule,
    IterationSchedule,
    Schedule,
    Segment,
    VUSchedule,
    most_vus,
)
from loadgate.plan.steps import walk

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from loadgate.api.data import DataSource
    from loadgate.api.loadtest import LoadTest
    from loadgate.api.references import ConfigMapSource, FileSource, KeyRef
    from loadgate.api.scenarios import Scenario, Stage
    from loadgate.api.steps import Step
    from loadgate.api.target import Connection, Proxy, Target, Timeouts

CA_ENV = "LOADGATE_TLS_CA"
CERT_ENV = "LOADGATE_TLS_CERT"
KEY_ENV = "LOADGATE_TLS_KEY"
PROXY_USERNAME_ENV = "LOADGATE_PROXY_USERNAME"
PROXY_PASSWORD_ENV = "LOADGATE_PROXY_PASSWORD"  # noqa: S105 - a variable's name
PROXY_CA_ENV = "LOADGATE_PROXY_CA"


def secret_env(name: str) -> str:
    """The environment variable in which a runner finds the secret of that name.

    Names are kept apart by spelling out what an environment variable's name can't hold.
    """
    return "LOADGATE_SECRET_" + "".join(c if c.isalnum() else f"_{ord(c):x}_" for c in name)


def secret_sources(test: LoadTest) -> dict[str, KeyRef]:
    """By environment variable, the key of a Secret that a runner of this test is given."""
    tls = test.spec.target.tls
    sources = {secret_env(name): source.secret_key_ref for name, source in test.spec.secrets.items()}
    if tls.ca and tls.ca.secret_key_ref:
        sources[CA_ENV] = tls.ca.secret_key_ref
    if tls.cert and tls.key:
        sources[CERT_ENV] = tls.cert.secret_key_ref
        sources[KEY_ENV] = tls.key.secret_key_ref
    return sources | _proxy_sources(test.spec.target.proxy)


def _proxy_sources(proxy: Proxy | None) -> dict[str, KeyRef]:
    sources: dict[str, KeyRef] = {}
    if proxy and proxy.auth:
        sources[PROXY_USERNAME_ENV] = proxy.auth.username.secret_key_ref
        sources[PROXY_PASSWORD_ENV] = proxy.auth.password.secret_key_ref
    if proxy and proxy.ca and proxy.ca.secret_key_ref:
        sources[PROXY_CA_ENV] = proxy.ca.secret_key_ref
    return sources


def path_of(ref: KeyRef) -> str:
    """Where a ConfigMap's key stands in a runner's files folder."""
    return f"{ref.name}/{ref.key}"


def compile_plan(
    test: LoadTest, *, run: str, allowed_targets: Sequence[str] = (), digests: Mapping[str, str] | None = None
) -> Plan:
    """The plan of a run of a validated test; `allowed_targets` are the rules on where its load may go.

    `digests` are those of the ConfigMap keys that runners must find as they are now.
    """
    spec = test.spec
    scenarios = list(_scenarios(spec.scenarios, spec.runners.count))
    return Plan(
        run=run,
        test=test.metadata.name,
        namespace=test.metadata.namespace,
        runners=spec.runners.count,
        processes=spec.runners.processes,
        target=_target(spec.target),
        warmup=spec.warmup.seconds,
        duration=max(scenario.end for scenario in scenarios),
        tail=max(scenario.graceful_stop for scenario in scenarios),
        scenarios=scenarios,
        setup=spec.setup.steps if spec.setup else [],
        teardown=spec.teardown.steps if spec.teardown else [],
        data={name: _data(source) for name, source in spec.data.items()},
        secrets={name: secret_env(name) for name in spec.secrets},
        files=sorted({path_of(ref) for ref in config_map_refs(test)}),
        digests=dict(digests or {}),
        allowed_targets=list(allowed_targets),
    )


def config_map_refs(test: LoadTest) -> Iterator[KeyRef]:
    """Every key of a ConfigMap that a test takes something from."""
    spec = test.spec
    for ca in (spec.target.tls.ca, spec.target.proxy.ca if spec.target.proxy else None):
        if ca and ca.config_map_key_ref:
            yield ca.config_map_key_ref
    for source in spec.data.values():
        yield from (ref.config_map_key_ref for ref in (source.csv, source.json_) if ref)
    for block in (spec.setup, spec.teardown):
        yield from _step_refs(block.steps if block else [])
    for scenario in spec.scenarios:
        if scenario.script:
            yield scenario.script.config_map_key_ref
        yield from _step_refs(scenario.steps or [])


def _step_refs(steps: Iterable[Step]) -> Iterator[KeyRef]:
    for _, step in walk(steps):
        files: list[ConfigMapSource | FileSource | None] = [
            step.graphql.file if step.graphql else None,
            step.grpc.protoset if step.grpc else None,
        ]
        if step.grpc and step.grpc.protos:
            files += step.grpc.protos.values()
        if step.request:
            files += [step.request.file, *(part.file for part in step.request.multipart or [])]
        yield from (file.config_map_key_ref for file in files if file and file.config_map_key_ref)


def _scenarios(scenarios: list[Scenario], runners: int) -> Iterator[PlanScenario]:
    dealt = 0
    for scenario in scenarios:
        schedule = schedule_of(scenario)
        yield PlanScenario(
            name=scenario.name,
            executor=scenario.executor,
            start=scenario.start_time.seconds,
            graceful_stop=scenario.graceful_stop.seconds,
            schedule=schedule,
            offset=dealt % runners,
            tags=dict(scenario.tags),
            steps=scenario.steps,
            script=_path(scenario.script),
        )
        dealt += most_vus(schedule)


def schedule_of(scenario: Scenario) -> Schedule:
    """The schedule that an executor's parameters stand for."""
    match scenario:
        case SharedIterations() | PerVUIterations():
            return IterationSchedule(
                vus=scenario.vus,
                iterations=scenario.iterations,
                per_vu=isinstance(scenario, PerVUIterations),
                max_duration=scenario.max_duration.seconds,
            )
        case ConstantVUs():
            flat = Segment(duration=scenario.duration.seconds, target=scenario.vus)
            return VUSchedule(start=scenario.vus, segments=[flat])
        case RampingVUs():
            return VUSchedule(
                start=scenario.start_vus,
                segments=_segments(scenario.stages),
                graceful_ramp_down=scenario.graceful_ramp_down.seconds,
            )
        case ConstantArrivalRate():
            flat = Segment(duration=scenario.duration.seconds, target=scenario.rate)
            return _arrivals(scenario, scenario.rate, [flat])
        case RampingArrivalRate():
            return _arrivals(scenario, scenario.start_rate, _segments(scenario.stages))


def _arrivals(
    scenario: ConstantArrivalRate | RampingArrivalRate, start: int, segments: list[Segment]
) -> ArrivalSchedule:
    return ArrivalSchedule(
        start=start,
        time_unit=scenario.time_unit.seconds,
        segments=segments,
        pre_allocated_vus=scenario.pre_allocated_vus,
        max_vus=scenario.max_vus or scenario.pre_allocated_vus,
    )


def _segments(stages: list[Stage]) -> list[Segment]:
    return [Segment(duration=stage.duration.seconds, target=stage.target) for stage in stages]


def _target(target: Target) -> PlanTarget:
    tls = target.tls
    client_certificate = tls.cert is not None and tls.key is not None
    return PlanTarget(
        url=target.url,
        protocol=target.protocol,
        host=target.host,
        headers=dict(target.headers),
        timeouts=timeouts_of(target.timeout),
        max_redirects=target.max_redirects,
        connection=_connection(target.connection),
        dns=PlanDns(ttl=target.dns.ttl.seconds, select=target.dns.select, policy=target.dns.policy),
        proxy=_proxy(target.proxy) if target.proxy else None,
        verify=tls.verify,
        server_name=tls.server_name,
        ca_file=path_of(tls.ca.config_map_key_ref) if tls.ca and tls.ca.config_map_key_ref else None,
        ca_env=CA_ENV if tls.ca and tls.ca.secret_key_ref else None,
        cert_env=CERT_ENV if client_certificate else None,
        key_env=KEY_ENV if client_certificate else None,
        auth=target.auth,
        tracing=target.tracing.sample.value if target.tracing else None,
    )


def _proxy(proxy: Proxy) -> PlanProxy:
    return PlanProxy(
        url=proxy.url,
        no_proxy=list(proxy.no_proxy),
        username_env=PROXY_USERNAME_ENV if proxy.auth else None,
        password_env=PROXY_PASSWORD_ENV if proxy.auth else None,
        ca_file=path_of(proxy.ca.config_map_key_ref) if proxy.ca and proxy.ca.config_map_key_ref else None,
        ca_env=PROXY_CA_ENV if proxy.ca and proxy.ca.secret_key_ref else None,
    )


def _connection(connection: Connection) -> PlanConnection:
    return PlanConnection(
        reuse=connection.reuse,
        max_requests=connection.max_requests,
        max_age=connection.max_age.seconds if connection.max_age else None,
        idle_timeout=connection.idle_timeout.seconds if connection.idle_timeout else None,
        unix_socket=connection.unix_socket,
        source_addresses=list(connection.source_addresses or ()),
        share=connection.share,
        max_connections=connection.max_connections,
        upload_rate=connection.upload_rate.per_second if connection.upload_rate else None,
        download_rate=connection.download_rate.per_second if connection.download_rate else None,
    )


def timeouts_of(timeouts: Timeouts) -> PlanTimeouts:
    """A request's limits in seconds."""
    return PlanTimeouts(
        connect=timeouts.connect.seconds if timeouts.connect else None,
        tls=timeouts.tls.seconds if timeouts.tls else None,
        first_byte=timeouts.first_byte.seconds if timeouts.first_byte else None,
        total=timeouts.total.seconds,
    )


def _data(source: DataSource) -> PlanData:
    if source.inline is not None:
        return PlanData(order=source.order, rows=[dict(row) for row in source.inline])
    return PlanData(
        order=source.order, file=_path(source.csv) or _path(source.json_), format="csv" if source.csv else "json"
    )


def _path(source: ConfigMapSource | None) -> str | None:
    return path_of(source.config_map_key_ref) if source else None
