"""The VCI directory as published: its signed snapshot, its list of issuers, and two years of its lists."""

import json
from pathlib import Path

import pytest
from tests import packs
from tests.packs import MIRROR, Card

from safeconduct.crypto import x509
from safeconduct.crypto.x509 import Certificate
from safeconduct.errors import Rejected
from safeconduct.evidence import mirror
from safeconduct.status import card_snapshot
from safeconduct.status.card_keys import CardKey
from safeconduct.status.card_revocation import rids
from safeconduct.status.card_snapshot import Snapshot
from safeconduct.status.compact import body, hashed, pack_delta, packing
from safeconduct.status.compact.pack import Pack
from safeconduct.status.compact.packing import Gathered, GatheredIssuer, HashedList
from safeconduct.status.states import GOOD, Status
from safeconduct.trust import WAIVED

NOW = 1_790_000_000
"""In September 2026, while the directory's certificate is in force."""

QUEBEC = "https://covid19.quebec.ca/PreuveVaccinaleApi/issuer"


@pytest.fixture(scope="module")
def folder(vectors: Path) -> Path:
    return vectors / "status" / "vci-directory"


@pytest.fixture(scope="module")
def certificate(folder: Path) -> Certificate:
    return x509.chain_from_pem((folder / "vci_snapshot.crt").read_bytes())[0]


@pytest.fixture(scope="module")
def snapshot(folder: Path, certificate: Certificate) -> Snapshot:
    data, signature = (folder / "vci_snapshot.json").read_bytes(), (folder / "vci_snapshot.sig").read_bytes()
    return card_snapshot.verify(data, signature=signature, certificate=certificate, now=NOW)


def test_the_snapshot_is_what_the_directory_signed(snapshot: Snapshot) -> None:
    assert (len(snapshot.issuers), snapshot.refused) == (651, 0)
    assert snapshot.time == 1_787_373_830
    lists = [found for issuer in snapshot.issuers for listed in issuer.lists if (found := listed.found)]
    assert len(lists) == 6
    assert sum(len(found.entries) for found in lists) == 771 + 17 + 555


def test_one_altered_byte_or_another_time_is_refused(folder: Path, certificate: Certificate) -> None:
    data, signature = (folder / "vci_snapshot.json").read_bytes(), (folder / "vci_snapshot.sig").read_bytes()

    with pytest.raises(Rejected) as refused:
        card_snapshot.verify(
            data.replace(b"California", b"Californja"), signature=signature, certificate=certificate, now=NOW
        )
    assert refused.value.code == "signature_invalid"
    for now in (certificate.not_before - 1, certificate.not_after + 1):
        with pytest.raises(Rejected) as refused:
            card_snapshot.verify(data, signature=signature, certificate=certificate, now=now)
        assert refused.value.code == "snapshot_certificate"


def test_a_pack_of_the_snapshot_says_what_the_snapshot_says(snapshot: Snapshot) -> None:
    opened = packs.pack(*mirror.of_snapshot(snapshot), low_bits=64)

    keys = [(issuer.url, key) for issuer in snapshot.issuers for key in issuer.keys.keys]
    assert len(keys) == 959
    for url, key in keys:
        assert opened.keys_named(key.kid)[url].key == key.key
    for issuer in snapshot.issuers:
        for listed in issuer.lists:
            assert listed.found is not None
            for rid, reach in listed.found.entries.items():
                moments = [(0, "revoked")] if reach is None else [(reach - 0.5, "revoked"), (reach, "good")]
                for nbf, state in moments:
                    card = Card(rid, nbf=nbf, issuer=issuer.url, kid=listed.kid)
                    said = opened.card_status(card, crl_version=listed.found.ctr, now=packs.NOW)
                    assert said.state == state


def test_the_pack_has_a_third_of_the_snapshots_bytes_and_its_times_take_six_bits(
    folder: Path, snapshot: Snapshot
) -> None:
    gathered = mirror.of_snapshot(snapshot)

    made = packs.file(*gathered)

    assert len(made) < (folder / "vci_snapshot.json").stat().st_size * 0.4
    lists = packs.file(*(issuer for issuer in gathered if issuer.url == QUEBEC))
    bare = [_without_lists(issuer) for issuer in gathered if issuer.url == QUEBEC]
    # 34 bits and the code of one of 54 times; the dictionary and the tables beside them.
    assert len(lists) - len(packs.file(*bare)) < 788 * (34 + 6) / 8 + 54 * 8 + 200


def _without_lists(issuer: GatheredIssuer) -> GatheredIssuer:
    keys = tuple(Gathered(kid=each.kid, key=each.key) for each in issuer.keys)
    return GatheredIssuer(url=issuer.url, name=issuer.name, keys=keys)


def test_the_history_is_followed_by_deltas_to_the_same_packs(folder: Path, snapshot: Snapshot) -> None:
    """Each of 567 changes makes a version; each delta leads exactly to it, for a fortieth of the bytes."""
    events = [json.loads(line) for line in (folder / "crl_history.jsonl").read_text().splitlines()]
    keys = {key.kid: key for issuer in snapshot.issuers for key in issuer.keys.keys}
    lists: dict[tuple[str, str], dict[str, int | None]] = {}
    counters: dict[tuple[str, str], int] = {}
    copy = packs.pack()
    whole = small = 0
    for event in events:
        place = event["iss"], event["kid"]
        entries = set(_names(lists.get(place, {}))) - set(event["removed"]) | set(event["added"])
        lists[place] = dict(rids.read_entries(sorted(entries)))
        assert len(entries) == event["count"]
        counters[place] = int(event["ctr"])
        made = [_issuer(place, lists[place], counters[place], keys[place[1]]) for place in lists]
        data = packs.file(*_merged(made), previous=copy)
        delta = pack_delta.between(copy, Pack.open(data, keys=WAIVED))
        assert pack_delta.apply(delta, to=copy, keys=[MIRROR.public]) == data
        copy = Pack.open(data, keys=[MIRROR.public])
        whole += len(data)
        small += len(delta)
    assert len(events) == 567
    assert packing.count_of(copy.body) == (6, 771 + 17 + 555)
    assert small / whole < 0.15  # of these small packs, a head of 500 bytes is most
    for (url, kid), entries in lists.items():
        card = Card(next(iter(entries), "none"), nbf=0, issuer=url, kid=kid)
        said = copy.card_status(card, crl_version=None, now=packs.NOW)
        assert said == (Status("revoked", "confirm") if entries else GOOD)


def _names(entries: dict[str, int | None]) -> list[str]:
    return [rid if reach is None else f"{rid}.{reach}" for rid, reach in entries.items()]


def _issuer(place: tuple[str, str], entries: dict[str, int | None], ctr: int, key: CardKey) -> GatheredIssuer:
    listed = HashedList(method="rid", ctr=ctr, digest=bytes(32), records=hashed.records(entries))
    gathered = Gathered(kid=place[1], key=key, state=body.LISTED, listed=listed)
    return GatheredIssuer(url=place[0], keys=(gathered,))


def _merged(issuers: list[GatheredIssuer]) -> list[GatheredIssuer]:
    keys: dict[str, tuple[Gathered, ...]] = {}
    for issuer in issuers:
        keys[issuer.url] = keys.get(issuer.url, ()) + issuer.keys
    return [GatheredIssuer(url=url, keys=each) for url, each in keys.items()]
