"""Directories of issuers of health cards: which issuers a verifier wants to hear of."""

from typing import Any, Final

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed


def read_issuers(data: bytes) -> tuple[str, ...]:
    """Return the issuers that a directory names, in its order.

    data: the list of participants of the VCI directory (`vci-issuers.json`), or its snapshot, of which only
    the names are read here.

    Raises Malformed "card_directory_malformed", json_*. Whether a name can be an issuer's is not looked at.
    """
    members = json.loads_object(data, max_bytes=limits.SNAPSHOT_BYTES)
    if "issuerInfo" in members:
        entries = [_member(entry, "issuer") for entry in _array(members["issuerInfo"])]
    else:
        entries = _array(members.get("participating_issuers"))
    return tuple(dict.fromkeys(_text(_member(entry, "iss")) for entry in entries))


def _array(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) > limits.SNAPSHOT_ISSUERS:
        raise _malformed()
    return value


def _member(entry: Any, name: str) -> Any:
    if not isinstance(entry, dict):
        raise _malformed()
    return entry.get(name)


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > limits.URL_CHARS:
        raise _malformed()
    return value


_REASON: Final = 'The directory has no array "participating_issuers" or "issuerInfo" that names issuers.'


def _malformed() -> Malformed:
    return Malformed("card_directory_malformed", _REASON)
