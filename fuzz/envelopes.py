"""Targets: COSE_Sign1, compact JWS and compact JWE."""

import hashlib
import zlib
from typing import Any

import cbor2

from fuzz import json_trees, seeds, tokens
from fuzz.choices import Choices
from fuzz.judgement import Target
from fuzz.keys import SECRET, key
from fuzz.parts import sign1
from fuzz.trees import mutate
from safeconduct.crypto import aead
from safeconduct.crypto.agreement import AgreementKey
from safeconduct.encoding import b64
from safeconduct.envelope import cose, jwe, jws
from safeconduct.errors import Malformed

RECIPIENT = AgreementKey.from_raw(SECRET, "P-256", kid="recipient")
_EPHEMERAL = AgreementKey.from_raw(bytes(31) + b"\x06", "P-256")
_ALGORITHMS = ("ES256", "Ed25519", "EdDSA")
_COSE_HEADER: dict[Any, Any] = {1: -7, 4: b"kid", 16: 293, 15: {1: tokens.ISSUER}}
_JWS_HEADER = {"alg": "ES256", "typ": "test+jwt", "kid": "a", "jwk": key("ES256").public.to_jwk()}
JWE_HEADER: dict[str, Any] = {
    "alg": "ECDH-ES",
    "enc": "A256GCM",
    "kid": "recipient",
    "epk": _EPHEMERAL.public.members(),
}
_COMPRESSED = {**JWE_HEADER, "apu": "QQ", "apv": "Qg", "zip": "DEF"}
_KEY_BYTES = {"A128GCM": 16, "A256GCM": 32}


def text(data: bytes) -> str:
    """Returns bytes as the text that a careless caller would hand on."""
    return data.decode("utf-8", "surrogateescape")


def signed(header: Any, payload: bytes, choices: Choices) -> str:
    """Returns a compact JWS by the ES256 key, whatever its header is."""
    signing_input = f"{b64.encode(json_trees.encode(header, choices))}.{b64.encode(payload)}"
    return f"{signing_input}.{b64.encode(key('ES256').deterministic().sign(signing_input.encode()))}"


def encrypted(header: Any, plaintext: bytes, choices: Choices) -> str:
    """Returns a compact JWE to `RECIPIENT`, which opens if the header is still one that it takes."""
    protected = b64.encode(json_trees.encode(header, choices))
    members = header if isinstance(header, dict) else {}
    size = _KEY_BYTES.get(str(members.get("enc")), 16)
    other = b"".join(_sized(members.get(name), raw=name == "enc") for name in ("enc", "apu", "apv"))
    other += (8 * size).to_bytes(4, "big")
    shared = _EPHEMERAL.exchange(RECIPIENT.public)
    content_key = hashlib.sha256(b"\0\0\0\1" + shared + other).digest()[:size]
    ciphertext, tag = aead.seal(1 if size == 16 else 2, content_key, bytes(12), plaintext, protected.encode())
    return f"{protected}..{b64.encode(bytes(12))}.{b64.encode(ciphertext)}.{b64.encode(tag)}"


def _sized(value: Any, *, raw: bool) -> bytes:
    data = b""
    if isinstance(value, str) and value.isascii():
        try:
            data = value.encode() if raw else b64.decode(value)
        except Malformed:
            data = b""
    return len(data).to_bytes(4, "big") + data


def _read_cose(data: bytes) -> None:
    message = cose.parse(data)
    cose.verify(message, key=tokens.ISSUER_KEY.public, accept=_ALGORITHMS)


def _cose(data: bytes) -> bytes:
    choices = Choices(data)
    if choices.number(3) == 0:
        return choices.rest()
    protected = tokens.plain(mutate(_COSE_HEADER, choices, tokens.POOL))
    unprotected = tokens.plain(mutate({33: b"x"}, choices, tokens.POOL))
    return cbor2.dumps(sign1(cbor2.dumps(protected), unprotected, b"payload", tokens.ISSUER_KEY))


def _read_jws(received: str) -> None:
    jws.verify(received, key=key("ES256").public, algorithms=_ALGORITHMS, typ="test+jwt")


def _jws(data: bytes) -> str:
    choices = Choices(data)
    if choices.number(3) == 0:
        return text(choices.rest())
    return signed(mutate(_JWS_HEADER, choices, json_trees.POOL), choices.take(8), choices)


def _read_jwe(received: str) -> None:
    keys = {"recipient": RECIPIENT}
    opened = jwe.decrypt(
        received, keys=keys, enc_values=tuple(_KEY_BYTES), zip_values=("DEF",), max_inflated=10_000
    )
    assert len(opened.plaintext) <= 10_000


def _jwe(data: bytes) -> str:
    """Whole garbage, a changed header, or a compressed plaintext that is garbage or a bomb."""
    choices = Choices(data)
    kind = choices.number(4)
    if kind == 0:
        return text(choices.rest())
    if kind == 1:
        return encrypted(
            mutate(_COMPRESSED, choices, json_trees.POOL), zlib.compress(b"x", wbits=-15), choices
        )
    plaintext = zlib.compress(choices.rest() * choices.pick((1, 1, 500)), wbits=-15)
    place = choices.number(len(plaintext))
    garbled = plaintext[:place] + choices.take(1) + plaintext[place + 1 :]
    return encrypted(_COMPRESSED, plaintext if kind == 2 else garbled, choices)


def _jwe_seeds() -> list[bytes]:
    whole = encrypted(_COMPRESSED, zlib.compress(b"x", wbits=-15), Choices(b"")).encode()
    return [b"\0" + whole, b"\1" + bytes(16), b"\2hello", b"\3hello"]


TARGETS = (
    Target(
        name="cose.parse",
        read=_read_cose,
        prepare=_cose,
        seeds=lambda: (
            [b"\0" + data for data in seeds.files("sd-cwt/*/examples/*_cwt.cbor")] + [b"\1" + bytes(16)]
        ),
    ),
    Target(
        name="jws.parse",
        read=_read_jws,
        prepare=_jws,
        seeds=lambda: [b"\0" + signed(_JWS_HEADER, b"{}", Choices(b"")).encode(), b"\1" + bytes(16)],
    ),
    Target(name="jwe.decrypt", read=_read_jwe, prepare=_jwe, seeds=_jwe_seeds),
)
