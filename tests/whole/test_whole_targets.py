"""Targets that do the worst: each gives failed samples of the right kind, and costs the runner nothing."""

import json
import ssl

import pytest
import trustme
import whole_kit as kit

from loadgate_operator.embedded import Embedded

pytestmark = pytest.mark.processes

FEW_BYTES = 400 << 20


def kinds(result):
    """The kinds of failure that a result has."""
    return {dict(tags).get("error") for tags in result.measurement.requests}


@pytest.mark.parametrize(
    ("path", "kind", "limit"),
    [
        ("/reset", "reset", "5s"),
        ("/stall", "timeout", "200ms"),
        ("/garbage", "protocol", "5s"),
        ("/endless-head", "protocol", "5s"),
        ("/endless-body", "timeout", "500ms"),
        ("/loop", "redirects", "5s"),
        ("/status/503", None, "5s"),
    ],
)
async def test_a_target_that_misbehaves_gives_failed_samples(path, kind, limit):
    """The run goes on to its end, every request is a failed sample of its kind, and memory stays bounded."""
    async with kit.serving() as target, Embedded() as operator:
        load = kit.scenario(steps=[kit.get(path)], iterations=10)
        test = kit.load_test(target, load, thresholds={"http_req_failed": ["rate<0.05"]})
        test["spec"]["target"]["timeout"] = limit
        status = await kit.run(operator, test)
        result = await operator.result(kit.KEY)
    assert status["phase"] == "Failed", status
    # A redirect on the way is a request of its own, and not a failed one: 10 of them are followed each time.
    hops = 100 if kind == "redirects" else 0
    assert kit.counts(result)[:2] == (10 + hops, 10)
    assert kinds(result) == {kind, *([None] if hops else [])}
    assert all(0 < runner.health.rss < FEW_BYTES for runner in result.runners)


async def test_a_target_that_refuses_gives_failed_samples():
    """Nobody listens: every request is a failed sample of kind connect."""
    async with kit.serving() as target:
        pass
    async with Embedded() as operator:
        test = kit.load_test(target, kit.scenario(iterations=10), thresholds={"http_req_failed": ["rate<0.5"]})
        status = await kit.run(operator, test)
        result = await operator.result(kit.KEY)
    assert status["phase"] == "Failed"
    assert kinds(result) == {"connect"}
    assert kit.counts(result)[:2] == (10, 10)


async def test_a_name_without_an_address_gives_failed_samples():
    """A host that doesn't resolve is a failure of kind dns."""
    async with kit.serving() as target, Embedded() as operator:
        test = kit.load_test(target, kit.scenario(iterations=2), thresholds={"http_req_failed": ["rate<0.5"]})
        test["spec"]["target"]["url"] = "http://nobody.invalid"
        status = await kit.run(operator, test)
        result = await operator.result(kit.KEY)
    assert status["phase"] == "Failed"
    assert kinds(result) == {"dns"}


@pytest.fixture(scope="module")
def authority():
    """A certificate authority of our own."""
    return trustme.CA()


def server_context(authority, *, clients=False):
    """A server's TLS, by certificates of the authority, of clients too where asked."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    if clients:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


async def test_a_certificate_that_nobody_vouches_for_fails(authority):
    """Verification is on by default: an unknown authority's certificate is a failure of kind tls."""
    async with kit.serving(server_context(authority)) as target, Embedded() as operator:
        test = kit.load_test(target, kit.scenario(iterations=5), thresholds={"http_req_failed": ["rate<0.5"]})
        status = await kit.run(operator, test)
        result = await operator.result(kit.KEY)
    assert status["phase"] == "Failed"
    assert kinds(result) == {"tls"}
    assert target.seen == []


async def test_an_authority_and_a_client_certificate_reach_the_runners(authority):
    """The CA of a ConfigMap is trusted, and the key of a Secret opens the door; it is in no kept object."""
    client = authority.issue_cert("client.example")
    key = client.private_key_pem.bytes().decode()
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "client", "namespace": "default"},
        "stringData": {"crt": client.cert_chain_pems[0].bytes().decode(), "key": key},
    }
    trust = kit.config_map("trust", ca_pem=authority.cert_pem.bytes().decode())
    async with kit.serving(server_context(authority, clients=True)) as target, Embedded() as operator:
        test = kit.load_test(target, kit.scenario(iterations=10), runners=2)
        test["spec"]["target"]["tls"] = {
            "ca": {"configMapKeyRef": {"name": "trust", "key": "ca.pem"}},
            "cert": {"secretKeyRef": {"name": "client", "key": "crt"}},
            "key": {"secretKeyRef": {"name": "client", "key": "key"}},
        }
        status = await kit.run(operator, trust, secret, test)
        result = await operator.result(kit.KEY)
        kept = [obj for kind in ("LoadTest", "Job", "Pod", "ConfigMap", "Event") for obj in operator.objects(kind)]
    assert status["phase"] == "Passed", status
    assert kit.counts(result)[:2] == (10, 0)
    assert key.splitlines()[1] not in json.dumps(kept)
