"""Makes traffic from a plan and measures it: the program inside a runner pod."""

from importlib.util import find_spec


def compiled() -> bool:
    """Whether the modules that each request goes through are machine code. They do the same without, for more CPU."""
    spec = find_spec("loadgate_runner.http.connection")
    return spec is not None and not (spec.origin or "").endswith(".py")
