"""What a receiver of a share gets, judged when it is fetched: each refusal, and what is let through."""

from typing import Any

import msgspec
import pytest

from safeconduct.crypto.keys import Key
from safeconduct.encoding import json
from safeconduct.protocols.oauth.dpop import DpopProof
from safeconduct.protocols.openid4vci.configuration import SD_CWT, ClaimDescription, CredentialConfiguration
from safeconduct.protocols.openid4vci.errors import CredentialRequestDenied, InvalidProof
from safeconduct.services.issuer import shared_claims
from safeconduct.services.issuer.configuration import Kind
from safeconduct.services.issuer.credential import Bounds
from safeconduct.services.issuer.delivery_store import Access
from safeconduct.services.issuer.share_redemption import ShareTerms
from safeconduct.services.issuer.sharing_rules import SharingRules

NOW = 1_800_000_000
KEYS = [Key.generate("ES256").public for _ in range(2)]
TERMS = ShareTerms(
    share_id="s", mode="share", level="link", jkt=None, not_before=None, credential_expires=NOW + 1
)
RULES = SharingRules(claims=("vehicle", "rights"))
CLAIMS = {"vehicle": "A 1", "rights": ["open"], "owner": "Erika"}


def _access(claims: bytes | None) -> Access:
    return Access(
        grant_id="g",
        proof=DpopProof(key=KEYS[0], thumbprint="t", jti="j", iat=NOW, nonce=None, expires=NOW),
        expires_at=NOW,
        client_id=None,
        claims=claims,
        subject=None,
        own_reference=None,
        deferred=False,
        datasets=(),
        delivered={},
        share=TERMS,
    )


def _kind(rules: SharingRules | None) -> Kind:
    described = (
        ClaimDescription(("vehicle",), mandatory=True),
        ClaimDescription(("rights", None)),
        ClaimDescription(("owner",)),
    )
    configuration = CredentialConfiguration(id="car", format=SD_CWT, vct="v", claims=described)
    return Kind(configuration=configuration, validity=1, rounding=1, decoys=0, sharing=rules)


def test_a_share_is_for_one_key_and_for_the_pinned_one() -> None:
    shared_claims.check_receiver(TERMS, KEYS[:1])
    for holders in ([], KEYS):
        with pytest.raises(CredentialRequestDenied) as error:
            shared_claims.check_receiver(TERMS, holders)
        assert error.value.code == "share_for_one"
    pinned = msgspec.structs.replace(TERMS, jkt=shared_claims.thumbprint_of(KEYS[0]))
    shared_claims.check_receiver(pinned, KEYS[:1])
    with pytest.raises(InvalidProof) as wrong:
        shared_claims.check_receiver(pinned, KEYS[1:])
    assert wrong.value.code == "proof_key_not_pinned"


def test_a35_the_claims_are_cut_to_what_the_kind_passes_on_today() -> None:
    given = shared_claims.claims_of(_access(json.dumps(CLAIMS)), TERMS, _kind(RULES))
    assert given == {"vehicle": "A 1", "rights": ["open"]}


@pytest.mark.parametrize(
    ("rules", "terms"),
    [
        (None, {}),
        (RULES, {"mode": "move"}),
        (msgspec.structs.replace(RULES, levels=("pin",)), {}),
    ],
)
def test_a35_what_the_kind_does_not_allow_any_more_is_not_given(
    rules: SharingRules | None, terms: dict[str, Any]
) -> None:
    share = msgspec.structs.replace(TERMS, **terms)
    with pytest.raises(CredentialRequestDenied) as error:
        shared_claims.claims_of(_access(json.dumps(CLAIMS)), share, _kind(rules))
    assert error.value.code == "sharing_not_allowed"


@pytest.mark.parametrize("claims", [None, b"{}", b'{"owner":"Erika"}', b'{"rights":["open"]}'])
def test_without_claims_that_it_must_have_nothing_is_given(claims: bytes | None) -> None:
    with pytest.raises(CredentialRequestDenied) as error:
        shared_claims.claims_of(_access(claims), TERMS, _kind(RULES))
    assert error.value.code == "claims_missing"


def test_the_times_are_those_of_the_share() -> None:
    assert shared_claims.bounds_of(TERMS, now=NOW) == Bounds(0, NOW + 1)
    later = msgspec.structs.replace(TERMS, not_before=NOW)
    assert shared_claims.bounds_of(later, now=NOW) == Bounds(NOW, NOW + 1)
    with pytest.raises(CredentialRequestDenied) as error:
        shared_claims.bounds_of(TERMS, now=NOW + 1)
    assert error.value.code == "share_expired"
