"""What scenarios must mean: load that is possible, and that is there at all."""

from loadgate.api.units import Duration

from .findings import Findings, Node
from .messages import check_tags

_MUST_LAST = ("duration", "maxDuration", "timeUnit")
_STARTS = {"ramping-vus": ("startVUs", 1), "ramping-arrival-rate": ("startRate", 0)}


def seconds(node: Node, default: str = "0s") -> float | None:
    """The duration in seconds, the default's where none is given; None where it doesn't parse."""
    try:
        return Duration(default if node.value is None else node.text or "").seconds
    except ValueError:
        return None


def planned(scenario: Node) -> float | None:
    """When the scenario's load ends, in seconds after the run's start, at the latest; None where that isn't known."""
    start = seconds(scenario["startTime"])
    if "stages" in scenario:
        lengths = [seconds(stage["duration"], "") for stage in scenario["stages"].each()]
    elif str(scenario["executor"].value).endswith("-iterations"):
        lengths = [seconds(scenario["maxDuration"], "10m")]
    else:
        lengths = [seconds(scenario["duration"], "")]
    parts = [start, *lengths]
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def check_scenarios(findings: Findings, scenarios: Node) -> None:
    """Find what is wrong with scenarios apart from their steps."""
    seen = dict[str, Node]()
    for scenario in scenarios.each():
        name = scenario["name"].text
        if name is not None and name in seen:
            findings.add(scenario["name"], f"another scenario is called {name!r} too", "names are unique in a test")
        seen.setdefault(name or "", scenario)
        if isinstance(scenario.value, dict):
            _check_scenario(findings, scenario)


def _check_scenario(findings: Findings, scenario: Node) -> None:
    findings.one_of(scenario, ("steps", "script"))
    check_tags(findings, scenario["tags"])
    for field in _MUST_LAST:
        if scenario[field].given and seconds(scenario[field]) == 0:
            findings.add(scenario[field], "must be more than 0s")
    ready, most = scenario["preAllocatedVUs"].number, scenario["maxVUs"].number
    if ready is not None and most is not None and ready > most:
        findings.add(scenario["maxVUs"], f"must be at least preAllocatedVUs, which is {ready}")
    if scenario["stages"].value and scenario["executor"].text in _STARTS:
        _check_stages(findings, scenario)


def _check_stages(findings: Findings, scenario: Node) -> None:
    stages = list(scenario["stages"].each())
    if all(seconds(stage["duration"], "") == 0 for stage in stages):
        findings.add(scenario["stages"], "take no time at all", "give at least one stage a duration")
    field, default = _STARTS[str(scenario["executor"].value)]
    start = scenario[field].number if scenario[field].given else default
    if start == 0 and all(stage["target"].number == 0 for stage in stages):
        findings.add(scenario["stages"], "make no load: every target is 0", "give at least one stage a target")


def check_times(findings: Findings, spec: Node) -> None:
    """Find a warm-up that leaves nothing to judge, and a deadline before the load's planned end."""
    ends = [planned(scenario) for scenario in spec["scenarios"].each()]
    known = [end for end in ends if end is not None]
    if not known or len(known) < len(ends):
        return
    end, warmup = max(known), seconds(spec["warmup"])
    if warmup and end and warmup >= end:
        findings.add(
            spec["warmup"], "lasts as long as the load, so nothing would be judged", f"the load takes {end:g}s"
        )
    if spec["deadline"].given and (deadline := seconds(spec["deadline"])) is not None and _cut(spec, deadline):
        findings.add(spec["deadline"], f"is over before the load is, which takes {end:g}s", "raise it, or leave it out")


def _cut(spec: Node, deadline: float) -> bool:
    """Whether the deadline ends a scenario whose length is fixed; iterations may be done long before their maximum."""
    fixed = [s for s in spec["scenarios"].each() if not str(s["executor"].value).endswith("-iterations")]
    return deadline == 0 or any((planned(scenario) or 0) > deadline for scenario in fixed)
