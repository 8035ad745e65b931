"""What can go wrong with a journey itself. What a target does is never an error: it is a sample."""


class JourneyError(Exception):
    """A scenario can't be compiled: a missing file or secret, a script that doesn't load. The runner can't arm."""


class BlockError(Exception):
    """A setup or teardown block didn't succeed; the message names the request and what was wrong."""


class ValueFault(Exception):  # noqa: N818 - a fault of a value, in an iteration
    """A value doesn't fit where a journey uses it. The iteration ends as failed, the virtual user goes on."""


class Interrupted(BaseException):
    """The iteration is to end now: the runner asked for it. No journey's own `except Exception` stops it."""


class Exhausted(BaseException):
    """A `unique` source has no row left for this virtual user. No journey's own `except Exception` stops it."""

    def __init__(self, source: str) -> None:
        super().__init__(f"no row left in data source {source!r}")
        self.source = source
