"""What a journey needs from its runner, as protocols: who records, what time it is, how to sleep.

Made for the hot path: whatever is looked up by name or by tags is looked up once, when a scenario is compiled, and
gives a handle; per request a handle's one method is called.
"""

from collections.abc import Awaitable, Callable, Hashable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from loadgate_runner.http import Content, CookieJar, Opening, Origin, Request, Response
    from loadgate_runner.http.network import Closing

Tags = tuple[tuple[str, str], ...]
"""Sorted pairs."""

Clock = Callable[[], int]
"""Monotonic nanoseconds, on the clock that a response's timings are on."""

Sleep = Callable[[float], Awaitable[bool]]
"""Sleeps for so many seconds. False: the iteration is to end now (it woke early, or at once), true: it slept."""


class Sender(Protocol):
    """A virtual user's HTTP client. See loadgate_runner.http.Client."""

    @property
    def cookies(self) -> "CookieJar":
        """What it sends along."""

    def send(
        self,
        request: "Request",
        path: bytes | None = None,
        headers: bytes = b"",
        body: bytes | None = None,
        origin: "Origin | None" = None,
    ) -> Awaitable["Response"]:
        """Send a request; whatever the target does comes back as a response."""

    def deliver(
        self,
        request: "Request",
        path: bytes | None = None,
        headers: bytes = b"",
        body: "bytes | Content | None" = None,
        origin: "Origin | None" = None,
    ) -> Awaitable["Response"]:
        """The same where the body goes out apart from its head."""

    def opening(
        self, request: "Request", path: bytes | None = None, headers: bytes = b"", origin: "Origin | None" = None
    ) -> "Opening":
        """What a stream begins with, on a connection of its own."""

    def hold(self, key: "Hashable", thing: "Closing") -> None:
        """Keep what else the virtual user has open, to be closed with its connections."""

    def held(self, key: "Hashable") -> "Closing | None":
        """What is kept by that key."""

    def close(self) -> None:
        """Drop all connections."""


class RequestSeries(Protocol):
    """Where one request step's samples go. Its tags are fixed but for what each response decides.

    Fixed when the handle is made: scenario, name, method, group, custom tags. Decided by each sample, so that the
    handle splits itself by a small dict: status (`"0"` without a response), error (the kind, or no such tag),
    expected_response (`"true"`, `"false"`).
    """

    def record(self, response: "Response", expected: bool, due_ns: int | None) -> None:  # noqa: FBT001 - hot path
        """Count one request, whether it got a response or failed.

        `expected` false makes it a failed request. `due_ns` is the instant that its duration counts from when that
        isn't its own start: for the first request of an open-model iteration, as much before as the iteration began
        late. Service time is always the response's own. A sample is judged, and belongs to a slice, by `due_ns`, or by
        its start.
        """


class Bearer(Protocol):
    """The token that requests to the target carry. See loadgate_runner.http.tokens.Tokens."""

    @property
    def line(self) -> bytes:
        """The header's line, with its end."""

    def refused(self) -> None:
        """The target answered 401."""


class TraceSeries(Protocol):
    """Where the ids of one endpoint's traced requests go, of which the slowest and those that failed are kept."""

    def keep(self, trace: str, response: "Response", expected: bool, due_ns: int | None) -> None:  # noqa: FBT001 - as above
        """Keep a request's id if it is one of these. The rest is as for `RequestSeries.record`, hops included."""


class CheckSeries(Protocol):
    """Where one check's results go. Tags: scenario, group, name (the request's), check, custom tags."""

    def record(self, ok: bool) -> None:  # noqa: FBT001 - hot path
        """Count one pass or fail."""


class MetricSeries(Protocol):
    """Where one custom metric's values go; the handle was made by the metric's type."""

    def add(self, value: float) -> None:
        """Counter: the amount more. Gauge: the value now. Rate: 0 is false, else true. Trend: one more sample."""


class Recorder(Protocol):
    """Gives handles; called when scenarios are compiled, and the first time that a Python journey uses a name.

    The same tags give the same handle or an equal one. Labels are bounded by the recorder: beyond its bound a handle
    records under the tags of the overflow and `labels_dropped` is counted.
    """

    def request_series(self, tags: Tags) -> RequestSeries:
        """Samples of requests: tags scenario, name, method, group (empty without one), custom tags."""

    def check_series(self, tags: Tags) -> CheckSeries:
        """Results of one check."""

    def trace_series(self, name: str) -> TraceSeries:
        """Ids of traced requests of a name."""

    def counter(self, name: str, tags: Tags) -> MetricSeries:
        """A custom counter."""

    def gauge(self, name: str, tags: Tags) -> MetricSeries:
        """A custom gauge."""

    def rate(self, name: str, tags: Tags) -> MetricSeries:
        """A custom rate."""

    def trend(self, name: str, tags: Tags) -> MetricSeries:
        """A custom trend."""

    def data_exhausted(self, source: str) -> None:
        """A virtual user ended because a `unique` source has no row left for it."""


class Tally(Protocol):
    """Where a scenario's iterations are counted. Instants are of the clock; `due` is when one was due, or began."""

    def late(self, due: int, began: int) -> None:
        """One of the open model begins."""

    def completed(self, due: int, ended: int) -> None:
        """One went through."""

    def failed(self, due: int, ended: int) -> None:
        """An error of the journey itself ended one."""

    def interrupted(self, due: int) -> None:
        """One was cut off."""

    def dropped(self, due: int) -> None:
        """One was due and didn't begin."""
