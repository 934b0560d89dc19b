"""Status List Tokens: a status list signed, as JWT or as CWT (draft-ietf-oauth-status-list §5, §8.3).

Signatures only: a MAC would let every verifier make lists for the others (§11.6).
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec

from safeconduct import limits
from safeconduct.crypto import algorithms as known
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.crypto.x509 import Certificate
from safeconduct.encoding import cbor, json
from safeconduct.envelope import cose, jws
from safeconduct.envelope.cose import Sign1
from safeconduct.envelope.jws import ParsedJws
from safeconduct.errors import Malformed, Rejected, SafeconductError, Unsupported
from safeconduct.status.token_list.lists import StatusList
from safeconduct.trust import Trust

JWT_TYPE: Final = "application/statuslist+jwt"
CWT_TYPE: Final = "application/statuslist+cwt"

ANY_ALGORITHM: Final = frozenset(one.name for one in known.ALGORITHMS)

_SUB, _EXP, _NBF, _IAT, _AUD, _TTL, _LIST = 2, 4, 5, 6, 3, 65534, 65533
_NAMES: Mapping[int, str] = {
    _SUB: "sub",
    _AUD: "aud",
    _EXP: "exp",
    _NBF: "nbf",
    _IAT: "iat",
    _TTL: "ttl",
    _LIST: "status_list",
}
_MAC0_HEAD = b"\xd1"
_SIGN1_HEAD = b"\xd2"
_RULE = "Token Status List §8.3"


class ParsedListToken(msgspec.Struct, frozen=True):
    """A Status List Token as received; nothing in it is verified.

    named: the URI that it gives itself, None if it gives none; to find it by, never to believe.
    """

    message: ParsedJws | Sign1
    claims: Mapping[str, Any]
    named: str | None

    @property
    def kind(self) -> Literal["jwt", "cwt"]:
        """Which of the two forms it has."""
        return "cwt" if isinstance(self.message, Sign1) else "jwt"

    def __repr__(self) -> str:
        return f"<ParsedListToken {self.kind}>"


class Owner(msgspec.Struct, frozen=True):
    """Whose credential it is that the list is asked about: only the same issuer may say how it stands.

    issuer: as the credential names it. key: that verified the credential. certificate: of that key, where it
    was believed for one.
    """

    issuer: str | None
    key: PublicKey | None = None
    certificate: Certificate | None = None

    @property
    def identity(self) -> tuple[str | None, bytes | None]:
        """Tells owners apart: a list that was verified for one says nothing about another's credentials."""
        unnamed = self.certificate if self.issuer is None else None
        return self.issuer, None if unnamed is None else unnamed.der


class VerifiedListToken(msgspec.Struct, frozen=True):
    """A Status List Token of a trusted issuer; its times still have to be checked for each use.

    issued_at, expires: seconds since 1970, expires None if it does not say. ttl: seconds until a fresh copy
    should be had, counted from when it was fetched. key: that signed it.
    """

    uri: str
    statuses: StatusList
    issued_at: int | float
    expires: int | float | None
    ttl: int | float | None
    key: PublicKey

    def __repr__(self) -> str:
        return f"<VerifiedListToken of {self.statuses.size}>"

    def check_times(self, *, now: int, leeway: int = 0, max_age: int | None = None) -> None:
        """Checks that the list is good at a time; at one that is past, this is historical resolution (§8.4).

        max_age: seconds since it was issued, None: any. Raises Rejected: status_list_from_future,
        status_list_expired, status_list_too_old. Source: §8.3 steps 4b, 4c.
        """
        if self.issued_at > now + leeway:
            raise Rejected(
                "status_list_from_future",
                "The status list was issued after the time asked about.",
                rule=_RULE,
            )
        if self.expires is not None and now >= self.expires + leeway:
            raise Rejected("status_list_expired", "The status list has expired.", rule=_RULE)
        if max_age is not None and self.issued_at < now - max_age - leeway:
            raise Rejected("status_list_too_old", "The status list is older than accepted.", rule=_RULE)


def issue_jwt(
    statuses: StatusList,
    *,
    uri: str,
    signer: Signer,
    now: int,
    expires: int | None = None,
    ttl: int | None = None,
    kid: str | None = None,
    x5c: Sequence[str] = (),
) -> str:
    """Returns a Status List Token as JWT (§5.1).

    uri: where it will be, exactly as credentials name it. now, expires: seconds since 1970. ttl: seconds.
    x5c: certificates of the signer's key, as a JOSE header has them.
    """
    header: dict[str, Any] = {"typ": "statuslist+jwt"}
    if kid is not None:
        header["kid"] = kid
    if x5c:
        header["x5c"] = list(x5c)
    claims = _claims(uri, now, expires, ttl)
    members = {_NAMES[label]: value for label, value in claims.items()}
    return jws.sign(json.dumps(members | {"status_list": statuses.to_json()}), signer=signer, header=header)


def issue_cwt(
    statuses: StatusList,
    *,
    uri: str,
    signer: Signer,
    now: int,
    expires: int | None = None,
    ttl: int | None = None,
    kid: bytes | None = None,
) -> bytes:
    """Returns a Status List Token as CWT, a tagged COSE_Sign1 without the CWT tag (§5.2). As `issue_jwt`."""
    protected: dict[int | str, Any] = {cose.TYP: CWT_TYPE}
    if kid is not None:
        protected[cose.KID] = kid
    claims = _claims(uri, now, expires, ttl) | {_LIST: cbor.Encoded(statuses.to_cbor())}
    return cose.sign(cbor.dumps(claims), signer=signer, protected=protected)


def parse(data: bytes | str) -> ParsedListToken:
    """Opens a Status List Token of either form, which its first byte tells apart.

    Raises Malformed: status_list_too_large, jws_*, cbor_*, cose_*, json_*, claims_not_object, claims_not_map;
    Unsupported: status_list_mac, crit_unsupported.
    """
    if len(data) > limits.STATUS_TOKEN_BYTES:
        raise Malformed("status_list_too_large", "The status list is larger than accepted.")
    if isinstance(data, bytes) and data[:1] == _MAC0_HEAD:
        raise Unsupported("status_list_mac", "A status list with a MAC proves nothing to a verifier here.")
    if isinstance(data, bytes) and data[:1] >= _SIGN1_HEAD:
        return _parse_cwt(data)
    text = data if isinstance(data, str) else data.decode("latin-1")  # not ASCII: malformed, says `jws`
    message = jws.parse(text.strip("\r\n"), max_bytes=limits.STATUS_TOKEN_BYTES)
    claims = json.loads(message.payload, max_bytes=limits.STATUS_TOKEN_BYTES)
    if type(claims) is not dict:
        raise Malformed("claims_not_object", "The claims are not an object.", rule="RFC 7519 §7.2")
    return ParsedListToken(message, claims, _named(claims))


def verify(
    token: ParsedListToken,
    *,
    uri: str,
    owner: Owner,
    trust: Trust,
    algorithms: Collection[str] = ANY_ALGORITHM,
    now: int,
) -> VerifiedListToken:
    """Checks everything in a Status List Token but its times, for which there is `check_times`.

    uri: as the credential has it. algorithms: COSE names that are accepted. now: seconds, for certificates.
    Raises Rejected: issuer_unknown, signature_invalid, algorithm_*, status_list_type, status_list_mismatch,
    status_list_claim_missing, status_list_audience, x5c_*; Malformed: status_list_claim and as `StatusList`
    reads; Unsupported: algorithm_unsupported. Source: §8.3 steps 3, 4a and 5.
    """
    # Step 3a: its type, and the signature of a key that may speak for the credential's issuer.
    _check_type(token)
    key = _signer(token, owner, trust, frozenset(algorithms), now)
    # Steps 3b and 4: the claims.
    claims = token.claims
    _check_claims(claims)
    if claims["sub"] != uri:
        raise Rejected("status_list_mismatch", "The status list is of another URI.", rule=f"{_RULE} step 4a")
    # Step 5: the list.
    read = StatusList.from_cbor if token.kind == "cwt" else StatusList.from_json
    return VerifiedListToken(
        uri=uri,
        statuses=read(claims["status_list"]),
        issued_at=max(claims["iat"], claims.get("nbf", claims["iat"])),
        expires=claims.get("exp"),
        ttl=claims.get("ttl"),
        key=key,
    )


def historical_uri(uri: str, at: int) -> str:
    """Returns what to ask for to learn of the past; a static host answers with the present (§8.4)."""
    return f"{uri}{'&' if '?' in uri else '?'}time={at}"


def _claims(uri: str, now: int, expires: int | None, ttl: int | None) -> dict[int, Any]:
    if ttl is not None and ttl <= 0:
        raise ValueError("ttl is a positive number of seconds")
    claims: dict[int, Any] = {_SUB: uri, _IAT: now, _EXP: expires, _TTL: ttl}
    return {label: value for label, value in claims.items() if value is not None}


def _parse_cwt(data: bytes) -> ParsedListToken:
    message = cose.parse(data, max_bytes=limits.STATUS_TOKEN_BYTES)
    labelled = cbor.loads(message.payload, max_bytes=limits.STATUS_TOKEN_BYTES)
    if type(labelled) is not dict:
        raise Malformed("claims_not_map", "The claims are not a map.", rule="RFC 8392 §7.2")
    claims = {_NAMES[label]: value for label, value in labelled.items() if _is_known(label)}
    return ParsedListToken(message, claims, _named(claims))


def _is_known(label: Any) -> bool:
    return type(label) is int and label in _NAMES  # 2.0 and True would be found as well


def _named(claims: Mapping[str, Any]) -> str | None:
    uri = claims.get("sub")
    return uri if type(uri) is str and len(uri) <= limits.URL_CHARS else None


def _check_type(token: ParsedListToken) -> None:
    message = token.message
    if isinstance(message, Sign1):
        typ, wanted = message.protected.get(cose.TYP), CWT_TYPE
        fits = type(typ) is str and typ.isascii() and typ.lower() == wanted
    else:
        typ, wanted = message.header.get("typ"), JWT_TYPE
        fits = type(typ) is str and typ.isascii() and wanted in (typ.lower(), f"application/{typ.lower()}")
    if not fits:
        raise Rejected(
            "status_list_type",
            "The token is not typed as a status list.",
            rule="Token Status List §5.1, §5.2",
        )


def _signer(
    token: ParsedListToken, owner: Owner, trust: Trust, algorithms: frozenset[str], now: int
) -> PublicKey:
    failure: SafeconductError | None = None
    for key in _candidates(token, owner, trust, now):
        try:
            _verify_signature(token, key, algorithms)
        except SafeconductError as error:
            failure = error
        else:
            return key
    raise failure or Rejected("issuer_unknown", "No trusted key may sign this status list.", rule=_RULE)


def _verify_signature(token: ParsedListToken, key: PublicKey, algorithms: frozenset[str]) -> None:
    if isinstance(token.message, Sign1):
        cose.verify(token.message, key=key, accept=algorithms)
    else:
        jws.verify(token.message, key=key, algorithms=_jose_names(algorithms), typ=None)


@lru_cache(maxsize=32)
def _jose_names(names: frozenset[str]) -> frozenset[str]:
    return frozenset(known.by_name(name).jose for name in names)


def _candidates(token: ParsedListToken, owner: Owner, trust: Trust, now: int) -> Iterable[PublicKey]:
    """The keys that may speak for the owner (§11.3): one certified for it, those trusted for it, its own."""
    message = token.message
    if isinstance(message, Sign1):
        kid = message.protected.get(cose.KID, message.unprotected.get(cose.KID))
    else:
        kid, x5c = message.header.get("kid"), message.header.get("x5c")
        leaf = None if x5c is None else trust.leaf_for(owner.issuer, x5c, now=now)
        if leaf is not None:
            return (leaf.key,) if _is_same(leaf, owner) else ()
    keys = trust.keys_for(owner.issuer, kid if type(kid) in (str, bytes) else None)
    return keys if owner.key is None or owner.key in keys else (*keys, owner.key)


def _is_same(leaf: Certificate, owner: Owner) -> bool:
    """Whether the certificate is the owner's; where no name was checked yet, its names must be the same."""
    if owner.issuer is not None:
        return True
    own = owner.certificate
    return own is not None and (
        leaf.key == own.key or (leaf.subject, leaf.dns, leaf.uris) == (own.subject, own.dns, own.uris)
    )


def _check_claims(claims: Mapping[str, Any]) -> None:
    for name in ("sub", "iat", "status_list"):
        if name not in claims:
            raise Rejected("status_list_claim_missing", f"The status list lacks {name}.", rule=f"{_RULE} 3b")
    if "aud" in claims:  # RFC 7519 §4.1.3: whoever is not named there rejects the token
        raise Rejected("status_list_audience", "The status list is meant for somebody else.", rule=_RULE)
    for name in ("iat", "exp", "nbf", "ttl"):
        if name in claims and not _is_number(claims[name]):
            raise Malformed("status_list_claim", f"The claim {name} is not a number.", rule=_RULE)
    if claims.get("ttl", 1) <= 0:
        raise Malformed("status_list_claim", "ttl is not positive.", rule="Token Status List §5.1")


def _is_number(value: Any) -> bool:
    return type(value) is int or (type(value) is float and math.isfinite(value))
