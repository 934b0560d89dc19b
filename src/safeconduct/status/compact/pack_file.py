"""The file of a pack: its signed head, the digests of its blocks, and its body, in this order.

"SCPACK1" and a zero byte | length of the head u32 | zero u32 | head, padded to 8 with zeros | table | body
"""

import hashlib
import struct
from typing import Final

import msgspec

from safeconduct import limits
from safeconduct.crypto.signing import Signer
from safeconduct.encoding import b64
from safeconduct.errors import Malformed, Rejected, Unsupported
from safeconduct.status.compact import blocks, pack_head
from safeconduct.status.compact.blocks import CheckedBytes
from safeconduct.status.compact.pack_head import Head, Keys

MAGIC: Final = b"SCPACK1\0"


class OpenFile(msgspec.Struct, frozen=True):
    """A pack's file that is open: its head as text and read, and its body, which is checked as it is read."""

    text: str
    head: Head
    body: CheckedBytes


def digest_of(table: bytes | memoryview) -> str:
    """Returns the digest that a head names: of the table of the body's blocks."""
    return f"sha-256:{b64.encode(hashlib.sha256(table).digest())}"


def write(text: str, body: bytes, *, table: bytes) -> bytes:
    """Returns the file of a head that is signed, and its body. table: of the body's blocks."""
    return b"".join((beginning(text), table, body))


def beginning(text: str) -> bytes:
    """Returns what stands in a file before the table."""
    head = text.encode("ascii")
    return _START.pack(MAGIC, len(head)) + head.ljust(len(head) + 7 & ~7, b"\0")


def seal(head: Head, body: bytes, *, signer: Signer) -> bytes:
    """Returns the file of a body whose head is signed here. head: its `length` and `digest` are set anew."""
    table = blocks.table_of(body)
    full = msgspec.structs.replace(head, length=len(body), digest=digest_of(table))
    return write(pack_head.sign(full, signer=signer), body, table=table)


def split(data: bytes | memoryview) -> tuple[str, memoryview]:
    """Returns the head's text, which is not verified, and what comes after it.

    Raises Malformed "pack_malformed" (too short, no pack), Unsupported "pack_version_unknown".
    """
    view = memoryview(data).cast("B")
    if len(view) < _START.size:
        raise _malformed("The file is too short for a pack.")
    magic, length = _START.unpack(view[: _START.size])
    if magic != MAGIC:
        if magic[:6] == MAGIC[:6]:
            raise Unsupported("pack_version_unknown", "The pack is of a version that is not known here.")
        raise _malformed("The file is no pack.")
    if length > limits.PACK_HEAD_BYTES:
        raise _malformed("The head is longer than allowed here.")
    end = _START.size + length
    try:
        text = str(view[_START.size : end], "ascii")
    except UnicodeDecodeError:
        raise _malformed("The head is not text.") from None
    return text, view[end + 7 & ~7 :]


def open_file(data: bytes | memoryview, *, keys: Keys) -> OpenFile:
    """Returns a pack's file whose head is signed and whose table is what the head names.

    Raises what `split` and `pack_head.verify` raise; Malformed "pack_length" (not as long as the head says),
    Rejected "pack_digest".
    """
    text, rest = split(data)
    head = pack_head.verify(text, keys=keys)
    table_end = blocks.table_bytes(head.length)
    if len(rest) != table_end + head.length:
        raise Malformed("pack_length", "The pack is not as long as its head says.")
    table = rest[:table_end]
    if digest_of(table) != head.digest:
        raise Rejected("pack_digest", "The pack is not what was signed.")
    return OpenFile(text, head, CheckedBytes(rest[table_end:], table))


_START: Final = struct.Struct("<8sI4x")


def _malformed(reason: str) -> Malformed:
    return Malformed("pack_malformed", reason)
