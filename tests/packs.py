"""Packs as tests need them: a mirror's key, an issuer's, and a few lines from lists to a file."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from safeconduct.crypto.keys import Key
from safeconduct.errors import Unsupported
from safeconduct.status.card_keys import CardKey
from safeconduct.status.card_revocation.crl import RevocationList
from safeconduct.status.compact import body, hashed, pack_file, packing
from safeconduct.status.compact.pack import Pack
from safeconduct.status.compact.pack_head import Head, Version
from safeconduct.status.compact.packing import Gathered, GatheredIssuer, HashedList

MIRROR = Key.generate("ES256")
ISSUER = "https://issuer.example/cards"
KEY = CardKey.of(Key.generate("ES256").public, crl_version=3)
NOW = 1_700_000_000
DAY = 86400
HEAD = Head(
    name="status",
    version=1,
    as_of=NOW,
    iat=NOW,
    exp=NOW + 7 * DAY,
    length=0,
    digest="",
    previous=None,
    lists=0,
    count=0,
)


class Card(msgspec.Struct, frozen=True):
    """A card that names a rid, and its holder by what "hash-fhir" makes of it."""

    rid: str | None = "AAAAAAAAAAA"
    nbf: float = NOW - DAY
    issuer: str = ISSUER
    kid: str = KEY.kid

    def identifier(self, method: str) -> str | None:
        if method != "rid":
            raise Unsupported("status_method_unknown", "The method is not known.")
        return self.rid


def crl(rids: Mapping[str, int | None], *, ctr: int = 3, method: str = "rid") -> HashedList:
    """A list of that many entries."""
    raw = bytes(32)
    if method == "rid":
        found = RevocationList(kid=KEY.kid, ctr=ctr, entries=rids)
        raw = hashlib.sha256(found.encode()).digest()
    return HashedList(method=method, ctr=ctr, digest=raw, records=hashed.records(rids))


def issuer(
    listed: HashedList | None, *, url: str = ISSUER, key: CardKey = KEY, **more: Any
) -> GatheredIssuer:
    """An issuer with one key and its list."""
    state = more.pop("state", body.NO_LIST if listed is None else body.LISTED)
    gathered = Gathered(kid=key.kid, key=key, state=state, listed=listed, since=more.pop("list_since", 0))
    return GatheredIssuer(url=url, keys=(gathered,), **more)


def file(
    *issuers: GatheredIssuer,
    signer: Key = MIRROR,
    previous: Pack | None = None,
    low_bits: int = packing.USUAL_BITS,
    budget: int | None = None,
    **head: Any,
) -> bytes:
    """The file of a pack. head: members of its head that differ from HEAD."""
    before = None if previous is None else previous.body
    made = packing.build(issuers, previous=before, low_bits=low_bits, budget=budget)
    if previous is not None:
        named = Version(previous.head.version, previous.head.digest)
        head = {"version": named.version + 1, "previous": named, **head}
    return pack_file.seal(msgspec.structs.replace(HEAD, **head), made, signer=signer)


def pack(*issuers: GatheredIssuer, max_age: int | None = None, **more: Any) -> Pack:
    """A pack that is open."""
    return Pack.open(file(*issuers, **more), keys=[MIRROR.public], max_age=max_age)


def of(rids: Mapping[str, int | None], **more: Any) -> Pack:
    """A pack of one list of one issuer."""
    return pack(issuer(crl(rids)), **more)
