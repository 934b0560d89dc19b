"""Targets: ribbons and their seals."""

import hashlib

from fuzz.choices import Choices
from fuzz.judgement import Target
from fuzz.keys import key
from safeconduct.status.card_revocation import RevocationList
from safeconduct.status.compact import ribbon_file, ribbon_seal
from safeconduct.status.compact.ribbon import Ribbon

_KID = "3Kfdg-XwP-7gXyywtUfUADwBumDOPKMQx-iELL11W9s"
_ISSUED = [f"rid-{number}" for number in range(300)]
_LIST = RevocationList(kid=_KID, ctr=3, entries={**dict.fromkeys(_ISSUED[:9]), _ISSUED[9]: 5})
_FILE = ribbon_file.encode(
    Ribbon.build(_LIST, _ISSUED, issuer="https://i.example", as_of=9, about=300, random=bytes)
)
_BODY = _FILE[:-32]
_KEY = key("ES256")
_SEALED = ribbon_seal.seal(_FILE, signer=_KEY, now=0, lifetime=9)


def _whole(data: bytes) -> bytes:
    """A ribbon of which some bytes are others, with the digest of what it is then."""
    choices = Choices(data)
    body = bytearray(_BODY)
    for _ in range(choices.number(8)):
        place = choices.number(len(body))
        body[place : place + choices.number(3)] = choices.take(choices.number(9))
    return bytes(body) + hashlib.sha256(body).digest() + choices.rest()


def _read(data: bytes) -> None:
    """What is accepted answers, and is written as it was."""
    ribbon, _, seal = ribbon_file.split(data)
    for name in ("a", *_ISSUED[:5]):
        ribbon.status(name, 0)
    if ribbon_file.encode(ribbon) + seal != data:
        raise AssertionError


def _verify(data: bytes) -> None:
    ribbon_seal.verify(_FILE + data, keys=(_KEY.public,), now=0)


TARGETS = (
    Target(
        name="ribbon.read", read=_read, prepare=_whole, seeds=lambda: [b"", bytes(20), b"\1\0\x90\3\x08" * 9]
    ),
    Target(name="ribbon.bytes", read=_read, seeds=lambda: [_FILE, _SEALED], large=lambda: [bytes(262_144)]),
    Target(name="ribbon.seal", read=_verify, seeds=lambda: [_SEALED[len(_FILE) :]]),
)
