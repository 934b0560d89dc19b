"""The messages of shares: as they were written, bounded, and with nothing secret in their repr."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from safeconduct import limits
from safeconduct.encoding import b64, json
from safeconduct.errors import Malformed, SafeconductError
from safeconduct.protocols.openid4vci import sharing, sharing_terms
from safeconduct.protocols.openid4vci.configuration import (
    SD_CWT,
    SD_JWT,
    CredentialConfiguration,
    configuration_json,
    parse_configuration,
)
from safeconduct.protocols.openid4vci.metadata import (
    IssuerMetadata,
    issuer_metadata_from,
    issuer_metadata_json,
)
from safeconduct.protocols.openid4vci.sharing import (
    AccessRequest,
    Cancelled,
    CreatedShare,
    ShareBinding,
    ShareChallenge,
    ShareRequest,
    SharesAccess,
    ShareView,
)
from safeconduct.protocols.openid4vci.sharing_errors import InvalidPresentation, InvalidShareRequest

ISSUER = "https://issuer.example"
JKT = b64.encode(bytes(range(32)))
OFFER = {
    "credential_issuer": ISSUER,
    "credential_configuration_ids": ["car"],
    "grants": {"urn:ietf:params:oauth:grant-type:pre-authorized_code": {"pre-authorized_code": "code-1"}},
}
REQUEST = ShareRequest(
    presentation=b"\x00\xff presented",
    format=SD_CWT,
    mode="move",
    binding=ShareBinding(level="key", jkt=JKT),
    entitlements=("open", "start"),
    not_before=1,
    expires=2,
    lifetime=3,
    request_id="0123456789abcdef",
)
CREATED = CreatedShare(
    share_id="share-1", credential_offer=OFFER, tx_code="123456", expires_at=2, level="pin", mode="share"
)
VIEW = ShareView(
    share_id="share-1",
    state="issued",
    mode="share",
    level="approve",
    created_at=1,
    expires_at=2,
    pinned=True,
    entitlements=("open",),
    credential_expires=3,
)


def _bytes(members: Any) -> bytes:
    return json.dumps(members)


@pytest.mark.parametrize(
    "request_",
    [
        REQUEST,
        ShareRequest(presentation=b"a~b", format=SD_JWT, mode="share", binding=ShareBinding(level="link")),
    ],
)
def test_a_request_is_read_as_it_was_written(request_: ShareRequest) -> None:
    body = sharing.encode_share_request(request_)
    assert sharing.parse_share_request(body) == request_
    members = json.loads_object(body)
    assert members["binding"]["level"] == request_.binding.level
    assert None not in members.values()


def test_the_other_messages_are_read_as_they_were_written() -> None:
    challenge = ShareChallenge(nonce="n", audience=ISSUER, expires_in=300)
    access_request = AccessRequest(presentation=b"a~b", format=SD_JWT)
    access = SharesAccess(access_token="token-1", expires_in=300)
    cancelled = Cancelled(outcome="revoked", state="revoked")
    assert sharing.parse_challenge(_bytes(sharing.challenge_json(challenge))) == challenge
    assert sharing.parse_access_request(sharing.encode_access_request(access_request)) == access_request
    assert sharing.parse_created_share(_bytes(sharing.created_json(CREATED))) == CREATED
    assert sharing.access_json(access)["token_type"] == "Bearer"
    assert sharing.parse_access(_bytes(sharing.access_json(access))) == access
    assert sharing.parse_shares(_bytes(sharing.shares_json([VIEW, VIEW]))) == (VIEW, VIEW)
    assert sharing.parse_view(_bytes(sharing.view_json(VIEW))) == VIEW
    assert sharing.parse_pin(sharing.encode_pin(JKT)) == JKT
    assert sharing.parse_cancelled(_bytes(sharing.cancelled_json(cancelled))) == cancelled


def test_a_view_without_rights_and_of_an_unknown_state_is_read() -> None:
    """A newer issuer may have more states; a wallet shows what it does not know."""
    plain = msgspec.structs.replace(VIEW, entitlements=None, credential_expires=None, state="frozen")
    assert "entitlements" not in sharing.view_json(plain)
    assert sharing.parse_view(_bytes(sharing.view_json(plain))) == plain


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"binding": {"level": "key"}}, "jkt_missing"),
        ({"binding": {"level": "key", "jkt": JKT + "="}}, "jkt_malformed"),
        ({"binding": {"level": "key", "jkt": JKT[:-1]}}, "jkt_malformed"),
        ({"binding": {"level": "key", "jkt": JKT[:-1] + "9"}}, "jkt_malformed"),  # another spelling of it
        ({"binding": {"level": "key", "jkt": "é" * 43}}, "jkt_malformed"),
        ({"binding": {"level": "link", "jkt": JKT}}, "jkt_unexpected"),
        ({"binding": {"level": "pin", "jkt": JKT}}, "jkt_unexpected"),
        ({"binding": {"level": "approve", "jkt": JKT}}, "jkt_unexpected"),
        ({"binding": {"level": "sms"}}, "message_malformed"),
        ({"mode": "copy"}, "message_malformed"),
        ({"mode": None}, "message_malformed"),
        ({"presentation": ""}, "message_malformed"),
        ({"presentation": 1}, "message_malformed"),
        ({"format": "mso_mdoc"}, "share_format_unknown"),
        ({"entitlements": []}, "share_entitlements_empty"),
        ({"entitlements": ["a", "a"]}, "share_entitlements_repeated"),
        ({"entitlements": ["a" * (limits.CODE_CHARS + 1)]}, "message_malformed"),
        ({"entitlements": [str(n) for n in range(limits.LIST_ITEMS + 1)]}, "message_malformed"),
        ({"expires": 1 << 53}, "message_malformed"),
        ({"not_before": -1}, "message_malformed"),
        ({"lifetime": limits.OFFER_SECONDS + 1}, "message_malformed"),
        ({"request_id": "0123456789abcde"}, "share_request_id_malformed"),
        ({"request_id": "a" * 129}, "share_request_id_malformed"),
        ({"request_id": "0123456789abcdef\n"}, "share_request_id_malformed"),
    ],
)
def test_a_request_that_is_not_one_is_named(change: dict[str, Any], code: str) -> None:
    members = {**json.loads_object(sharing.encode_share_request(REQUEST)), **change}
    with pytest.raises(InvalidShareRequest) as error:
        sharing.parse_share_request(_bytes(members))
    assert error.value.code == code


@pytest.mark.parametrize(
    ("format_", "text", "code"),
    [
        (SD_CWT, "AAA=", "base64url_malformed"),
        (SD_CWT, "+/+/", "base64url_malformed"),
        (SD_CWT, "A" * (limits.TOKEN_BYTES * 4 // 3 + 4), "base64url_too_large"),
        (SD_JWT, "é~", "sd_jwt_malformed"),
        (SD_JWT, "a" * (limits.TOKEN_BYTES + 1), "sd_jwt_malformed"),
    ],
)
def test_a_presentation_that_cannot_be_one_is_refused(format_: str, text: str, code: str) -> None:
    body = _bytes({"presentation": text, "format": format_})
    with pytest.raises(InvalidPresentation) as error:
        sharing.parse_access_request(body)
    assert error.value.code == code


def test_unknown_members_are_ignored_and_repeated_ones_are_not() -> None:
    members = {**json.loads_object(sharing.encode_share_request(REQUEST)), "more": [{}]}
    assert sharing.parse_share_request(_bytes(members)) == REQUEST
    with pytest.raises(InvalidShareRequest):
        sharing.parse_share_request(b'{"format":"dc+sd-jwt","format":"dc+sd-jwt"}')


@pytest.mark.parametrize(
    ("read", "most"),
    [
        (sharing.parse_share_request, limits.SHARE_REQUEST_BYTES),
        (sharing.parse_access_request, limits.SHARE_REQUEST_BYTES),
        (sharing.parse_pin, limits.SHARE_PIN_BYTES),
        (sharing.parse_created_share, 2 * limits.OFFER_BYTES),
    ],
)
def test_messages_are_bounded(read: Callable[[bytes], object], most: int) -> None:
    with pytest.raises(SafeconductError) as error:
        read(b" " * (most + 1))
    assert error.value.code == "json_too_large"


def test_the_list_of_shares_is_bounded() -> None:
    view = sharing.view_json(VIEW)
    sharing.parse_shares(_bytes({"shares": [view] * limits.SHARES_REMEMBERED}))
    with pytest.raises(Malformed, match="message_malformed"):
        sharing.parse_shares(_bytes({"shares": [view] * (limits.SHARES_REMEMBERED + 1)}))


@pytest.mark.parametrize(
    "offer",
    [
        {},
        {**OFFER, "credential_issuer": "http://issuer.example"},
        {**OFFER, "credential_configuration_ids": []},
        {**OFFER, "credential_configuration_ids": ["car", "car"]},
        {**OFFER, "grants": 1},
    ],
)
def test_a_share_that_offers_nothing_usable_is_refused(offer: dict[str, Any]) -> None:
    with pytest.raises(SafeconductError):
        sharing.parse_created_share(_bytes({**sharing.created_json(CREATED), "credential_offer": offer}))


def test_the_name_of_a_share_is_its_senders_to_compute_and_nobody_elses() -> None:
    name = sharing.share_id_of(ISSUER, "0123456789abcdef")
    assert len(name) == 32
    assert name == sharing.share_id_of(ISSUER, "0123456789abcdef")
    assert name != sharing.share_id_of(ISSUER, "0123456789abcdeg")
    assert name != sharing.share_id_of("https://other.example", "0123456789abcdef")


@pytest.mark.parametrize(
    "message",
    [
        REQUEST,
        REQUEST.binding,
        CREATED,
        VIEW,
        ShareChallenge(nonce="nonce-1", audience=ISSUER, expires_in=1),
        AccessRequest(presentation=b"presented", format=SD_JWT),
        SharesAccess(access_token="token-1", expires_in=1),
    ],
)
def test_no_repr_shows_what_is_secret_or_names_anybody(message: Any) -> None:
    shown = repr(message)
    for secret in ("presented", JKT, "open", "0123456789abcdef", "code-1", "123456", "share-1", "nonce-1"):
        assert secret not in shown
    assert "token-1" not in shown


# Metadata.

TERMS = sharing_terms.SharingTerms(modes=("share",), levels=("pin", "key"), rights="r", claims=("a", "r"))
ENDPOINTS = sharing_terms.SharingEndpoints(
    challenge_endpoint=f"{ISSUER}/c", shares_endpoint=f"{ISSUER}/s", access_endpoint=f"{ISSUER}/a"
)


def test_metadata_say_where_and_how() -> None:
    configuration = CredentialConfiguration(id="car", format=SD_JWT, vct="v", sharing=TERMS)
    metadata = IssuerMetadata(
        credential_issuer=ISSUER,
        credential_endpoint=f"{ISSUER}/credential",
        configurations=(configuration,),
        sharing=ENDPOINTS,
    )
    written = json.loads_object(_bytes(issuer_metadata_json(metadata)))
    assert written["sharing"] == {
        "challenge_endpoint": f"{ISSUER}/c",
        "shares_endpoint": f"{ISSUER}/s",
        "access_endpoint": f"{ISSUER}/a",
    }
    read = issuer_metadata_from(written, credential_issuer=ISSUER)
    assert read == metadata
    written["sharing"]["shares_endpoint"] = "http://issuer.example/s"
    with pytest.raises(SafeconductError, match="url_not_https"):
        issuer_metadata_from(written, credential_issuer=ISSUER)


@pytest.mark.parametrize("value", [1, "x", [], {}, {"modes": []}, {"modes": ["share"], "levels": 1}, None])
def test_a_member_of_that_name_that_is_somebody_elses_is_ignored(value: Any) -> None:
    configuration = CredentialConfiguration(id="car", format=SD_JWT, vct="v")
    written = {**json.loads_object(_bytes(configuration_json(configuration))), "sharing": value}
    assert parse_configuration("car", written) == configuration
    assert sharing_terms.read_endpoints(value) is None
    more = {"modes": ["lend", "share"], "levels": ["bluetooth"], "since": 1}
    assert parse_configuration("car", {**written, "sharing": more}).sharing is not None
