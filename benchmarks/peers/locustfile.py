"""Locust's side of the plain case, with its faster client; prints what it counted as JSON."""

import json
import os

from locust import FastHttpUser, constant, events, task


class Visitor(FastHttpUser):
    """Asks for one URL again and again."""

    wait_time = constant(0)

    @task
    def item(self):
        """One GET."""
        self.client.get("/item", name="item")


@events.quitting.add_listener
def say(environment, **_):
    """What Locust says itself."""
    total = environment.stats.total
    p50, p99 = total.get_response_time_percentile(0.5), total.get_response_time_percentile(0.99)
    said = {"requests": total.num_requests - total.num_failures, "p50": p50, "p99": p99}
    print(json.dumps(said), flush=True)
    os._exit(0)
