"""How revocation files are measured before they are read, and what they share."""

import hashlib
import re
from typing import Any, Final

from safeconduct import limits
from safeconduct.encoding import b64, json
from safeconduct.errors import Malformed, SafeconductError

SOURCE: Final = 'SMART Health Cards 1.4.0, "Revocation"'

LARGEST: Final = (1 << 53) - 1
"""The last number that every reader of JSON holds exactly (RFC 7493 §2.2), and so the last counter."""


def read_members(data: bytes) -> dict[str, Any]:
    """Returns the members of a list or a delta.

    Counts first: three bytes could otherwise become an object of fifty.
    Raises Malformed "crl_too_large" (bytes, entries or brackets), "crl_malformed".
    """
    if len(data) > limits.CRL_BYTES or data.count(b",") > limits.CRL_ENTRIES:
        raise Malformed("crl_too_large", "The list is longer than allowed here.")
    if data.count(b"[") + data.count(b"{") > _BRACKETS:
        raise Malformed("crl_too_large", "The list holds more objects and arrays than allowed here.")
    try:
        return json.loads_object(data, max_bytes=limits.CRL_BYTES)
    except SafeconductError as error:
        raise malformed("The list is not a JSON object with one meaning.") from error


def read_kid(members: dict[str, Any], expected: str | None) -> str:
    """Returns the key that a file names. Raises Malformed "crl_malformed", "crl_kid" (not the expected)."""
    kid = members.get("kid")
    if not isinstance(kid, str) or not is_kid(kid):
        raise malformed("The list does not name its key by a thumbprint.")
    if expected is not None and kid != expected:
        raise Malformed("crl_kid", "The list is of another key.", rule=SOURCE)
    return kid


def read_method(members: dict[str, Any]) -> str:
    """Returns how a file names cards. Raises Malformed "crl_malformed"."""
    method = members.get("method")
    if not isinstance(method, str) or not 0 < len(method) <= _METHOD_CHARS:
        raise malformed("The list does not name its method.")
    return method


def read_counter(members: dict[str, Any], name: str) -> int:
    """Returns a counter, which begins at 1. Raises Malformed "crl_malformed"."""
    counter = members.get(name)
    if type(counter) is not int or not 1 <= counter <= LARGEST:
        raise malformed("A counter of the list is not a positive integer.")
    return counter


def read_version(members: dict[str, Any]) -> int:
    """Returns the counter of a list, which some issuers write as text. Raises Malformed "crl_malformed"."""
    version = members.get("ctr")
    if isinstance(version, str) and _DIGITS.fullmatch(version):
        members = {"ctr": int(version)}
    return read_counter(members, "ctr")


def read_names(members: dict[str, Any], name: str) -> list[str]:
    """Returns an array of texts. Raises Malformed "crl_malformed"."""
    names = members.get(name)
    if not isinstance(names, list) or not all(map(_is_text, names)):
        raise malformed("The list has no array of entries.")
    return names


def digest(data: bytes) -> str:
    """Returns the digest of a published file, with the name of the hash before it."""
    return f"sha-256:{b64.encode(hashlib.sha256(data).digest())}"


def is_digest(value: object) -> bool:
    """Whether a value can be such a digest."""
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def is_kid(value: object) -> bool:
    """Whether a value can be a key's thumbprint (RFC 7638, SHA-256), and so part of a file's name."""
    return isinstance(value, str) and _KID.fullmatch(value) is not None


def malformed(reason: str) -> Malformed:
    """Returns the error for a list that breaks its format."""
    return Malformed("crl_malformed", reason, rule=SOURCE)


_KID: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_DIGEST: Final = re.compile(r"sha-256:[A-Za-z0-9_-]{43}", re.ASCII)
_DIGITS: Final = re.compile(r"[1-9][0-9]{0,15}", re.ASCII)
_BRACKETS: Final = 64  # a list has two; more are in members that mean nothing here
_METHOD_CHARS: Final = 256


def _is_text(value: object) -> bool:
    return isinstance(value, str)
