"""The `cnf` claim: which key the holder must prove (RFC 7800, RFC 9449 §6.1)."""

import hmac
from collections.abc import Iterable, Mapping
from typing import Any

from safeconduct.crypto.jwk import kid_text
from safeconduct.crypto.keys import PublicKey
from safeconduct.encoding import b64
from safeconduct.errors import Malformed, Rejected, Unsupported


def confirmation_for(key: PublicKey) -> dict[str, Any]:
    """Return the `cnf` value for a holder's key; its local name and algorithm stay out."""
    members = key.with_kid(None).to_jwk()
    if members["kty"] != "AKP":
        del members["alg"]
    return {"jwk": members}


def confirmed_key(confirmation: Mapping[str, Any], known: Iterable[PublicKey]) -> PublicKey:
    """Return the holder's key.

    known: keys to which a `kid` or thumbprint may refer.
    Raises Rejected: cnf_key_unknown, cnf_ambiguous; Unsupported: cnf_encrypted, cnf_unsupported; Malformed:
    cnf_malformed; and what `PublicKey.from_jwk` raises.
    """
    if "jwk" in confirmation:
        if not _OTHERS.isdisjoint(confirmation):
            raise Rejected("cnf_ambiguous", "The confirmation names more than one key.", rule=_RULE)
        return PublicKey.from_jwk(confirmation["jwk"])
    if "jwe" in confirmation:
        raise Unsupported(
            "cnf_encrypted", "The holder's key is encrypted and no key opens it.", rule="RFC 7800 §3.3"
        )
    present = [name for name in ("kid", "jkt") if name in confirmation]
    if not present:
        raise Unsupported("cnf_unsupported", "The confirmation method is not understood.", rule=_RULE)
    if len(present) > 1:
        raise Rejected("cnf_ambiguous", "The confirmation names more than one key.", rule=_RULE)
    name, value = present[0], confirmation[present[0]]
    if type(value) is not str:
        raise Malformed("cnf_malformed", "The confirmation is not text.", rule=_RULE)
    for key in known:
        identifier = _identifier(key, name)
        if identifier is not None and hmac.compare_digest(value.encode(), identifier.encode()):
            return key
    raise Rejected("cnf_key_unknown", "The holder's key is referred to, and not among the known ones.")


_OTHERS = frozenset({"jwe", "jkt"})
_RULE = "RFC 7800 §3.1"


def _identifier(key: PublicKey, name: str) -> str | None:
    if name == "jkt":
        return b64.encode(key.jwk_thumbprint())
    return None if key.kid is None else kid_text(key.kid)
