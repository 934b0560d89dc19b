"""Values of a token as one line of text for people: dates, names, shortened bytes, nothing to obey."""

from typing import Any

from safeconduct.crypto import algorithms
from safeconduct.crypto.keys import PublicKey
from safeconduct.encoding import b64
from safeconduct.encoding.cbor import Simple, Tag, undefined
from safeconduct.envelope import cose
from safeconduct.errors import SafeconductError
from safeconduct.formats.inspected import escaped
from safeconduct.formats.sd_cwt import labels
from safeconduct.formats.sd_cwt.profile import HASH_IDS

_HEX_BYTES = 16

HEADER_NAMES = {
    cose.ALG: "alg",
    cose.CRIT: "crit",
    cose.CONTENT_TYPE: "content type",
    cose.KID: "kid",
    5: "IV",
    6: "partial IV",
    cose.KCWT: "kcwt",
    cose.CWT_CLAIMS: "CWT claims",
    cose.TYP: "typ",
    labels.SD_CLAIMS: "sd_claims",
    33: "x5chain",
    34: "x5t",
    35: "x5u",
    labels.SD_ALG: "sd_alg",
    labels.SD_AEAD_ENCRYPTED_CLAIMS: "sd_aead_encrypted_claims",
    labels.SD_AEAD: "sd_aead",
}
_MEDIA_TYPES = {293: "application/sd-cwt", 294: "application/kb+cwt"}
_HASH_NAMES = {number: name.upper() for name, number in HASH_IDS.items()}


def header_note(label: Any, value: Any) -> str:
    """Say what a header parameter's value means; nothing where it speaks for itself."""
    if label == cose.ALG and type(value) is int:
        return next((item.name for item in algorithms.ALGORITHMS if item.cose == value), "")
    if label == cose.TYP and type(value) is int:
        return _MEDIA_TYPES.get(value, "")
    if label == labels.SD_ALG and type(value) is int:
        return _HASH_NAMES.get(value, "")
    if label == cose.KID and type(value) is bytes:
        return _readable(value)
    return ""


def confirmation_note(confirmation: Any) -> str:
    """Say which key a `cnf` claim names."""
    key = confirmation.get(labels.CNF_COSE_KEY) if type(confirmation) is dict else None
    if key is None:
        return ""
    try:
        public = PublicKey.from_cose_key(key)
    except SafeconductError:
        return "not a usable key"
    return f"{public.algorithm.name} key, thumbprint {b64.encode(public.cose_thumbprint())}"


def key_text(key: Any, *, top: bool) -> str:
    """Write a map key; at the top, registered claims by name."""
    if type(key) is int:
        return labels.CLAIM_NAMES.get(key, str(key)) if top else str(key)
    return escaped(key) if type(key) is str else value_text(key)


def value_text(value: Any) -> str:
    """Write a value on one line, in diagnostic notation, long ones cut short."""
    kind = type(value)
    if kind is bytes:
        return bytes_text(value)
    if kind is str:
        return f'"{escaped(value)}"'
    if kind is bool:
        return "true" if value else "false"
    if kind is Simple:
        return f"simple({value.value})"
    if kind is Tag:
        return f"{value.tag}({value_text(value.value)})"
    if value is None or value is undefined:
        return "null" if value is None else "undefined"
    if kind in (dict, list):
        return _container(value)
    return escaped(str(value))


def _container(value: dict[Any, Any] | list[Any]) -> str:
    brackets = "{}" if isinstance(value, dict) else "[]"
    return f"{brackets[0]}{len(value)} items{brackets[1]}" if value else brackets


def bytes_text(data: bytes) -> str:
    """Write bytes in hexadecimal, long ones cut short."""
    if len(data) <= _HEX_BYTES:
        return f"h'{data.hex()}'"
    return f"h'{data[:_HEX_BYTES].hex()}…' ({len(data)} bytes)"


def _readable(data: bytes) -> str:
    """Return bytes as text if that is what they are."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return ""
    return escaped(text) if text.isprintable() else ""
