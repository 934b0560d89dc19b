"""The trust file: which issuers a verifier believes, by which keys or CAs, as an operator writes it.

JSON; each member is an issuer's identifier with its keys: a JWK Set, one JWK, or an array of JWKs, PEM texts
and `{"pem": "...", "kid": "..."}`. Nothing but public signature keys may stand there.

Instead, or besides, an object may name the CAs that certify the issuer's keys (`x5c`):

    {"https://one.example": {"keys": [...], "certificates": ["-----BEGIN CERTIFICATE-----..."]},
     "https://two.example": {"certificates": ["..."], "names": "any", "accept": ["anchor-in-chain"]},
     "*": {"certificates": ["..."]}}

`certificates` are PEM texts of one or more CAs each. `names` is "san" (the default: the leaf must name the
issuer in its subject alternative names) or "any" (for a CA of this issuer alone). `accept` are leniencies.
Under "*" stand the CAs that certify whoever the file does not list.
"""

from typing import Any, Literal

from safeconduct import limits
from safeconduct.crypto import x509
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.x509 import Certificate
from safeconduct.encoding import json
from safeconduct.errors import Malformed, SafeconductError
from safeconduct.trust.anchors import Anchors, Trust

ANYONE = "*"
"""The member that stands for every issuer that the file does not list."""


def read_trust(data: bytes) -> Trust:
    """Read a trust file.

    Raises Malformed: trust_file_malformed, whose reason says which issuer, counted from 1, and which of its
    keys; json_* for what is not strict JSON.
    """
    members = json.loads_object(data)
    if not members:
        raise Malformed("trust_file_malformed", "The trust file names no issuer.")
    if isinstance(members.get("keys"), list):
        raise Malformed(
            "trust_file_malformed",
            'The trust file is a bare JWK Set; say whose it is: {"https://issuer.example": {"keys": []}}.',
        )
    keys: dict[str, tuple[PublicKey, ...]] = {}
    anchors: dict[str, Anchors] = {}
    for place, (issuer, listed) in enumerate(members.items(), start=1):
        where = f"Issuer {place}"
        if isinstance(listed, dict) and "certificates" in listed:
            anchors[issuer] = _anchors(listed, where)
            listed = listed.get("keys")
        if listed is not None or issuer not in anchors:
            keys[issuer] = _keys(listed, where)
    shared = _shared(keys, anchors)
    return Trust(keys, anchors=anchors, shared=shared)


def _shared(keys: dict[str, tuple[PublicKey, ...]], anchors: dict[str, Anchors]) -> Anchors | None:
    shared = anchors.pop(ANYONE, None)
    if ANYONE in keys or (shared is not None and shared.names == "any"):
        raise Malformed(
            "trust_file_malformed",
            f'Under "{ANYONE}" stand certificates alone, without names "any".',
        )
    return shared


def _anchors(listed: dict[str, Any], where: str) -> Anchors:
    if listed.keys() - {"keys", "certificates", "names", "accept"}:
        raise Malformed("trust_file_malformed", f"{where} has a member that is not known.")
    texts, names, accept = listed["certificates"], listed.get("names", "san"), listed.get("accept", [])
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise Malformed("trust_file_malformed", f"{where} has no array of PEM certificates.")
    if not isinstance(names, str) or names not in _NAMES:
        raise Malformed("trust_file_malformed", f'{where} has names that are neither "san" nor "any".')
    if not isinstance(accept, list) or not all(isinstance(name, str) for name in accept):
        raise Malformed("trust_file_malformed", f"{where} has no array of leniencies in accept.")
    if not x509.LENIENCIES.issuperset(accept):
        raise Malformed("trust_file_malformed", f"{where} accepts a leniency that is not known.")
    certificates = tuple(
        certificate
        for place, text in enumerate(texts, start=1)
        for certificate in _certificates(text, f"{where}, certificate {place}")
    )
    if len(certificates) > limits.TRUST_CERTIFICATES:
        raise Malformed("trust_file_malformed", f"{where} has too many certificates.")
    return Anchors(certificates, _NAMES[names], frozenset(accept))


_NAMES: dict[str, Literal["san", "any"]] = {"san": "san", "any": "any"}


def _certificates(text: str, where: str) -> tuple[Certificate, ...]:
    try:
        return x509.chain_from_pem(text)
    except SafeconductError as error:
        raise Malformed("trust_file_malformed", f"{where} is not usable. {error.reason}") from error


def _keys(listed: Any, where: str) -> tuple[PublicKey, ...]:
    if isinstance(listed, dict) and "keys" in listed:
        listed = listed["keys"]
    entries = listed if isinstance(listed, list) else [listed]
    if not entries:
        raise Malformed("trust_file_malformed", f"{where} has no key.")
    return tuple(_key(entry, f"{where}, key {place}") for place, entry in enumerate(entries, start=1))


def _key(entry: Any, where: str) -> PublicKey:
    try:
        if isinstance(entry, str):
            return PublicKey.from_pem(entry)
        if isinstance(entry, dict) and "pem" in entry:
            return _from_pem_entry(entry, where)
        if isinstance(entry, dict):
            return PublicKey.from_jwk(entry)
    except SafeconductError as error:
        raise Malformed("trust_file_malformed", f"{where} is not usable. {error.reason}") from error
    raise Malformed("trust_file_malformed", f"{where} is neither a JWK nor PEM.")


def _from_pem_entry(entry: dict[str, Any], where: str) -> PublicKey:
    pem, kid = entry["pem"], entry.get("kid")
    if not isinstance(pem, str) or not isinstance(kid, str | None) or entry.keys() - {"pem", "kid"}:
        raise Malformed("trust_file_malformed", f"{where} is not an object of pem and kid.")
    return PublicKey.from_pem(pem, kid=kid)
