"""The document that names an issuer's status lists (draft-ietf-oauth-status-list §9.3)."""

from collections.abc import Iterable

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed

_RULE = "Token Status List §9.3"


def write(uris: Iterable[str]) -> bytes:
    """Returns the document, the URIs in the order of their code points: it tells nothing about age."""
    return json.dumps({"status_lists": sorted(set(uris))})


def read(data: bytes) -> tuple[str, ...]:
    """Reads the document; members that cannot be URIs are passed over, the others stay of use.

    Raises Malformed: json_*, status_aggregation_malformed.
    """
    named = json.loads_object(data, max_bytes=limits.STATUS_AGGREGATION_BYTES).get("status_lists")
    if type(named) is not list:
        raise Malformed("status_aggregation_malformed", "status_lists is not an array.", rule=_RULE)
    if len(named) > limits.STATUS_LISTS:
        raise Malformed("status_aggregation_malformed", "The document names too many lists.", rule=_RULE)
    return tuple(dict.fromkeys(uri for uri in named if type(uri) is str and 0 < len(uri) <= limits.URL_CHARS))
