"""The ribbon: a revocation list in little more than a byte an entry, exact for the cards its issuer counted.

Only who knows every identifier issued can build one. A first function tells the listed identifiers from
nearly all others; a second one, on the listed and on what the first let pass, is exact (the two levels of
Clubcard, IEEE S&P 2025); a third says how far an entry reaches, if entries differ in that. For a card made
before `as_of` the answer is the list's. A later card may have an identifier that was not counted: that the
list does not name it is certain all the same, that it does is not. How large the second function is gives
away about how many cards there are.
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Self

import msgspec

from safeconduct.errors import Unsupported
from safeconduct.ids import Random
from safeconduct.status.card_revocation.crl import RevocationList
from safeconduct.status.card_revocation.rids import Reach, covers
from safeconduct.status.compact.linear import SEED_BYTES, Function, fingerprints, values
from safeconduct.status.states import GOOD, REVOKED, Status, unknown

LISTED: Final = b"listed"
EXACT: Final = b"exact"
REACH: Final = b"reach"


class Ribbon(msgspec.Struct, frozen=True, kw_only=True):
    """A revocation list of one key, compact.

    issuer, kid, method: whose list, of which key, and how it names cards. ctr, digest: the list's. count: its
    entries. as_of: seconds since 1970; cards made before are counted. seed: of the functions. reaches: how
    far entries reach, each once. listed: agrees with what is listed and with some others. exact: 1 for the
    listed among these, else 0. reach: the place in `reaches`.
    """

    issuer: str
    kid: str
    method: str
    ctr: int
    digest: str
    count: int
    as_of: int
    seed: bytes
    reaches: tuple[Reach, ...]
    listed: Function
    exact: Function
    reach: Function

    @classmethod
    def build(
        cls,
        found: RevocationList,
        issued: Iterable[str],
        *,
        issuer: str,
        as_of: int,
        about: int,
        random: Random = secrets.token_bytes,
    ) -> Self:
        """Makes the ribbon of a list; a million identifiers take some five seconds.

        found: the list. issued: the identifiers of all cards of the key with an `nbf` before `as_of`, in any
        order, read once; one may come again, and the listed need not be among them. about: how many they
        are; a wrong number costs bytes, not truth. random: gives the seed. Only if nobody knows it before
        the identifiers are fixed, nobody can choose some that have no solution.

        Raises Unsupported "status_method_unknown".
        """
        if not found.understood:
            raise Unsupported(
                "status_method_unknown", "The list names cards in a way that is not known here."
            )
        entries = {name.encode(): reach for name, reach in found.entries.items()}
        seed = random(SEED_BYTES)
        listed = _listed(entries, seed, max(0, about - len(entries)))
        reaches, reach = _reach(entries, seed)
        return cls(
            issuer=issuer,
            kid=found.kid,
            method=found.method,
            ctr=found.ctr,
            digest=found.digest(),
            count=len(entries),
            as_of=as_of,
            seed=seed,
            reaches=reaches,
            listed=listed,
            exact=_exact(entries, listed, (name.encode() for name in issued), seed),
            reach=reach,
        )

    def status(self, identifier: str | None, nbf: float) -> Status:
        """Returns what the list says of a card: good, revoked, or "unknown, stale" for some made later.

        identifier: what the card is called under the list's method, None if it has no name there.
        nbf: when it was made, in seconds, also with a fraction. Of one in a hundred or so of the cards made
        at `as_of` or later only a newer ribbon or the list itself can tell, if entries reach so far.
        """
        found = () if identifier is None else self.entry(identifier)
        if not found or not covers(found[0], nbf):
            return GOOD
        return REVOKED if nbf < self.as_of else _NOT_COUNTED

    def entry(self, identifier: str) -> tuple[()] | tuple[Reach]:
        """Returns how far the list's entry reaches; nothing if there is certainly no entry."""
        name = identifier.encode()
        if not self.count or not self.listed.agrees(name) or not self.exact.value(name):
            return ()
        place = self.reach.value(name)
        return (self.reaches[place],) if place < len(self.reaches) else ()

    def __repr__(self) -> str:
        return f"<Ribbon {self.count} entries>"


_NOT_COUNTED: Final = unknown("stale")


def _listed(entries: Mapping[bytes, Reach], seed: bytes, others: int) -> Function:
    """So many bits that both functions together are smallest."""

    def size(bits: int) -> int:
        return (bits + 1) * len(entries) + (others >> bits)

    bits = min(range(others.bit_length() + 1), key=size)
    return fingerprints(entries, rows=(seed, LISTED), bits=bits)


def _exact(
    entries: Mapping[bytes, Reach], listed: Function, issued: Iterator[bytes], seed: bytes
) -> Function:
    """Also tells apart what the first function lets pass without being listed."""
    if not entries:
        return values({}, rows=(seed, EXACT), bits=0)
    passing = {name: 0 for name in issued if listed.agrees(name)}
    return values(passing | dict.fromkeys(entries, 1), rows=(seed, EXACT), bits=1)


def _reach(entries: Mapping[bytes, Reach], seed: bytes) -> tuple[tuple[Reach, ...], Function]:
    reaches = sorted(set(entries.values()), key=lambda reach: (reach is None, reach))
    places = {reach: place for place, reach in enumerate(reaches)}
    bits = max(0, len(reaches) - 1).bit_length()
    function = values({name: places[reach] for name, reach in entries.items()}, rows=(seed, REACH), bits=bits)
    return tuple(reaches), function
