"""Events reach the operator signed, again until they are received; each attempt is made by one process."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select
from tests.flows.small_wallet import ADMIN, ADMIN_TOKEN, ISSUER, Clock, House
from tests.unit.services.issuer.stand_ins import Server, fetchers, refusing

from safeconduct.encoding import json
from safeconduct.errors import Rejected
from safeconduct.net.fetch import HttpFetcher, Response
from safeconduct.net.in_process import InProcess
from safeconduct.services.issuer import event_store, open_issuer, opening
from safeconduct.services.issuer.event_store import EventKind
from safeconduct.services.issuer.signature import SIGNATURE_HEADER, verify
from safeconduct.services.issuer.tables import events
from safeconduct.services.issuer.tenant import Tenant
from safeconduct.services.issuer.webhooks import PAUSES, Webhooks
from safeconduct.settings import DatabaseUrl, IssuerSettings, KeyPlace, Secret
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER as BRANCH
from safeconduct.telemetry import Telemetry

SECRET = Secret("a-secret-of-both-servers")
URL = "https://hooks.example/safeconduct"


class Stage:
    """One tenant with a webhook, and processes that send its events."""

    def __init__(self, database: Database, **settings: Any) -> None:
        self.database = database
        self.clock = Clock()
        self.settings = IssuerSettings(
            **{"identifier": ISSUER, "webhook_url": URL, "webhook_secret": SECRET, **settings}
        )

    def process(self, public: Server, near: Server | None = None) -> Webhooks:
        telemetry = Telemetry.silent("issuer")
        tenant = Tenant(
            settings=self.settings,
            database=self.database,
            catalogue={},
            signing=None,  # type: ignore[arg-type]
            clock=self.clock,
            telemetry=telemetry,
        )
        return Webhooks(
            [tenant],
            fetchers=fetchers(public, near),
            clock=self.clock,
            registry=telemetry.metrics.registry,
        )

    async def happen(self, kind: EventKind = "issued", tenant: str = ISSUER) -> str:
        event = event_store.new_event(
            lambda size: hashlib.sha256(str(self.clock.now).encode()).digest()[:size],
            kind=kind,
            tenant=tenant,
            configuration_id="identity",
            issued_id="issued-1",
            own_reference="case 1",
            time=self.clock.now,
        )
        await self.database.run(event_store.append, event)
        self.clock.now += 1
        return event.id

    async def waiting(self) -> int:
        def count(connection: Connection) -> int:
            return len(connection.execute(select(events.c.id)).all())

        return await self.database.run(count)


def played(scene: Callable[[Stage], Awaitable[None]], url: str = "sqlite://", **settings: Any) -> None:
    async def main() -> None:
        async with await Database.open(url, branch=BRANCH) as database:
            await scene(Stage(database, **settings))

    asyncio.run(main())


def answering(*statuses: int) -> Server:
    left = list(statuses)

    def answer(_url: str, _headers: Mapping[str, str], _body: bytes) -> Response:
        return Response(left.pop(0) if len(left) > 1 else left[0], {}, b"")

    return Server(answer)


def test_an_event_is_sent_once_signed_and_says_nothing_of_claims() -> None:
    async def scene(stage: Stage) -> None:
        server = answering(204)
        sender = stage.process(server)
        ids = [await stage.happen(kind) for kind in ("issued", "accepted", "failed", "deleted")]
        await sender.send_due()
        await sender.send_due()
        assert await stage.waiting() == 0
        bodies = [json.loads_object(body) for _, _, body in server.received]
        assert [body["id"] for body in bodies] == ids
        assert bodies[0] == {
            "id": ids[0],
            "kind": "issued",
            "tenant": ISSUER,
            "credential_configuration_id": "identity",
            "issued_id": "issued-1",
            "reference": "case 1",
            "time": stage.clock.now - 4,
        }
        for url, headers, body in server.received:
            assert url == URL
            verify(SECRET, headers[SIGNATURE_HEADER], body, now=stage.clock.now)

    played(scene)


@pytest.mark.parametrize("failure", [500, 404, 301, "unreachable"])
def test_what_is_not_received_is_sent_again_later_with_a_fresh_signature(failure: int | str) -> None:
    def broken(*_: Any) -> Response:
        if failure == "unreachable":
            raise Rejected("fetch_failed", "x")
        return Response(int(failure), {}, b"")

    async def scene(stage: Stage) -> None:
        server = Server(broken)
        sender = stage.process(server)
        await stage.happen()
        await sender.send_due()
        stage.clock.now += PAUSES[0] - 1
        await sender.send_due()
        assert len(server.received) == 1
        stage.clock.now += 1
        server.answer = answering(200).answer
        await sender.send_due()
        assert await stage.waiting() == 0
        (_, first, body), (_, second, again) = server.received
        assert body == again
        assert first[SIGNATURE_HEADER] != second[SIGNATURE_HEADER]

    played(scene)


def test_an_event_that_is_never_received_is_given_up() -> None:
    async def scene(stage: Stage) -> None:
        server = answering(503)
        sender = stage.process(server)
        await stage.happen()
        for pause in PAUSES:
            await sender.send_due()
            stage.clock.now += pause
        assert len(server.received) == len(PAUSES)
        await sender.send_due()
        assert len(server.received) == len(PAUSES)
        assert await stage.waiting() == 0

    played(scene)


def test_an_attempt_whose_process_died_is_made_again_later() -> None:
    async def scene(stage: Stage) -> None:
        await stage.happen()
        taken = await stage.database.run(
            event_store.take_due, ISSUER, now=stage.clock.now, pauses=PAUSES, count=9
        )
        assert len(taken) == 1  # and the process dies
        server = answering(200)
        await stage.process(server).send_due()
        assert server.received == []
        stage.clock.now += PAUSES[0]
        await stage.process(server).send_due()
        assert len(server.received) == 1

    played(scene)


@pytest.mark.parametrize("backend", ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_two_processes_never_make_one_attempt_both(
    backend: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    sqlite = f"sqlite:///{tmp_path}/issuer.db"
    url = sqlite if backend == "sqlite" else str(request.getfixturevalue("postgres_url"))

    async def main() -> None:
        async with (
            await Database.open(url, branch=BRANCH) as first,
            await Database.open(url, branch=BRANCH) as second,
        ):
            server = answering(200)
            stages = [Stage(first), Stage(second)]
            ids = {await stages[0].happen() for _ in range(40)}
            stages[1].clock.now = stages[0].clock.now
            senders = [stage.process(server) for stage in stages]
            for _ in range(4):
                await asyncio.gather(*(sender.send_due() for sender in senders))
            received = [json.loads_object(body)["id"] for _, _, body in server.received]
            assert len(received) == 40
            assert set(received) == ids

    asyncio.run(main())


def test_events_of_another_issuer_are_left_alone() -> None:
    async def scene(stage: Stage) -> None:
        await stage.happen(tenant="https://other.example")
        await stage.process(Server(refusing)).send_due()
        assert await stage.waiting() == 1

    played(scene)


@pytest.mark.parametrize("private", [False, True])
def test_a_webhook_nearby_is_reached_only_where_a_setting_says_so(private: bool) -> None:
    async def scene(stage: Stage) -> None:
        public, near = answering(200), answering(200)
        await stage.happen()
        await stage.process(public, near).send_due()
        assert (len(public.received), len(near.received)) == ((0, 1) if private else (1, 0))

    played(scene, webhook_private=private)


def test_many_events_are_sent_in_one_go_and_a_failure_leaves_the_rest_for_later() -> None:
    async def scene(stage: Stage) -> None:
        for _ in range(50):
            await stage.happen()
        broken = answering(500)
        await stage.process(broken).send_due()
        assert len(broken.received) == 16
        server = answering(200)
        await stage.process(server).send_due()
        assert len(server.received) == 34
        stage.clock.now += PAUSES[0]
        await stage.process(server).send_due()
        assert await stage.waiting() == 0

    played(scene)


def test_a_running_issuer_tells_of_what_it_issues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "WEBHOOK_SECONDS", 0.01)
    told = asyncio.Event()

    def receive(*_: Any) -> Response:
        told.set()
        return Response(200, {}, b"")

    async def main() -> None:
        server, clock = Server(receive), Clock()
        settings = IssuerSettings(
            identifier=ISSUER,
            database=DatabaseUrl("sqlite://"),
            signing_key=KeyPlace(tmp_path / "key.pem"),
            admin_token=Secret(ADMIN_TOKEN),
            webhook_url=URL,
            webhook_secret=SECRET,
        )
        telemetry = Telemetry.silent("issuer")
        async with open_issuer(settings, telemetry=telemetry, clock=clock, fetchers=fetchers(server)) as [
            public,
            admin,
        ]:
            transport = InProcess({ISSUER: public.app, ADMIN: admin.app})
            async with HttpFetcher(allow_loopback=False, transport=transport) as fetcher:
                house = House(fetcher, clock, telemetry, settings)
                wallet = house.wallet()
                await wallet.take_token((await house.offer(reference="case 7"))["offer_uri"])
                assert (await wallet.ask()).status == 200
                await asyncio.wait_for(told.wait(), 30)
        ((_, headers, body),) = server.received
        verify(SECRET, headers[SIGNATURE_HEADER], body, now=clock.now)
        event = json.loads_object(body)
        assert (event["kind"], event["reference"], event["tenant"]) == ("issued", "case 7", ISSUER)
        assert b"Mustermann" not in body

    asyncio.run(main())


def test_without_a_webhook_nothing_is_sent() -> None:
    async def scene(stage: Stage) -> None:
        assert not stage.process(Server(refusing)).wanted

    played(scene, webhook_url="", webhook_secret=None)
