"""Verification of a health card: key, signature, claims, status, and one verdict on all of it.

The order is that in which the evidence carries: nothing is inflated before the signature over the received
text holds, and no status is asked for before the claims are known to be the issuer's.
"""

from typing import Any, Final, Literal

import msgspec

from safeconduct.errors import Rejected, SafeconductError
from safeconduct.formats.health_card.claims import CardClaims, open_claims
from safeconduct.formats.health_card.deflate import inflate
from safeconduct.formats.health_card.finding import Finding
from safeconduct.formats.health_card.parsing import ParsedCard, malformed, parse
from safeconduct.status.card_keys import ANY_ISSUER, CardKeySource
from safeconduct.status.card_revocation import legacy, methods
from safeconduct.status.card_sources import CardStatusSources
from safeconduct.status.states import CardStatusSource, Policy, Status

Verdict = Literal["valid", "invalid", "revoked", "expired", "not-yet-valid", "unknown"]
"""What a verifier makes of a card; where several hold, the first of: invalid, revoked, expired,
not-yet-valid, unknown, valid."""


class CardPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What a verifier demands.

    status: what becomes of a card whose status is unknown. require_list: whether a card counts as unknown,
    too, when its issuer publishes no list for its key, so that nobody could revoke it.
    """

    status: Policy = "fail-closed"
    require_list: bool = False


DEFAULT: Final = CardPolicy()
"""Fail-closed; cards whose issuer revokes none are accepted."""


class VerifiedCard(msgspec.Struct, frozen=True):
    """A card that passed every check; only `verify` and `judge` make one.

    kid: of the key that signed it. claims: what it says. status: good, or unknown where the policy lets
    that pass.
    """

    kid: str
    claims: CardClaims
    status: Status

    @property
    def issuer(self) -> str:
        """The issuer, as the card names it."""
        return self.claims.issuer

    @property
    def bundle(self) -> dict[str, Any]:
        """The FHIR bundle."""
        return self.claims.bundle

    def __repr__(self) -> str:
        return "<VerifiedCard>"


class Judgement(msgspec.Struct, frozen=True):
    """One verdict on a card, and what led to it.

    status: None where the card is not authentic, for then nobody was asked. code, reason: why the verdict is
    not "valid", empty where it is. card: its claims, only where the verdict is "valid". findings: what else
    is remarkable about an authentic card, where that was asked for; they do not change the verdict.
    """

    verdict: Verdict
    status: Status | None
    code: str
    reason: str
    card: VerifiedCard | None
    findings: tuple[Finding, ...] = ()

    def __repr__(self) -> str:
        return f"<Judgement {self.verdict}>"


def verify(
    data: str | bytes | ParsedCard,
    *,
    trust: CardKeySource,
    status: CardStatusSource | None,
    policy: CardPolicy = DEFAULT,
    now: int,
) -> VerifiedCard:
    """Check a card wholly and return it, or raise.

    data: a JWS, the text of a QR code, or what `parse` returned. trust: whose keys are believed. status: what
    is known of revoked cards, None for nothing. now: seconds since 1970.
    Raises SafeconductError; docs/rules/health-cards.md lists each code with its clause.
    """
    card = _authenticate(data, trust)
    evidence = _NO_EVIDENCE if status is None else status
    found = evidence.card_status(card, crl_version=card.crl_version, now=now)
    fault = _fault(card, found, policy, now)
    if fault is not None:
        raise fault
    return VerifiedCard(card.kid, card.claims, found)


def judge(
    data: str | bytes | ParsedCard,
    *,
    trust: CardKeySource,
    status: CardStatusSource | None,
    policy: CardPolicy = DEFAULT,
    now: int,
    findings: bool = False,
) -> Judgement:
    """Return the verdict on a card; never raises for what it holds. As `verify`, which see.

    findings: whether to look for what else is remarkable.
    """
    try:
        authentic = _authenticate(data, trust)
    except SafeconductError as error:
        return Judgement("invalid", None, error.code, error.reason, None)
    evidence = _NO_EVIDENCE if status is None else status
    found = evidence.card_status(authentic, crl_version=authentic.crl_version, now=now)
    fault = _fault(authentic, found, policy, now)
    remarks = _findings(authentic, now) if findings else ()
    if fault is not None:
        return Judgement(_VERDICTS[fault.code], found, fault.code, fault.reason, None, remarks)
    card = VerifiedCard(authentic.kid, authentic.claims, found)
    return Judgement("valid", found, "", "", card, remarks)


class _Authentic(msgspec.Struct, frozen=True):
    """A card that its issuer has signed; also what its status is looked up by (`states.CardId`)."""

    parsed: ParsedCard
    claims: CardClaims
    issuer: str
    kid: str
    nbf: int | float
    crl_version: int | None

    def identifier(self, method: str) -> str | None:
        """Return what a list of that method may name the card by, None for nothing."""
        if method == methods.RID:
            return self.claims.rid
        return legacy.identifier(
            method,
            bundle=self.claims.bundle,
            signing_input=self.parsed.signing_input,
            signature=self.parsed.signature,
        )

    def __repr__(self) -> str:
        return "<_Authentic>"


def _authenticate(data: str | bytes | ParsedCard, trust: CardKeySource) -> _Authentic:
    parsed = parse(data) if isinstance(data, str | bytes) else data
    kid = parsed.kid
    keys = trust.keys_named(kid)
    if not keys:
        raise Rejected("card_key_unknown", "No key of the name that the card gives is trusted.", rule=_KEYS)
    # The name is the hash of the key: all that bear it are one.
    next(iter(keys.values())).key.verify(parsed.signature, parsed.signing_input)
    claims = open_claims(inflate(parsed.compressed))
    issuer = claims.issuer
    key = keys.get(issuer) or keys.get(ANY_ISSUER)
    if key is None:
        raise Rejected(
            "card_issuer_untrusted", "The key is not one of the issuer's whom the card names.", rule=_KEYS
        )
    return _Authentic(parsed, claims, issuer, kid, claims.nbf, key.crl_version)


_NO_EVIDENCE: Final = CardStatusSources(())


def _fault(card: _Authentic, status: Status, policy: CardPolicy, now: int) -> SafeconductError | None:
    """Return why an authentic card is not acceptable, the gravest reason first."""
    if status.state == "revoked":
        return Rejected("card_revoked", "The issuer has revoked the card.", rule=_REVOCATION)
    if card.parsed.altered:
        return malformed("Bits of the signature's text are set that stand for nothing.")
    claims = card.claims
    expires = claims.expires
    if expires is not None and expires < now:
        return Rejected("expired", "The card has expired.", rule=_CLAIMS)
    if claims.nbf > now:
        return Rejected("not_yet_valid", "The card is not valid yet.", rule=_CLAIMS)
    if status.state == "good" or policy.status == "fail-open":
        return None
    if status.reason == "no-crl" and not policy.require_list:
        return None
    return Rejected("card_status_unknown", _UNKNOWN.format(status.reason), rule=_REVOCATION)


_VERDICTS: dict[str, Verdict] = {
    "card_revoked": "revoked",
    "jws_malformed": "invalid",
    "expired": "expired",
    "not_yet_valid": "not-yet-valid",
    "card_status_unknown": "unknown",
}
_UNKNOWN = "Whether the card is revoked cannot be told: {}."
_KEYS = "SHC-1.4.0, Determining keys associated with an issuer"
_CLAIMS = "SHC-1.4.0, Protocol details"
_REVOCATION = "SHC-1.4.0, Revocation"


def _findings(card: _Authentic, now: int) -> tuple[Finding, ...]:
    # Most verifiers never ask for them.
    from safeconduct.formats.health_card.findings import of_card

    return of_card(card.parsed, card.claims.payload, now=now)
