"""The numbers of MLS that are used here (RFC 9420 §17), and those that stand for nothing."""

from typing import Final

from safeconduct.encoding.tls import Reader
from safeconduct.errors import Unsupported

MLS10: Final = 1
"""The version of the protocol."""

BASIC, X509 = 0x0001, 0x0002
MULTI: Final = 0x0003
"""Suggested by draft-ietf-mls-extensions, not allocated."""
SD_CWT, SD_JWT = 0x0005, 0x0006
"""Suggested by draft-mahy-mls-sd-cwt-credential-02, not allocated."""

APPLICATION_ID, RATCHET_TREE, REQUIRED_CAPABILITIES, EXTERNAL_PUB, EXTERNAL_SENDERS = range(1, 6)
"""Types of extensions (RFC 9420 §17.3)."""

PUBLIC_MESSAGE, PRIVATE_MESSAGE, WELCOME, GROUP_INFO, KEY_PACKAGE = range(1, 6)
"""Wire formats (RFC 9420 §17.2)."""

GREASE: Final = tuple(0x0A0A + 0x1010 * step for step in range(15))
"""Values that mean nothing and keep receivers tolerant (RFC 9420 §13.5).

Whoever receives one treats it as any other that he does not know. They may stand in the lists of
`Capabilities` and in the extensions of a leaf, a KeyPackage or a GroupInfo, and nowhere else.
"""


def take_version(reader: Reader) -> int:
    """Reads a ProtocolVersion. Raises Unsupported "mls_version_unsupported"."""
    version = reader.uint16()
    if version != MLS10:
        raise Unsupported("mls_version_unsupported", "The message is not of MLS 1.0.", rule="RFC 9420 §6")
    return version
