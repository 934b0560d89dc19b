"""Key files in whatever form they come: PEM, DER, JWK (JSON) or COSE_Key (CBOR), told apart by content."""

from typing import Any, Literal, TypeVar

from safeconduct import hsm
from safeconduct.cli import files, output
from safeconduct.cli.faults import WrongUse
from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.encoding import cbor, json
from safeconduct.errors import SafeconductError

Form = Literal["pem", "jwk", "cose"]

_Half = TypeVar("_Half", Key, PublicKey)

MAX_BYTES = 64 * 1024
"""A key file; an ML-DSA-87 key in PEM has 7 kB, and comments may stand around it."""


def read_private(place: str) -> Key:
    """Read a private key. Raises WrongUse with what to do instead."""
    data = _content(place)
    if any(mark in data for mark in _LOCKED):
        raise WrongUse(
            f"{files.shown(place)} is locked with a passphrase: unlock a copy with `openssl pkey` first"
        )
    return _parse(place, data, Key)


def read_signer(place: str, *, algorithm: str | None, deterministic: bool) -> Signer:
    """Read a private key to sign with, or open one in a token if the place is a PKCS#11 URI.

    algorithm: another one that the key's kind allows. deterministic: sign by RFC 6979; a key in a token does
    neither. Raises WrongUse.
    """
    if hsm.is_uri(place):
        if algorithm is not None or deterministic:
            raise WrongUse("a key in a token signs by its own algorithm and with its own randomness")
        try:
            return hsm.open_signer(place)
        except hsm.HsmError as error:
            raise WrongUse(str(error)) from None
    key = read_private(place)
    try:
        chosen = key if algorithm is None else key.with_algorithm(algorithm)
        return chosen.deterministic() if deterministic else chosen
    except SafeconductError as error:
        raise WrongUse(f"{files.shown(place)} cannot sign so: {error.reason}") from None


def read_public(place: str) -> PublicKey:
    """Read a public key; of a private one the public half, with a word about it. Raises WrongUse."""
    data = _content(place)
    try:
        return _parse(place, data, PublicKey)
    except WrongUse as fault:
        key = _public_half(place, data, fault)
    output.note(f"{files.shown(place)} holds a private key; only its public half is needed and used here")
    return key


def public_in(data: bytes, name: str) -> PublicKey:
    """Read a public key from bytes that did not come from a file. Raises WrongUse, which says `name`."""
    return _parse(name, data, PublicKey)


def read_public_of_either(place: str) -> PublicKey:
    """Read a public key, or the public half of a private one, also of one in a token. Raises WrongUse."""
    if hsm.is_uri(place):
        try:
            return hsm.read_public(place)
        except hsm.HsmError as error:
            raise WrongUse(str(error)) from None
    data = _content(place)
    try:
        return _parse(place, data, PublicKey)
    except WrongUse as fault:
        return _public_half(place, data, fault)


def _public_half(place: str, data: bytes, fault: WrongUse) -> PublicKey:
    try:
        return _parse(place, data, Key).public
    except WrongUse:
        raise fault from None


def public_form(key: PublicKey, form: Form) -> bytes:
    """Write a public key."""
    if form == "jwk":
        return json.dumps(key.to_jwk()) + b"\n"
    return key.to_pem().encode() if form == "pem" else cbor.dumps(key.to_cose_key())


def private_form(key: Key, form: Form) -> bytes:
    """Write a private key, its public half included."""
    if form == "jwk":
        return json.dumps(key.to_jwk(private=True)) + b"\n"
    return key.to_pem(private=True).encode() if form == "pem" else cbor.dumps(key.to_cose_key(private=True))


def _content(place: str) -> bytes:
    data = files.read_whole(place, max_bytes=MAX_BYTES)
    if not data.strip():
        raise WrongUse(f"{files.shown(place)} is empty: it should hold a key")
    return data


def _parse(place: str, data: bytes, kind: type[_Half]) -> _Half:
    half = "private" if kind is Key else "public"
    try:
        if b"-----BEGIN " in data:
            return kind.from_pem(data)
        if data.lstrip()[:1] == b"{":
            return kind.from_jwk(_only_jwk(place, json.loads_object(data)))
        if data[:1] == _DER_SEQUENCE:
            return kind.from_der(data)
        if data and data[0] >> 5 == _CBOR_MAP:
            return kind.from_cose_key(cbor.loads(data))
    except SafeconductError as error:
        advice = _ADVICE.get(error.code, "")
        raise WrongUse(f"{files.shown(place)} is no usable {half} key: {error.reason}{advice}") from None
    raise WrongUse(f"{files.shown(place)} is no {half} key in PEM, DER, JWK or COSE_Key form")


_ADVICE = {
    "private_key_where_public_expected": " Make the public one with `safeconduct key public FILE`.",
}
_LOCKED = (b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"Proc-Type: 4,ENCRYPTED")
_DER_SEQUENCE = b"\x30"
_CBOR_MAP = 5


def _only_jwk(place: str, members: dict[str, Any]) -> dict[str, Any]:
    """Take the key out of a JWK Set of one."""
    if "keys" not in members:
        return members
    keys = members["keys"]
    if not isinstance(keys, list) or len(keys) != 1:
        raise WrongUse(f"{files.shown(place)} is a JWK Set of several keys: give a file with one, or --trust")
    only: dict[str, Any] = keys[0]
    return only
