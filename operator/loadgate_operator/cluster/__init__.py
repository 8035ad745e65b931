"""One port to a cluster, and the sides that stand behind it."""
