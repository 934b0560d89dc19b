"""The trust file: which issuers a verifier believes, by which keys, as an operator writes it.

JSON; each member is an issuer's identifier with its keys: a JWK Set, one JWK, or an array of JWKs, PEM texts
and `{"pem": "...", "kid": "..."}`. Nothing but public signature keys may stand there.
"""

from typing import Any

from safeconduct.crypto.keys import PublicKey
from safeconduct.encoding import json
from safeconduct.errors import Malformed, SafeconductError
from safeconduct.trust.anchors import Trust


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
    return Trust.of(
        {
            issuer: _keys(listed, f"Issuer {place}")
            for place, (issuer, listed) in enumerate(members.items(), start=1)
        }
    )


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
