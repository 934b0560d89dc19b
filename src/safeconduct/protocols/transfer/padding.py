"""Padding of message contents, so that the size of a payload tells little of what is in it.

Spaces after a JSON text are legal and change nothing (RFC 8259 §2), so a program that knows of no padding
reads the content all the same.
"""

from safeconduct import limits
from safeconduct.errors import Malformed

SMALLEST = 512
"""Bytes of the smallest bucket; each further one has twice as many."""


def pad(content: bytes) -> bytes:
    """Returns a JSON text filled up with spaces to the next bucket: 512, 1024, 2048, … bytes.

    Raises Malformed "content_too_large" beyond `limits.TRANSFER_CONTENT_BYTES`.
    """
    if len(content) > limits.TRANSFER_CONTENT_BYTES:
        raise Malformed("content_too_large", "The content of the message is larger than a payload may be.")
    return content.ljust(bucket(len(content)))


def bucket(size: int) -> int:
    """Returns the size in bytes that a text of `size` bytes is filled up to."""
    return max(SMALLEST, 1 << (size - 1).bit_length()) if size > 0 else SMALLEST
