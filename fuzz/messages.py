"""Targets: the messages of OAuth and OpenID4VCI."""

from collections.abc import Callable
from typing import Any

from fuzz import json_trees
from fuzz.choices import Choices
from fuzz.envelopes import JWE_HEADER, RECIPIENT, encrypted, signed, text
from fuzz.judgement import Target
from fuzz.keys import key
from fuzz.tokens import ISSUER, NOW
from fuzz.trees import mutate
from safeconduct.crypto.agreement import AgreementPublicKey
from safeconduct.encoding import json
from safeconduct.formats import sd_cwt
from safeconduct.protocols.oauth import (
    authorization,
    authorization_details,
    authorization_request,
    authorization_response,
    dpop,
    errors,
    form,
    redirect_uri,
    scope,
    token,
    urls,
)
from safeconduct.protocols.oauth import metadata as server_metadata
from safeconduct.protocols.openid4vci import (
    configuration,
    encryption,
    metadata,
    nonce,
    offer,
    proof,
    request,
    response,
    signed_request,
)

_URL = f"{ISSUER}/credential"
_TOKEN = "access-token"
_SERVER: dict[str, Any] = {
    "issuer": ISSUER,
    "token_endpoint": f"{ISSUER}/token",
    "grant_types_supported": [token.PRE_AUTHORIZED_CODE],
    "dpop_signing_alg_values_supported": ["ES256"],
}
_DETAILS = [{"type": "openid_credential", "credential_configuration_id": "card", "locations": [ISSUER]}]
_GRANTED = {
    "access_token": _TOKEN,
    "token_type": "DPoP",
    "expires_in": 60,
    "authorization_details": [{**_DETAILS[0], "credential_identifiers": ["a", "b"]}],
}
_OFFER: dict[str, Any] = {
    "credential_issuer": ISSUER,
    "credential_configuration_ids": ["card"],
    "grants": {
        token.PRE_AUTHORIZED_CODE: {
            "pre-authorized_code": "code",
            "tx_code": {"length": 6, "input_mode": "text"},
        },
        "authorization_code": {"issuer_state": "state", "authorization_server": ISSUER},
    },
}
_REQUEST_ENCRYPTION = metadata.RequestEncryption(
    keys=(RECIPIENT.public,), enc_values=("A128GCM", "A256GCM"), zip_values=("DEF",), required=True
)
_RESPONSE_ENCRYPTION = metadata.ResponseEncryption(
    alg_values=("ECDH-ES",), enc_values=("A256GCM",), zip_values=("DEF",), required=False
)
_CARD = configuration.CredentialConfiguration(
    id="card",
    format=configuration.SD_CWT,
    vct="card",
    signing_algorithms=(-7,),
    binding_methods=(configuration.COSE_KEY,),
    proof_algorithms={"jwt": ("ES256",)},
    display=(configuration.Display(name="Card", locale="en"),),
    claims=(
        configuration.ClaimDescription(path=("address", "region")),
        configuration.ClaimDescription(path=("dates", None)),
    ),
)
_METADATA = json.loads_object(
    json.dumps(
        metadata.issuer_metadata_json(
            metadata.IssuerMetadata(
                credential_issuer=ISSUER,
                credential_endpoint=_URL,
                configurations=(_CARD,),
                nonce_endpoint=f"{ISSUER}/nonce",
                request_encryption=_REQUEST_ENCRYPTION,
                response_encryption=_RESPONSE_ENCRYPTION,
                batch_size=4,
            )
        )
    )
)
_REQUEST = json.loads_object(
    request.encode_credential_request(
        request.CredentialRequest(
            credential_identifier="a",
            proofs=request.Proofs("jwt", ("proof",)),
            response=request.ResponseParameters(
                AgreementPublicKey.from_jwk(RECIPIENT.public.to_jwk()), "A256GCM", "DEF"
            ),
        )
    )
)
_AT_ISSUER = encryption.IssuerEncryption(
    request=_REQUEST_ENCRYPTION, response=_RESPONSE_ENCRYPTION, keys={"recipient": RECIPIENT}
)
_SENDER = encryption.Sender(audience=ISSUER, access_token=_TOKEN, key=key("ES256").public)
_JWK = key("ES256").public.to_jwk()
_DPOP = (
    {"alg": "ES256", "typ": dpop.TYPE, "jwk": _JWK},
    {"jti": "a", "htm": "POST", "htu": _URL, "iat": NOW, "ath": dpop.ath(_TOKEN), "nonce": "n"},
)
_PROOF = (
    {"alg": "ES256", "typ": proof.TYPE, "jwk": _JWK},
    {"aud": ISSUER, "iat": NOW, "nonce": "n", "iss": "client"},
)
_SIGNED = (
    {"alg": "ES256", "typ": signed_request.TYPE, "kid": dpop.thumbprint(key("ES256").public)},
    {"aud": ISSUER, "iat": NOW, "ath": dpop.ath(_TOKEN), **_REQUEST},
)


def _document(name: str, read: Callable[[bytes], object], *documents: Any) -> Target:
    prepare, seed = json_trees.preparing(*documents), json_trees.seeding(*documents)
    return Target(name=name, read=read, prepare=prepare, seeds=seed)


def _jwt(data: bytes, parts: tuple[dict[str, Any], dict[str, Any]]) -> str:
    """A signed JWT whose header or claims are changed, or garbage in its place."""
    choices = Choices(data)
    header, claims = parts
    kind = choices.number(4)
    if kind == 0:
        return text(choices.rest())
    if kind == 1:
        return signed(mutate(header, choices, json_trees.POOL), json_trees.encode(claims, choices), choices)
    return signed(header, json_trees.changed(claims, choices), choices)


def _sealed_request(data: bytes) -> bytes:
    """An encrypted request, signed inside or not, that opens and then is wrong somewhere."""
    choices = Choices(data)
    if choices.number(2):
        content, plaintext = "json", json_trees.changed(_REQUEST, choices)
    else:
        content, plaintext = "JWT", _jwt(choices.rest(), _SIGNED).encode("utf-8", "replace")
    return encrypted({**JWE_HEADER, "cty": content}, plaintext, choices).encode()


def _receive(body: bytes) -> None:
    encryption.receive_request(
        body, content_type="application/jwt", encryption=_AT_ISSUER, sender=_SENDER, batch_size=4, now=NOW
    )


def _verify_dpop(received: str) -> None:
    dpop.verify(
        dpop.single_header([received]),
        method="POST",
        url=_URL,
        now=NOW,
        access_token=_TOKEN,
        expected_thumbprint=dpop.thumbprint(key("ES256").public),
        nonce_ok=lambda value: value == "n",
    )


def _verify_proof(received: str) -> None:
    proof.verify_proof(
        received,
        audience=ISSUER,
        now=NOW,
        nonce_ok=lambda value: value == "n",
        client_id="client",
        algorithms=("ES256", "EdDSA"),
    )


def _token_response(body: bytes) -> None:
    wanted = authorization_details.CredentialDetail("card")
    token.parse_token_response(body, requested=(wanted,), token_type="DPoP")


def _authorization_response(received: str) -> None:
    authorization_response.parse_authorization_response(received, issuer=ISSUER, state="s")


def _redirect_uri(received: str) -> None:
    uri = redirect_uri.check_redirect_uri(received)
    redirect_uri.same_redirect_uri(uri, uri)
    redirect_uri.form_action_source(uri)


def _query(received: str) -> None:
    authorization.check_no_token_in_query(received)


def _url(received: str) -> None:
    urls.check_identifier(received, what="url", allow_http_loopback=True)
    urls.normalise(urls.normalise(received))
    urls.well_known(received, "name")


def _claims(data: bytes) -> None:
    sd_cwt.claims_from_json(json.loads_object(data))


_TEXTS: tuple[tuple[str, Callable[[str], object], tuple[str, ...]], ...] = (
    (
        "openid4vci.offer_uri",
        offer.parse_offer_uri,
        (
            offer.uri_by_value(offer.parse_offer(json.dumps(_OFFER))),
            offer.uri_by_reference(f"{ISSUER}/offer"),
        ),
    ),
    ("oauth.authorization", authorization.parse_authorization, ("DPoP abc", "Bearer a.b=", "bearer  x")),
    ("oauth.query", _query, ("a=b&c=%41", "access_token=1", "resource=a&resource=b")),
    (
        "oauth.authorization_response",
        _authorization_response,
        (form.encode_form([("iss", ISSUER), ("state", "s"), ("code", "c")]).decode(), f"{_URL}?error=x"),
    ),
    (
        "oauth.redirect_uri",
        _redirect_uri,
        (_URL, "com.example.wallet:/cb", "http://[::1]:80/cb", "http://127.0.0.1/cb"),
    ),
    ("oauth.scope", scope.parse_scope, ("a b", "a")),
    (
        "oauth.urls",
        _url,
        (_URL, "https://[::1]:443/%7ea/../b?x#y", "http://127.0.0.1:80", "https://a@b:99999"),
    ),
)
_PUSHED = authorization_request.authorization_request_form(
    authorization_request.AuthorizationRequest(
        client_id="client",
        redirect_uri=_URL,
        code_challenge="A" * 43,
        state="s",
        scope=("a", "b"),
        authorization_details=(authorization_details.CredentialDetail("card"),),
        dpop_jkt="A" * 43,
    )
)
_FORM = form.encode_form(
    [
        ("grant_type", token.PRE_AUTHORIZED_CODE),
        ("pre-authorized_code", "code"),
        ("tx_code", "1234"),
        ("client_id", "client"),
        ("authorization_details", json.dumps(_DETAILS).decode()),
    ]
)

TARGETS = (
    *(
        Target(
            name=name, read=read, prepare=text, seeds=lambda texts=texts: [each.encode() for each in texts]
        )
        for name, read, texts in _TEXTS
    ),
    Target(name="oauth.token_request", read=token.parse_token_request, seeds=lambda: [_FORM]),
    Target(
        name="oauth.authorization_request",
        read=authorization_request.parse_authorization_request,
        seeds=lambda: [_PUSHED],
    ),
    _document(
        "oauth.pushed_response",
        authorization_request.parse_pushed_response,
        {"request_uri": "urn:x", "expires_in": 60},
    ),
    Target(
        name="oauth.error",
        read=lambda body: errors.parse_error(body, status=400),
        seeds=lambda: [b'{"error":"a"}'],
    ),
    _document("oauth.token_response", _token_response, _GRANTED),
    _document(
        "oauth.server_metadata",
        lambda body: server_metadata.parse_server_metadata(body, issuer=ISSUER),
        _SERVER,
    ),
    _document(
        "oauth.authorization_details",
        lambda body: authorization_details.parse_requested(text(body)),
        _DETAILS,
    ),
    Target(name="oauth.dpop", read=_verify_dpop, prepare=lambda data: _jwt(data, _DPOP)),
    _document("openid4vci.offer", offer.parse_offer, _OFFER),
    _document(
        "openid4vci.issuer_metadata",
        lambda body: metadata.parse_issuer_metadata(body, credential_issuer=ISSUER),
        _METADATA,
    ),
    _document(
        "openid4vci.credential_request",
        lambda body: request.parse_credential_request(body, batch_size=4),
        _REQUEST,
    ),
    _document(
        "openid4vci.credential_response",
        lambda body: response.parse_credential_response(body, keys=2),
        {"credentials": [{"credential": "AA"}, {"credential": "AQ"}], "notification_id": "n"},
        {"transaction_id": "t", "interval": 5},
    ),
    _document("openid4vci.nonce_response", nonce.parse_nonce_response, {"c_nonce": "n"}),
    Target(name="openid4vci.encrypted_request", read=_receive, prepare=_sealed_request),
    Target(name="openid4vci.proof", read=_verify_proof, prepare=lambda data: _jwt(data, _PROOF)),
    _document(
        "sd_cwt.claims_from_json", _claims, {"iss": ISSUER, "500": 1, '["500"]': {"a": [1]}, "cnonce": "AA"}
    ),
)
