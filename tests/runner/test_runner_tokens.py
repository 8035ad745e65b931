"""A process's token: got before the load, renewed ahead of its expiry by one asker, and never silently missing."""

import asyncio
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadgate_runner.http.oauth2 import Grant, Token, TokenError
from loadgate_runner.http.tokens import CALM, TRIES, Tokens

GRANT = Grant("http://idp/token", "load", "hush")


class Server:
    """Gives tokens that live as long as it says, and notes when it was asked, and with what."""

    def __init__(self, life=100.0, refresh=""):
        self.life, self.refresh = life, refresh
        self.asked, self.grants, self.said = [], [], []
        self.down = None
        self.slow = 0.0
        self.at_once = self.most_at_once = 0

    async def __call__(self, grant):
        """One request."""
        self.asked.append(asyncio.get_running_loop().time())
        self.grants.append(grant)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.slow)
        finally:
            self.at_once -= 1
        if self.down is not None:
            raise self.down
        number = len(self.asked)
        return Token(f"t{number}", self.life, f"r{number}" if self.refresh else "")

    def tokens(self, grant=GRANT, seed=1):
        """What keeps its tokens."""
        return Tokens(grant, self, Random(seed), self.said.append)


@pytest.mark.looptime
async def test_a_token_is_renewed_ahead_of_its_expiry_at_a_moment_of_chance():
    """Between 70 and 80 % of its life, and not at the same moment by two processes."""
    firsts = []
    for seed in range(5):
        server = Server(life=100.0)
        tokens = server.tokens(seed=seed)
        began = asyncio.get_running_loop().time()
        await tokens.start()
        assert tokens.line == b"Authorization: Bearer t1\r\n"
        await asyncio.sleep(81)
        assert tokens.line == b"Authorization: Bearer t2\r\n"
        firsts.append(server.asked[1] - began)
        await tokens.close()
    assert all(70 <= moment <= 80.1 for moment in firsts)
    assert len({round(moment, 3) for moment in firsts}) == 5
    assert tokens.lapses == 0


@pytest.mark.looptime
async def test_a_token_whose_life_nobody_tells_is_kept_until_it_is_refused():
    """Without expires_in nothing is renewed ahead; a 401 renews it once, and further ones only when it is older."""
    server = Server(life=None)
    tokens = server.tokens()
    await tokens.start()
    await asyncio.sleep(3_600)
    assert len(server.asked) == 1
    for _ in range(1_000):
        tokens.refused()
    await asyncio.sleep(1)
    for _ in range(1_000):
        tokens.refused()
    await asyncio.sleep(1)
    assert (len(server.asked), server.most_at_once, tokens.lapses) == (2, 1, 0)
    await asyncio.sleep(CALM)
    tokens.refused()
    await asyncio.sleep(1)
    assert len(server.asked) == 3
    await tokens.close()


@pytest.mark.looptime
async def test_a_first_token_is_asked_for_a_few_times():
    """A server that isn't up yet is asked again; after some tries the reason is raised."""
    server = Server()
    server.down = TokenError("503")
    asyncio.get_running_loop().call_later(3, lambda: setattr(server, "down", None))
    tokens = server.tokens()
    await tokens.start()
    assert 2 < len(server.asked) <= TRIES
    await tokens.close()
    server.down, server.asked = TokenError("503"), []
    with pytest.raises(TokenError, match="503"):
        await server.tokens().start()
    assert len(server.asked) == TRIES


@pytest.mark.looptime
async def test_a_refusal_is_final():
    """A client that isn't known will not be for asking again."""
    server = Server()
    server.down = TokenError("invalid_client", final=True)
    with pytest.raises(TokenError, match="invalid_client"):
        await server.tokens().start()
    assert len(server.asked) == 1


@pytest.mark.looptime
async def test_an_outage_within_a_tokens_life_is_no_lapse():
    """The old token goes on being carried, and the server is asked again, ever more seldom, until it answers."""
    server = Server(life=100.0)
    tokens = server.tokens()
    await tokens.start()
    server.down = TokenError("connection refused")
    await asyncio.sleep(85)
    assert tokens.line == b"Authorization: Bearer t1\r\n"
    server.down = None
    await asyncio.sleep(14)
    assert tokens.line != b"Authorization: Bearer t1\r\n"
    assert (tokens.lapses, tokens.first_lapse) == (0, "")
    assert server.said[0] == "the token for the target was not renewed: connection refused"
    await tokens.close()


@pytest.mark.looptime
async def test_a_token_that_ran_out_is_a_lapse_and_is_told_of_once():
    """Past its expiry there is no valid token: counted once however long it takes, logged a few times, mended after."""
    server = Server(life=100.0)
    tokens = server.tokens()
    await tokens.start()
    server.down = TokenError("503")
    await asyncio.sleep(2_000)
    assert (tokens.lapses, tokens.first_lapse) == (1, "503")
    assert len(server.said) == 5
    assert len(server.asked) < 200
    tokens.begin()
    assert tokens.lapses == 1  # it still is lapsed
    server.down = None
    await asyncio.sleep(40)
    tokens.begin()
    assert (tokens.lapses, tokens.first_lapse) == (0, "")
    await tokens.close()


@pytest.mark.looptime
async def test_a_refused_token_that_cannot_be_renewed_is_a_lapse():
    """The target says 401 and the server gives no other token: what is measured is of requests without a valid one."""
    server = Server(life=10_000.0)
    tokens = server.tokens()
    await tokens.start()
    await asyncio.sleep(CALM)
    server.down = TokenError("500")
    tokens.refused()
    await asyncio.sleep(10)
    assert tokens.lapses == 1
    await tokens.close()


@pytest.mark.looptime
async def test_a_new_token_that_comes_too_late_is_a_lapse():
    """A server so slow that the old token ran out meanwhile leaves a time without one."""
    server = Server(life=10.0)
    tokens = server.tokens()
    await tokens.start()
    server.slow = 9.0
    await asyncio.sleep(18)
    assert tokens.lapses == 1
    await tokens.close()


@pytest.mark.looptime
async def test_a_refresh_token_is_followed_by_the_one_that_comes_with_the_answer():
    """A server that rotates refresh tokens is given the newest; one that gives none, the first again."""
    for rotates, expected in ((True, ["r0", "r1", "r2"]), (False, ["r0", "r0", "r0"])):
        server = Server(life=100.0, refresh="yes" if rotates else "")
        tokens = server.tokens(Grant("http://idp/token", "load", refresh="r0"))
        await tokens.start()
        await asyncio.sleep(170)
        assert [grant.refresh for grant in server.grants[:3]] == expected
        await tokens.close()


@settings(deadline=None, max_examples=25)
@given(
    life=st.one_of(st.none(), st.floats(0, 10_000)),
    outages=st.lists(st.tuples(st.floats(0, 300), st.floats(0, 300)), max_size=3),
    refusals=st.lists(st.floats(0, 1_000), max_size=5),
)
def test_a_server_is_never_asked_twice_at_once_nor_without_pause(life, outages, refusals):
    """Whatever happens: one asker, at most two questions a second, and a lapse only where there was an outage."""
    import looptime  # noqa: PLC0415 - a loop of virtual time for each example

    async def live():
        server, loop = Server(life=life), asyncio.get_running_loop()
        tokens = server.tokens()
        await tokens.start()
        for begin, length in outages:
            loop.call_later(begin, lambda: setattr(server, "down", TokenError("down")))
            loop.call_later(begin + length, lambda: setattr(server, "down", None))
        for moment in refusals:
            loop.call_later(moment, tokens.refused)
        await asyncio.sleep(1_000)
        await tokens.close()
        assert server.most_at_once == 1
        assert len(server.asked) <= 2 + 2 * 1_000
        assert outages or not tokens.lapses

    loop = looptime.new_event_loop()
    try:
        loop.run_until_complete(live())
    finally:
        loop.close()


def test_a_grant_and_a_token_hide_what_they_are_made_of():
    """No repr, as in tracebacks, has a secret or a token in it."""
    shown = repr(Grant("http://idp", "load", "hush", refresh="hush")) + repr(Token("hush", 1.0, "hush"))
    assert "hush" not in shown
