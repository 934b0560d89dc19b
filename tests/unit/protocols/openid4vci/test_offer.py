"""Credential offers by value and by reference (OpenID4VCI 1.0 §4.1); whatever else arrives is refused."""

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.protocols.reading import read_or_refused

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed, Rejected, SafeconductError
from safeconduct.protocols.openid4vci import offer as offers

PRE_AUTHORIZED = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
OFFER = offers.CredentialOffer(
    credential_issuer="https://issuer.example/tenant",
    credential_configuration_ids=("card", "diploma"),
    pre_authorized=offers.PreAuthorizedGrant("code", offers.TxCode(length=4, description="By letter & post")),
)


def members(**changes: Any) -> dict[str, Any]:
    return {**offers.offer_json(OFFER), **changes}


def parse(**changes: Any) -> offers.CredentialOffer:
    return offers.parse_offer(json.dumps(members(**changes)))


def grant(**changes: Any) -> dict[str, Any]:
    return {PRE_AUTHORIZED: {"pre-authorized_code": "code", **changes}}


@pytest.mark.parametrize(
    "offer",
    [
        OFFER,
        offers.CredentialOffer(
            credential_issuer="https://issuer.example", credential_configuration_ids=("card",)
        ),
        offers.CredentialOffer(
            credential_issuer="https://issuer.example",
            credential_configuration_ids=("card",),
            pre_authorized=offers.PreAuthorizedGrant("c", None, "https://server.example"),
            authorization_code=offers.AuthorizationCodeGrant("state", "https://server.example"),
        ),
    ],
)
def test_an_offer_is_read_as_it_was_written(offer: offers.CredentialOffer) -> None:
    assert offers.parse_offer(json.dumps(offers.offer_json(offer))) == offer
    assert offers.parse_offer_uri(offers.uri_by_value(offer)) == offer


def test_the_names_on_the_wire_are_those_of_the_specification() -> None:
    assert json.loads(json.dumps(offers.offer_json(OFFER))) == {
        "credential_issuer": "https://issuer.example/tenant",
        "credential_configuration_ids": ["card", "diploma"],
        "grants": {
            PRE_AUTHORIZED: {
                "pre-authorized_code": "code",
                "tx_code": {"length": 4, "description": "By letter & post"},
            }
        },
    }


def test_a_reference_is_read_as_it_was_written() -> None:
    url = "https://issuer.example/offers/abc?x=1&y=2"

    assert offers.parse_offer_uri(offers.uri_by_reference(url)) == offers.OfferReference(url)
    assert offers.uri_by_reference(url).startswith("openid-credential-offer://?credential_offer_uri=https%3A")


def test_an_empty_tx_code_object_asks_for_a_code() -> None:
    read = parse(grants=grant(tx_code={}))

    assert read.pre_authorized is not None
    assert read.pre_authorized.tx_code == offers.TxCode()
    assert offers.offer_json(read)["grants"][PRE_AUTHORIZED]["tx_code"] == {}


def test_unknown_members_and_grants_are_ignored() -> None:
    read = parse(other=1, grants={"urn:other": {}, **grant(interval=5)})

    assert read.pre_authorized == offers.PreAuthorizedGrant("code")


@pytest.mark.parametrize(
    ("changes", "kind", "code"),
    [
        ({"credential_issuer": None}, Malformed, "message_malformed"),
        ({"credential_issuer": "http://issuer.example"}, Rejected, "url_not_https"),
        ({"credential_issuer": "https://issuer.example?a=b"}, Rejected, "identifier_has_query"),
        ({"credential_issuer": "https://issuer.example#a"}, Malformed, "url_malformed"),
        ({"credential_configuration_ids": None}, Malformed, "message_malformed"),
        ({"credential_configuration_ids": []}, Malformed, "message_malformed"),
        ({"credential_configuration_ids": [""]}, Malformed, "message_malformed"),
        ({"credential_configuration_ids": [1]}, Malformed, "message_malformed"),
        ({"credential_configuration_ids": ["card", "card"]}, Rejected, "offer_configuration_repeated"),
        (
            {"credential_configuration_ids": [str(n) for n in range(limits.LIST_ITEMS + 1)]},
            Malformed,
            "message_malformed",
        ),
        ({"grants": []}, Malformed, "message_malformed"),
        ({"grants": {PRE_AUTHORIZED: {}}}, Malformed, "message_malformed"),
        ({"grants": grant(**{"pre-authorized_code": ""})}, Malformed, "message_malformed"),
        ({"grants": grant(tx_code=True)}, Malformed, "message_malformed"),
        ({"grants": grant(tx_code={"input_mode": "voice"})}, Rejected, "tx_code_mode_unknown"),
        ({"grants": grant(tx_code={"length": 0})}, Malformed, "message_malformed"),
        ({"grants": grant(tx_code={"description": "a" * 301})}, Malformed, "message_malformed"),
        ({"padding": "a" * limits.OFFER_BYTES}, Malformed, "json_too_large"),
    ],
)
def test_an_unacceptable_offer_is_refused(
    changes: dict[str, Any], kind: type[SafeconductError], code: str
) -> None:
    with pytest.raises(kind) as caught:
        parse(**changes)
    assert caught.value.code == code


def test_an_issuer_on_the_local_machine_needs_no_tls_if_allowed() -> None:
    body = json.dumps(members(credential_issuer="http://127.0.0.1:8000"))

    assert offers.parse_offer(body, allow_http_loopback=True).credential_issuer == "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("query", "kind", "code"),
    [
        ("", Rejected, "offer_uri_ambiguous"),
        ("other=1", Rejected, "offer_uri_ambiguous"),
        (
            "credential_offer=%7B%7D&credential_offer_uri=https%3A%2F%2Fa.example",
            Rejected,
            "offer_uri_ambiguous",
        ),
        ("credential_offer=%7B%7D&credential_offer=%7B%7D", Malformed, "offer_uri_malformed"),
        ("credential_offer_uri=http%3A%2F%2Fa.example", Rejected, "url_not_https"),
        ("credential_offer_uri=openid%3Aa", Malformed, "url_malformed"),
        ("credential_offer=%7B%7D", Malformed, "message_malformed"),
        ("credential_offer=%FF", Malformed, "offer_uri_malformed"),
    ],
)
def test_a_uri_with_not_exactly_one_good_offer_is_refused(
    query: str, kind: type[SafeconductError], code: str
) -> None:
    with pytest.raises(kind) as caught:
        offers.parse_offer_uri(f"openid-credential-offer://?{query}")
    assert caught.value.code == code


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "card",
        "?credential_offer=%7B%7D",
        "https://[::1?credential_offer=%7B%7D",
        "x://?credential_offer=" + "a" * 4 * limits.OFFER_BYTES,
    ],
)
def test_what_is_not_a_uri_is_malformed(uri: str) -> None:
    with pytest.raises(Malformed) as caught:
        offers.parse_offer_uri(uri)
    assert caught.value.code == "offer_uri_malformed"


def test_another_scheme_that_opens_a_wallet_is_taken() -> None:
    value = quote(json.dumps(members()))

    assert offers.parse_offer_uri(f"https://wallet.example/offer?credential_offer={value}") == OFFER


def test_a_transaction_code_is_of_the_kind_announced() -> None:
    numeric = offers.new_tx_code(offers.TxCode(length=8))
    text = offers.new_tx_code(offers.TxCode(input_mode="text", length=10))

    assert (len(numeric), numeric.isdecimal()) == (8, True)
    assert (len(text), text.isalnum(), text.isupper()) == (10, True, True)
    assert len(offers.new_tx_code(offers.TxCode())) == 6


def test_a_transaction_code_can_be_any_of_its_digits() -> None:
    seen = {digit for _ in range(40) for digit in offers.new_tx_code(offers.TxCode(length=20))}

    assert seen == set("0123456789")


def test_codes_are_not_shown() -> None:
    assert "'code'" not in repr(OFFER)


@given(st.text() | st.binary())
def test_any_body_is_an_offer_or_a_safeconduct_error(body: str | bytes) -> None:
    read_or_refused(lambda: offers.parse_offer(body), offers.CredentialOffer)


@given(st.text() | st.from_regex(r"[a-z]{0,3}:(//)?\?credential_offer(_uri)?=.{0,20}", fullmatch=True))
def test_any_text_is_the_uri_of_an_offer_or_a_safeconduct_error(uri: str) -> None:
    try:
        offers.parse_offer_uri(uri)
    except SafeconductError:
        return
