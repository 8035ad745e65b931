"""The control port: a small HTTP server that stays out of the way of the load loop."""
