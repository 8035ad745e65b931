"""A runner's own state: control groups, CPU of what is allowed, lag, slip, and how processes' figures combine."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from loadgate.metrics import Health
from loadgate_runner.telemetry.cgroup import Cgroup
from loadgate_runner.telemetry.health import Allowance, HealthMonitor, combine
from loadgate_runner.telemetry.lag import LagSampler
from loadgate_runner.telemetry.recorder import Recorder

SECOND = 1_000_000_000


def _write(root, files):
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


@pytest.mark.parametrize(
    ("membership", "files", "cores", "memory", "throttling"),
    [
        ("", {}, None, 0, (0, 0)),
        ("0::/\n", {"cpu.max": "max 100000\n", "memory.max": "max\n"}, None, 0, (0, 0)),
        (
            "0::/\n",
            {
                "cpu.max": "50000 100000\n",
                "memory.max": "268435456\n",
                "cpu.stat": "usage_usec 1\nnr_periods 20\nnr_throttled 5\n",
            },
            0.5,
            268435456,
            (20, 5),
        ),
        (
            "0::/kube/pod\n",
            {"kube/cpu.max": "200000 100000\n", "kube/pod/cpu.max": "max 100000\n", "kube/memory.max": "1000\n"},
            2.0,
            1000,
            (0, 0),
        ),
        ("0::/not/here\n", {"cpu.max": "150000 100000\n"}, 1.5, 0, (0, 0)),
        (
            "4:memory:/\n3:cpu,cpuacct:/\n0::/\n",
            {
                "cpu,cpuacct/cpu.cfs_quota_us": "100000",
                "cpu,cpuacct/cpu.cfs_period_us": "50000",
                "cpu,cpuacct/cpu.stat": "nr_periods 7\nnr_throttled 2\nthrottled_time 9\n",
                "memory/memory.limit_in_bytes": "4096",
            },
            2.0,
            4096,
            (7, 2),
        ),
        ("3:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1"}, None, 0, (0, 0)),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712"}, None, 0, (0, 0)),
    ],
)
def test_limits_are_read_from_either_version_of_control_groups(tmp_path, membership, files, cores, memory, throttling):
    """Quota, memory limit and throttling come from our own group or the nearest one above that has them."""
    root = tmp_path / "cgroup"
    root.mkdir()
    _write(root, files)
    (tmp_path / "self").write_text(membership)
    found = Cgroup.find(root, tmp_path / "self")
    assert found.cores() == cores
    assert found.memory_limit() == memory
    assert found.throttling() == throttling


@pytest.mark.parametrize(
    ("membership", "files", "memory", "kills"),
    [
        ("", {}, 0, 0),
        ("0::/\n", {"memory.max": "max\n", "memory.current": "900\n"}, 0, 0),
        (
            "0::/pod/box\n",
            {
                "pod/memory.max": "1000\n",
                "pod/memory.current": "900\n",
                "pod/memory.stat": "anon 500\ninactive_file 150\n",
                "pod/box/memory.max": "5000\n",
                "pod/box/memory.current": "400\n",
                "pod/box/memory.events": "oom 4\noom_kill 3\n",
            },
            750,
            3,
        ),
        (
            "4:memory:/box\n",
            {
                "memory/box/memory.limit_in_bytes": "1000",
                "memory/box/memory.usage_in_bytes": "900",
                "memory/box/memory.stat": "inactive_file 10\ntotal_inactive_file 50\n",
                "memory/box/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
            },
            850,
            2,
        ),
    ],
)
def test_memory_that_counts_is_that_of_the_group_with_the_limit(tmp_path, membership, files, memory, kills):
    """What is charged there less the cached files that are given up first; and how often someone was ended for it."""
    root = tmp_path / "cgroup"
    root.mkdir()
    _write(root, files)
    (tmp_path / "self").write_text(membership)
    found = Cgroup.find(root, tmp_path / "self")
    assert (found.charged(), found.oom_kills()) == (memory, kills)


def test_without_control_groups_there_is_no_limit(tmp_path):
    """A machine without /sys/fs/cgroup is no error."""
    found = Cgroup.find(tmp_path / "none", tmp_path / "none")
    assert (found.cores(), found.memory_limit(), found.throttling()) == (None, 0, (0, 0))


@dataclass
class FakeProbe:
    """Figures that a test sets."""

    cpu: float = 0.0
    rss_now: int = 1000
    descriptors: int = 10
    charged: int = 0
    periods: tuple[int, int] = (0, 0)

    def cpu_seconds(self) -> float:
        return self.cpu

    def rss(self) -> int:
        return self.rss_now

    def memory(self) -> int:
        return self.charged

    def fds(self) -> int:
        return self.descriptors

    def throttling(self) -> tuple[int, int]:
        return self.periods


def _monitor(warmup: float, cores: float = 0.5):
    now = [100 * SECOND]
    recorder = Recorder(lambda: now[0])
    recorder.begin(now[0], warmup)
    probe = FakeProbe()
    return now, recorder, probe, HealthMonitor(recorder, probe, Allowance(cores, 4000, 1024))


def test_cpu_is_of_what_is_allowed_and_of_the_judged_time():
    """Half a core allowed: 1 s of warm-up flat out doesn't count, then 0.25 s and 0.5 s of CPU in two seconds."""
    now, recorder, probe, monitor = _monitor(warmup=1.0)
    monitor.sample()
    for cpu, memory, periods in ((1.0, 9000, (10, 10)), (1.25, 1500, (20, 10)), (1.75, 1200, (30, 15))):
        now[0] += SECOND
        probe.cpu, probe.rss_now, probe.charged, probe.periods = cpu, memory, memory // 3, periods
        monitor.sample()
    recorder.end()
    probe.cpu, probe.rss_now = 99.0, 99
    now[0] += SECOND
    monitor.sample()
    health = monitor.health()
    assert health.cpu_ratio == pytest.approx(0.75)
    assert health.cpu_ratio_max == pytest.approx(1.0)
    assert health.throttled_ratio == pytest.approx(0.25)
    assert (health.rss, health.memory, health.memory_limit) == (9000, 3000, 4000)
    assert (health.fds, health.fd_limit) == (10, 1024)
    assert health.cores == 0.5


def test_slip_counts_judged_iterations_only():
    """An iteration of the warm-up that began late is not held against the runner."""
    now, recorder, _, monitor = _monitor(warmup=1.0)
    iterations = recorder.iteration_series(())
    iterations.late(now[0], now[0] + SECOND)
    iterations.late(now[0] + SECOND, now[0] + SECOND + 5_000_000)
    health = monitor.health()
    assert health.slip_max == pytest.approx(0.005)
    assert health.slip_p99 == pytest.approx(0.005, rel=0.01)


@pytest.mark.looptime(start=100)
async def test_a_held_loop_is_lag():
    """A loop that is held for 0.2 s shows at least 0.15 s of lag, and only while it is judged."""
    loop = asyncio.get_running_loop()
    held = [0.0]
    judging = [False]
    sampler = LagSampler(lambda: round((loop.time() + held[0]) * 1e9), lambda: judging[0])
    sampler.start()
    await asyncio.sleep(0.06)
    held[0] += 0.2
    await asyncio.sleep(0.1)
    assert sampler.lag.maximum == 0
    judging[0] = True
    await asyncio.sleep(0.06)
    held[0] += 0.2
    await asyncio.sleep(0.1)
    sampler.stop()
    assert 150_000 < sampler.lag.maximum < 210_000


@pytest.mark.looptime(start=100)
async def test_a_loop_that_stood_still_lags_for_as_long_as_it_did():
    """3 s of 20 in which nothing ran are 15 % of the looks, though only one look of 340 took place late."""
    loop = asyncio.get_running_loop()
    held = [0.0]
    sampler = LagSampler(lambda: round((loop.time() + held[0]) * 1e9), lambda: True)
    sampler.start()
    await asyncio.sleep(8.0)
    held[0] += 3.0
    await asyncio.sleep(9.0)
    sampler.stop()
    lag = sampler.lag.to_histogram()
    assert lag.count == pytest.approx(400, abs=3)
    assert lag.maximum == pytest.approx(3_000_000, rel=0.02)
    assert lag.quantile(0.84) == 0
    assert lag.quantile(0.925) == pytest.approx(1_500_000, rel=0.05)


def test_a_process_is_allowed_one_core_at_most():
    """4 cores for 2 processes are one each; half a core for 2 is a quarter each."""
    assert Allowance.of(4.0, 1000, 2).cores == 1.0
    assert Allowance.of(0.5, 1000, 2).cores == 0.25
    assert Allowance.of(0.5, 1000, 2).memory_limit == 500


def test_processes_combine_to_the_worst_ratios_and_the_sum_of_amounts():
    """The fullest table of descriptors speaks for the runner, since the limit is each process's own."""
    a = Health(
        cpu_ratio=0.9,
        lag_p99=0.1,
        rss=10,
        fds=50,
        fd_limit=100,
        cores=1.0,
        data_exhausted=1,
        denied=2,
        memory=30,
        no_port=1,
    )
    b = Health(
        cpu_ratio=0.2,
        slip_max=0.5,
        rss=20,
        fds=90,
        fd_limit=100,
        cores=1.0,
        labels_dropped=2,
        denied=3,
        first_denied="there",
        memory=31,
        no_port=2,
        no_descriptor=3,
        no_buffer=4,
        began_late=0.5,
    )
    both = combine([a, b])
    assert (both.cpu_ratio, both.lag_p99, both.slip_max) == (0.9, 0.1, 0.5)
    assert (both.rss, both.cores, both.labels_dropped, both.data_exhausted) == (30, 2.0, 2, 1)
    assert (both.memory, both.began_late) == (31, 0.5)
    assert (both.no_port, both.no_descriptor, both.no_buffer) == (3, 3, 4)
    assert (both.denied, both.first_denied) == (5, "there")
    assert (both.fds, both.fd_limit, both.processes) == (90, 100, 2)
    assert combine([]) == Health()
