"""All talk with runners: asking, telling, and putting together what they measured. A runner's fault never raises."""

from loadgate_operator.collect.answers import Runner, RunnerAnswer
from loadgate_operator.collect.client import ClientLimits, RunnerClient
from loadgate_operator.collect.collector import Collector

__all__ = ["ClientLimits", "Collector", "Runner", "RunnerAnswer", "RunnerClient"]
