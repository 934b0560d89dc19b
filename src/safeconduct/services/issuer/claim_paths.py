"""Where a claim stands in a set of claims."""

from collections.abc import Mapping
from typing import Any

from safeconduct.protocols.openid4vci.configuration import ClaimPath


def is_there(claims: Any, path: ClaimPath) -> bool:
    """Returns whether something stands at the path; of an array any element counts."""
    for step in path:
        if step is None:
            return isinstance(claims, list) and len(claims) > 0
        if not isinstance(claims, Mapping) or step not in claims:
            return False
        claims = claims[step]
    return True
