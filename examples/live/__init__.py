"""Prices that change: what the examples of GraphQL, server-sent events and WebSocket aim at."""
