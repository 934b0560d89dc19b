"""What a client says it can do, what a group demands, and how long a leaf may be used."""

from collections.abc import Collection

import msgspec

from safeconduct import limits
from safeconduct.encoding import tls
from safeconduct.encoding.tls import Reader
from safeconduct.protocols.mls.registries import MLS10

Numbers = tuple[int, ...]


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a client supports, each a list of numbers of a registry (RFC 9420 §7.2).

    Those that are not known stay in it: they are to be ignored, GREASE among them. What every client supports
    (extensions and proposals of RFC 9420) is not listed.
    """

    versions: Numbers = (MLS10,)
    cipher_suites: Numbers
    extensions: Numbers = ()
    proposals: Numbers = ()
    credentials: Numbers

    def encode(self) -> bytes:
        """Returns the Capabilities as MLS carries them."""
        lists = (self.versions, self.cipher_suites, self.extensions, self.proposals, self.credentials)
        return b"".join(_encode(values) for values in lists)


class RequiredCapabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What every member of a group must support: the data of the extension 0x0003 (RFC 9420 §11.1)."""

    extension_types: Numbers = ()
    proposal_types: Numbers = ()
    credential_types: Numbers = ()

    def encode(self) -> bytes:
        """Returns the RequiredCapabilities as the extension holds them."""
        return b"".join(
            _encode(each) for each in (self.extension_types, self.proposal_types, self.credential_types)
        )


class Lifetime(msgspec.Struct, frozen=True, kw_only=True):
    """When a leaf of a KeyPackage may be used (RFC 9420 §7.2). Both in seconds since 1970, both included."""

    not_before: int
    not_after: int

    def encode(self) -> bytes:
        """Returns the Lifetime as MLS carries it."""
        return tls.uint(self.not_before, 8) + tls.uint(self.not_after, 8)


def take_capabilities(reader: Reader) -> Capabilities:
    """Reads Capabilities; raises Unsupported "tls_too_many" above `limits.MLS_CAPABILITIES` in a list."""
    return Capabilities(
        versions=_take(reader),
        cipher_suites=_take(reader),
        extensions=_take(reader),
        proposals=_take(reader),
        credentials=_take(reader),
    )


def take_lifetime(reader: Reader) -> Lifetime:
    """Reads a Lifetime."""
    return Lifetime(not_before=reader.uint64(), not_after=reader.uint64())


def parse_required_capabilities(data: bytes) -> RequiredCapabilities:
    """Returns what the extension required_capabilities holds.

    data: of the extension. Raises Malformed "tls_…"; Unsupported "tls_too_many".
    """
    return tls.read(data, _take_required)


def _take_required(reader: Reader) -> RequiredCapabilities:
    return RequiredCapabilities(
        extension_types=_take(reader), proposal_types=_take(reader), credential_types=_take(reader)
    )


def _take(reader: Reader) -> Numbers:
    return reader.numbers(2, count=limits.MLS_CAPABILITIES)


def _encode(values: Collection[int]) -> bytes:
    return tls.numbers(values, 2)
