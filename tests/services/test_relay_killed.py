"""A relay dies by kill -9 with a request in hand; the client asks again: nothing is lost, nothing done twice.

At both moments there are: before anything was done, and after all was done but the answer (P9, A24, A25,
holes 4 and 9). On both kinds of database.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import create_engine, func, select
from tests.relay_client import Answer, Lost, Party, message, new_id
from tests.services.relay_processes import Processes, insisting, relay_processes

from safeconduct.services.relay.tables import mailboxes

MOMENTS = ("before", "after")


@dataclass
class Site:
    """Two relays on one database."""

    processes: Processes
    database: str

    @property
    def url(self) -> str:
        return self.processes.urls[0]

    def rows(self) -> int:
        """Mailboxes that the database has."""
        engine = create_engine(self.database)
        try:
            with engine.connect() as connection:
                return int(connection.scalar(select(func.count()).select_from(mailboxes)) or 0)
        finally:
            engine.dispose()

    def killed(self, method: str, moment: str, ask) -> Answer:  # type: ignore[no-untyped-def]
        """The answer to a request whose first sending killed the relay."""
        self.processes.arm(method, moment)
        answer, lost = insisting(ask)
        assert lost > 0
        assert not self.processes.is_armed
        return answer


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("killed")
    database = f"sqlite:///{folder}/relay.db"
    if request.param == "postgresql":
        database = request.getfixturevalue("postgres_of_module")
    with relay_processes(folder, database, 2) as processes:
        yield Site(processes, database)


def bound(site: Site) -> tuple[Party, Party]:
    """A sender and a receiver at one mailbox."""
    sender = Party(site.url)
    assert sender.create().status == 200
    receiver = sender.of(sender)
    assert receiver.read().status == 200
    return sender, receiver


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_mailbox_is_made_once_and_its_link_is_not_lost(site: Site, moment: str) -> None:
    before, sender, content, request = site.rows(), Party(site.url), message(), new_id()
    answer = site.killed("POST", moment, lambda: sender.create(content, request_id=request))
    assert answer.status == {"before": 200, "after": 201}[moment]
    assert site.rows() == before + 1
    read = sender.read()
    assert (read.payload, read.members["state"], read.members["sequence"]) == (content, "unclaimed", 1)


@pytest.mark.parametrize("moment", MOMENTS)
def test_the_first_reader_stays_the_receiver(site: Site, moment: str) -> None:
    sender, content = Party(site.url), message()
    sender.create(content)
    receiver, stranger = sender.of(sender), sender.of(sender)
    answer = site.killed("POST", moment, receiver.read)
    assert answer.payload == content
    refused = stranger.read()
    assert (refused.status, refused.code) == (401, "claim_refused")
    assert (sender.read().members["state"], sender.read().members["sequence"]) == ("claimed", 2)


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("who", ["sender", "receiver"])
def test_a_message_is_neither_lost_nor_doubled(site: Site, who: str, moment: str) -> None:
    sender, receiver = bound(site)
    writer, reader = (sender, receiver) if who == "sender" else (receiver, sender)
    content, request = message(), new_id()
    answer = site.killed("PUT", moment, lambda: writer.update(content, request_id=request))
    assert (answer.status, answer.members["sequence"]) == ({"before": 200, "after": 201}[moment], 3)
    read = reader.read()
    assert (read.payload, read.members["sequence"]) == (content, 3)


def test_a_message_whose_answer_was_lost_does_not_come_back_over_a_newer_one(site: Site) -> None:
    sender, receiver = bound(site)
    request = new_id()
    site.processes.arm("PUT", "after")
    with pytest.raises(Lost):
        receiver.update(request_id=request)
    newer = message()
    assert insisting(lambda: sender.update(newer))[0].members["sequence"] == 4
    assert receiver.update(request_id=request).status == 201
    read = receiver.read()
    assert (read.payload, read.members["sequence"]) == (newer, 4)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_receiver_steps_back_once(site: Site, moment: str) -> None:
    sender, receiver = bound(site)
    request = new_id()
    answer = site.killed("PATCH", moment, lambda: receiver.relinquish(request_id=request))
    assert (answer.status, answer.members["sequence"]) == ({"before": 200, "after": 201}[moment], 3)
    assert sender.read().members["state"] == "relinquished"
    following = sender.of(sender)
    assert following.read().status == 200
    # The first one's request comes yet another time: the one who has followed is not driven out.
    assert receiver.relinquish(request_id=request).status == 201
    assert (following.read().status, sender.read().members["state"]) == (200, "claimed")


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("who", ["sender", "receiver"])
def test_a_mailbox_is_deleted_and_nothing_else(site: Site, who: str, moment: str) -> None:
    before = site.rows()
    sender, receiver = bound(site)
    other = Party(site.url)
    other.create()
    answer = site.killed("DELETE", moment, (sender if who == "sender" else receiver).delete)
    assert answer.status == {"before": 200, "after": 404}[moment]  # 404: it is gone, as was wanted
    assert (sender.read().status, other.read().status) == (404, 200)
    assert site.rows() == before + 1


def test_a_whole_conversation_among_dying_relays(site: Site) -> None:
    """Each message is read by the other side as the next one, whichever of the two processes is asked."""
    sender, receiver = bound(site)
    turns = [("PUT", "after"), ("POST", "after"), ("PUT", "before"), ("POST", "before"), ("PUT", "after")]
    for number, (method, moment) in enumerate(turns):
        writer, reader = (sender, receiver) if number % 2 else (receiver, sender)
        writer.url, reader.url = site.processes.urls[number % 2], site.processes.urls[number // 2 % 2]
        content, request = message(), new_id()
        site.processes.arm(method, moment)
        insisting(lambda: writer.update(content, request_id=request))  # noqa: B023  called at once
        read, _ = insisting(reader.read)
        assert (read.payload, read.members["sequence"]) == (content, 3 + number)
        assert not site.processes.is_armed
