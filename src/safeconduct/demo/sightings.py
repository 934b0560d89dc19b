"""Who has what: every secret of an issuance, searched in all that each party recorded."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import msgspec

from safeconduct.demo.holder import Holder, Secrets
from safeconduct.demo.parties import Parties, Party
from safeconduct.demo.secrets_search import Needle, search

Promise = Literal["never", "must", "any"]
"""What is promised of a party and a secret: it never has it; it must, or the search is blind; either."""


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """Where a party has some of the secrets of a kind.

    secret: what they are. places: such as "traffic", "log", "database".
    searched, found: how many values were looked for, and how many of them were found.
    """

    secret: str
    party: str
    places: tuple[str, ...]
    promise: Promise
    searched: int
    found: int

    @property
    def kept(self) -> bool:
        """Whether the promise was kept."""
        expected = {"never": 0, "must": self.searched}.get(self.promise, self.found)
        return self.searched > 0 and self.found == expected


class Passage(msgspec.Struct, frozen=True, kw_only=True):
    """One exchange as a party saw it from outside. bytes_in, bytes_out: sizes of the bodies."""

    direction: str
    method: str
    target: str
    status: int
    bytes_in: int
    bytes_out: int


def passages(party: Party) -> tuple[Passage, ...]:
    """List the exchanges that a party took part in."""
    return tuple(
        Passage(
            direction=exchange.direction,
            method=exchange.method,
            target=exchange.url,
            status=exchange.status,
            bytes_in=len(exchange.request_body),
            bytes_out=len(exchange.response_body),
        )
        for exchange in party.tape
    )


class _Row(msgspec.Struct, frozen=True):
    """Needles of a kind, and what is promised of wallet, its files, wallet server, issuer and verifier."""

    secret: str
    needles: Sequence[Needle]
    promises: tuple[Promise, Promise, Promise, Promise, Promise]


async def sightings(
    parties: Parties, holder: Holder, secrets: Secrets, *, disclosed: Collection[str]
) -> tuple[Sighting, ...]:
    """Search everything that wallet, its files, wallet server, issuer and verifier have by now."""
    known = {
        "wallet": await holder.known(),
        "wallet's database": holder.files(),
        "wallet server": parties.wallet_server.known(),
        "issuer": parties.issuer.known(),
        "verifier": parties.verifier.known(),
    }
    return tuple(
        sighting(row.secret, row.needles, party=party, promise=promise, known=known[party])
        for row in _rows(secrets, frozenset(disclosed))
        for party, promise in zip(known, row.promises, strict=True)
    )


def sighting(
    secret: str, needles: Sequence[Needle], *, party: str, promise: Promise, known: Mapping[str, bytes]
) -> Sighting:
    """Search what a party has for the needles of a kind. known: what it has, by a name for the place."""
    findings = search(known, needles)
    found = {finding.place for finding in findings}
    return Sighting(
        secret=secret,
        party=party,
        places=tuple(place for place in known if place in found),
        promise=promise,
        searched=len({needle.name for needle in needles}),
        found=len({finding.needle for finding in findings}),
    )


def _rows(secrets: Secrets, disclosed: frozenset[str]) -> tuple[_Row, ...]:
    private = [needle for needle in secrets.keys if needle.name.endswith("private")]
    public = [needle for needle in secrets.keys if needle not in private]
    shown = [needle for name, needle in secrets.claims.items() if name in disclosed]
    withheld = [needle for name, needle in secrets.claims.items() if name not in disclosed]
    shown_salts = [needle for name, needle in secrets.salts.items() if name in disclosed]
    withheld_salts = [needle for name, needle in secrets.salts.items() if name not in disclosed]
    return (
        _Row("holder's private key", private, ("must", "never", "never", "never", "never")),
        _Row("holder's public key", public, ("must", "never", "never", "any", "must")),
        _Row("disclosed claims", shown, ("must", "never", "never", "any", "must")),
        _Row("withheld claims", withheld, ("must", "never", "never", "any", "never")),
        _Row("salts of disclosed claims", shown_salts, ("must", "never", "never", "any", "must")),
        _Row(
            "salts of withheld claims",
            [*withheld_salts, *secrets.decoys],
            ("must", "never", "never", "any", "never"),
        ),
        _Row("issuer's signature", secrets.signature, ("must", "never", "never", "any", "must")),
        _Row("key proof", secrets.proof, ("must", "never", "never", "any", "never")),
        _Row("credential identifier", secrets.identifier, ("must", "never", "never", "any", "never")),
        _Row("offer and transaction code", secrets.offer, ("must", "never", "never", "any", "never")),
        _Row("access token", secrets.access_token, ("must", "never", "any", "any", "never")),
    )
