"""Where a credential says that its status stands (draft-ietf-oauth-status-list §6)."""

from typing import Any

import msgspec

from safeconduct import limits
from safeconduct.errors import Malformed


class StatusReference(msgspec.Struct, frozen=True):
    """A place in a status list. idx: from 0. uri: of the Status List Token."""

    idx: int
    uri: str

    def __repr__(self) -> str:
        return "<StatusReference>"

    def claim(self) -> dict[str, Any]:
        """Returns the value of a credential's claim `status` (65535 in a CWT)."""
        return {"status_list": {"idx": self.idx, "uri": self.uri}}


def read_reference(claim: Any) -> StatusReference | None:
    """Reads the value of a claim `status`; None if it uses another mechanism only.

    Raises Malformed: status_malformed. Source: draft-ietf-oauth-status-list §6.2, §6.3.
    """
    if type(claim) is not dict:
        raise _malformed("The claim status is not an object.")
    if "status_list" not in claim:
        return None
    listed = claim["status_list"]
    idx, uri = (listed.get("idx"), listed.get("uri")) if type(listed) is dict else (None, None)
    if type(idx) is not int or idx < 0 or type(uri) is not str or not 0 < len(uri) <= limits.URL_CHARS:
        raise _malformed("The reference to a status list is not {idx, uri}.")
    return StatusReference(idx, uri)


def _malformed(reason: str) -> Malformed:
    return Malformed("status_malformed", reason, rule="Token Status List §6.2")
