"""Prices that change: what the examples of GraphQL, server-sent events, WebSocket and gRPC aim at."""
