"""The target's token on requests: which carry it, which don't, and what a 401 does."""

import pytest
from journey_samples import Bench, an_answer, plan_of, scope_of

from loadgate.api.auth import OAuth2, TargetAuth
from loadgate_runner.http import Client, Network
from loadgate_runner.journey import Context, JourneyError
from loadgate_runner.journey.credentials import grant_of, tokens_of
from loadgate_runner.journey.secrets import Secret, Secrets

SECRETS = Secrets({"key": Secret("hush")})


class FakeTokens:
    """A token that changes when it is refused."""

    def __init__(self):
        self.number = 0

    @property
    def line(self):
        """The header."""
        return f"Authorization: Bearer t{self.number}\r\n".encode()

    def refused(self):
        """Note it."""
        self.number += 1


def request(url="/", **more):
    """A step."""
    return {"request": {"name": "r", "url": url, **more}}


async def sent(step, *answers, **more):
    """What a step sent, twice."""
    bench = Bench.steps(step, answers=answers, tokens=FakeTokens(), **more)
    for number in range(2):
        await bench.vu.iterate(number)
    return [one.header("authorization") for one in bench.client.sent], bench


@pytest.mark.parametrize(
    "step",
    [
        request(),
        request("/p/${vu.id}?q=${iteration}"),
        request("http://shop/whole"),
        request("http://${scenario}hop/x"),
        request(method="POST", json={"n": "${vu.id}"}),
        {"graphql": {"url": "/graphql", "query": "{ a }"}},
    ],
)
async def test_requests_to_the_target_carry_the_token(step):
    """Whatever of them is known before or made each time."""
    headers, _ = await sent(step)
    assert headers == [["Bearer t0"], ["Bearer t0"]]


@pytest.mark.parametrize(
    ("step", "found"),
    [
        (request("http://other/x"), []),
        (request("https://shop/x"), []),
        (request("http://${scenario}/x"), []),
        (request(auth={"none": True}), []),
        (request(auth={"bearer": "mine"}), ["Bearer mine"]),
        (request(auth={"basic": {"username": "a", "password": "b"}}), ["Basic YTpi"]),
        (request(headers={"authorization": "Own"}), ["Own"]),
    ],
)
async def test_no_other_request_carries_it(step, found):
    """Other origins never see the token, and a step's own word on who it is goes before the target's."""
    headers, bench = await sent(step, an_answer(status=401))
    assert headers == [found, found]
    if found or "auth" in step["request"]:
        assert bench.context.tokens.number == 0


async def test_a_401_has_the_token_renewed_and_is_a_failed_request():
    """The request isn't repeated: it is what it is, and the next one carries the new token."""
    headers, bench = await sent(request(), an_answer(status=401), an_answer())
    assert headers == [["Bearer t0"], ["Bearer t1"]]
    assert [record[1] for record in bench.recorder.requests()["r"]] == [False, True]


async def test_a_python_journey_carries_the_token_too(tmp_path):
    """Unless it says who it is, or `auth=False`, or goes elsewhere."""
    script = """
async def journey(user):
    await user.get("/a")
    await user.get("/b", auth="own")
    await user.get("/c", auth=False)
    await user.get("http://other/d")
    await user.get("/e", headers={"authorization": "x"})
    await user.graphql("{ a }")
"""
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "j.py").write_text(script)
    bench = Bench(plan_of(script="c/j.py"), an_answer(status=401), an_answer(), tmp_path=tmp_path, tokens=FakeTokens())
    await bench.vu.iterate(0)
    found = [one.header("authorization") for one in bench.client.sent]
    assert found == [["Bearer t0"], ["Bearer own"], [], [], ["x"], ["Bearer t1"]]


def test_a_grant_is_made_of_the_manifest_and_its_secrets():
    """Texts are resolved once; secrets are in none of what is shown."""
    oauth2 = OAuth2.model_validate(
        {"tokenUrl": "https://idp/token", "clientId": "load-${secret.key}", "clientSecret": "${secret.key}",
         "scopes": ["a", "b"], "audience": "shop", "clientAuth": "body"}
    )  # fmt: skip
    grant = grant_of(oauth2, scope_of(secrets=SECRETS))
    assert (grant.url, grant.client, grant.secret, grant.in_body) == ("https://idp/token", "load-hush", "hush", True)
    assert (grant.scopes, grant.audience, grant.refresh) == (("a", "b"), "shop", "")


async def test_what_is_missing_is_said_before_any_load():
    """A secret that isn't in the environment; and a target without `auth` has no token."""
    network = Network()
    plan = plan_of(request(), secrets={"key": "LOADGATE_SECRET_key"})
    context = Bench(plan, environ={"LOADGATE_SECRET_key": "x"}).context
    assert tokens_of(plan, context, network) is None
    oauth2 = {"tokenUrl": "http://idp/t", "clientId": "a", "clientSecret": "${secret.key}"}
    auth = TargetAuth.model_validate({"oauth2": oauth2})
    target = plan.target.model_copy(update={"auth": auth})
    plan = plan.model_validate_json(plan.model_copy(update={"target": target}).encode())
    bare = Context(
        run="r", runner_index=0, files=context.files, environ={}, recorder=context.recorder, clock=context.clock,
        sleep=context.sleep, client=lambda: Client(network), log=print,
    )  # fmt: skip
    with pytest.raises(JourneyError, match="no value in the environment for secret key"):
        tokens_of(plan, bare, network)
    network.close()
