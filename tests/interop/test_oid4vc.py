"""A foreign wallet library (@openid4vc/openid4vci, npm) reads the documents that our issuer publishes."""

from typing import Any
from urllib.parse import quote

import pytest
from tests.interop.peer import Peer, Refused

from safeconduct.crypto.agreement import AgreementKey
from safeconduct.encoding import json
from safeconduct.protocols.oauth import metadata as oauth_metadata
from safeconduct.protocols.oauth import token
from safeconduct.protocols.openid4vci import configuration, metadata, offer

pytestmark = pytest.mark.interop

ISSUER = "https://issuer.example/tenant"
CARD = configuration.CredentialConfiguration(
    id="card",
    format=configuration.SD_CWT,
    vct="https://issuer.example/card",
    scope="card",
    signing_algorithms=(-7, -9),
    binding_methods=(configuration.COSE_KEY,),
    proof_algorithms={"jwt": ("ES256", "Ed25519")},
    display=(configuration.Display(name="Card", locale="en", background_color="#123456"),),
    claims=(configuration.ClaimDescription(path=("address", "region"), mandatory=True),),
)
METADATA = metadata.IssuerMetadata(
    credential_issuer=ISSUER,
    credential_endpoint=f"{ISSUER}/credential",
    nonce_endpoint=f"{ISSUER}/nonce",
    configurations=(CARD,),
    request_encryption=metadata.RequestEncryption(
        keys=tuple(AgreementKey.generate(curve, kid=curve).public for curve in ("P-256", "X25519")),
        enc_values=("A128GCM", "A256GCM"),
        required=True,
    ),
    response_encryption=metadata.ResponseEncryption(
        alg_values=("ECDH-ES",), enc_values=("A128GCM", "A256GCM"), required=True
    ),
    batch_size=10,
    display=(configuration.Display(name="Issuer", locale="en"),),
)
SERVER = oauth_metadata.AuthorizationServer(
    issuer=ISSUER,
    token_endpoint=f"{ISSUER}/token",
    grant_types_supported=(token.PRE_AUTHORIZED_CODE,),
    token_endpoint_auth_methods_supported=("none",),
    dpop_signing_alg_values_supported=("ES256",),
    authorization_details_types_supported=("openid_credential",),
    anonymous_pre_authorized=True,
)
OFFER = offer.CredentialOffer(
    credential_issuer=ISSUER,
    credential_configuration_ids=("card",),
    pre_authorized=offer.PreAuthorizedGrant("code", offer.TxCode(length=6, description="by post")),
)


def as_sent(members: dict[str, Any]) -> dict[str, Any]:
    return json.loads_object(json.dumps(members))


def documents() -> dict[str, Any]:
    return {
        metadata.issuer_metadata_url(ISSUER): as_sent(metadata.issuer_metadata_json(METADATA)),
        oauth_metadata.server_metadata_url(ISSUER): as_sent(oauth_metadata.server_metadata_json(SERVER)),
    }


def test_a_foreign_wallet_reads_our_metadata_from_its_well_known_places(oid4vc_peer: Peer) -> None:
    read = oid4vc_peer.ask("metadata", issuer=ISSUER, documents=documents())

    published = documents()[metadata.issuer_metadata_url(ISSUER)]
    assert read["originalDraftVersion"] == "V1"
    assert read["credentialIssuer"] == published
    assert read["authorizationServers"][0]["token_endpoint"] == SERVER.token_endpoint
    assert read["authorizationServers"][0]["dpop_signing_alg_values_supported"] == ["ES256"]


def test_a_foreign_wallet_reads_our_offer_by_value(oid4vc_peer: Peer) -> None:
    read = oid4vc_peer.ask("offer", uri=offer.uri_by_value(OFFER), documents={})

    assert read == as_sent(offer.offer_json(OFFER))


def test_a_foreign_wallet_fetches_our_offer_by_reference(oid4vc_peer: Peer) -> None:
    url = f"{ISSUER}/offers/1"

    read = oid4vc_peer.ask(
        "offer", uri=offer.uri_by_reference(url), documents={url: as_sent(offer.offer_json(OFFER))}
    )

    assert read == as_sent(offer.offer_json(OFFER))


def test_the_foreign_wallet_would_refuse_an_offer_without_an_issuer(oid4vc_peer: Peer) -> None:
    broken = quote('{"credential_configuration_ids":["card"]}', safe="")

    with pytest.raises(Refused):
        oid4vc_peer.ask("offer", uri=f"openid-credential-offer://?credential_offer={broken}", documents={})
