"""The `cnf` claim: which key the holder must prove (RFC 8747, RFC 9679)."""

import hmac
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from safeconduct.crypto.keys import PublicKey
from safeconduct.errors import Malformed, Rejected, Unsupported
from safeconduct.formats.sd_cwt.labels import CNF_CKT, CNF_COSE_KEY, CNF_ENCRYPTED_COSE_KEY, CNF_KID

Confirmation = Literal["cose-key", "kid", "ckt"]


def confirmation_for(key: PublicKey, kind: Confirmation) -> dict[int, Any]:
    """Return the `cnf` value for a holder's key. Raises ValueError for `kid` where the key has none."""
    if kind == "cose-key":
        return {CNF_COSE_KEY: key.to_cose_key()}
    if kind == "ckt":
        return {CNF_CKT: key.cose_thumbprint()}
    if key.kid is None:
        raise ValueError("a holder key without kid cannot be confirmed by kid")
    return {CNF_KID: _as_bytes(key.kid)}


def confirmed_key(confirmation: Mapping[Any, Any], known: Iterable[PublicKey]) -> PublicKey:
    """Return the holder's key.

    known: keys to which a `kid` or thumbprint may refer.
    Raises Rejected: cnf_key_unknown, cnf_ambiguous; Unsupported: cnf_encrypted, cnf_unsupported; Malformed:
    cnf_malformed, key_malformed.
    """
    present = [label for label in _UNDERSTOOD if label in confirmation]
    if len(present) > 1:
        raise Rejected("cnf_ambiguous", "The confirmation names more than one key.", rule="RFC 8747 §3.1")
    if not present:
        raise Unsupported(
            "cnf_unsupported", "The confirmation method is not understood.", rule="RFC 8747 §3.1"
        )
    label, value = present[0], confirmation[present[0]]
    if label == CNF_COSE_KEY:
        if type(value) is not dict:
            raise Malformed("cnf_malformed", "The COSE_Key is not a map.", rule="RFC 8747 §3.2")
        return PublicKey.from_cose_key(value)
    if label == CNF_ENCRYPTED_COSE_KEY:
        raise Unsupported(
            "cnf_encrypted", "The holder's key is encrypted and no key opens it.", rule="RFC 8747 §3.3"
        )
    if type(value) is not bytes:
        raise Malformed("cnf_malformed", "The confirmation is not a byte string.", rule="RFC 8747 §3.4")
    for key in known:
        identifier = _identifier(key, label)
        if identifier is not None and hmac.compare_digest(value, identifier):
            return key
    raise Rejected("cnf_key_unknown", "The holder's key is referred to, and not among the known ones.")


_UNDERSTOOD = (CNF_COSE_KEY, CNF_ENCRYPTED_COSE_KEY, CNF_KID, CNF_CKT)


def _identifier(key: PublicKey, label: int) -> bytes | None:
    if label == CNF_CKT:
        return key.cose_thumbprint()
    return None if key.kid is None else _as_bytes(key.kid)


def _as_bytes(kid: bytes | str) -> bytes:
    return kid if isinstance(kid, bytes) else kid.encode()
