"""Extensions (RFC 9420 §13.4): a number and data each, kept as received."""

import msgspec

from safeconduct import limits
from safeconduct.encoding import tls
from safeconduct.encoding.tls import Reader
from safeconduct.errors import Malformed


class Extension(msgspec.Struct, frozen=True):
    """One extension. type: its number. data: what it holds, exactly as received."""

    type: int
    data: bytes

    def encode(self) -> bytes:
        """Returns the Extension as MLS carries it."""
        return tls.uint(self.type, 2) + tls.opaque(self.data)

    def __repr__(self) -> str:
        return f"<Extension {self.type:#06x} {len(self.data)} bytes>"


Extensions = tuple[Extension, ...]


def take_extensions(reader: Reader) -> Extensions:
    """Reads `Extension extensions<V>`.

    Raises Malformed "mls_extension_repeated"; Unsupported "tls_too_many" above `limits.MLS_EXTENSIONS`.
    """
    extensions = reader.vector(_take_extension, count=limits.MLS_EXTENSIONS)
    if len({extension.type for extension in extensions}) != len(extensions):
        raise Malformed(
            "mls_extension_repeated", "An extension stands there more than once.", rule="RFC 9420 §13.4"
        )
    return extensions


def encode_extensions(extensions: Extensions) -> bytes:
    """Returns `Extension extensions<V>`. Raises ValueError if two are of one type."""
    if len({extension.type for extension in extensions}) != len(extensions):
        raise ValueError("there is one extension of a type")
    return tls.vector(extension.encode() for extension in extensions)


def find_extension(extensions: Extensions, kind: int) -> bytes | None:
    """Returns the data of the extension of that type, if it is there."""
    return next((extension.data for extension in extensions if extension.type == kind), None)


def _take_extension(reader: Reader) -> Extension:
    return Extension(reader.uint16(), reader.opaque())
