"""What a virtual user does: a scenario's steps, or a Python file, compiled once to coroutines."""
