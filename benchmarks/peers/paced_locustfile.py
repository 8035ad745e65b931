"""Locust at a rate: each user asks PER_USER times a second; prints what it counted as JSON."""

import json
import os

from locust import FastHttpUser, constant_throughput, events, task


class Visitor(FastHttpUser):
    """Asks for one URL at a steady pace."""

    wait_time = constant_throughput(float(os.environ["PER_USER"]))

    @task
    def item(self):
        """One GET."""
        self.client.get("/item", name="item")


@events.quitting.add_listener
def say(environment, **_):
    """What Locust says itself."""
    total = environment.stats.total
    percentiles = [total.get_response_time_percentile(q) for q in (0.5, 0.95, 0.99, 0.999)]
    print(json.dumps({"requests": total.num_requests, "percentiles": percentiles}), flush=True)
    os._exit(0)
