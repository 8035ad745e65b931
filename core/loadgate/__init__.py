"""What every part of loadgate shares: the resources, the plan, the measurements and the verdict, all pure."""

from importlib.metadata import version

__version__ = version("loadgate")
