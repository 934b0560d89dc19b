"""The holder of the demonstration: a real wallet, whose line and whose keys are watched."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec

from safeconduct.crypto.keys import Key
from safeconduct.demo.parties import Offer, Parties
from safeconduct.demo.secrets_search import Needle, needle
from safeconduct.demo.witness import Signed, watched_keys
from safeconduct.encoding import cbor, json
from safeconduct.envelope import cose
from safeconduct.formats.sd_cwt.labels import SD_CLAIMS
from safeconduct.net.fetch import Fetcher
from safeconduct.net.recording import Exchange, RecordingFetcher
from safeconduct.protocols.oauth.token import PRE_AUTHORIZED_CODE
from safeconduct.settings import WalletSettings
from safeconduct.wallet import store
from safeconduct.wallet.records import Credential, Held, Waiting
from safeconduct.wallet.safe import FILE, open_safe
from safeconduct.wallet.wallet import Notice, Wallet, open_wallet


class Holder(msgspec.Struct):
    """A wallet, and what the demonstration knows about it. tape: its own traffic. signed: by its keys."""

    wallet: Wallet
    directory: Path
    tape: list[Exchange]
    notices: list[Notice]
    signed: list[Signed]

    async def credential(self, held: Held | Waiting) -> Credential:
        """Take a credential with its key out of the wallet's database."""
        async with open_safe(WalletSettings(store=self.directory)) as safe:
            return await safe.run(store.find_credential, held.id)

    async def known(self) -> dict[str, bytes]:
        """Return all that the wallet has: the secrets must be found here, or the search is worth nothing."""
        memory = (part for signed in self.signed for part in (signed.data, signed.signature))
        async with open_safe(WalletSettings(store=self.directory)) as safe:
            records = await safe.run(store.read_all)
        return {
            "traffic": b"\n".join(exchange.everything() for exchange in self.tape),
            "memory": b"\n".join(memory),
            "records": b"\n".join(record.content for record in records),
        }

    def files(self) -> dict[str, bytes]:
        """Return what lies in the wallet's directory, for whoever copies it."""
        return {"database": b"\n".join(path.read_bytes() for path in sorted(self.directory.glob(f"{FILE}*")))}


@asynccontextmanager
async def open_holder(
    parties: Parties,
    directory: Path,
    *,
    through: Callable[[Fetcher], Fetcher] = lambda line: line,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    browse: Callable[[str], None] = lambda _url: None,
) -> AsyncIterator[Holder]:
    """Open a wallet on the parties' network.

    through: wraps its line, for tests. sleep, browse: as `open_wallet` has them.
    """
    tape: list[Exchange] = []
    notices: list[Notice] = []
    signed: list[Signed] = []
    settings = WalletSettings(store=directory, allow_loopback_http=parties.network.loopback)
    async with parties.network.fetcher() as line:
        recorded = RecordingFetcher(through(line), party="wallet", tape=tape)
        opened = open_wallet(
            settings,
            clock=parties.clock,
            fetcher=recorded,
            new_key=watched_keys(signed),
            report=notices.append,
            sleep=sleep,
            browse=browse,
        )
        async with opened as wallet:
            yield Holder(wallet, directory, tape, notices, signed)


class Secrets(msgspec.Struct, frozen=True):
    """Needles by what they are."""

    keys: tuple[Needle, ...]
    claims: Mapping[str, Needle]
    salts: Mapping[str, Needle]
    decoys: tuple[Needle, ...]
    proof: tuple[Needle, ...]
    signature: tuple[Needle, ...]
    identifier: tuple[Needle, ...]
    offer: tuple[Needle, ...]
    access_token: tuple[Needle, ...]

    def unshareable(self) -> tuple[Needle, ...]:
        """All that a wallet server must never learn."""
        return (
            *self.keys,
            *self.claims.values(),
            *self.salts.values(),
            *self.decoys,
            *self.proof,
            *self.signature,
            *self.identifier,
            *self.offer,
        )


def secrets_of(holder: Holder, credential: Credential, offer: Offer, claims: Mapping[str, object]) -> Secrets:
    """Make needles of every secret of one issuance."""
    message = cose.parse(credential.token)
    disclosures = [cbor.loads(encoded) for encoded in message.unprotected[SD_CLAIMS]]
    identifier, access_token = _granted(holder)
    offered = json.loads_object(parse_qs(urlsplit(offer.uri).query)["credential_offer"][0])
    code = offered["grants"][PRE_AUTHORIZED_CODE]["pre-authorized_code"]
    return Secrets(
        keys=tuple(_key_needles(credential.holder_key)),
        claims={name: needle(f"claim {name}", text) for name, text in texts(claims).items()},
        salts={
            name: needle(f"salt of {name}", item[0])
            for number, item in enumerate(disclosures)
            if len(item) > 1 and (name := str(item[2]) if len(item) > 2 else f"element {number}")
        },
        decoys=tuple(
            needle(f"salt of decoy {number}", item[0])
            for number, item in enumerate(disclosures)
            if len(item) == 1
        ),
        proof=tuple(_proof_needles(holder, credential)),
        signature=(needle("signature of the credential", message.signature),),
        identifier=(needle("credential identifier", identifier),),
        offer=(
            needle("pre-authorized code", code),
            *((needle("transaction code", offer.tx_code),) if offer.tx_code else ()),
        ),
        access_token=(needle("access token", access_token),),
    )


def texts(claims: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Return the claims, at any depth, whose values are texts long enough to be looked for."""
    found: dict[str, str] = {}
    for name, value in claims.items():
        if isinstance(value, Mapping):
            found |= texts(value, f"{prefix}{name}.")
        elif isinstance(value, str):
            found[f"{prefix}{name}"] = value
    return found


def _key_needles(key: Key) -> list[Needle]:
    point = key.public.to_raw()
    return [
        needle("holder key, x", point[1:33]),
        needle("holder key, y", point[33:]),
        needle("holder key, private", key.to_raw(private=True)),
    ]


def _proof_needles(holder: Holder, credential: Credential) -> list[Needle]:
    """What holder keys signed to prove themselves, this credential's and any other's."""
    public = credential.holder_key.public
    needles = []
    for signed in holder.signed:
        if signed.key == public and signed.data.count(b".") == 1:
            header, _, payload = signed.data.partition(b".")
            needles += [
                needle("key proof, header", header.decode()),
                needle("key proof, payload", payload.decode()),
                needle("key proof, signature", signed.signature),
            ]
    return needles


def _granted(holder: Holder) -> tuple[str, str]:
    """The newest credential identifier and access token that the wallet was given."""
    answers = [
        json.loads_object(exchange.response_body)
        for exchange in holder.tape
        if exchange.url.endswith("/token") and exchange.status == 200
    ]
    newest = answers[-1]
    return newest["authorization_details"][0]["credential_identifiers"][0], newest["access_token"]
