"""The embedded side of the port: objects in memory, a Job's pods as child processes on loopback."""

from loadgate_operator.cluster.local.cluster import LocalCluster, LocalOptions

__all__ = ["LocalCluster", "LocalOptions"]
