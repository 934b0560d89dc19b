"""Attacks on a presentation and by wallet servers, and what came of them."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from safeconduct.crypto.signing import Signer
from safeconduct.demo import hostile
from safeconduct.demo.holder import Holder, open_holder
from safeconduct.demo.hostile import Attacker, Spoils, Tactic
from safeconduct.demo.parties import Offer, Parties
from safeconduct.encoding import b64, cbor, json
from safeconduct.envelope import cose
from safeconduct.errors import SafeconductError
from safeconduct.formats.sd_cwt import IETF_08
from safeconduct.formats.sd_cwt.labels import AUD, CNONCE, IAT, SD_CLAIMS
from safeconduct.net.fetch import Fetcher
from safeconduct.wallet.present import KEY_BOUND
from safeconduct.wallet.records import Credential, Held
from safeconduct.web.serve import Listener


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an attack.

    obtained: credentials that the attacker can read, or presentations that were accepted.
    noticed: who noticed what, as "party: code". held: whether the wallet has its credential all the same.
    """

    name: str
    tried: str
    obtained: int
    noticed: tuple[str, ...]
    held: bool | None = None

    @property
    def repelled(self) -> bool:
        """Whether nothing was obtained, and somebody noticed."""
        return self.obtained == 0 and bool(self.noticed)


class Plan(msgspec.Struct, frozen=True):
    """An attack by a wallet server. afterwards: whether it tries the proofs it has once more at the end."""

    name: str
    tried: str
    tactic: Tactic
    afterwards: bool = False


GUESS = "identity"
"""What an attacker takes a credential identifier to be: the name that the metadata has."""

PLANS = (
    Plan(
        "body swap",
        "its own request and key under the wallet's token and DPoP proof",
        hostile.swap_body(GUESS),
        afterwards=True,
    ),
    Plan(
        "swapped issuer key",
        "metadata with an encryption key of its own",
        hostile.swap_issuer_key,
        afterwards=True,
    ),
    Plan("swapped response key", "an answer encrypted to a key of its own", hostile.swap_response_key),
    Plan(
        "faked nonce challenge",
        "a challenge of its own, to get a second proof",
        hostile.fake_challenge(GUESS),
        afterwards=True,
    ),
    Plan("replayed request", "the wallet's request a second time", hostile.replay),
    Plan("withheld answer", "nothing, after the issuer answered", hostile.withhold, afterwards=True),
)


class Fight(msgspec.Struct, frozen=True):
    """An attempt with everything that was recorded, for tests to look at closely."""

    attempt: Attempt
    spoils: Spoils
    wallet_codes: tuple[str, ...]
    issuer_codes: tuple[str, ...]
    holder: Holder
    offer: Offer
    held: tuple[Held, ...]


async def fight(
    parties: Parties,
    plan: Plan,
    directory: Path,
    *,
    claims: dict[str, Any],
    through: Callable[[str], Callable[[Fetcher], Fetcher]] = lambda _server: lambda line: line,
    accepting: dict[str, Any] | None = None,
) -> Fight:
    """Let a wallet accept an offer through a hostile wallet server.

    through: wraps the wallet's line, given the server's URL; accepting: more arguments of the acceptance.
    Both are for tests that take a protection away.
    """
    url = parties.network.address(f"hostile-{plan.name.replace(' ', '-')}")
    position = len(parties.issuer.log.getvalue())
    async with parties.network.fetcher() as own_line:
        attacker = Attacker(parties.issuer.url, own_line, parties.clock)
        async with (
            _running(parties, attacker, plan.tactic, url),
            open_holder(parties, directory, through=through(url)) as holder,
        ):
            offer = await parties.offer(claims, tx_code=False)
            failure = await _accept(holder, offer, url, accepting or {})
            if plan.afterwards:
                await hostile.use_what_is_left(attacker, guess=GUESS)
            held = await holder.wallet.list()
    wallet_codes = tuple(notice.code for notice in holder.notices) + failure
    issuer_codes = parties.issuer.codes_since(position, route="/credential")
    noticed = _by("wallet", wallet_codes) + _by("issuer", issuer_codes)
    attempt = Attempt(
        name=plan.name,
        tried=plan.tried,
        obtained=len(attacker.spoils.credentials),
        noticed=noticed,
        held=bool(held),
    )
    return Fight(attempt, attacker.spoils, wallet_codes, issuer_codes, holder, offer, held)


async def replay_presentation(parties: Parties, presentation: bytes) -> Attempt:
    """Show a presentation a second time."""
    return await _show(parties, presentation, "replayed presentation", "the same presentation once more")


async def forge_disclosure(
    parties: Parties, credential: Credential, *, value: bytes, forged: bytes
) -> Attempt:
    """Let the holder itself change the value in a disclosure, and bind the result with its key."""
    async with parties.network.fetcher() as line:
        response = await line.request("POST", f"{parties.verifier.url}/nonces", content=b"")
    challenge = response.json()
    presentation = _with_other_disclosures(
        credential.token,
        credential.holder_key,
        change=lambda encoded: encoded.replace(value, forged),
        binding={
            AUD: challenge["audience"],
            CNONCE: b64.decode(challenge["nonce"]),
            IAT: parties.clock(),
        },
    )
    return await _show(parties, presentation, "forged disclosure", "another value under a good key binding")


def _with_other_disclosures(
    token: bytes, holder: Signer, *, change: Callable[[bytes], bytes], binding: dict[int, Any]
) -> bytes:
    message = cose.parse(token)
    disclosures = [change(encoded) for encoded in message.unprotected[SD_CLAIMS]]
    changed = cose.assemble(
        message.protected_bytes,
        {**message.unprotected, SD_CLAIMS: disclosures},
        message.payload,
        message.signature,
    )
    header: dict[int | str, Any] = {cose.KCWT: cbor.Encoded(changed), cose.TYP: IETF_08.kbt_typ}
    return cose.sign(cbor.dumps(binding), signer=holder, protected=header)


async def _show(parties: Parties, presentation: bytes, name: str, tried: str) -> Attempt:
    async with parties.network.fetcher() as line:
        response = await line.request(
            "POST",
            f"{parties.verifier.url}/presentations",
            headers={"Content-Type": KEY_BOUND},
            content=presentation,
        )
    if response.status == 200:
        return Attempt(name=name, tried=tried, obtained=1, noticed=())
    code = json.loads_object(response.body).get("code", "")
    return Attempt(name=name, tried=tried, obtained=0, noticed=_by("verifier", (code,)))


async def _accept(holder: Holder, offer: Offer, url: str, arguments: dict[str, Any]) -> tuple[str, ...]:
    try:
        await holder.wallet.accept(offer.uri, via=url, **arguments)
    except SafeconductError as error:
        return (error.code,)
    return ()


def _running(
    parties: Parties, attacker: Attacker, tactic: Tactic, url: str
) -> AbstractAsyncContextManager[Any]:
    parts = urlsplit(url)
    name = (parts.hostname or "").removesuffix(".example")
    app = hostile.hostile_app(attacker, tactic)
    return parties.network.running([Listener(name, app, "127.0.0.1", parts.port or 0)])


def _by(party: str, codes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{party}: {code}" for code in codes))
