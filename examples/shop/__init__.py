"""A small web shop to aim load at: quick by default, and slow, failing or stalling on request."""
