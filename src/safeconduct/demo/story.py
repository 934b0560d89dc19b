"""The story that the demonstration plays, and what it finds out."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from rich.console import Console

from safeconduct.clock import Clock
from safeconduct.demo import attacks, report
from safeconduct.demo.attacks import Attempt
from safeconduct.demo.holder import Holder, Secrets, open_holder, secrets_of
from safeconduct.demo.parties import Network, Parties, Sockets, open_parties
from safeconduct.demo.sightings import Passage, Sighting, passages, sightings
from safeconduct.wallet.present import Outcome
from safeconduct.wallet.records import Credential, Held, Waiting

CLAIMS: dict[str, Any] = {
    "given_name": "Leokadia",
    "family_name": "Ostrzewska-Vandermeulen",
    "birthdate": "1987-03-14",
    "email": "leokadia@mail.example",
    "phone_number": "+48 22 5550 1234",
    "address": {
        "street_address": "Aleja Zielona 71",
        "locality": "Grodzisk",
        "postal_code": "05-825",
        "country": "Poland",
    },
    "nationalities": ["PL", "BE"],
    "age_over_18": True,
    "document_number": "QX7714-20993-L",
}
"""What the issuer knows about the holder."""

DISCLOSED = ("given_name", "age_over_18")
"""What the verifier gets to see."""

SD_JWT_CONFIGURATION = "identity_sd_jwt"
"""The issuer's name for the same credential as an SD-JWT VC."""

CONFIGURATIONS = f"""
[[configurations]]
id = "identity"
also = {{ {SD_JWT_CONFIGURATION} = "dc+sd-jwt" }}
vct = "https://issuer.example/credentials/identity"
name = "Identity"
decoys = 2

[configurations.claims]
given_name = {{ mandatory = true }}
family_name = {{ mandatory = true }}
birthdate = {{}}
email = {{}}
phone_number = {{}}
"address.street_address" = {{}}
"address.locality" = {{}}
"address.postal_code" = {{}}
"address.country" = {{}}
"nationalities[]" = {{}}
age_over_18 = {{}}
document_number = {{}}
"""
"""What the issuer issues, as its operator writes it."""

LATER = 10
"""Seconds that the wallet waits for a credential that comes later."""


class Further(msgspec.Struct, frozen=True):
    """Another way in which a credential came through the wallet server, and whether all went as promised."""

    name: str
    kept: bool


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """What happened.

    issued: the wallet's notices while it got the credential; none. shown: the verifier's outcome.
    further: other credentials. attempts: the attacks. sightings: who has what. passages: all that passed the
    wallet server. seconds: how long it took.
    """

    issued: tuple[str, ...]
    shown: Outcome
    further: tuple[Further, ...]
    attempts: tuple[Attempt, ...]
    sightings: tuple[Sighting, ...]
    passages: tuple[Passage, ...]
    seconds: float

    @property
    def presented_as_chosen(self) -> bool:
        """Whether the verifier got the chosen claims, and else only what every credential shows."""
        own = {"iss", "sub", "exp", "nbf", "iat", "cnf", "vct"}
        return self.shown.accepted and self.shown.claims.keys() - own == set(DISCLOSED)

    @property
    def held(self) -> bool:
        """Whether every promise was kept."""
        return (
            not self.issued
            and self.presented_as_chosen
            and all(further.kept for further in self.further)
            and all(attempt.repelled for attempt in self.attempts)
            and all(sighting.kept for sighting in self.sightings)
        )


async def run(console: Console, *, json: bool = False) -> int:
    """Play the story on loopback ports in temporary directories, and print what was found.

    json: one JSON document instead of tables. Returns the exit status: 0 if every promise was kept, else 1.
    """
    with TemporaryDirectory(prefix="safeconduct-demo-") as folder:
        story = await play(Path(folder), network=Sockets(), clock=lambda: int(time.time()))
    if json:
        report.print_json(console, story)
    else:
        report.print_tables(console, story)
    return 0 if story.held else 1


async def play(directory: Path, *, network: Network, clock: Clock) -> Story:
    """Play the story with all files in a directory.

    1. A credential is issued through the wallet server.
    2. Two of its claims are presented.
    3. What everybody has by then is searched.
    4. A batch, an SD-JWT VC and a credential that comes later are issued as well.
    5. Presentations are replayed and forged, and wallet servers turn hostile.
    """
    began = time.monotonic()
    configurations = directory / "configurations.toml"
    configurations.write_text(CONFIGURATIONS, encoding="utf-8")
    async with (
        open_parties(
            directory,
            network=network,
            clock=clock,
            credentials_per_identifier=3,
            issuer_settings={"configurations": configurations, "deferred_interval": 1},
        ) as parties,
        open_holder(parties, directory / "wallet") as holder,
    ):
        credential, secrets = await _issue(parties, holder)
        shown = await holder.wallet.present_to(
            credential.held.id, verifier=parties.verifier.url, disclose=DISCLOSED
        )
        seen = await sightings(parties, holder, secrets, disclosed=DISCLOSED)
        further = await _further(parties, holder)
        attempts = await _attack(parties, holder, credential, directory)
        return Story(
            issued=tuple(notice.code for notice in holder.notices),
            shown=shown,
            further=further,
            attempts=attempts,
            sightings=seen,
            passages=passages(parties.wallet_server),
            seconds=time.monotonic() - began,
        )


async def _issue(parties: Parties, holder: Holder) -> tuple[Credential, Secrets]:
    offer = await parties.offer(CLAIMS, tx_code=True)
    held = await holder.wallet.accept(offer.uri, tx_code=offer.tx_code, via=parties.wallet_server.url)
    credential = await holder.credential(held)
    return credential, secrets_of(holder, credential, offer, CLAIMS)


async def _further(parties: Parties, holder: Holder) -> tuple[Further, ...]:
    wallet, via = holder.wallet, parties.wallet_server.url

    async def batch() -> bool:
        offer = await parties.offer(CLAIMS, tx_code=False)
        held = await wallet.accept(offer.uri, via=via, batch=3)
        outcomes = [
            await wallet.present_to(held.id, verifier=parties.verifier.url, disclose=DISCLOSED)
            for _ in range(2)
        ]
        keys = {msgspec.json.encode(outcome.claims["cnf"]) for outcome in outcomes if outcome.accepted}
        return isinstance(held, Held) and held.instances == 3 and len(keys) == 2

    async def sd_jwt() -> bool:
        offer = await parties.offer(CLAIMS, tx_code=False, configuration=SD_JWT_CONFIGURATION)
        held = await wallet.accept(offer.uri, via=via)
        shown = await wallet.show(held.id)
        return bool(shown.claims["given_name"] == CLAIMS["given_name"])

    async def later() -> bool:
        offer = await parties.offer(CLAIMS, tx_code=False, deferred=True)
        waiting = await wallet.accept(offer.uri, via=via)
        await parties.approve()
        [held] = await wallet.fetch(waiting.id, wait=LATER)
        return isinstance(waiting, Waiting) and isinstance(held, Held)

    return (
        Further("a batch, of which two verifiers saw two keys", await batch()),
        Further("an SD-JWT VC", await sd_jwt()),
        Further("a credential that came later", await later()),
    )


async def _attack(
    parties: Parties, holder: Holder, credential: Credential, directory: Path
) -> tuple[Attempt, ...]:
    presentation = next(
        exchange.request_body for exchange in holder.tape if exchange.url.endswith("/presentations")
    )
    given_name = CLAIMS["given_name"].encode()
    attempts = [
        await attacks.replay_presentation(parties, presentation),
        await attacks.forge_disclosure(parties, credential, value=given_name, forged=b"Theodora"),
    ]
    for plan in attacks.PLANS:
        fought = await attacks.fight(parties, plan, directory / plan.name, claims=CLAIMS)
        attempts.append(fought.attempt)
    return tuple(attempts)
