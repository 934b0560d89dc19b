"""JSON Web Signature (RFC 7515), compact serialisation, with public-key algorithms only.

The verifier's caller says which algorithms may appear and the key says which ones fit it; a message can
choose only among what both allow. MACs, RSA and "none" are not in the table that names are looked up in.
"""

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from safeconduct import limits
from safeconduct.crypto import algorithms as known
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.encoding import b64, json
from safeconduct.errors import Malformed, Rejected, SafeconductError, Unsupported


class ParsedJws(msgspec.Struct, frozen=True, kw_only=True):
    """A compact JWS that is well formed; nothing in it is verified yet.

    header: the protected header, with `alg` as text and without extensions that change its meaning.
    payload: the decoded payload.
    signing_input: the very bytes received that the signature covers.
    signature: the decoded signature.
    """

    header: dict[str, Any]
    payload: bytes
    signing_input: bytes
    signature: bytes

    def __repr__(self) -> str:
        return f"<ParsedJws {len(self.payload)} bytes>"


def sign(payload: bytes, *, signer: Signer, header: Mapping[str, Any]) -> str:
    """Returns `payload` signed as a compact JWS.

    header: members of the protected header besides `alg`, such as `typ`, `kid` or `jwk`.

    Raises ValueError if `header` names `alg`, `crit` or `b64`.
    Source: RFC 7515 §5.1.
    """
    if not _SET_HERE.isdisjoint(header):
        raise ValueError("alg is the signer's to say; crit and b64 are not used")
    protected = json.dumps({"alg": signer.algorithm.jose, **header})
    signing_input = f"{b64.encode(protected)}.{b64.encode(payload)}"
    return f"{signing_input}.{b64.encode(signer.sign(signing_input.encode('ascii')))}"


def parse(text: str, *, max_bytes: int = limits.JWT_BYTES) -> ParsedJws:
    """Returns the parts of a compact JWS, unverified.

    text: the whole compact serialisation.
    max_bytes: longest `text`.

    Raises Malformed "jws_malformed" or "jws_too_large"; Rejected "crit_unsupported" if the header has `crit`
    or sets `b64` to anything but true.
    Source: RFC 7515 §5.2 steps 1 to 7, §4.1.11; RFC 7797 §3.
    """
    if len(text) > max_bytes:
        raise Malformed("jws_too_large", "The JWS is longer than allowed here.")
    try:
        parts = text.encode("ascii").split(b".", 3)
        if len(parts) != 3:
            raise _malformed("A compact JWS has three parts.")
        encoded, payload, signature = b64.decode_each(parts)
        header = json.loads_object(encoded, max_bytes=limits.JOSE_HEADER_BYTES)
    except (SafeconductError, UnicodeError) as error:
        raise _malformed("A part of the JWS is not base64url, or its header is not a JSON object.") from error
    _check_header(header)
    signing_input = b".".join(parts[:2])
    return ParsedJws(header=header, payload=payload, signing_input=signing_input, signature=signature)


def verify(jws: str | ParsedJws, *, key: PublicKey, algorithms: Collection[str], typ: str | None) -> bytes:
    """Returns the payload of a JWS that `key` has signed.

    algorithms: the JOSE names that are acceptable here; of these, only those that fit `key` verify.
    typ: media type that the header must state, "application/" optional; None waives that.

    Raises what `parse` raises for text; Unsupported "algorithm_unsupported" (not in `algorithms`, not known,
    or not for this key); Rejected "jws_type", "signature_invalid".
    Source: RFC 7515 §5.2 step 8, §4.1.9; RFC 8725 §3.1, §3.2, §3.11.
    """
    parsed = parse(jws) if isinstance(jws, str) else jws
    _check_algorithm(parsed.header["alg"], algorithms, key)
    if typ is not None and not _same_type(parsed.header.get("typ"), typ):
        raise Rejected("jws_type", "The JWS is not of the type expected here.", rule="RFC 8725 §3.11")
    key.verify(parsed.signature, parsed.signing_input)
    return parsed.payload


_SET_HERE = frozenset({"alg", "crit", "b64"})


def _check_header(header: dict[str, Any]) -> None:
    if not isinstance(header.get("alg"), str):
        raise _malformed("The JWS header does not name an algorithm.")
    # No extension is understood, so whatever `crit` lists must not be ignored (RFC 7515 §4.1.11). `b64` is
    # legal only within `crit`; without it, readers would differ on what was signed (RFC 7797 §6).
    if "crit" in header or header.get("b64", True) is not True:
        raise Rejected("crit_unsupported", "The JWS needs an extension that is not supported.")


def _check_algorithm(name: str, allowed: Collection[str], key: PublicKey) -> None:
    if isinstance(allowed, str):
        raise TypeError("algorithms is a collection of names, not a name")
    if name not in allowed or not known.compatible(known.by_jose(name), key.algorithm):
        raise Unsupported(
            "algorithm_unsupported", "The JWS algorithm is not acceptable here.", rule="RFC 8725 §3.1"
        )


def _same_type(received: object, expected: str) -> bool:
    return isinstance(received, str) and received.isascii() and _full(received) == _full(expected)


def _full(media_type: str) -> str:
    """The prefix may be left out only if no other slash follows (RFC 7515 §4.1.9)."""
    lower = media_type.lower()
    return lower if "/" in lower else f"application/{lower}"


def _malformed(reason: str) -> Malformed:
    return Malformed("jws_malformed", reason, rule="RFC 7515 §5.2")
