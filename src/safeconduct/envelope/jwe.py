"""JSON Web Encryption (RFC 7516), compact serialisation: ECDH-ES with direct key agreement and AES-GCM only.

What a message names must be exactly what the recipient offers, and is compared before any curve is computed.
Whatever is wrong with a received message, the answer is the same error: a sender learns nothing by trying.
"""

import hashlib
import secrets
import zlib
from collections.abc import Collection, Mapping
from typing import Any, Final, Literal, NamedTuple

import msgspec

from safeconduct import limits
from safeconduct.crypto import aead
from safeconduct.crypto.agreement import AgreementKey, AgreementPublicKey
from safeconduct.encoding import b64, json
from safeconduct.errors import Malformed, Rejected, SafeconductError, Unsupported
from safeconduct.ids import Random

ALG: Final = "ECDH-ES"
"""The one key management algorithm: the agreed secret is the content key, nothing is wrapped."""


class Decrypted(msgspec.Struct, frozen=True, kw_only=True):
    """What a JWE held: its plaintext (inflated if it was compressed) and its protected header."""

    plaintext: bytes
    header: dict[str, Any]

    def __repr__(self) -> str:
        return f"<Decrypted {len(self.plaintext)} bytes>"


def encrypt(
    plaintext: bytes,
    *,
    recipient: AgreementPublicKey,
    enc: str,
    header: Mapping[str, Any] | None = None,
    zip: Literal["DEF"] | None = None,  # noqa: A002 - the name of the header member
    ephemeral: AgreementKey | None = None,
    random: Random = secrets.token_bytes,
) -> str:
    """Returns `plaintext` encrypted to `recipient` as a compact JWE.

    recipient: key on P-256 or X25519; its `kid`, if any, goes into the header.
    enc: "A128GCM" or "A256GCM".
    header: further members of the protected header, such as `cty`; `apu` and `apv` (base64url) enter the key.
    zip: "DEF" compresses first; only for a recipient that asks for it.
    ephemeral: a key for this message alone; tests inject one. Two messages under one are unsafe.

    Raises Unsupported "jwe_enc_unsupported"; Malformed "base64url_malformed" for `apu` or `apv`; ValueError
    if `header` names a member that is set here, or for another `zip`.
    Source: RFC 7516 §5.1, RFC 7518 §4.6, RFC 8037 §3.2.
    """
    sizes = _ENC.get(enc)
    if sizes is None:
        raise Unsupported("jwe_enc_unsupported", "The content encryption is not one that is supported here.")
    extra = header or {}
    if not _SET_HERE.isdisjoint(extra) or zip not in (None, "DEF"):
        raise ValueError("alg, enc, kid, epk, zip and crit are not the caller's to set")
    ephemeral = ephemeral or AgreementKey.generate(recipient.curve)
    members: dict[str, Any] = {"alg": ALG, "enc": enc}
    if recipient.kid is not None:
        members["kid"] = recipient.kid
    if zip is not None:
        members["zip"] = zip
        plaintext = _deflate(plaintext)
    members["epk"] = ephemeral.public.members()
    members.update(extra)
    protected = b64.encode(json.dumps(members))
    key = _content_key(ephemeral.exchange(recipient), _other_info(members, sizes), sizes)
    nonce = random(_NONCE_BYTES)
    ciphertext, tag = aead.seal(sizes.aead, key, nonce, plaintext, protected.encode("ascii"))
    return f"{protected}..{b64.encode(nonce)}.{b64.encode(ciphertext)}.{b64.encode(tag)}"


def decrypt(
    text: str,
    *,
    keys: Mapping[str, AgreementKey],
    enc_values: Collection[str],
    zip_values: Collection[str] = (),
    max_inflated: int = limits.INFLATED_BYTES,
    max_bytes: int = limits.JWT_BYTES,
) -> Decrypted:
    """Returns what a compact JWE holds.

    keys: the keys that may be named, by the exact `kid`.
    enc_values: the content encryptions that may be named.
    zip_values: the compressions that may be named ("DEF" is the only one known); none unless given.
    max_inflated: most bytes that a compressed plaintext may have.
    max_bytes: longest `text`.

    Raises Rejected "jwe_rejected" with one and the same reason for every fault.
    Source: RFC 7516 §5.2, RFC 7518 §4.6, OpenID4VCI 1.0 §10.
    """
    try:
        message = _parse(text, max_bytes)
        key, sizes = _choose(message.header, keys, enc_values, zip_values)
        other_info = _other_info(message.header, sizes)
        shared = key.exchange(_ephemeral_key(message.header, key))
        content_key = _content_key(shared, other_info, sizes)
        plaintext = aead.open_(
            sizes.aead, content_key, message.nonce, message.ciphertext, message.tag, message.protected
        )
        if "zip" in message.header:
            plaintext = _inflate(plaintext, max_inflated)
    except SafeconductError:
        raise _rejected() from None
    return Decrypted(plaintext=plaintext, header=message.header)


class _Sizes(NamedTuple):
    aead: int
    key_bytes: int


class _Message(NamedTuple):
    header: dict[str, Any]
    protected: bytes
    nonce: bytes
    ciphertext: bytes
    tag: bytes


_ENC: Final = {"A128GCM": _Sizes(aead=1, key_bytes=16), "A256GCM": _Sizes(aead=2, key_bytes=32)}
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_SET_HERE: Final = frozenset({"alg", "enc", "kid", "epk", "zip", "crit"})
_PUBLIC_MEMBERS: Final = ("kty", "crv", "x", "y")


def _parse(text: str, max_bytes: int) -> _Message:
    if len(text) > max_bytes:
        raise _rejected()
    parts = text.split(".", 5)
    if len(parts) != 5 or parts[1]:
        raise _rejected()
    nonce = b64.decode(parts[2], max_bytes=_NONCE_BYTES)
    tag = b64.decode(parts[4], max_bytes=_TAG_BYTES)
    # A shorter tag would be easier to forge, so lengths are exact (RFC 7518 §5.3).
    if len(nonce) != _NONCE_BYTES or len(tag) != _TAG_BYTES:
        raise _rejected()
    header = json.loads_object(b64.decode(parts[0], max_bytes=limits.JOSE_HEADER_BYTES))
    ciphertext = b64.decode(parts[3], max_bytes=max_bytes)
    return _Message(header, parts[0].encode("ascii"), nonce, ciphertext, tag)


def _choose(
    header: dict[str, Any],
    keys: Mapping[str, AgreementKey],
    enc_values: Collection[str],
    zip_values: Collection[str],
) -> tuple[AgreementKey, _Sizes]:
    """The key and sizes that the header names, if all it names was offered."""
    kid, enc, compression = header.get("kid"), header.get("enc"), header.get("zip")
    key = keys.get(kid) if isinstance(kid, str) else None
    sizes = _ENC.get(enc) if isinstance(enc, str) and enc in enc_values else None
    if key is None or sizes is None or header.get("alg") != ALG or key.public.alg not in (None, ALG):
        raise _rejected()
    if "zip" in header and (compression != "DEF" or "DEF" not in zip_values):
        raise _rejected()
    if "crit" in header:
        raise _rejected()
    return key, sizes


def _ephemeral_key(header: dict[str, Any], key: AgreementKey) -> AgreementPublicKey:
    epk = header.get("epk")
    # The curve is compared first: a point must never be computed with on a curve that is not its own.
    if not isinstance(epk, dict) or epk.get("crv") != key.public.curve or "d" in epk:
        raise _rejected()
    return AgreementPublicKey.from_jwk({name: epk[name] for name in _PUBLIC_MEMBERS if name in epk})


def _content_key(shared: bytes, other_info: bytes, sizes: _Sizes) -> bytes:
    """Concat KDF (NIST SP 800-56A §5.8.1); no key here exceeds one SHA-256 output, so one round is all."""
    return hashlib.sha256(b"\x00\x00\x00\x01" + shared + other_info).digest()[: sizes.key_bytes]


def _other_info(header: Mapping[str, Any], sizes: _Sizes) -> bytes:
    """AlgorithmID, PartyUInfo, PartyVInfo and SuppPubInfo of RFC 7518 §4.6.2."""
    return (
        _sized(header["enc"].encode("ascii"))
        + _sized(_party_info(header, "apu"))
        + _sized(_party_info(header, "apv"))
        + (sizes.key_bytes * 8).to_bytes(4, "big")
    )


def _party_info(header: Mapping[str, Any], name: str) -> bytes:
    value = header.get(name, "")
    if not isinstance(value, str):
        raise Malformed("base64url_malformed", "A party's name in the JWE header is not text.")
    return b64.decode(value, max_bytes=limits.JOSE_HEADER_BYTES)


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def _deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


def _inflate(data: bytes, max_bytes: int) -> bytes:
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(data, max_bytes + 1)
    except zlib.error:
        raise _rejected() from None
    if len(plain) > max_bytes or not inflater.eof or inflater.unused_data:
        raise _rejected()
    return plain


def _rejected() -> Rejected:
    return Rejected("jwe_rejected", "The encrypted message is not acceptable.", rule="RFC 7516 §11.5")
