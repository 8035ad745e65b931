"""What a real API server refuses by the rules of the definition: the same as `loadgate run` does, in words that say what to change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from loadgate.api.validate import InvalidSpec, validate_loadtest

if TYPE_CHECKING:
    from kube_cluster import Kube

pytestmark = [pytest.mark.cluster, pytest.mark.processes, pytest.mark.timeout(300, func_only=True)]

URL = "http://shop.default.svc"
STEP = {"request": {"url": "/"}}
KEY = {"configMapKeyRef": {"name": "files", "key": "a"}}
DIGEST = {"username": "u", "password": "p"}
SIGV4 = {"region": "eu-central-1", "service": "execute-api", "accessKeyId": "A", "secretAccessKey": "s"}
OAUTH2 = {"tokenUrl": "http://auth.default.svc/token", "clientId": "c"}
GRPC = {"method": "a.B/C"}
STAGES = [{"duration": "1m", "target": 5}]

TARGETS: list[tuple[dict[str, Any], str]] = [
    (
        {"proxy": {"url": "http://proxy:3128"}, "connection": {"unixSocket": "/run/shop.sock"}},
        "a proxy leads to no unix socket",
    ),
    ({"connection": {"share": 2}}, "connection.share needs the protocol HTTP/2"),
    (
        {"protocol": "HTTP/2", "connection": {"maxConnections": 2}},
        "connection.maxConnections needs the protocol HTTP/1.1",
    ),
    ({"tls": {"cert": {"secretKeyRef": {"name": "tls", "key": "cert"}}}}, "cert and key go together"),
    ({"tls": {"ca": {}}}, "give exactly one of configMapKeyRef and secretKeyRef"),
    (
        {"connection": {"unixSocket": "/run/shop.sock", "sourceAddresses": ["127.0.0.1"]}},
        "give at most one of unixSocket and sourceAddresses",
    ),
    (
        {"protocol": "HTTP/2", "connection": {"reuse": "never", "share": 2}},
        "with reuse iteration or never, share must be 1",
    ),
    (
        {"connection": {"reuse": "iteration", "maxConnections": 2}},
        "with reuse iteration or never, maxConnections must be left out",
    ),
    ({"connection": {"maxConnections": 0}}, "spec.target.connection.maxConnections"),
    ({"connection": {"uploadRate": "fast"}}, "spec.target.connection.uploadRate"),
    ({"connection": {"downloadRate": "-1"}}, "spec.target.connection.downloadRate"),
    ({"auth": {}}, "give exactly one of oauth2, awsSigV4 and digest"),
    ({"auth": {"awsSigV4": SIGV4, "digest": DIGEST}}, "give exactly one of oauth2, awsSigV4 and digest"),
    ({"auth": {"awsSigV4": {**SIGV4, "payload": "unsigned"}}}, "payload: unsigned is taken by"),
    ({"auth": {"oauth2": OAUTH2}}, "grant: client_credentials needs a clientSecret"),
    (
        {"auth": {"oauth2": {**OAUTH2, "clientSecret": "s", "refreshToken": "r"}}},
        "refreshToken and grant: refresh_token go together",
    ),
]
STEPS: list[tuple[dict[str, Any], str]] = [
    ({}, "give exactly one of request, graphql"),
    ({**STEP, "think": "1s"}, "give exactly one of request, graphql"),
    ({"think": "1s", "check": {"status": 200}}, "check and extract go with a request"),
    ({"request": {"url": "/", "method": "POST", "text": "a", "file": KEY}}, "give at most one of"),
    ({"request": {"url": "/", "auth": {}}}, "give exactly one of basic, bearer and none"),
    ({"request": {"url": "/", "tags": {"a-b": "c"}}}, "names must be letters, digits and `_`"),
    ({"request": {"url": "/", "method": "POST", "file": {**KEY, "path": "/a"}}}, "give exactly one of configMapKeyRef"),
    ({"graphql": {"url": "/"}}, "give exactly one of query and file"),
    ({"sse": {"url": "/"}}, "give at least one of until and for"),
    ({"grpc": {**GRPC, "message": {}, "messages": [{}]}}, "give at most one of message and messages"),
    ({"grpc": {**GRPC, "protoset": KEY, "protos": {"a.proto": KEY}}}, "give at most one of protoset and protos"),
    ({"grpc": {**GRPC, "protos": {}}}, "grpc.protos"),
    ({**STEP, "extract": {"a": {"json": "$.a", "header": "a"}}}, "give exactly one of json, header"),
]
SCENARIOS: list[tuple[dict[str, Any], str]] = [
    ({"steps": None, "script": None}, "give exactly one of steps and script"),
    ({"script": KEY}, "give exactly one of steps and script"),
    ({"duration": None}, "constant-vus and constant-arrival-rate need duration"),
    ({"iterations": 5}, "iterations is only for"),
    ({"executor": "ramping-vus", "vus": None, "duration": None}, "ramping-vus and ramping-arrival-rate need stages"),
    (
        {"executor": "ramping-vus", "vus": None, "duration": None, "stages": [{"duration": "0s", "target": 5}]},
        "at least one stage must take some time",
    ),
    ({"executor": "ramping-vus", "vus": None, "stages": STAGES}, "duration is only for"),
    ({"executor": "constant-arrival-rate", "vus": None, "preAllocatedVUs": 2}, "constant-arrival-rate needs rate"),
    ({"executor": "constant-arrival-rate", "vus": None, "rate": 5}, "need preAllocatedVUs"),
    (
        {"executor": "constant-arrival-rate", "vus": None, "rate": 5, "preAllocatedVUs": 5, "maxVUs": 2},
        "maxVUs must be at least preAllocatedVUs",
    ),
]
OTHERS: list[tuple[dict[str, Any], str]] = [
    ({"secrets": {"a b": {"secretKeyRef": {"name": "s", "key": "k"}}}}, "names must be letters, digits, `-` and `_`"),
    ({"data": {"users": {"inline": [{"id": 1}], "csv": KEY}}}, "give exactly one of inline, csv and json"),
    ({"nothing": 1}, 'unknown field "spec.nothing"'),
]


def loadtest(**changes: Any) -> dict[str, Any]:
    """A LoadTest that is right but for the changes; what is None is left out."""
    scenario = {"name": "s", "executor": "constant-vus", "vus": 2, "duration": "10s", "steps": [STEP]}
    scenario |= changes.pop("scenario", {})
    spec = {"target": {"url": URL}, "scenarios": [{key: part for key, part in scenario.items() if part is not None}]}
    return {
        "apiVersion": "loadgate.dev/v1alpha1",
        "kind": "LoadTest",
        "metadata": {"name": "refused", "namespace": "default"},
        "spec": spec | changes,
    }


ALL = [
    *((loadtest(target={"url": URL, **target}), words) for target, words in TARGETS),
    *((loadtest(scenario={"steps": [step]}), words) for step, words in STEPS),
    *((loadtest(scenario=scenario), words) for scenario, words in SCENARIOS),
    *((loadtest(**spec), words) for spec, words in OTHERS),
]


def answer(kube: Kube, manifest: dict[str, Any]) -> str:
    """What the API server complains of; nothing where it takes a manifest, which it then forgets."""
    try:
        kube.run("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=yaml.safe_dump(manifest))
    except AssertionError as refused:
        return str(refused)
    return ""


def test_a_sound_manifest_is_taken(kube: Kube) -> None:
    """What the refused ones are made of is right by itself."""
    assert answer(kube, loadtest()) == ""
    validate_loadtest(loadtest())


@pytest.mark.parametrize(("manifest", "words"), ALL, ids=[words for _, words in ALL])
def test_what_is_wrong_is_refused_by_both(kube: Kube, manifest: dict[str, Any], words: str) -> None:
    """The API server says what is wrong, and so does what validates a manifest without one."""
    assert words in answer(kube, manifest)
    with pytest.raises(InvalidSpec):
        validate_loadtest(manifest)
