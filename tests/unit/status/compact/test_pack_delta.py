"""From one version of a pack to a later one by what differs."""

import random
import zlib

import pytest
from tests import packs
from tests.packs import KEY, MIRROR, NOW

from safeconduct import limits
from safeconduct.crypto.keys import Key
from safeconduct.errors import Malformed, Rejected, SafeconductError
from safeconduct.status.card_keys import CardKey
from safeconduct.status.compact import body, pack_delta
from safeconduct.status.compact.pack import Pack
from safeconduct.status.compact.packing import GatheredIssuer
from safeconduct.trust import WAIVED

MANY: dict[str, int | None] = {f"rid{number}": number % 3 or None for number in range(3000)}
OTHER = CardKey.of(Key.generate("ES256").public, crl_version=1)
URL = "https://other.example"


def _update(before: Pack, *issuers: GatheredIssuer, **head: object) -> tuple[bytes, bytes]:
    """A delta to the next version, and that version's file."""
    file = packs.file(*issuers, previous=before, **head)  # type: ignore[arg-type]
    return pack_delta.between(before, Pack.open(file, keys=WAIVED)), file


STEPS = {
    "nothing": lambda: [packs.issuer(packs.crl(MANY))],
    "one more": lambda: [packs.issuer(packs.crl({**MANY, "new": None}, ctr=4))],
    "one less": lambda: [packs.issuer(packs.crl(dict(list(MANY.items())[1:]), ctr=4))],
    "another time": lambda: [packs.issuer(packs.crl({**MANY, "rid7": 77_777}, ctr=4))],
    "none left": lambda: [packs.issuer(packs.crl({}, ctr=4))],
    "another shape": lambda: [packs.issuer(packs.crl(dict(list(MANY.items())[:50]), ctr=4))],
    "no list": lambda: [packs.issuer(None, state=body.MISSING)],
    "an issuer more": lambda: [packs.issuer(packs.crl(MANY)), packs.issuer(None, url=URL, key=OTHER)],
    "a name": lambda: [packs.issuer(packs.crl(MANY), name="Ministère de la Santé")],
    "other keys": lambda: [packs.issuer(packs.crl(MANY), key=CardKey.of(KEY.key, crl_version=9))],
    "nobody": list,
    "older evidence": lambda: [packs.issuer(packs.crl(MANY), since=NOW - 5, list_since=NOW - 6)],
}


@pytest.mark.parametrize("step", STEPS)
def test_a_delta_makes_exactly_the_later_version(step: str) -> None:
    before = packs.pack(packs.issuer(packs.crl(MANY)))
    delta, after = _update(before, *STEPS[step]())

    assert pack_delta.apply(delta, to=before, keys=[MIRROR.public]) == after


@pytest.mark.parametrize("step", STEPS)
def test_and_so_does_the_one_back(step: str) -> None:
    before = packs.pack(*STEPS[step]())
    delta, after = _update(before, packs.issuer(packs.crl(MANY)))

    assert pack_delta.apply(delta, to=before, keys=[MIRROR.public]) == after


@pytest.mark.parametrize("low_bits", [8, 21, 32, 64])
def test_a_history_of_small_changes_is_followed(low_bits: int) -> None:
    chance = random.Random(7)  # noqa: S311  the same changes each time
    entries = dict(MANY)
    pack = packs.of(entries, low_bits=low_bits)

    for version in range(2, 12):
        for rid in chance.sample(sorted(entries), 3):
            del entries[rid]
        entries |= {f"new{version}-{place}": chance.choice([None, version]) for place in range(5)}
        listed = packs.issuer(packs.crl(entries, ctr=3 + version))
        delta, after = _update(pack, listed, low_bits=low_bits)
        assert len(delta) < 1500
        pack = Pack.open(pack_delta.apply(delta, to=pack, keys=[MIRROR.public]), keys=[MIRROR.public])
        assert pack.head == Pack.open(after, keys=WAIVED).head


def test_what_changed_is_all_that_a_delta_holds() -> None:
    before = packs.pack(packs.issuer(packs.crl(MANY)))
    delta, after = _update(before, packs.issuer(packs.crl({**MANY, "new": None}, ctr=4)))

    assert len(delta) < 900 < len(after) / 10


def test_a_delta_for_another_version_is_refused() -> None:
    before, other = packs.of(MANY), packs.of({"x": None})
    delta, _ = _update(before, packs.issuer(packs.crl({})))

    with pytest.raises(Rejected) as refused:
        pack_delta.apply(delta, to=other, keys=[MIRROR.public])
    assert refused.value.code == "pack_delta_mismatch"


def test_a_delta_to_an_older_version_is_refused() -> None:
    before = packs.of(MANY, version=9)
    delta, _ = _update(before, packs.issuer(packs.crl({})), version=8)

    with pytest.raises(Rejected) as refused:
        pack_delta.apply(delta, to=before, keys=[MIRROR.public])
    assert refused.value.code == "pack_rolled_back"


def test_a_delta_of_another_mirror_is_refused() -> None:
    before = packs.of(MANY)
    delta, _ = _update(before, packs.issuer(packs.crl({})), signer=Key.generate("ES256"))

    with pytest.raises(Rejected) as refused:
        pack_delta.apply(delta, to=before, keys=[MIRROR.public])
    assert refused.value.code == "pack_key_unknown"


def test_a_delta_that_leaves_a_revoked_card_out_is_noticed_by_its_digest() -> None:
    """Whoever serves deltas can withhold them, and not choose what is in them."""
    before = packs.of(MANY)
    honest, _ = _update(before, packs.issuer(packs.crl({**MANY, "new": None, "more": None}, ctr=4)))
    short, _ = _update(before, packs.issuer(packs.crl({**MANY, "more": None}, ctr=4)))
    head_end = 48 + int.from_bytes(honest[8:12], "little")
    forged = honest[:head_end] + short[48 + int.from_bytes(short[8:12], "little") :]

    with pytest.raises(Rejected) as refused:
        pack_delta.apply(forged, to=before, keys=[MIRROR.public])
    assert refused.value.code == "pack_delta_mismatch"


def test_no_byte_of_a_delta_can_be_altered() -> None:
    before = packs.of({"a": None, "b": 5})
    delta, after = _update(before, packs.issuer(packs.crl({"a": None, "c": 6}, ctr=4)))

    for at in range(len(delta)):
        altered = bytearray(delta)
        altered[at] ^= 0x41
        try:
            made = pack_delta.apply(bytes(altered), to=before, keys=[MIRROR.public])
        except SafeconductError:
            continue
        assert made == after  # a byte that means nothing: of the format's own zeros


@pytest.mark.parametrize(
    "rows",
    [
        b"",
        b"\xff\xff\xff\xff",
        (2**32 - 1).to_bytes(4, "little") + bytes(100),
        bytes(16) + b"more",
        bytes(12) + (1).to_bytes(4, "little") + bytes(58) + b"\x09" + bytes(200),
    ],
)
def test_rows_that_break_the_format_are_refused(rows: bytes) -> None:
    before = packs.of({"a": None})
    delta, _ = _update(before, packs.issuer(packs.crl({})))
    head_end = 48 + int.from_bytes(delta[8:12], "little")

    with pytest.raises(Malformed) as refused:
        pack_delta.apply(delta[:head_end] + zlib.compress(rows), to=before, keys=[MIRROR.public])
    assert refused.value.code == "pack_delta_malformed"


def test_a_delta_that_inflates_without_end_is_stopped() -> None:
    before = packs.of({"a": None})
    delta, _ = _update(before, packs.issuer(packs.crl({})))
    head_end = 48 + int.from_bytes(delta[8:12], "little")
    bomb = delta[:head_end] + zlib.compress(bytes(limits.PACK_DELTA_BYTES + 1), 9)
    assert len(bomb) < limits.PACK_DELTA_BYTES / 500

    with pytest.raises(Malformed) as refused:
        pack_delta.apply(bomb, to=before, keys=[MIRROR.public])
    assert refused.value.code == "pack_delta_malformed"


def test_packs_that_differ_by_too_much_have_no_delta(monkeypatch: pytest.MonkeyPatch) -> None:
    before = packs.of({})
    monkeypatch.setattr(limits, "PACK_DELTA_BYTES", 10_000)

    with pytest.raises(Rejected) as refused:
        _update(before, packs.issuer(packs.crl(MANY)))
    assert refused.value.code == "pack_delta_too_large"
