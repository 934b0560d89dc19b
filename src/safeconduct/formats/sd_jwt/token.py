"""One SD-JWT as an issuer made it, opened and checked step by step, whether issued or presented."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Any

import msgspec

from safeconduct import limits
from safeconduct.crypto import algorithms as known
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.x509 import Certificate
from safeconduct.encoding import json
from safeconduct.envelope import jws
from safeconduct.envelope.jws import ParsedJws
from safeconduct.errors import Malformed, Rejected, SafeconductError, Unsupported
from safeconduct.formats.redaction import Disclosure, Revealed, reveal
from safeconduct.formats.sd_jwt import codec, values
from safeconduct.formats.sd_jwt.codec import SD_ALG, JsonCodec
from safeconduct.formats.sd_jwt.profile import Profile
from safeconduct.formats.sd_jwt.serialisation import Envelope
from safeconduct.trust import Trust


class OpenToken(msgspec.Struct, frozen=True):
    """An SD-JWT whose structure is checked and whose signature is not.

    messages: the issuer-signed JWT, once for each signature. payload: the claims as signed, without
    `_sd_alg`. disclosures: those that came along, decoded.
    """

    envelope: Envelope
    messages: tuple[ParsedJws, ...]
    profile: Profile
    codec: JsonCodec
    payload: dict[str, Any]
    disclosures: tuple[Disclosure, ...]

    @property
    def header(self) -> dict[str, Any]:
        """The protected header of the first signature."""
        return self.messages[0].header

    @property
    def issuer(self) -> str | None:
        """The issuer that the token names in clear."""
        issuer = self.payload.get("iss")
        return issuer if type(issuer) is str else None

    def __repr__(self) -> str:
        return f"<OpenToken {self.profile.name}>"


def open_token(envelope: Envelope, profiles: Iterable[Profile], accept: Collection[str]) -> OpenToken:
    """Check type, headers, payload and disclosures of an SD-JWT by themselves.

    profiles: the accepted ones, of which the type in the header picks one.
    Raises Rejected: sd_jwt_typ, salt_duplicate, crit_unsupported; Malformed: jws_*, claims_not_object,
    header_duplicate, disclosure_malformed; Unsupported: sd_alg_unsupported.
    Source: RFC 9901 §4, §7.1 steps 1 to 2.
    """
    messages = tuple([jws.parse(jwt, max_bytes=limits.TOKEN_BYTES) for jwt in envelope.jwts])
    profile = _profile(messages[0], profiles, accept)
    if len(messages) > 1 or envelope.headers[0]:
        _check_headers(messages, envelope.headers)
    payload = _payload(messages[0])
    token_codec = codec.for_algorithm(payload.pop(SD_ALG, "sha-256"))
    disclosures = token_codec.decode(envelope.disclosures)
    return OpenToken(envelope, messages, profile, token_codec, payload, disclosures)


class Signatory(msgspec.Struct, frozen=True):
    """Who signed a token. certificate: what the key was believed for, None where it is trusted itself."""

    key: PublicKey
    certificate: Certificate | None = None


def check_signature(
    token: OpenToken, *, trust: Trust, algorithms: Collection[str], now: int
) -> Signatory | None:
    """Check the issuer's signature and return who made it, None where the caller waived the check.

    algorithms: COSE names, as in a `Policy`. now: seconds, for certificates.
    Of several signatures one must be by a trusted key.
    Raises Rejected: issuer_unknown, signature_invalid; Unsupported: algorithm_unsupported; and what
    `Trust.leaf_for` raises for certificates. Source: RFC 9901 §7.1 steps 2.1 to 2.3.
    """
    if trust.issuer_unchecked:
        return None
    accepted = jose_names(frozenset(algorithms))
    *others, last = zip(token.messages, token.envelope.headers, strict=True)
    for message, unprotected in others:
        with suppress(Rejected, Unsupported):
            return _signatory(token.issuer, message, unprotected, trust, accepted, now)
    return _signatory(token.issuer, *last, trust, accepted, now)


def key_identifier(message: ParsedJws, unprotected: Mapping[str, Any]) -> str | None:
    """Return the `kid` of a header. Raises Malformed: jws_malformed if it is not text."""
    kid = message.header.get("kid", unprotected.get("kid"))
    if kid is not None and type(kid) is not str:
        raise Malformed("jws_malformed", "A kid is not text.", rule="RFC 7515 §4.1.4")
    return kid


@lru_cache(maxsize=32)
def jose_names(names: frozenset[str]) -> frozenset[str]:
    """Return the JOSE names of algorithms that are given by their COSE names."""
    return frozenset(known.by_name(name).jose for name in names)


def reveal_token(token: OpenToken, *, locate: bool = False) -> Revealed:
    """Apply the disclosures and check the claims that result.

    Raises as `redaction.reveal`, and Rejected: claim_missing; Malformed: claim_type.
    Source: RFC 9901 §7.1 steps 3 to 6.
    """
    profile = token.profile
    revealed = reveal(
        (token.payload,), token.disclosures, token.codec, fixed=profile.never_redacted, locate=locate
    )
    claims = revealed.trees[0]
    values.check_registered(claims)
    if not profile.required <= claims.keys():
        missing = min(profile.required - claims.keys())
        raise Rejected(
            "claim_missing", f"The claim {missing} is missing.", rule="SD-JWT-VC, Registered JWT Claims"
        )
    return revealed


def _profile(message: ParsedJws, profiles: Iterable[Profile], accept: Collection[str]) -> Profile:
    typ = message.header.get("typ")
    name = None
    if typ is not None:
        name = typ.lower().removeprefix("application/") if type(typ) is str else ""
    for profile in profiles:
        if name in profile.typ_read:
            return profile
    if name is not None:
        for profile in profiles:
            if name in [profile.lenient_typ[item] for item in accept if item in profile.lenient_typ]:
                return profile
            # A type that belongs to one profile is never read under the looser rules of another one.
            suffix = profile.typ_suffix
            if suffix is not None and name.endswith(suffix) and name not in _TYPES_OF_PROFILES:
                return profile
    raise Rejected(
        "sd_jwt_typ", "The token is not typed as an SD-JWT of an accepted kind.", rule="RFC 9901 §9.11"
    )


_TYPES_OF_PROFILES = frozenset({"dc+sd-jwt", "vc+sd-jwt"})


def _check_headers(messages: tuple[ParsedJws, ...], headers: tuple[Mapping[str, Any], ...]) -> None:
    """Check what only JSON serialisations have: several headers, and unprotected ones."""
    for message, unprotected in zip(messages, headers, strict=True):
        if not message.header.keys().isdisjoint(unprotected) or not _PROTECTED.isdisjoint(unprotected):
            raise Malformed(
                "header_duplicate",
                "A header parameter stands in both headers, or unprotected where it may not.",
                rule="RFC 7515 §4.1.11, §7.2.1",
            )
        if message.header.get("typ") != messages[0].header.get("typ"):
            raise Rejected("sd_jwt_typ", "The signatures give the token different types.")


_PROTECTED = frozenset({"alg", "crit", "b64", "typ"})


def _payload(message: ParsedJws) -> dict[str, Any]:
    payload = json.loads(message.payload)
    if type(payload) is not dict:
        raise Malformed("claims_not_object", "The claims are not an object.", rule="RFC 7519 §7.2")
    return payload


def _signatory(
    issuer: str | None,
    message: ParsedJws,
    unprotected: Mapping[str, Any],
    trust: Trust,
    algorithms: Collection[str],
    now: int,
) -> Signatory:
    failure: SafeconductError | None = None
    for candidate in _candidates(issuer, message, unprotected, trust, now):
        try:
            jws.verify(message, key=candidate.key, algorithms=algorithms, typ=None)
        except SafeconductError as error:
            failure = error
        else:
            return candidate
    raise failure or Rejected("issuer_unknown", "No trusted key belongs to the issuer that the token names.")


def _candidates(
    issuer: str | None, message: ParsedJws, unprotected: Mapping[str, Any], trust: Trust, now: int
) -> Iterable[Signatory]:
    x5c = message.header.get("x5c")
    leaf = None if x5c is None else trust.leaf_for(issuer, x5c, now=now)
    if leaf is not None:
        return (Signatory(leaf.key, leaf),)
    return map(Signatory, trust.keys_for(issuer, key_identifier(message, unprotected)))
