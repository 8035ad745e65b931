"""The real side of the cluster port: a Kubernetes API server, read through a cache that watches fill."""

from loadgate_operator.cluster.kubernetes.api import Api, ApiLimits
from loadgate_operator.cluster.kubernetes.cluster import KubernetesCluster, Scope
from loadgate_operator.cluster.kubernetes.connection import Connection, ConnectionFaultError, connect

__all__ = ["Api", "ApiLimits", "Connection", "ConnectionFaultError", "KubernetesCluster", "Scope", "connect"]
