"""Padding of JSON, so that the size of an encrypted message tells little about its content.

Whitespace after a JSON text is legal and changes nothing (RFC 8259 §2), so no peer needs to know of it.
Compression would undo it: a message is either padded or compressed.
"""

_SMALLEST = 1024


def pad(text: bytes) -> bytes:
    """Returns a JSON text filled up with spaces to the next bucket."""
    return text.ljust(bucket(len(text)))


def bucket(size: int) -> int:
    """Returns the size in bytes that a text of `size` bytes is filled up to: 1, 2, 4, 8, … KiB."""
    return max(_SMALLEST, 1 << (size - 1).bit_length()) if size > 0 else _SMALLEST
