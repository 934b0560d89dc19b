"""What may happen once, happens once: two connections to one database of either kind, many tries at once."""

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from safeconduct.errors import SafeconductError
from safeconduct.protocols.oauth import pkce
from safeconduct.protocols.oauth.authorization_request import AuthorizationRequest
from safeconduct.services.issuer import (
    authorization_store,
    card_link_store,
    offer_store,
    redemption_store,
)
from safeconduct.services.issuer.authorization_store import Identity, NewAuthorization, Pushed
from safeconduct.services.issuer.card_link_store import NewCardLink
from safeconduct.services.issuer.redemption_store import Authorized, Granted, NewToken, Wanted
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER

TENANT = "https://issuer.example"
VERIFIER = "v" * 43
TRIES = 8
PUSHED = Pushed(
    request=AuthorizationRequest(
        client_id="wallet",
        redirect_uri="https://wallet.example/cb",
        code_challenge=pkce.challenge(VERIFIER),
    ),
    named=("identity",),
    unnamed=(),
    scope=(),
    client_name="Wallet",
    vouched=True,
)
ALL = Wanted(details=(), scope=(), scopes={"identity": None})


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/issuer.db"
    return str(request.getfixturevalue("postgres_url"))


class Site:
    """Two connections to one database, used in turn."""

    def __init__(self, *databases: Database) -> None:
        self.databases = databases

    async def run(self, fn: Callable[..., Any], *arguments: Any, turn: int = 0, **named: Any) -> Any:
        return await self.databases[turn % len(self.databases)].run(fn, *arguments, **named)

    async def at_once(self, attempt: Callable[[int], Any], tries: int = TRIES) -> Counter[str]:
        """Counts what the attempts came to: the name of the result's type, or the error's code."""
        outcomes = await asyncio.gather(*map(attempt, range(tries)), return_exceptions=True)
        return Counter(map(_name, outcomes))

    async def prompted(self, reference: bytes, pushed: Pushed = PUSHED, *, subject: str = "erika") -> None:
        await self.run(
            authorization_store.push_authorization,
            TENANT,
            reference,
            pushed,
            attempts_left=3,
            proof=None,
            now=0,
            expires_at=90,
        )
        await self.run(
            authorization_store.open_authorization,
            TENANT,
            reference,
            client_id="wallet",
            login_digest=b"cookie",
            known_digest=None,
            now=0,
            expires_at=600,
        )
        await self.run(
            authorization_store.log_in,
            TENANT,
            reference,
            b"cookie",
            identity=Identity(subject),
            new_login_digest=b"cookie",
            now=0,
        )

    async def consent(self, reference: bytes, turn: int, issuer_state: bytes | None = None) -> Any:
        new = NewAuthorization(
            grant_id=f"grant {turn}",
            code_digest=b"code %d" % turn,
            issuer_state_digest=issuer_state,
            expires_at=60,
        )
        return await self.run(
            authorization_store.consent, TENANT, reference, b"cookie", new=new, now=0, turn=turn
        )


def _name(outcome: object) -> str:
    if isinstance(outcome, SafeconductError):
        return outcome.code
    if isinstance(outcome, BaseException):
        raise outcome
    if isinstance(outcome, tuple):
        return _name(outcome[1])
    return str(outcome) if isinstance(outcome, bool | str | None) else type(outcome).__name__


def token(turn: int, *, proof: bytes | None = None, key: str = "key") -> NewToken:
    return NewToken(
        tenant=TENANT,
        digest=b"token %d" % turn,
        expires_at=300,
        thumbprint=key,
        proof_digest=proof or b"proof %d" % turn,
        proof_expires_at=60,
        refresh_digest=b"refresh %d" % turn,
        refresh_expires_at=3600,
        deferred_expires_at=0,
        may_defer=frozenset(),
        identifier_for=lambda name: f"{name} {turn}",
        uses=1,
    )


@contextlib.asynccontextmanager
async def site(url: str) -> AsyncIterator[Site]:
    async with (
        await Database.open(url, branch=ISSUER) as first,
        await Database.open(url, branch=ISSUER) as second,
    ):
        yield Site(first, second)


def test_of_many_consents_one_makes_a_code(url: str) -> None:
    async def main() -> None:
        async with site(url) as both:
            await both.prompted(b"reference")
            counted = await both.at_once(lambda turn: both.consent(b"reference", turn))
            assert counted == {"Pushed": 1, "request_uri_used": TRIES - 1}

    asyncio.run(main())


def test_consent_and_refusal_at_once_are_one_decision(url: str) -> None:
    async def main() -> None:
        async with site(url) as both:

            async def decide(turn: int) -> Any:
                if turn % 2:
                    return await both.consent(b"reference", turn)
                place = (TENANT, b"reference", b"cookie")
                return await both.run(authorization_store.deny, *place, now=0, turn=turn // 2)

            await both.prompted(b"reference")
            counted = await both.at_once(decide)
            assert counted == {"Pushed": 1, "request_uri_used": TRIES - 1}

    asyncio.run(main())


def test_of_many_people_one_takes_the_offer(url: str) -> None:
    async def main() -> None:
        async with site(url) as both:
            await both.run(
                offer_store.add_grant,
                offer_store.NewGrant(
                    tenant=TENANT,
                    id="offer",
                    configuration_ids=("identity",),
                    claims=None,
                    code_digest=b"unused",
                    reference_digest=None,
                    issuer_state_digest=b"state",
                    tx_code=None,
                    tx_digest=None,
                    attempts=0,
                    subject=None,
                    own_reference=None,
                    deferred=False,
                    created_at=0,
                    expires_at=600,
                ),
            )
            for turn in range(TRIES):
                await both.prompted(b"reference %d" % turn, subject=f"person {turn}")
            counted = await both.at_once(lambda turn: both.consent(b"reference %d" % turn, turn, b"state"))
            assert counted == {"Pushed": 1, "offer_taken": TRIES - 1}

    asyncio.run(main())


def test_of_many_redemptions_one_gets_a_token_and_none_keeps_it(url: str) -> None:
    """Whoever is second has the code, the verifier and the key: that is a theft, and the token is revoked."""
    code = Authorized(
        code_digest=b"code 0",
        client_id="wallet",
        redirect_uri="https://wallet.example/cb",
        code_verifier=VERIFIER,
    )

    async def main() -> None:
        async with site(url) as both:
            await both.prompted(b"reference")
            await both.consent(b"reference", 0)

            async def redeem(turn: int) -> Any:
                return await both.run(redemption_store.redeem_code, code, ALL, token(turn), now=1, turn=turn)

            counted = await both.at_once(redeem)
            assert counted == {"Granted": 1, "code_used": 1, "code_unknown": TRIES - 2}
            refreshing = redemption_store.Refreshing(digest=b"refresh 0", client_id=None)
            with pytest.raises(SafeconductError) as caught:
                await both.run(redemption_store.refresh, refreshing, ALL, token(99), now=1)
            assert caught.value.code == "refresh_token_unknown"

    asyncio.run(main())


def test_one_proof_refreshes_once(url: str) -> None:
    code = Authorized(
        code_digest=b"code 0",
        client_id="wallet",
        redirect_uri="https://wallet.example/cb",
        code_verifier=VERIFIER,
    )
    refreshing = redemption_store.Refreshing(digest=b"refresh 0", client_id="wallet")

    async def main() -> None:
        async with site(url) as both:
            await both.prompted(b"reference")
            await both.consent(b"reference", 0)
            granted = await both.run(redemption_store.redeem_code, code, ALL, token(0), now=1)
            assert isinstance(granted, Granted)

            async def refresh(turn: int) -> Any:
                fresh = token(turn + 1, proof=b"one proof")
                return await both.run(redemption_store.refresh, refreshing, ALL, fresh, now=2, turn=turn)

            assert await both.at_once(refresh) == {"Granted": 1, "dpop_replayed": TRIES - 1}

    asyncio.run(main())


def test_a_lost_answer_is_given_again_one_token_at_a_time(url: str) -> None:
    """The same wallet asks again, several times at once: the last token is good, and only that."""

    async def main() -> None:
        async with site(url) as both:
            grant = offer_store.NewGrant(
                tenant=TENANT,
                id="offer",
                configuration_ids=("identity",),
                claims=b"{}",
                code_digest=b"code",
                reference_digest=None,
                issuer_state_digest=None,
                tx_code=None,
                tx_digest=None,
                attempts=3,
                subject=None,
                own_reference=None,
                deferred=False,
                created_at=0,
                expires_at=600,
            )
            await both.run(offer_store.add_grant, grant)
            code = redemption_store.PreAuthorized(
                code_digest=b"code", tx_digest=None, client_id=None, retry_since=0
            )

            async def redeem(turn: int) -> Any:
                return await both.run(redemption_store.redeem_grant, code, ALL, token(turn), now=1, turn=turn)

            assert await both.at_once(redeem) == {"Granted": TRIES}

            async def refresh(turn: int) -> Any:
                refreshing = redemption_store.Refreshing(digest=b"refresh %d" % turn, client_id=None)
                fresh = msgspec.structs.replace(token(100 + turn), proof_digest=b"p %d" % turn)
                return await both.run(redemption_store.refresh, refreshing, ALL, fresh, now=2, turn=turn)

            assert await both.at_once(refresh) == {"Granted": 1, "refresh_token_unknown": TRIES - 1}

    asyncio.run(main())


def test_a_link_is_used_once_and_attempts_are_counted_exactly(url: str) -> None:
    async def main() -> None:
        async with site(url) as both:
            await both.run(authorization_store.add_link, TENANT, b"link", subject="erika", expires_at=60)

            async def use(turn: int) -> Any:
                return await both.run(authorization_store.use_link, TENANT, b"link", now=0, turn=turn)

            assert await both.at_once(use) == {"erika": 1, "None": TRIES - 1}

            async def attempt(turn: int) -> Any:
                return await both.run(
                    authorization_store.take_attempt, b"account", limit=5, now=0, expires_at=60, turn=turn
                )

            assert await both.at_once(attempt, 12) == {"True": 5, "False": 7}

            await both.prompted(b"reference")

            async def fail(turn: int) -> Any:
                place = (TENANT, b"reference", b"cookie")
                return await both.run(authorization_store.fail_login, *place, now=0, turn=turn)

            assert await both.at_once(fail) == {"True": 2, "False": 1, "request_uri_used": TRIES - 3}

    asyncio.run(main())


def test_a_code_of_a_card_may_be_wrong_a_few_times_however_many_try_at_once(url: str) -> None:
    """After that the card is gone, for whoever knows the code as well."""

    async def main() -> None:
        async with site(url) as both:
            link = NewCardLink(
                id="id",
                tenant=TENANT,
                digest=b"link",
                sealed=b"card",
                code_digest=b"code",
                attempts=3,
                expires_at=60,
            )
            await both.run(card_link_store.add_card_link, link)

            async def attempt(turn: int) -> Any:
                opened = await both.run(
                    card_link_store.open_card_link, TENANT, b"link", b"wrong", now=0, turn=turn
                )
                return None if opened is None else opened.decode()

            assert await both.at_once(attempt) == {"None": 3, "card_link_unknown": TRIES - 3}

    asyncio.run(main())


@pytest.mark.postgres
def test_a_right_code_that_comes_with_the_last_wrong_one_is_too_late(postgres_url: str) -> None:
    """Of guesses at once no more are looked at than attempts are left: this one had begun before."""
    begun, counted = threading.Event(), threading.Event()

    def late(connection: Any) -> bytes | None:
        card_link_store.wants_code(connection, TENANT, b"link", now=0)  # what it sees is settled here
        begun.set()
        counted.wait(10)
        return card_link_store.open_card_link(connection, TENANT, b"link", b"right", now=0)

    async def main() -> None:
        async with site(postgres_url) as both:
            link = NewCardLink(
                id="id",
                tenant=TENANT,
                digest=b"link",
                sealed=b"card",
                code_digest=b"right",
                attempts=1,
                expires_at=60,
            )
            await both.run(card_link_store.add_card_link, link)
            guess = asyncio.create_task(both.run(late))
            await asyncio.to_thread(begun.wait, 10)
            wrong = await both.run(card_link_store.open_card_link, TENANT, b"link", b"wrong", now=0, turn=1)
            counted.set()
            assert wrong is None
            with pytest.raises(SafeconductError) as error:
                await guess
            assert error.value.code == "card_link_unknown"

    asyncio.run(main())
