"""A directory of issuers: a JSON list of whom somebody lists, without their keys.

The format of the VCI directory (`vci-issuers.json`), also read as a plain array of URLs.
"""

from typing import Any, Final

import msgspec

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed, SafeconductError
from safeconduct.status.card_keys import check_issuer_url


class ListedIssuer(msgspec.Struct, frozen=True):
    """An issuer as a directory names it."""

    url: str
    name: str = ""


def read_directory(data: bytes) -> tuple[ListedIssuer, ...]:
    """Returns the issuers of a directory, each once, in its order; what is no issuer's URL is left out.

    Raises Malformed "issuer_directory_malformed".
    """
    try:
        value = json.loads(data, max_bytes=limits.ISSUER_LIST_BYTES)
    except SafeconductError as error:
        raise _malformed() from error
    entries = value.get("participating_issuers") if isinstance(value, dict) else value
    if not isinstance(entries, list) or len(entries) > limits.SNAPSHOT_ISSUERS:
        raise _malformed()
    found: dict[str, ListedIssuer] = {}
    for entry in map(_listed, entries):
        if entry is not None:
            found.setdefault(entry.url, entry)
    return tuple(found.values())


_NAME_CHARS: Final = 256


def _listed(entry: Any) -> ListedIssuer | None:
    url, name = (entry.get("iss"), entry.get("name")) if isinstance(entry, dict) else (entry, None)
    try:
        if not isinstance(url, str):
            return None
        check_issuer_url(url)
    except SafeconductError:
        return None
    return ListedIssuer(url, name[:_NAME_CHARS] if isinstance(name, str) else "")


def _malformed() -> Malformed:
    return Malformed("issuer_directory_malformed", "The directory is not a JSON list of issuers.")
