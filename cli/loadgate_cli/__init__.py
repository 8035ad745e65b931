"""The `loadgate` command: the operator and its runners on one machine, and tools around their results."""
