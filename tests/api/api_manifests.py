"""Manifests that the tests of the API bend out of shape."""

import copy
from typing import Any

LOADTEST: dict[str, Any] = {
    "apiVersion": "loadgate.dev/v1alpha1",
    "kind": "LoadTest",
    "metadata": {"name": "checkout", "labels": {"app": "shop"}},
    "spec": {
        "target": {"url": "http://shop.default.svc", "timeout": "30s"},
        "runners": {"count": 2, "resources": {"limits": {"cpu": "1", "memory": "256Mi"}}},
        "secrets": {"password": {"secretKeyRef": {"name": "shop-user", "key": "password"}}},
        "data": {"products": {"inline": [{"sku": "a1"}, {"sku": "b2"}], "order": "random"}},
        "setup": {"steps": [{"request": {"url": "/login"}, "extract": {"session": {"json": "$.token"}}}]},
        "teardown": {"steps": [{"request": {"method": "DELETE", "url": "/sessions/${setup.session}"}}]},
        "warmup": "10s",
        "scenarios": [
            {
                "name": "journey",
                "executor": "ramping-vus",
                "stages": [{"duration": "1m", "target": 10}, {"duration": "30s", "target": 0}],
                "tags": {"area": "shop"},
                "steps": [
                    {
                        "request": {
                            "name": "login",
                            "method": "POST",
                            "url": "/login",
                            "json": {"email": "user${vu.id}@example.com", "password": "${secret.password}"},
                        },
                        "check": {"status": 200, "duration": "<500ms", "json": {"$.user.id": "exists"}},
                        "extract": {"token": {"json": "$.token"}, "state": {"header": "x-state", "default": "new"}},
                    },
                    {"think": "1s..3s"},
                    {
                        "group": {
                            "name": "browse",
                            "steps": [
                                {
                                    "request": {
                                        "url": "/products/${data.products.sku}",
                                        "headers": {"Authorization": "Bearer ${token}"},
                                    }
                                }
                            ],
                        }
                    },
                    {"while": {"value": "${state}", "is": "!=done", "max": 5, "steps": [{"think": "1s"}]}},
                    {"if": {"value": "${state}", "is": "done", "then": [{"think": "1s"}], "else": [{"think": "2s"}]}},
                    {"choice": [{"weight": 3, "steps": [{"think": "1s"}]}, {"steps": [{"think": "2s"}]}]},
                    {"repeat": {"times": 2, "steps": [{"think": "1s"}]}},
                ],
            },
            {
                "name": "arrivals",
                "executor": "constant-arrival-rate",
                "rate": 10,
                "duration": "1m",
                "preAllocatedVUs": 5,
                "maxVUs": 10,
                "steps": [{"request": {"url": "/health", "query": {"verbose": True, "part": ["db", 1]}}}],
            },
        ],
        "thresholds": {
            "http_req_duration": ["p(95)<500"],
            "http_req_failed{scenario:arrivals}": [{"threshold": "rate<0.1", "abortOnFail": True}],
        },
        "budgets": [{"name": "shop"}],
    },
}

BUDGET: dict[str, Any] = {
    "apiVersion": "loadgate.dev/v1alpha1",
    "kind": "PerformanceBudget",
    "metadata": {"name": "shop"},
    "spec": {
        "selector": {"matchLabels": {"app": "shop"}},
        "responseTime": {"login": {"p95": "300ms", "p99.9": "1s"}, "*": {"avg": "200ms"}},
        "throughput": {"*": {"min": 100}},
        "errorRate": {"*": {"max": "1%"}, "login": {"max": 0.01}},
        "metrics": {"largest_contentful_paint": ["p(75)<2500"], "checks": ["rate>0.99"]},
    },
}


def loadtest() -> dict[str, Any]:
    """A LoadTest without a fault, the caller's own."""
    return copy.deepcopy(LOADTEST)


def budget() -> dict[str, Any]:
    """A PerformanceBudget without a fault, the caller's own."""
    return copy.deepcopy(BUDGET)


def put(raw: dict[str, Any], path: tuple[str | int, ...], value: Any) -> None:
    """Set a value deep in a manifest; `...` takes it out."""
    *way, last = path
    inner: Any = raw
    for part in way:
        inner = inner[part]
    if isinstance(inner, dict) != isinstance(last, str):
        raise KeyError(last)
    if value is ...:
        del inner[last]
    else:
        inner[last] = copy.deepcopy(value)
