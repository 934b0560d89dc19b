"""The verifier's flow: it gives nonces, and judges presentations that answer one.

A nonce is used up in the middle of the judgement: after both signatures have verified, before anything else
is looked at, in one transaction of its own. So whoever cannot sign cannot spoil another's nonce; of two
copies of one presentation at most one is ever accepted, on however many processes they arrive; and a process
that dies later on leaves a nonce that is used up, not a verdict that can be had twice.

The status of a credential is looked up after everything else, so that only who shows a good credential of a
trusted issuer can make the verifier fetch a list.

Claims are kept only for requests that management made with keep "claims", until the request is swept: a
nonce lifetime after its expiry. They are never logged.
"""

import asyncio
import hashlib
import secrets

import msgspec

from safeconduct.clock import Clock
from safeconduct.encoding import b64, json
from safeconduct.errors import Rejected, SafeconductError
from safeconduct.formats.presented import Shown
from safeconduct.ids import Random
from safeconduct.services.verifier import store
from safeconduct.services.verifier.formats import Judge
from safeconduct.services.verifier.statuses import Statuses
from safeconduct.settings import VerifierSettings
from safeconduct.storage import Database
from safeconduct.storage.erasure import erase_traces
from safeconduct.trust import Trust
from safeconduct.web.quota import Quota

_NONCE_BYTES = 16
_ID_BYTES = 16


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """What a holder needs to answer. request_id: for management only, unrelated to the nonce."""

    request_id: str
    nonce: bytes
    audience: str
    expires_in: int

    def __repr__(self) -> str:
        return f"<Challenge expires_in={self.expires_in}>"


class Verifier:
    """One verifier, over its database."""

    def __init__(
        self,
        *,
        settings: VerifierSettings,
        database: Database,
        trust: Trust,
        clock: Clock,
        statuses: Statuses,
        random: Random = secrets.token_bytes,
    ) -> None:
        self.settings = settings
        self._database = database
        self._trust = trust
        self._clock = clock
        self._statuses = statuses
        self._random = random
        self._quota = Quota()

    async def challenge_stranger(self) -> Challenge:
        """Makes a nonce for whoever asks, while there is room. Raises TooMuchOpen."""
        self._quota.take()
        return await self.challenge(keep="verdict")

    async def challenge(self, *, keep: store.Keep) -> Challenge:
        """Makes a nonce that is good for one presentation."""
        now = self._clock()
        nonce = self._random(_NONCE_BYTES)
        request = store.NewRequest(
            id=self._random(_ID_BYTES).hex(),
            nonce_digest=_digest(nonce),
            keep=keep,
            created_at=now,
            expires_at=now + self.settings.nonce_lifetime,
        )
        await self._database.run(store.add_request, request)
        return Challenge(
            request_id=request.id,
            nonce=nonce,
            audience=self.settings.url,
            expires_in=self.settings.nonce_lifetime,
        )

    async def judge(self, presentation: bytes, judge: Judge) -> Shown:
        """Verifies a presentation made out to this verifier, with one of its nonces.

        judge: the one of `formats.judges` for its media type.
        Raises Rejected "nonce_missing", "nonce_unknown" (not ours, used or expired), what the format's
        `verify` raises, and what `Statuses.check` raises for the credential's status.
        """
        burnt: list[bytes] = []
        try:
            shown = await asyncio.to_thread(self._verify, presentation, judge, burnt)
            shown = await self._with_status(shown)
        except SafeconductError as error:
            for digest in burnt:
                verdict = store.Verdict(event="refuse", code=error.code)
                await self._database.run(store.record_verdict, digest, verdict)
            raise
        for digest in burnt:
            verdict = store.Verdict(event="accept", issuer=shown.issuer, claims=json.dumps(shown.claims))
            await self._database.run(store.record_verdict, digest, verdict)
        return shown

    async def result(self, request_id: str) -> store.Result:
        """Returns what became of a request. Raises RequestUnknown "request_unknown"."""
        return await self._database.run(store.find_result, request_id, now=self._clock())

    async def forget(self, request_id: str) -> None:
        """Deletes a request and its result. Raises RequestUnknown "request_unknown"."""
        await self._database.run(store.delete_request, request_id)

    async def sweep(self) -> None:
        """Deletes requests a nonce lifetime after they expired."""
        oldest = self._clock() - self.settings.nonce_lifetime
        self._quota.recount(await self._database.run(store.sweep, expired_before=oldest))
        await erase_traces(self._database)

    async def _with_status(self, shown: Shown) -> Shown:
        """Looks at the status last; where it stands is then of no more use, and could be recognised again.

        Source: Token Status List §8.3, §13.8.
        """
        if shown.status is None or self.settings.status == "ignore":
            return shown
        status = await self._statuses.check(shown.status, shown.owner)
        claims = {name: value for name, value in shown.claims.items() if name != "status"}
        return msgspec.structs.replace(shown, status=status, claims=claims)

    def _verify(self, presentation: bytes, judge: Judge, burnt: list[bytes]) -> Shown:
        """Runs in a thread of its own. burnt: gets the digest of the nonce that was used up."""
        now = self._clock()

        def burns(nonce: bytes | None) -> bool:
            if nonce is None:
                raise Rejected("nonce_missing", "The key binding has no nonce.", rule="SD-CWT-08 §9 step 6")
            if not self._database.run_sync(store.burn_nonce, _digest(nonce), now=now):
                raise Rejected("nonce_unknown", "The nonce is not ours, or used, or expired.")
            burnt.append(_digest(nonce))
            return True

        return judge(presentation, self.settings, self._trust, burns, now)


def nonce_text(nonce: bytes) -> str:
    """Returns a nonce as the public HTTP shows it."""
    return b64.encode(nonce)


def _digest(nonce: bytes) -> bytes:
    return hashlib.sha256(nonce).digest()
