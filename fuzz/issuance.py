"""Targets: what a wallet sends to an issuer after, or beside, a credential request."""

from typing import Any

from fuzz import json_trees
from fuzz.choices import Choices
from fuzz.envelopes import JWE_HEADER, RECIPIENT, encrypted, text
from fuzz.judgement import Target
from fuzz.keys import key
from fuzz.tokens import ISSUER, NOW
from safeconduct.protocols.openid4vci import deferred, encryption, metadata, negotiation, notification

_ENCRYPTION = encryption.IssuerEncryption(
    request=metadata.RequestEncryption(keys=(RECIPIENT.public,), enc_values=("A256GCM",), required=True),
    response=metadata.ResponseEncryption(alg_values=("ECDH-ES",), enc_values=("A256GCM",), required=False),
    keys={"recipient": RECIPIENT},
)
_SENDER = encryption.Sender(audience=ISSUER, access_token="token", key=key("ES256").public)
_DEFERRED: dict[str, Any] = {
    "transaction_id": "t",
    "credential_response_encryption": {"jwk": RECIPIENT.public.to_jwk(), "enc": "A256GCM"},
}
_NOTIFICATION = {"notification_id": "n", "event": "credential_accepted", "event_description": "d"}
_SHOWN = {"display": [{"name": "a", "locale": "de"}], "x": {"display": [{"locale": "en-GB"}]}}


def _sealed(data: bytes) -> bytes:
    choices = Choices(data)
    plaintext = json_trees.changed(_DEFERRED, choices)
    return encrypted({**JWE_HEADER, "cty": "json"}, plaintext, choices).encode()


def _receive(body: bytes) -> None:
    encryption.receive_deferred_request(
        body, content_type="application/jwt", encryption=_ENCRYPTION, sender=_SENDER, now=NOW
    )


def _negotiate(header: str) -> None:
    negotiation.choose_media_type(header, ("application/json", "application/jwt"))
    language = negotiation.choose_language(header, negotiation.languages(_SHOWN))
    if language is not None:
        negotiation.in_language(_SHOWN, language)


TARGETS = (
    Target(
        name="openid4vci.deferred_request",
        read=deferred.parse_deferred_request,
        prepare=json_trees.preparing(_DEFERRED),
        seeds=json_trees.seeding(_DEFERRED),
    ),
    Target(name="openid4vci.sealed_deferred_request", read=_receive, prepare=_sealed),
    Target(
        name="openid4vci.notification",
        read=notification.parse_notification,
        prepare=json_trees.preparing(_NOTIFICATION),
        seeds=json_trees.seeding(_NOTIFICATION),
    ),
    Target(
        name="openid4vci.negotiation",
        read=_negotiate,
        prepare=text,
        seeds=lambda: [b"application/jwt;q=0.9, */*;q=0.1", b"de-AT, en;q=0.8"],
    ),
)
