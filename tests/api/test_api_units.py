"""Durations, ratios and amounts: what they accept, what they mean, how they read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from loadgate.api.base import Model
from loadgate.api.units import Cpu, Duration, Memory, Ratio, format_bytes, format_duration, format_ratio


class Sample(Model):
    """One of each."""

    duration: Duration = Duration("1s")
    ratio: Ratio = Ratio("1%")
    cpu: Cpu = Cpu("1")
    memory: Memory = Memory("1Gi")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90.0),
        ("2m30s", 150.0),
        ("1.5h", 5400.0),
        ("500ms", 0.5),
        ("250us", 0.00025),
        ("250µs", 0.00025),
        ("7ns", 7e-9),
        ("0s", 0.0),
        ("1h1m1s1ms", 3661.001),
    ],
)
def test_duration_means_its_seconds(text, seconds):
    """A duration is the sum of its parts in seconds, and keeps its text."""
    duration = Duration(text)
    assert duration.seconds == seconds
    assert duration == text


@pytest.mark.parametrize("text", ["", "5", "1 s", "s", "1d", "-1s", "1m30", "1s\n", "1,5s", "٣s"])
def test_duration_refuses_what_go_refuses(text):
    """A text without a unit after each number is no duration."""
    with pytest.raises(ValueError, match="is not a duration"):
        Duration(text)


@pytest.mark.parametrize(
    ("written", "value", "text"),
    [
        ("1%", 0.01, "1%"),
        ("0.01", 0.01, "0.01"),
        (0.01, 0.01, "0.01"),
        (1, 1.0, "1"),
        (0, 0.0, "0"),
        ("100%", 1.0, "100%"),
        ("99.95%", 0.9995, "99.95%"),
        (1e-05, 1e-05, "0.00001"),
    ],
)
def test_ratio_reads_percentages_and_fractions(written, value, text):
    """A ratio is the same whether it is written as a percentage, as a text or as a number."""
    ratio = Sample.model_validate({"ratio": written}).ratio
    assert ratio.value == pytest.approx(value, abs=1e-12)
    assert ratio == text


@pytest.mark.parametrize("written", ["101%", "1.5", 1.01, -0.1, "x", True, None, "-1%"])
def test_ratio_refuses_what_is_beyond_one(written):
    """What isn't between 0 and 1 is no ratio."""
    with pytest.raises(ValidationError, match="ratio between 0 and 1"):
        Sample.model_validate({"ratio": written})


@pytest.mark.parametrize(
    ("text", "cores"), [("1", 1.0), ("500m", 0.5), ("1.5", 1.5), ("2e3", 2000.0), ("1000000n", 0.001), ("3k", 3000.0)]
)
def test_cpu_is_counted_in_cores(text, cores):
    """CPU amounts follow Kubernetes' suffixes."""
    assert Cpu(text).cores == cores


@pytest.mark.parametrize(
    ("written", "size"),
    [("256Mi", 256 * 2**20), ("1G", 10**9), (1024, 1024), ("1.5Gi", 3 * 2**29), ("1E3", 1000), ("2E", 2 * 10**18)],
)
def test_memory_is_counted_in_bytes(written, size):
    """Memory amounts follow Kubernetes' suffixes, and a plain number is bytes."""
    assert Sample.model_validate({"memory": written}).memory.bytes == size


@pytest.mark.parametrize("written", ["1 Gi", "x", "", 0.5, True, "1gi", "-1"])
def test_amounts_refuse_what_the_api_server_refuses(written):
    """A space, a sign, a fraction that isn't a text or an unknown suffix is no amount."""
    with pytest.raises(ValidationError, match="must be an amount of memory"):
        Sample.model_validate({"memory": written})


def test_units_go_out_as_they_came_in():
    """A model writes the texts that it read."""
    raw = {"duration": "1m30s", "ratio": "5%", "cpu": "250m", "memory": "64Mi"}
    assert Sample.model_validate(raw).to_json() == raw


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (4e-7, "0s"),
        (0.000812, "812µs"),
        (0.0041, "4.1ms"),
        (0.041, "41ms"),
        (0.9994, "999ms"),
        (0.9996, "1s"),
        (1.9, "1.9s"),
        (12.34, "12.3s"),
        (59.96, "1m"),
        (150, "2m30s"),
        (3599.6, "1h"),
        (3900, "1h5m"),
        (7200, "2h"),
        (-0.041, "-41ms"),
    ],
)
def test_durations_read_well(seconds, text):
    """A duration is shown in its own size, and never as 60 of a unit."""
    assert format_duration(seconds) == text


@given(st.floats(min_value=1e-6, max_value=1e6))
def test_shown_durations_are_near_the_truth(seconds):
    """What is shown is a duration that is at most 5 % off."""
    assert Duration(format_duration(seconds)).seconds == pytest.approx(seconds, rel=0.05, abs=1e-6)


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        (0, "0%"),
        (1, "100%"),
        (0.0002, "0.02%"),
        (0.9998, "99.98%"),
        (0.5, "50%"),
        (0.00001, "<0.01%"),
        (0.99999, ">99.99%"),
    ],
)
def test_ratios_never_round_to_all_or_nothing(ratio, text):
    """A few failures in a million don't read as none."""
    assert format_ratio(ratio) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (999.6, "1 kB"),
        (1234, "1.2 kB"),
        (34e6, "34 MB"),
        (5e9, "5 GB"),
        (2e12, "2 TB"),
        (7e15, "7000 TB"),
    ],
)
def test_sizes_read_well(count, text):
    """Bytes are shown in decimal units."""
    assert format_bytes(count) == text
