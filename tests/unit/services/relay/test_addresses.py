"""Rates by address, and nothing that could tell the address later (A7, A9, A17, A22); tokens; navigation."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response

from safeconduct.errors import Malformed, Rejected, SafeconductError
from safeconduct.services.relay.addresses import KEY_SECONDS, CreationTokenMissing, Gate, network_of
from safeconduct.settings import RelaySettings, Secret
from safeconduct.web.rate_limit import RateLimited


class Timer:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def request(client: str = "192.0.2.1", *fields: tuple[str, str]) -> Request:
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in fields]
    scope = {"type": "http", "client": (client, 1234), "headers": headers}
    return Request(scope)


class Site:
    """A gate, and an endpoint behind it that does as it is told."""

    def __init__(self, **settings: Any) -> None:
        self.timer = Timer()
        self.keys: list[bytes] = []
        self.gate = Gate(RelaySettings(**settings), timer=self.timer, random=self._random)
        self.reached = 0

    def _random(self, size: int) -> bytes:
        self.keys.append(bytes([len(self.keys)]) * size)
        return self.keys[-1]

    def ask(self, asked: Request, *, fails: SafeconductError | None = None, page: bool = False) -> int:
        """The status of the endpoint's answer, or of its error."""

        async def endpoint(_request: Request) -> Response:
            self.reached += 1
            if fails is not None:
                raise fails
            return Response()

        try:
            answer = asyncio.run(self.gate.guarding(endpoint, may_navigate=page)(asked))  # type: ignore[arg-type]
        except SafeconductError as error:
            return error.http_status
        return answer.status_code


class Unknown(Rejected):
    http_status = 404


class Refused(Rejected):
    http_status = 401


GUESS = Unknown("mailbox_unknown", "There is none.")
CLAIM = Refused("claim_refused", "Not yours.")


@pytest.mark.parametrize("failure", [GUESS, CLAIM], ids=["404", "401"])
def test_who_has_failed_too_often_is_not_heard_for_a_while(failure: SafeconductError) -> None:
    site = Site(failure_rate=3)
    assert [site.ask(request(), fails=failure) for _ in range(3)] == [failure.http_status] * 3
    assert site.ask(request()) == 429
    assert site.reached == 3  # a right guess would not be told from a wrong one
    assert site.ask(request("192.0.2.2")) == 200
    site.timer.now += 20
    assert site.ask(request()) == 200


def test_what_succeeds_or_fails_otherwise_is_no_failure() -> None:
    site = Site(failure_rate=1)
    for _ in range(5):
        assert site.ask(request()) == 200
        assert site.ask(request(), fails=Malformed("claim_malformed", "Not a claim.")) == 400
    assert site.ask(request(), fails=GUESS) == 404
    assert site.ask(request()) == 429


def test_A9_a_mailbox_is_not_closed_by_those_who_guess_at_it() -> None:
    """Strangers at two addresses have failed; its owner is served as before."""
    site = Site(failure_rate=2)
    for stranger in ("198.51.100.1", "198.51.100.2"):
        for _ in range(5):
            site.ask(request(stranger), fails=CLAIM)
    assert site.ask(request("192.0.2.7")) == 200


def test_who_makes_mailboxes_too_fast_has_to_wait() -> None:
    site = Site(create_rate=2)
    for _ in range(2):
        site.gate.check_creation(request(), None)
    with pytest.raises(RateLimited) as error:
        site.gate.check_creation(request(), None)
    assert (error.value.code, error.value.http_headers) == ("rate_limited", {"Retry-After": "30"})
    site.gate.check_creation(request("192.0.2.2"), None)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.1:443", True),
        ("2001:db8::1", "2001:db8:0:0:ffff:ffff:ffff:ffff", True),  # whoever has one has the /64
        ("2001:db8::1", "2001:DB8::0002", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("2001:db8::1", "[2001:db8::2]:443", True),
        ("fe80::1%eth0", "fe80::2", True),
        ("not an address", "made up", True),
        ("", "999.1.2.3", True),
    ],
)
def test_whom_an_address_belongs_to(one: str, other: str, same: bool) -> None:
    assert (network_of(one) == network_of(other)) is same


def addresses(site: Site, *asked: Request) -> Sequence[bytes]:
    return [site.gate._addresses.digest(one) for one in asked]


def test_a_client_that_names_an_address_of_its_own_is_not_believed() -> None:
    site = Site(failure_rate=1)
    site.ask(request("192.0.2.1", ("X-Forwarded-For", "198.51.100.1")), fails=GUESS)
    assert site.ask(request("192.0.2.1", ("X-Forwarded-For", "198.51.100.2"))) == 429


@pytest.mark.parametrize(
    "fields",
    [
        [("X-Forwarded-For", "203.0.113.9")],
        [("X-Forwarded-For", "198.51.100.1, 203.0.113.9")],  # the first is what the client says
        [("X-Forwarded-For", "198.51.100.1"), ("X-Forwarded-For", "203.0.113.9")],
        [("X-Forwarded-For", "203.0.113.9:4711")],
    ],
)
def test_behind_the_operator_s_proxy_the_last_address_counts(fields: list[tuple[str, str]]) -> None:
    site = Site(trust_forwarded=True)
    plain = request("203.0.113.9")
    found, expected, proxy = addresses(site, request("10.0.0.1", *fields), plain, request("10.0.0.1"))
    assert found == expected != proxy


def test_A17_an_address_is_kept_as_a_keyed_hash_whose_key_is_made_anew() -> None:
    site = Site(failure_rate=5)
    before = addresses(site, request())
    assert len(before[0]) == 16
    assert addresses(site, request()) == before
    site.timer.now += KEY_SECONDS
    assert addresses(site, request()) != before
    assert len(set(site.keys)) == 2
    site.ask(request(), fails=GUESS)
    kept = repr((site.gate._failures._buckets, site.gate._creations._buckets))
    assert "192.0.2.1" not in kept


def test_two_gates_do_not_hash_alike() -> None:
    one, other = Gate(RelaySettings()), Gate(RelaySettings())
    assert one._addresses.digest(request()) != other._addresses.digest(request())


TOKENS = (Secret("token-of-the-operator-1"), Secret("token-of-the-operator-2"))


@pytest.mark.parametrize("given", [None, "", "token", "token-of-the-operator-3", "tök\x00"])
def test_a_relay_that_wants_tokens_makes_nothing_without_one(given: str | None) -> None:
    site = Site(creation_tokens=TOKENS)
    with pytest.raises(CreationTokenMissing) as error:
        site.gate.check_creation(request(), given)
    assert (error.value.code, error.value.http_status) == ("creation_token_missing", 401)


@pytest.mark.parametrize("token", TOKENS)
def test_each_of_its_tokens_will_do(token: Secret) -> None:
    Site(creation_tokens=TOKENS).gate.check_creation(request(), token.reveal())


def test_where_no_token_is_wanted_none_is_looked_at() -> None:
    Site().gate.check_creation(request(), "whatever a vendor attests")


@pytest.mark.parametrize("mode", ["navigate", "Navigate", "cors, navigate"])
def test_A21_what_is_for_programs_is_not_opened_as_a_page(mode: str) -> None:
    site = Site()
    opened = request("192.0.2.1", ("Sec-Fetch-Mode", mode))
    assert site.ask(opened) == 403
    assert site.reached == 0
    assert site.ask(opened, page=True) == 200


@pytest.mark.parametrize("mode", ["cors", "no-cors", "same-origin", "websocket"])
def test_other_modes_are_let_through(mode: str) -> None:
    assert Site().ask(request("192.0.2.1", ("Sec-Fetch-Mode", mode))) == 200


@given(st.text() | st.from_regex(r"\[?[0-9a-f:.%]{0,40}\]?(:[0-9]{0,6})?", fullmatch=True))
def test_whatever_a_proxy_writes_is_an_address_or_nobody_s(text: str) -> None:
    found = network_of(text)
    assert found == "" or network_of(found.partition("/")[0]) == found
