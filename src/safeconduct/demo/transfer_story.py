"""The story of a transfer: a right is shared, received, used and taken back; and what the relay saw of it."""

import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
from rich.console import Console

from safeconduct.clock import Clock
from safeconduct.demo import transfer_report
from safeconduct.demo.parties import Network, Sockets
from safeconduct.demo.secrets_search import Needle, needle
from safeconduct.demo.sightings import Passage, Promise, Sighting, passages, sighting
from safeconduct.demo.transfer_stage import Person, Stage, open_stage
from safeconduct.encoding import json
from safeconduct.errors import SafeconductError
from safeconduct.net.fetch import Response
from safeconduct.protocols.oauth.token import PRE_AUTHORIZED_CODE
from safeconduct.protocols.transfer.link import parse_link
from safeconduct.protocols.transfer.messages import CLAIM
from safeconduct.wallet.records import Held
from safeconduct.wallet.sharing.receiving import Terms
from safeconduct.wallet.sharing.records import Shared
from safeconduct.wallet.sharing.sending import Wish

CLAIMS: dict[str, Any] = {
    "vehicle": "WVWZZZ-1K-93847-QX",
    "owner": "Annemarie Ostrzewska",
    "access_rights": ["unlock", "start", "trunk"],
}
"""What the issuer knows: whose car it is, and what its key may do."""

SHARED = ("unlock",)
"""The right that is shared."""

PREVIEWS = 5
"""How often bots look at the link."""

HOUR = 3600


class Step(msgspec.Struct, frozen=True):
    """Something that happened, and whether it went as promised."""

    name: str
    kept: bool


class TransferStory(msgspec.Struct, frozen=True, kw_only=True):
    """What happened. passages: all that passed the relay. sightings: who has what. seconds: it took."""

    steps: tuple[Step, ...]
    passages: tuple[Passage, ...]
    sightings: tuple[Sighting, ...]
    seconds: float

    @property
    def held(self) -> bool:
        """Whether every promise was kept."""
        return all(step.kept for step in self.steps) and all(seen.kept for seen in self.sightings)


async def run_transfer(console: Console, *, as_json: bool = False) -> int:
    """Play the story on loopback ports in temporary directories, and print what was found.

    as_json: one document instead of tables. Returns the exit status: 0 if every promise was kept, else 1.
    """
    with TemporaryDirectory(prefix="safeconduct-demo-") as folder:
        story = await play_transfer(Path(folder), network=Sockets(), clock=lambda: int(time.time()))
    if as_json:
        transfer_report.print_json(console, story)
    else:
        transfer_report.print_tables(console, story)
    return 0 if story.held else 1


async def play_transfer(directory: Path, *, network: Network, clock: Clock) -> TransferStory:
    """Play the story with all files in a directory.

    1. Ann gets a car key; she shares one of its rights with Ben, by a link and a PIN.
    2. Bots look at the link, and somebody who has seen its path alone tries to claim it.
    3. Ben receives the right as a credential of his own; Carl, who has the link as well, comes too late.
    4. Ben shows it to a verifier. Ann sees that it was received, and takes it back; then it is rejected.
    5. What everybody has by then is searched.
    """
    began = time.monotonic()
    async with (
        open_stage(directory, network=network, clock=clock) as stage,
        stage.person("ann", directory / "ann") as ann,
        stage.person("ben", directory / "ben") as ben,
        stage.person("carl", directory / "carl") as carl,
    ):
        steps, secrets = await _act(stage, ann, ben, carl)
        return TransferStory(
            steps=tuple(steps),
            passages=passages(stage["relay"]),
            sightings=await _look(stage, ann, ben, secrets),
            seconds=time.monotonic() - began,
        )


class _Shared(msgspec.Struct, frozen=True):
    """What the search afterwards has to know of the share."""

    link: str
    pin: str

    def __repr__(self) -> str:
        return "<_Shared>"


async def _act(stage: Stage, ann: Person, ben: Person, carl: Person) -> tuple[list[Step], _Shared]:
    steps: list[Step] = []

    def note(name: str, *, kept: bool) -> None:
        steps.append(Step(name, kept))

    key = await _issued(stage, ann)
    shared = await ann.wallet.share(key.id, Wish(level="pin", entitlements=SHARED))
    assert shared.link is not None
    assert shared.tx_code is not None
    ann.shown += [shared.link, shared.tx_code]
    ben.shown += [shared.link, shared.tx_code]
    note("Ann shares one right of her car key: a link, and a PIN for another way", kept=True)

    looked = [await _preview(stage, shared.link) for _ in range(PREVIEWS)]
    note(
        f"{PREVIEWS} previews by bots: nothing is burnt",
        kept=looked == [200] * PREVIEWS and await _state(ann, shared) == "unclaimed",
    )
    refused = await _claim_by_path(stage, shared.link)
    note(
        "who saw the path of the link alone cannot claim it",
        kept=refused.status == 401 and await _state(ann, shared) == "unclaimed",
    )

    wrong = await _receive(ben, shared.link, tx_code=_another(shared.tx_code))
    note("a wrong PIN gets nothing", kept=wrong == "pin_refused")
    received = await _receive(ben, shared.link, tx_code=shared.tx_code)
    assert isinstance(received, Held), received
    shown = await _claims(ben, received)
    note(
        "Ben receives that right as a credential of his own, and no other claim",
        kept=shown.get("access_rights") == [*SHARED] and "owner" not in shown,
    )
    late = await _receive(carl, shared.link, tx_code=shared.tx_code)
    note("Carl, who has link and PIN as well, comes too late", kept=late in ("mailbox_gone", "share_taken"))

    disclose = ("vehicle", "access_rights[0]")
    used = await ben.wallet.present_to(received.id, verifier=stage["verifier"].url, disclose=disclose)
    note("a verifier accepts it", kept=used.accepted and used.claims["access_rights"] == [*SHARED])
    [standing] = await ann.wallet.shares()
    note("Ann sees that it was received", kept=standing.issuer_state == "issued")

    ended = await ann.wallet.revoke_share(shared.id)
    note("Ann takes it back", kept=ended.issuer == "revoked")
    await stage.publish()
    stage.clock.later(HOUR)
    again = await ben.wallet.present_to(
        received.id, verifier=stage["verifier"].url, disclose=disclose, reuse=True
    )
    note("an hour later the verifier rejects it", kept=again.code == "status_invalid")
    return steps, _Shared(shared.link, shared.tx_code)


async def _issued(stage: Stage, ann: Person) -> Held:
    offer = await stage.offer(CLAIMS)
    held = await ann.wallet.accept(offer.uri, tx_code=offer.tx_code)
    assert isinstance(held, Held)
    await _claims(ann, held)
    await stage.publish()
    return held


async def _claims(person: Person, held: Held) -> Mapping[str, Any]:
    """Let a person look at a credential."""
    claims = (await person.wallet.show(held.id)).claims
    person.shown.append(json.dumps(claims).decode())
    return claims


async def _receive(person: Person, link: str, *, tx_code: str) -> Held | str:
    """Return what the person gets, or the code of why not."""
    try:
        received = await person.wallet.receive(link, Terms(tx_code=tx_code))
    except SafeconductError as error:
        return error.code
    return received if isinstance(received, Held) else "not yet"


def _another(pin: str) -> str:
    return f"{(int(pin) + 1) % 10 ** len(pin):0{len(pin)}d}"


async def _state(ann: Person, shared: Shared) -> str:
    [standing] = [one for one in await ann.wallet.shares() if one.id == shared.id]
    return standing.relay_state


async def _preview(stage: Stage, link: str) -> int:
    """Look at a link as a messenger's bot does: without the fragment, which no browser sends."""
    async with stage.network.fetcher() as fetcher:
        return (await fetcher.request("GET", parse_path(link))).status


async def _claim_by_path(stage: Stage, link: str) -> Response:
    headers = {CLAIM: str(uuid.uuid4())}
    async with stage.network.fetcher() as fetcher:
        return await fetcher.request("POST", parse_path(link), headers=headers, content=b"")


def parse_path(link: str) -> str:
    """Return the mailbox's URL, without query and fragment."""
    return parse_link(link, allow_http_loopback=True).url


_PROMISES: Mapping[str, tuple[Promise, Promise, Promise, Promise]] = {
    "secret of the link": ("must", "must", "never", "never"),
    "code and PIN of the offer": ("must", "must", "never", "never"),
    "what is shared": ("must", "must", "never", "must"),
    "what is not shared": ("must", "never", "never", "never"),
    "the issuer's name": ("must", "must", "never", "any"),
    "Ben's private key": ("never", "must", "never", "never"),
}
"""What is promised of sender, receiver, relay and verifier."""


async def _look(stage: Stage, ann: Person, ben: Person, secrets: _Shared) -> tuple[Sighting, ...]:
    known = {
        "Ann": await ann.known(),
        "Ben": await ben.known(),
        "relay": stage["relay"].known(),
        "verifier": stage["verifier"].known(),
    }
    return tuple(
        sighting(secret, found, party=party, promise=promise, known=known[party])
        for secret, found in (await _needles(stage, ann, ben, secrets)).items()
        for party, promise in zip(known, _PROMISES[secret], strict=True)
    )


async def _needles(stage: Stage, ann: Person, ben: Person, secrets: _Shared) -> dict[str, list[Needle]]:
    link = parse_link(secrets.link, allow_http_loopback=True)
    assert link.secret is not None
    [code] = [
        _code(one.response_body) for one in ann.tape if one.url.endswith("/shares") and one.status == 201
    ]
    key = await ben.newest_key()
    return {
        "secret of the link": [needle("secret", link.secret)],
        "code and PIN of the offer": [needle("code", code), needle("PIN", secrets.pin)],
        "what is shared": [needle("vehicle", CLAIMS["vehicle"])],
        "what is not shared": [needle("owner", CLAIMS["owner"])],
        "the issuer's name": [needle("issuer", stage["issuer"].url)],
        "Ben's private key": [needle("key", key.to_raw(private=True))],
    }


def _code(body: bytes) -> str:
    offer = json.loads_object(body)["credential_offer"]
    code: str = offer["grants"][PRE_AUTHORIZED_CODE]["pre-authorized_code"]
    return code
