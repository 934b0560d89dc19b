"""What a request for a file can be refused for: told to scripts of any origin, as the files are."""

from collections.abc import Mapping

from safeconduct.errors import Rejected

READABLE: Mapping[str, str] = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Content-Range, ETag",
}
"""Header fields of every answer about a file."""


class FileUnknown(Rejected):
    """The tree has no such file."""

    http_status = 404
    http_headers = READABLE


class RangeNotSatisfiable(Rejected):
    """The request asks for bytes that the file does not have."""

    http_status = 416

    def __init__(self, size: int) -> None:
        """size: of the file in bytes."""
        super().__init__("range_not_satisfiable", "The file has no bytes there.", rule="RFC 9110 §15.5.17")
        self.http_headers = {**READABLE, "Content-Range": f"bytes */{size}"}
