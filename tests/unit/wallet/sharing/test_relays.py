"""Which relays a wallet speaks to without asking (A37)."""

from typing import Any

import pytest

from safeconduct.errors import SafeconductError
from safeconduct.wallet.context import Context
from safeconduct.wallet.sharing import relays


def context(**members: Any) -> Context:
    nothing: Any = None
    return Context(
        **{
            "safe": nothing,
            "fetcher": nothing,
            "clock": nothing,
            "random": lambda count: bytes(range(count)),
            "new_key": nothing,
            "report": nothing,
            "sleep": nothing,
            "browse": nothing,
            "client_id": "",
            "allow_http_loopback": False,
            **members,
        }
    )


@pytest.mark.parametrize(
    ("relay", "listed"),
    [
        ("https://relay.example", True),
        ("https://RELAY.example:443", True),
        ("https://second.example/base", True),
        ("http://relay.example", False),
        ("https://relay.example:8443", False),
        ("https://relay.example.evil.example", False),
        ("https://second.example", False),
        ("https://second.example/other", False),
        ("https://evil.example", False),
    ],
)
def test_only_relays_that_the_user_named_are_taken_unasked(relay: str, listed: bool) -> None:
    here = context(relay="https://relay.example/", relays=("https://second.example/base",))
    assert relays.is_listed(here, relay) is listed
    assert not relays.is_listed(context(), relay)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (None, "relay_missing"),
        ("", "relay_missing"),
        ("http://relay.example", "url_not_https"),
        ("http://127.0.0.1:8480", "url_not_https"),
        ("ftp://relay.example", "url_not_https"),
        ("https://user@relay.example", "url_malformed"),
        ("https://relay.example/?x=1", "identifier_has_query"),
        ("relay.example", "url_malformed"),
    ],
)
def test_p15_a_share_is_left_over_tls_and_where_there_is_a_relay(wanted: str | None, code: str) -> None:
    with pytest.raises(SafeconductError) as error:
        relays.relay_to_leave_at(context(), wanted)
    assert error.value.code == code


def test_a_relay_on_this_machine_is_taken_where_that_is_allowed() -> None:
    here = context(allow_http_loopback=True, relay="http://127.0.0.1:8480/")
    assert relays.relay_to_leave_at(here, None) == "http://127.0.0.1:8480"
    assert relays.relay_to_leave_at(here, "https://relay.example") == "https://relay.example"


def test_a_claim_is_a_uuid_of_its_own() -> None:
    numbers = iter(range(100))
    box = relays.new_box(
        context(random=lambda count: bytes([next(numbers)] * count)), "https://relay.example"
    )
    assert box.claim != box.created
    assert (len(box.claim), box.claim[14]) == (36, "4")
