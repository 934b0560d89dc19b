"""Targets: offline packs as a hostile mirror could sign them, their deltas, and directories' snapshots."""

import json
import zlib

from fuzz import json_trees
from fuzz.choices import Choices
from fuzz.judgement import Target
from fuzz.keys import key
from safeconduct.envelope import jws
from safeconduct.status import card_snapshot
from safeconduct.status.card_keys import CardKey
from safeconduct.status.compact import (
    body,
    hashed,
    pack,
    pack_delta,
    pack_file,
    pack_head,
    pack_updates,
    packing,
)
from safeconduct.status.compact.pack import Pack
from safeconduct.status.compact.pack_head import Head, Version
from safeconduct.status.compact.packed_list import PackedList
from safeconduct.status.compact.packing import Gathered, GatheredIssuer, HashedList

_MIRROR = key("ES256")
_KEY = CardKey.of(key("ES256").public, crl_version=3)
_ISSUER = "https://i.example"
_HEAD = Head(
    name="a",
    version=2,
    as_of=0,
    iat=0,
    exp=9,
    length=0,
    digest="",
    previous=Version(1, "x"),
    lists=1,
    count=9,
)


class _Card:
    """A card that the packs here know of."""

    issuer, kid, nbf = _ISSUER, _KEY.kid, 7

    def identifier(self, method: str) -> str:
        return method


def _body(*rids: str) -> bytes:
    entries = {rid: place or None for place, rid in enumerate(rids)}
    listed = HashedList(method="rid", ctr=3, digest=bytes(32), records=hashed.records(entries))
    gathered = Gathered(kid=_KEY.kid, key=_KEY, state=body.LISTED, listed=listed)
    return packing.build([GatheredIssuer(url=_ISSUER, name="I", keys=(gathered,))])


_BEFORE, _AFTER = _body("a", "b", "c"), _body("rid", "b", "c", "d")
_FILE = pack_file.seal(_HEAD, _BEFORE, signer=_MIRROR)
_PACK = Pack.open(_FILE, keys=[_MIRROR.public])
_DELTA = pack_delta.between(
    _PACK, Pack.open(pack_file.seal(_HEAD, _AFTER, signer=_MIRROR), keys=[_MIRROR.public])
)
_ROWS_AT = 48 + int.from_bytes(_DELTA[8:12], "little")
_ROWS = zlib.decompress(_DELTA[_ROWS_AT:])
_CLAIMS = {
    "sub": "a",
    "version": 1,
    "as_of": 0,
    "iat": 0,
    "exp": 9,
    "length": 9,
    "digest": "x",
    "lists": 0,
    "count": 0,
    "previous": {"version": 1, "digest": "x"},
}
_UPDATES = {"version": 3, "bytes": 900, "deltas": [[1, 2, 5], [2, 3, 5], [1, 3, 20]]}
_SNAPSHOT = {
    "time": "2023-11-14T22:13:20Z",
    "issuerInfo": [
        {
            "issuer": {"iss": _ISSUER, "name": "I"},
            "keys": _KEY.entries(),
            "crls": [{"kid": _KEY.kid, "method": "rid", "ctr": 3, "rids": ["a", "b.5"]}],
            "lastRetrieved": "2023-11-14T22:13:20Z",
        }
    ],
}


def _altered(whole: bytes, data: bytes) -> bytes:
    """The bytes with some of them changed, cut out, or put in."""
    choices = Choices(data)
    made = bytearray(whole)
    for _ in range(1 + choices.number(8)):
        place = choices.number(len(made) + 1)
        made[place : place + choices.number(5)] = choices.take(choices.number(9))
    return bytes(made)


def _signed(data: bytes) -> bytes:
    return pack_file.seal(_HEAD, _altered(_BEFORE, data), signer=_MIRROR)


def _read(data: bytes) -> None:
    """A source never raises, whatever it holds; what it lists may."""
    found = pack.source(data, keys=[_MIRROR.public])
    found.card_status(_Card(), crl_version=3, now=1)
    found.keys_named(_KEY.kid)
    if isinstance(found, Pack):
        for row in found.body.entries():
            if row.length:
                sum(1 for _ in PackedList(found.body.read, at=row.at, length=row.length).entries())
        list(found.entries())


def _rows(data: bytes) -> bytes:
    return _DELTA[:_ROWS_AT] + zlib.compress(_altered(_ROWS, data))


def _apply(data: bytes) -> None:
    pack_delta.apply(data, to=_PACK, keys=[_MIRROR.public])


def _head(data: bytes) -> str:
    header = {"typ": pack_head.TYPE, "kid": pack_head.name_of(_MIRROR.public)}
    return jws.sign(json_trees.changed(_CLAIMS, Choices(data)), signer=_MIRROR, header=header)


def _verify(text: str) -> None:
    pack_head.verify(text, keys=[_MIRROR.public])


def _way(data: bytes) -> None:
    updates = pack_updates.parse(data)
    updates.way(1)


def _snapshot(data: bytes) -> None:
    for issuer in card_snapshot.parse(data).issuers:
        if not issuer.url.startswith("https://"):
            raise AssertionError


TARGETS = (
    Target(
        name="pack.signed", read=_read, prepare=_signed, seeds=lambda: [b"", bytes(20), b"\1\0\x90\3\x08" * 9]
    ),
    Target(name="pack.bytes", read=_read, seeds=lambda: [_FILE], large=lambda: [bytes(262_144)]),
    Target(name="pack.head", read=_verify, prepare=_head),
    Target(name="pack.delta_rows", read=_apply, prepare=_rows, seeds=lambda: [b"", b"\1\0\x90\3\x08" * 9]),
    Target(name="pack.delta", read=_apply, seeds=lambda: [_DELTA]),
    Target(
        name="pack.updates",
        read=_way,
        prepare=json_trees.preparing(_UPDATES),
        seeds=json_trees.seeding(_UPDATES),
    ),
    Target(
        name="card_snapshot.parse",
        read=_snapshot,
        prepare=json_trees.preparing(_SNAPSHOT),
        seeds=json_trees.seeding(_SNAPSHOT),
        large=lambda: [json.dumps({**_SNAPSHOT, "issuerInfo": [{}] * 20_000}).encode()],
    ),
)
