"""The offline pack: its host never learns which card is checked, and the pack names no person."""

import asyncio
import base64
import hashlib
import zlib
from pathlib import Path

import pytest
from tests import packs
from tests.packs import DAY, MIRROR, NOW
from tests.status_host import Host

from safeconduct.crypto.keys import Key
from safeconduct.evidence import mirror_tree, pack_pull
from safeconduct.evidence.mirror_tree import Edition
from safeconduct.evidence.packs import open_pack
from safeconduct.formats import health_card
from safeconduct.status.card_keys import CardKey
from safeconduct.status.card_revocation import rids
from safeconduct.status.states import CardId, CardStatusSource, Status

ISSUER = "https://issuer.example/shc"
URL = "https://mirror.example/status.pack"
SUBJECT, SECRET = "patient-4711", bytes(range(32))
BUNDLE = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [
        {
            "fullUrl": "resource:0",
            "resource": {
                "resourceType": "Patient",
                "name": [{"family": "Anyperson", "given": ["John"]}],
                "birthDate": "1951-01-20",
            },
        }
    ],
}
SIGNER = Key.generate("ES256")
KEY = CardKey.of(SIGNER.public, crl_version=1)
RID = rids.derive(SECRET, KEY.kid, SUBJECT)


def _publish(folder: Path, *revoked: str) -> None:
    edition = Edition(name="status", signer=MIRROR, as_of=NOW, now=NOW, lifetime=DAY)
    issuer = packs.issuer(packs.crl(dict.fromkeys(revoked), ctr=len(revoked)), url=ISSUER, key=KEY)
    mirror_tree.publish(folder, [issuer], edition=edition, previous=mirror_tree.newest(folder, "status"))


def _serve(folder: Path, host: Host) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            host.files[f"https://mirror.example/{path.relative_to(folder)}"] = path.read_bytes()


def _card(rid: str) -> str:
    return health_card.issue(BUNDLE, issuer=ISSUER, key=SIGNER, now=NOW, rid=rid)


@pytest.fixture
def published(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    _publish(folder, RID)
    _publish(folder, RID, "another")
    return folder


def test_what_a_mirror_publishes_names_no_subject_no_claim_and_no_rid(published: Path) -> None:
    marks = [SUBJECT, RID, "Anyperson", "John", "1951-01-20", _card(RID).rpartition(".")[2]]

    files = {path.name: path.read_bytes() for path in published.rglob("*") if path.is_file()}

    assert {"status.pack", "status.pack.jws", "status.updates.json", "1-2.delta"} <= set(files)
    assert _found(files, marks) == []
    # The search can find: the list that the pack is made of names the rid.
    assert _found({"list": b'{"rids":["' + RID.encode() + b'"]}'}, marks) == [("list", RID)]


def _found(files: dict[str, bytes], marks: list[str]) -> list[tuple[str, str]]:
    return [
        (name, mark)
        for name, data in files.items()
        for mark in marks
        for seen in _readings(data)
        if mark.encode() in seen
    ]


def _readings(data: bytes) -> list[bytes]:
    """The bytes, what is deflated in them, and the parts of a JWS."""
    readings = [data]
    for at in range(len(data) - 1):
        if data[at] == 0x78:
            try:
                readings.append(zlib.decompressobj().decompress(data[at:], 1 << 20))
            except zlib.error:
                continue
    for part in data.split(b".")[:3]:
        try:
            readings.append(base64.urlsafe_b64decode(part + b"=="))
        except ValueError:
            continue
    return readings


class _Asking:
    """A verifier that asks a mirror for each card, as none does that has a pack."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def card_status(self, card: CardId, *, crl_version: int | None, now: int) -> Status:  # noqa: ARG002
        mark = hashlib.sha256((card.identifier("rid") or "").encode()).hexdigest()[:8]
        asyncio.run(self._host.request("GET", f"https://mirror.example/{mark}"))
        return Status("good")


def _traces(rid: str) -> list[str]:
    hashed = hashlib.sha256(rid.encode())
    return [rid, hashed.hexdigest()[:8], base64.urlsafe_b64encode(hashed.digest())[:8].decode()]


def _requests_of_a_day(folder: Path, published: Path, rid: str, status: type[_Asking] | None) -> list[str]:
    """What a host sees of a verifier that pulls, verifies two cards, and pulls again."""
    host, path = Host(), folder / f"{rid}.pack"
    _serve(published, host)

    def pull() -> None:
        asyncio.run(pack_pull.pull(URL, path, keys=[MIRROR.public], fetcher=host, now=NOW))

    pull()
    pack = open_pack(path, keys=[MIRROR.public])
    source: CardStatusSource = pack if status is None else status(host)
    verdicts = [
        health_card.judge(_card(each), trust=pack, status=source, now=NOW).verdict for each in (rid, "else")
    ]
    assert verdicts[1] == "valid"
    pull()
    return [f"{method} {url} {headers}" for method, url, headers in host.requests]


def test_the_host_sees_the_same_whichever_card_is_checked(tmp_path: Path, published: Path) -> None:
    one = _requests_of_a_day(tmp_path, published, RID, None)
    other = _requests_of_a_day(tmp_path, published, "somebodyels", None)

    assert one == other
    assert [request for request in one for trace in _traces(RID) if trace in request] == []


def test_a_verifier_that_asks_for_each_card_would_be_seen(tmp_path: Path, published: Path) -> None:
    seen = _requests_of_a_day(tmp_path, published, "somebodyels", _Asking)

    assert [request for request in seen for trace in _traces("somebodyels") if trace in request] != []
