"""Bytes per revoked entry of each form in which status is kept, each made here of the same million cards.

The published figure of CRLite, Firefox's set of web certificates, stands beside them.
"""

import gzip
import math
import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from tests.interop.peer import Absent, Peer

from safeconduct import Key
from safeconduct.encoding import b64
from safeconduct.status.card_revocation import log
from safeconduct.status.card_revocation.changes import GONE, Change
from safeconduct.status.card_revocation.crl import RevocationList
from safeconduct.status.card_revocation.rids import Reach
from safeconduct.status.compact import linear, pack_file, packing, ribbon_file
from safeconduct.status.compact.hashed import records
from safeconduct.status.compact.pack_head import Head
from safeconduct.status.compact.packing import Gathered, GatheredIssuer, HashedList
from safeconduct.status.compact.ribbon import Ribbon
from safeconduct.status.token_list import tokens
from safeconduct.status.token_list.bitstring import Bitstring
from safeconduct.status.token_list.lists import StatusList

ISSUED = 1_000_000
SHARES = (0.0001, 0.001, 0.01, 0.05, 0.1)
"""Of the issued cards that are revoked."""

ISSUER = "https://issuer.example/cards"
KID = b64.encode(bytes(32))
NOW = 1_800_000_000
TIMES = [1_650_000_000 + 86_400 * day for day in range(54)]
"""As many different ones as in the largest real list, which gives each entry one."""

CRLITE = (0.009, 6.7 / 8)
"""Share and bytes per revoked of web certificates, per issuer, as published (Clubcard, IEEE S&P 2025)."""


@cache
def rids() -> tuple[str, ...]:
    """Rids of 64 bits, as the framework recommends, of all issued cards; the first ones are revoked."""
    draw = random.Random(1)
    return tuple(b64.encode(draw.randbytes(8)) for _ in range(ISSUED))


class Sample:
    """What is revoked of the issued cards: by rid, and by random places in a status list."""

    def __init__(self, share: float) -> None:
        draw = random.Random(2)
        self.share = share
        self.count = round(ISSUED * share)
        self.issued = rids()
        self.revoked = self.issued[: self.count]
        self.places = sorted(draw.sample(range(ISSUED), self.count))

    def list(self, *, timed: bool = False) -> RevocationList:
        """The revocation list; timed: each entry with a time."""
        draw = random.Random(3)
        entries: dict[str, Reach] = {rid: draw.choice(TIMES) if timed else None for rid in self.revoked}
        return RevocationList(kid=KID, ctr=1, entries=entries)

    def token_list(self) -> StatusList:
        """The status list of one bit."""
        return StatusList.of(dict.fromkeys(self.places, 1), size=ISSUED, bits=1)


def sorted_prefixes(sample: Sample) -> int:
    """64 bits of each rid."""
    return 8 * len(set(sample.revoked))


def pack(sample: Sample, *, low_bits: int = packing.USUAL_BITS) -> bytes:
    """A pack that holds nothing but this list."""
    found = sample.list()
    hashed = HashedList(method="rid", ctr=1, digest=bytes(32), records=records(found.entries))
    body = packing.build(
        [GatheredIssuer(url=ISSUER, keys=(Gathered(kid=KID, key=None, state=1, listed=hashed),))],
        low_bits=low_bits,
    )
    head = Head(
        name="bench", version=1, as_of=NOW, iat=NOW, exp=NOW + 86_400, length=0, digest="", previous=None,
        lists=1, count=sample.count,
    )  # fmt: skip
    return pack_file.seal(head, body, signer=signer())


@cache
def signer() -> Key:
    """A mirror's or issuer's key."""
    return Key.generate("ES256")


def ribbon(sample: Sample) -> bytes:
    """The ribbon of the list, built from all that was issued."""
    built = Ribbon.build(sample.list(), sample.issued, issuer=ISSUER, as_of=NOW, about=ISSUED)
    return ribbon_file.encode(built)


def fingerprints(sample: Sample) -> int:
    """A filter that says "revoked" of one good card in 256; a binary fuse filter would have 9.0 bits."""
    elements = [rid.encode() for rid in sample.revoked]
    return len(linear.fingerprints(elements, rows=(bytes(32), b"bench"), bits=8).columns)


def token_jwt(sample: Sample) -> str:
    """A Status List Token as JWT."""
    uri = f"{ISSUER}/1.jwt"
    return tokens.issue_jwt(sample.token_list(), uri=uri, signer=signer(), now=NOW, expires=NOW + 1, ttl=1)


def token_cwt(sample: Sample) -> bytes:
    """A Status List Token as CWT."""
    uri = f"{ISSUER}/1.cwt"
    return tokens.issue_cwt(sample.token_list(), uri=uri, signer=signer(), now=NOW, expires=NOW + 1, ttl=1)


def foreign_token(sample: Sample) -> int | None:
    """The same list compressed by npm @sd-jwt/jwt-status-list, as base64url; None if it is not installed."""
    statuses = [0] * ISSUED
    for place in sample.places:
        statuses[place] = 1
    try:
        with Peer("health_card") as peer:
            made = peer.ask("statusClaims", statuses=statuses, bits=1, claims={"sub": ISSUER, "iat": NOW})
    except Absent:
        return None
    return len(made["payload"]["status_list"]["lst"])


def rice_gaps(sample: Sample) -> int:
    """The gaps between the places in a status list, Rice-coded; counted, not written."""
    gaps = [here - before - 1 for before, here in zip((-1, *sample.places), sample.places, strict=False)]
    return min(sum((gap >> bits) + 1 + bits for gap in gaps) for bits in range(24)) // 8


def entropy(sample: Sample) -> float:
    """What it takes at least to say which of the issued cards are revoked: log2 of the number of ways."""
    n, k = ISSUED, sample.count
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return ways / math.log(2) / 8


FORMS: dict[str, Callable[[Sample], bytes | str | float | None]] = {
    "CRL, JSON, with times": lambda sample: sample.list(timed=True).encode(),
    "CRL, JSON (what the peers read)": lambda sample: sample.list().encode(),
    "CRL, JSON, gzip -9": lambda sample: gzip.compress(sample.list().encode(), 9),
    "log of 16-byte records": lambda sample: (
        log.header(KID) + log.records(Change(rid, GONE, None) for rid in sample.revoked)
    ),
    "rids sorted, 64 bits": sorted_prefixes,
    "pack, exact (64 bits)": lambda sample: pack(sample, low_bits=64),
    "pack, false hits 2^-32": pack,
    "pack, false hits 2^-16": lambda sample: pack(sample, low_bits=16),
    "filter, false hits 2^-8": fingerprints,
    "Token Status List, JWT": token_jwt,
    "Token Status List, CWT": token_cwt,
    "the same list by @sd-jwt/jwt-status-list": foreign_token,
    "Bitstring Status List": lambda sample: Bitstring.of(
        dict.fromkeys(sample.places, 1), entries=ISSUED
    ).write(),
    "Rice-coded gaps of a status list": rice_gaps,
    "ribbon": ribbon,
    "entropy bound": entropy,
}
"""Each form, and how large it is: what it consists of, or how many bytes it has."""


def measure() -> Iterator[tuple[str, list[float | None]]]:
    """Gives each form's bytes per revoked entry at each of the `SHARES`, None where it cannot be had."""
    samples = [Sample(share) for share in SHARES]
    for name, form in FORMS.items():
        yield name, [_per_entry(form(sample), sample.count) for sample in samples]


def _per_entry(made: bytes | str | float | None, count: int) -> float | None:
    if made is None:
        return None
    return round((len(made) if isinstance(made, bytes | str) else made) / count, 3)


def figures() -> dict[str, Any]:
    """At one percent: the ribbon against the entropy bound, and the other forms beside it."""
    sample = Sample(0.01)
    made = {name: _per_entry(form(sample), sample.count) for name, form in FORMS.items()}
    bound = made["entropy bound"] or math.inf
    return {"ratio": round((made["ribbon"] or math.inf) / bound, 3), "better": "lower", **made}


FIGURES = {"status.bytes_per_revoked": figures}
