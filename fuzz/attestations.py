"""Targets: what others vouch for in a JWT: clients, keys, and an issuer's metadata."""

import base64
from collections.abc import Callable
from typing import Any

from fuzz import json_trees
from fuzz.choices import Choices
from fuzz.envelopes import signed, text
from fuzz.judgement import Target
from fuzz.keys import chain, key
from fuzz.tokens import ISSUER, NOW
from fuzz.trees import mutate
from safeconduct.crypto import x509
from safeconduct.protocols.oauth import client_attestation
from safeconduct.protocols.openid4vci import key_attestation, signed_metadata
from safeconduct.trust import Anchors, Trust

_JWK = key("ES256").public.to_jwk()
_X5C = [base64.b64encode(der).decode() for der in chain()[1:2]]
_TRUST = Trust(
    {ISSUER: (key("ES256").public,)}, shared=Anchors((x509.from_der(chain()[-1]),), accept=x509.LENIENCIES)
)
_ATTESTATION: tuple[dict[str, Any], dict[str, Any]] = (
    {"alg": "ES256", "typ": client_attestation.TYPE, "kid": "k"},
    {
        "iss": ISSUER,
        "sub": "wallet",
        "iat": NOW,
        "exp": NOW + 60,
        "cnf": {"jwk": _JWK},
        "status": {"status_list": {"idx": 1, "uri": ISSUER}},
    },
)
_POP: tuple[dict[str, Any], dict[str, Any]] = (
    {"alg": "ES256", "typ": client_attestation.POP_TYPE},
    {"iss": "wallet", "aud": ISSUER, "jti": "j", "iat": NOW, "challenge": "c"},
)
_KEYS: tuple[dict[str, Any], dict[str, Any]] = (
    {"alg": "ES256", "typ": key_attestation.TYPE, "x5c": _X5C},
    {
        "iat": NOW,
        "exp": NOW + 60,
        "attested_keys": [_JWK, key("Ed25519").public.to_jwk()],
        "key_storage": ["iso_18045_high"],
        "user_authentication": ["iso_18045_high"],
        "nonce": "n",
    },
)
_METADATA: tuple[dict[str, Any], dict[str, Any]] = (
    {"alg": "ES256", "typ": signed_metadata.TYPE, "x5c": _X5C},
    {"sub": ISSUER, "iat": NOW, "exp": NOW + 60, "credential_issuer": ISSUER, "credential_endpoint": ISSUER},
)


def _jwt(*shapes: tuple[dict[str, Any], dict[str, Any]]) -> Callable[[bytes], str]:
    """Makes signed JWTs whose header or claims are changed, or garbage in their place."""

    def prepare(data: bytes) -> str:
        choices = Choices(data)
        header, claims = choices.pick(shapes)
        kind = choices.number(4)
        if kind == 0:
            return text(choices.rest())
        if kind == 1:
            return signed(
                mutate(header, choices, json_trees.POOL), json_trees.encode(claims, choices), choices
            )
        return signed(header, json_trees.changed(claims, choices), choices)

    return prepare


_GOOD_ATTESTATION = signed(_ATTESTATION[0], json_trees.encode(_ATTESTATION[1], Choices(b"")), Choices(b""))


def _verify_client(received: str) -> None:
    attestation, pop = received, received
    if client_attestation.POP_TYPE in received or not received.startswith("ey"):
        attestation = _GOOD_ATTESTATION
    headers = client_attestation.single_headers([attestation], [pop])
    assert headers is not None
    client_attestation.verify_client_attestation(
        *headers,
        trust=_TRUST,
        audience=ISSUER,
        now=NOW,
        client_id="wallet",
        challenge_ok=lambda value: value == "c",
    )


def _verify_keys(received: str) -> None:
    attested = key_attestation.verify_key_attestation(
        received,
        trust=_TRUST,
        now=NOW,
        nonce_ok=lambda value: value == "n",
        required=key_attestation.KeyAttestationsRequired(key_storage=("iso_18045_high",)),
        expiry_required=True,
    )
    attested.key_named({"kid": "0"})


def _verify_metadata(received: str) -> None:
    signed_metadata.verify_signed_metadata(received, credential_issuer=ISSUER, trust=_TRUST, now=NOW)


TARGETS = (
    Target(name="oauth.client_attestation", read=_verify_client, prepare=_jwt(_ATTESTATION, _POP)),
    Target(
        name="oauth.attestation_challenge",
        read=client_attestation.parse_challenge_response,
        prepare=json_trees.preparing({"attestation_challenge": "c"}),
        seeds=json_trees.seeding({"attestation_challenge": "c"}),
    ),
    Target(name="openid4vci.key_attestation", read=_verify_keys, prepare=_jwt(_KEYS)),
    Target(name="openid4vci.signed_metadata", read=_verify_metadata, prepare=_jwt(_METADATA)),
)
