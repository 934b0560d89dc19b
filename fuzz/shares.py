"""Targets: the messages of shares, as the issuer reads them and as a wallet does."""

from typing import Any

from fuzz import json_trees
from fuzz.judgement import Target
from safeconduct.encoding import json
from safeconduct.protocols.openid4vci import sharing, sharing_terms

_OFFER: dict[str, Any] = {
    "credential_issuer": "https://issuer.example",
    "credential_configuration_ids": ["a"],
    "grants": {"urn:ietf:params:oauth:grant-type:pre-authorized_code": {"pre-authorized_code": "c"}},
}
_REQUEST: dict[str, Any] = {
    "presentation": "AAAA",
    "format": "application/sd-cwt",
    "mode": "share",
    "binding": {"level": "key", "jkt": "A" * 43},
    "entitlements": ["a", "b"],
    "not_before": 1,
    "expires": 2,
    "lifetime": 3,
    "request_id": "0123456789abcdef",
}
_VIEW: dict[str, Any] = {
    "share_id": "s",
    "state": "pending",
    "mode": "share",
    "level": "pin",
    "created_at": 1,
    "expires_at": 2,
    "pinned": False,
    "entitlements": ["a"],
    "credential_expires": 3,
}
_CREATED: dict[str, Any] = {
    "share_id": "s",
    "credential_offer": _OFFER,
    "tx_code": "123456",
    "expires_at": 2,
    "level": "pin",
    "mode": "share",
}
_ENDPOINTS = {"challenge_endpoint": "a", "shares_endpoint": "b", "access_endpoint": "c"}
_TERMS = {"modes": ["share"], "levels": ["pin"], "rights": "r", "claims": ["a", "r"]}


def _document(name: str, read: Any, seed: dict[str, Any]) -> Target:
    return Target(name=name, read=read, prepare=json_trees.preparing(seed), seeds=json_trees.seeding(seed))


def _read_members(body: bytes) -> None:
    members = json.loads(body)
    sharing_terms.read_endpoints(members)
    sharing_terms.read_terms(members)


TARGETS = (
    _document("openid4vci.share_request", sharing.parse_share_request, _REQUEST),
    _document(
        "openid4vci.share_access_request",
        sharing.parse_access_request,
        {"presentation": "a~b", "format": "dc+sd-jwt"},
    ),
    _document("openid4vci.share_pin", sharing.parse_pin, {"jkt": "A" * 43}),
    _document(
        "openid4vci.share_challenge",
        sharing.parse_challenge,
        {"nonce": "n", "audience": "https://issuer.example", "expires_in": 1},
    ),
    _document("openid4vci.created_share", sharing.parse_created_share, _CREATED),
    _document("openid4vci.share_access", sharing.parse_access, {"access_token": "t", "expires_in": 1}),
    _document("openid4vci.shares", sharing.parse_shares, {"shares": [_VIEW]}),
    _document("openid4vci.share", sharing.parse_view, _VIEW),
    _document(
        "openid4vci.cancelled_share", sharing.parse_cancelled, {"outcome": "revoked", "state": "revoked"}
    ),
    _document("openid4vci.sharing_members", _read_members, {**_ENDPOINTS, **_TERMS}),
)
