"""The offline pack as evidence: what it says of cards, and what it cannot be made to say."""

import pytest
from tests import packs
from tests.packs import ISSUER, KEY, MIRROR, NOW, Card

from safeconduct import limits
from safeconduct.crypto.keys import Key
from safeconduct.errors import Malformed, Rejected, SafeconductError
from safeconduct.status.card_keys import CardKey
from safeconduct.status.card_revocation.crl import RevocationList
from safeconduct.status.card_revocation.lists import RevocationLists
from safeconduct.status.card_sources import CardStatusSources
from safeconduct.status.compact import blocks, body, hashed, pack, pack_file
from safeconduct.status.compact.body import Body, EntryRow, Facts, IssuerRow
from safeconduct.status.compact.pack import Pack
from safeconduct.status.compact.packing import Gathered, GatheredIssuer
from safeconduct.status.states import GOOD, REVOKED, Status, unknown
from safeconduct.trust import WAIVED

CONFIRM = Status("revoked", "confirm")
LISTED, OTHER = Card("revokedrid0"), Card("someoneelse")


def _status(opened: Pack, card: Card = LISTED, *, crl_version: int | None = 3, now: int = NOW) -> Status:
    return opened.card_status(card, crl_version=crl_version, now=now)


def test_a_hit_is_revoked_and_to_be_confirmed_and_a_miss_is_good() -> None:
    opened = packs.of({"revokedrid0": None})

    assert _status(opened) == CONFIRM
    assert _status(opened, OTHER) == GOOD
    assert _status(opened, Card(None)) == GOOD


def test_a_hit_in_a_pack_of_64_bits_needs_no_confirmation() -> None:
    assert _status(packs.of({"revokedrid0": None}, low_bits=64)) == REVOKED


def test_a_lossy_pack_says_of_a_card_that_is_not_revoked_that_it_is_to_be_confirmed() -> None:
    """Here with 8 bits, so that it happens at all."""
    opened = packs.of({f"rid{number}": None for number in range(1000)}, low_bits=8)
    others = [Card(f"good{number}") for number in range(20_000)]

    said = [_status(opened, card) for card in others]

    assert set(said) == {GOOD, CONFIRM}
    assert 0.002 < said.count(CONFIRM) / len(said) < 0.007  # 1/256


def test_a_good_card_that_a_small_pack_hits_is_good_beside_its_list() -> None:
    """With 8 bits one good card in 256 would be refused, whatever else is at hand."""
    entries = {f"rid{number}": None for number in range(1000)}
    opened = packs.of(entries, low_bits=8)
    counter = opened.list_counter(LISTED)
    assert counter is not None
    hit = next(
        card
        for card in (Card(f"good{number}") for number in range(20_000))
        if _status(opened, card) == CONFIRM
    )

    def beside(ctr: int, card: Card) -> Status:
        lists = RevocationLists()
        lists.add(RevocationList(kid=card.kid, ctr=ctr, entries=entries), issuer=card.issuer)
        both = CardStatusSources([opened, lists])
        return both.card_status(card, crl_version=None, now=NOW)

    assert beside(counter, hit) == beside(counter + 1, hit) == GOOD
    assert beside(counter - 1, hit) == CONFIRM
    assert beside(counter, Card("rid7")) == REVOKED


@pytest.mark.parametrize(
    ("nbf", "expected"),
    [(999.0, REVOKED), (999.999, REVOKED), (1000, GOOD), (1000.0, GOOD), (1000.001, GOOD)],
)
def test_an_entry_with_a_time_revokes_what_was_made_before_it(nbf: float, expected: Status) -> None:
    opened = packs.of({"revokedrid0": 1000}, low_bits=64)

    assert _status(opened, Card("revokedrid0", nbf=nbf)) == expected


def test_a_list_says_nothing_of_the_cards_of_another_key_or_issuer() -> None:
    opened = packs.of({"revokedrid0": None})
    other = CardKey.of(Key.generate("ES256").public).kid

    for card in (Card("revokedrid0", issuer="https://other.example"), Card("revokedrid0", kid=other)):
        assert _status(opened, card) == unknown("missing")
        assert _status(opened, card, crl_version=None) == unknown("no-crl")


@pytest.mark.parametrize(
    ("state", "crl_version", "expected"),
    [
        (body.MISSING, None, "missing"),
        (body.MALFORMED, None, "malformed"),
        (body.UNVERIFIED, None, "unverified"),
        (body.UNSUPPORTED, None, "unsupported-method"),
        (body.NO_LIST, 1, "missing"),
        (body.NO_LIST, None, "no-crl"),
    ],
)
def test_why_there_is_no_list_is_said(state: int, crl_version: int | None, expected: str) -> None:
    silent = CardKey.of(KEY.key)
    opened = packs.pack(packs.issuer(None, key=silent, state=state))

    assert _status(opened, crl_version=crl_version) == unknown(expected)  # type: ignore[arg-type]


def test_a_list_in_a_way_that_is_not_known_makes_the_status_unknown() -> None:
    listed = packs.crl({}, method="https://issuer.example/method")
    hash_fhir = packs.crl({}, method="hash-fhir")  # known to the pack, and not to this card

    for made in (listed, hash_fhir):
        assert _status(packs.pack(packs.issuer(made))) == unknown("unsupported-method")


def test_a_list_older_than_the_counter_that_is_announced_is_stale_and_still_revokes() -> None:
    opened = packs.of({"revokedrid0": None})

    assert _status(opened, OTHER, crl_version=3) == GOOD
    assert _status(opened, OTHER, crl_version=4) == unknown("stale")
    assert _status(opened, crl_version=4) == CONFIRM
    exact = packs.of({"revokedrid0": None}, low_bits=64)
    assert _status(exact, crl_version=4) == Status("revoked", "stale")


def test_what_the_pack_itself_announces_counts_as_well() -> None:
    newer = CardKey.of(KEY.key, crl_version=4)
    opened = packs.pack(packs.issuer(packs.crl({}, ctr=3), key=newer))

    assert _status(opened, OTHER, crl_version=None) == unknown("stale")


def test_a_pack_that_has_expired_still_revokes_and_clears_nobody() -> None:
    opened = packs.of({"revokedrid0": None})
    end = packs.HEAD.exp

    assert _status(opened, OTHER, now=end - 1) == GOOD
    assert _status(opened, OTHER, now=end) == unknown("stale")
    assert _status(opened, now=end) == CONFIRM
    # By now an issuer without a list may have one.
    silent = Card(issuer="https://other.example")
    assert _status(opened, silent, crl_version=None, now=end) == unknown("stale")


@pytest.mark.parametrize(
    ("list_since", "age", "expected"),
    [(0, 100, GOOD), (0, 101, unknown("stale")), (NOW - 50, 50, GOOD), (NOW - 50, 51, unknown("stale"))],
)
def test_a_list_is_stale_after_as_long_as_the_verifier_accepts(
    list_since: int, age: int, expected: Status
) -> None:
    """The time counts from when the list was last had from its issuer."""
    opened = packs.pack(packs.issuer(packs.crl({}), list_since=list_since), max_age=100)

    assert _status(opened, OTHER, now=NOW + age) == expected


def test_the_pack_is_a_directory_of_the_keys_that_sign_cards() -> None:
    shared = [packs.issuer(packs.crl({})), packs.issuer(None, url="https://other.example")]
    opened = packs.pack(*shared)

    named = opened.keys_named(KEY.kid)

    assert named == {ISSUER: KEY, "https://other.example": KEY}
    assert named[ISSUER].crl_version == 3
    assert opened.keys_named("A" * 43) == {}


def test_a_key_is_found_by_its_own_name_alone() -> None:
    """Also the mirror cannot bind a key to another one's name."""
    stranger = CardKey.of(Key.generate("ES256").public)
    facts = Facts(key=stranger.key.to_raw()[1:], crl_version=0, state=body.NO_LIST)
    made = body.assemble([IssuerRow(ISSUER)], [EntryRow(body.tags_of(ISSUER, KEY.kid), facts)])
    opened = Pack.open(pack_file.seal(packs.HEAD, made, signer=MIRROR), keys=[MIRROR.public])

    assert opened.keys_named(KEY.kid) == {}


def test_a_key_that_is_none_makes_no_error() -> None:
    facts = Facts(key=b"\xff" * 64, crl_version=0, state=body.NO_LIST)
    made = body.assemble([IssuerRow(ISSUER)], [EntryRow(body.tags_of(ISSUER, KEY.kid), facts)])
    opened = Pack.open(pack_file.seal(packs.HEAD, made, signer=MIRROR), keys=[MIRROR.public])

    assert opened.keys_named(KEY.kid) == {}


def test_anybody_who_has_a_list_can_compare_it_with_the_pack() -> None:
    from safeconduct.status.card_revocation.crl import RevocationList

    opened = packs.of({"revokedrid0": None, "other": 1000})
    (entry,) = opened.entries()

    assert (entry.issuer, entry.key) == (ISSUER, KEY)
    assert entry.listed is not None
    assert (entry.listed.method, entry.listed.ctr, entry.listed.count) == ("rid", 3, 2)
    published = RevocationList(kid=KEY.kid, ctr=3, entries={"revokedrid0": None, "other": 1000})
    assert entry.listed.digest == published.digest()
    assert [issuer.url for issuer in opened.issuers()] == [ISSUER]


def test_many_issuers_are_each_found_with_their_own_lists() -> None:
    keys = [CardKey.of(Key.generate("ES256").public, crl_version=1) for _ in range(40)]
    made = [
        packs.issuer(packs.crl({f"rid{place}": None}), url=f"https://{place}.example", key=key)
        for place, key in enumerate(keys)
    ]
    opened = packs.pack(*made, low_bits=64)

    for place, key in enumerate(keys):
        here = Card(f"rid{place}", issuer=f"https://{place}.example", kid=key.kid)
        assert _status(opened, here, crl_version=1) == REVOKED
        there = Card(f"rid{place + 1}", issuer=f"https://{place}.example", kid=key.kid)
        assert _status(opened, there, crl_version=1) == GOOD
        assert set(opened.keys_named(key.kid)) == {f"https://{place}.example"}


def test_what_cards_name_does_not_fill_the_memory() -> None:
    opened = packs.of({})

    for number in range(limits.PACK_REMEMBERED + 10):
        _status(opened, Card(kid=f"kid{number}"))
        opened.keys_named(f"kid{number}")

    assert len(opened._entries) <= limits.PACK_REMEMBERED
    assert len(opened._keys) <= limits.PACK_REMEMBERED


# Damage and forgery: a reason, and never an exception.


def _body_at(data: bytes) -> int:
    """Where the body begins."""
    _, rest = pack_file.split(data)
    opened = pack_file.open_file(data, keys=WAIVED)
    return len(data) - len(rest) + blocks.table_bytes(opened.head.length)


def test_an_altered_part_makes_its_cards_unknown_and_not_the_others() -> None:
    many = {f"rid{number}": None for number in range(20_000)}
    elsewhere = CardKey.of(Key.generate("ES256").public, crl_version=3)
    other = packs.issuer(packs.crl({"x": None}), url="https://other.example", key=elsewhere)
    data = bytearray(packs.file(packs.issuer(packs.crl(many)), other))
    begin = _body_at(bytes(data))
    lists = {
        entry.tags: entry for entry in Body(pack_file.open_file(bytes(data), keys=WAIVED).body).entries()
    }
    large = lists[body.tags_of(ISSUER, KEY.kid)]
    data[begin + large.at + large.length - 9] ^= 1  # among the last lower parts
    opened = Pack.open(bytes(data), keys=[MIRROR.public])

    said = {_status(opened, Card(rid)) for rid in many}

    assert said == {CONFIRM, unknown("unverified")}
    there = Card("y", issuer="https://other.example", kid=elsewhere.kid)
    assert _status(opened, there) in (GOOD, unknown("unverified"))


def test_the_altered_part_is_noticed_because_it_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the comparison an entry that was cut out of the pack would be good."""
    data = bytearray(packs.file(packs.issuer(packs.crl({"revokedrid0": None}))))
    data[-16:] = bytes(16)  # the lower part of the one entry

    def said() -> Status:
        found = pack.source(bytes(data), keys=[MIRROR.public])
        return found.card_status(LISTED, crl_version=3, now=NOW)

    assert said() == unknown("unverified")
    monkeypatch.setattr(blocks.CheckedBytes, "_check", lambda *_: None)
    assert said() == GOOD


def test_keys_in_an_altered_part_are_not_given_out() -> None:
    keys = [CardKey.of(Key.generate("ES256").public) for _ in range(300)]
    made = [packs.issuer(None, url=f"https://{place}.example", key=key) for place, key in enumerate(keys)]
    data = bytearray(packs.file(*made))
    data[_body_at(bytes(data)) + 64 + 300 * 32 + 5000] ^= 1  # among the first records of keys
    opened = Pack.open(bytes(data), keys=[MIRROR.public])

    given = [bool(opened.keys_named(key.kid)) for key in keys]

    assert set(given) == {True, False}


@pytest.mark.parametrize("cut", [1, 8, 100, 5000])
def test_a_pack_shorter_or_longer_than_its_head_says_is_malformed(cut: int) -> None:
    data = packs.file(packs.issuer(packs.crl({f"rid{number}": None for number in range(5000)})))

    for changed in (data[:-cut], data + bytes(cut)):
        with pytest.raises(Malformed) as refused:
            Pack.open(changed, keys=[MIRROR.public])
        assert refused.value.code == "pack_length"
        source = pack.source(changed, keys=[MIRROR.public])
        assert source.card_status(OTHER, crl_version=3, now=NOW) == unknown("malformed")


def test_a_pack_of_another_mirror_is_unverified() -> None:
    data = packs.file(packs.issuer(packs.crl({})), signer=Key.generate("ES256"))

    with pytest.raises(Rejected) as refused:
        Pack.open(data, keys=[MIRROR.public])
    assert refused.value.code == "pack_key_unknown"
    source = pack.source(data, keys=[MIRROR.public])
    assert source.card_status(OTHER, crl_version=3, now=NOW) == unknown("unverified")
    assert source.keys_named(KEY.kid) == {}
    # Believed by where it is from, and not by whom.
    assert _status(Pack.open(data, keys=WAIVED), OTHER) == GOOD


def test_a_version_below_one_seen_before_is_stale() -> None:
    data = packs.file(packs.issuer(packs.crl({})), version=6)

    assert Pack.open(data, keys=[MIRROR.public], oldest=6).head.version == 6
    with pytest.raises(Rejected) as refused:
        Pack.open(data, keys=[MIRROR.public], oldest=7)
    assert refused.value.code == "pack_rolled_back"
    source = pack.source(data, keys=[MIRROR.public], oldest=7)
    assert source.card_status(OTHER, crl_version=3, now=NOW) == unknown("stale")


@pytest.mark.parametrize("data", [b"", b"SCPACK1\0", b"{}", bytes(64), b"SCPACK9\0" + bytes(64)])
def test_what_is_no_pack_gives_a_reason(data: bytes) -> None:
    with pytest.raises(SafeconductError):
        Pack.open(data, keys=WAIVED)
    source = pack.source(data, keys=WAIVED)
    assert source.card_status(OTHER, crl_version=3, now=NOW) == unknown("malformed")


def test_no_byte_can_be_altered_without_a_reason_being_given() -> None:
    """Each byte of a small pack, one at a time: no exception, and never good for who is revoked."""
    data = packs.file(packs.issuer(packs.crl({"revokedrid0": None, "another": 1000})), low_bits=64)

    for at in range(len(data)):
        altered = bytearray(data)
        altered[at] ^= 0x41
        source = pack.source(bytes(altered), keys=[MIRROR.public])
        said = source.card_status(LISTED, crl_version=3, now=NOW)
        assert said == REVOKED or said.state == "unknown", at


def test_opening_reads_nothing_of_the_body() -> None:
    data = packs.file(packs.issuer(packs.crl({f"rid{number}": None for number in range(50_000)})))
    opened = pack_file.open_file(data, keys=[MIRROR.public])

    Pack(opened, max_age=None)

    assert sum(opened.body._checked) == 1
    assert len(opened.body._checked) > 20


def test_a_pack_whose_tables_lie_is_malformed_though_it_is_signed() -> None:
    """A mirror can only harm what is looked up in its own pack, and not the process."""
    row = EntryRow(
        body.tags_of(ISSUER, KEY.kid), Facts(key=None, crl_version=3, state=body.LISTED, ctr=3), b"\xff" * 64
    )
    made = body.assemble([IssuerRow(ISSUER)], [row])
    opened = Pack.open(pack_file.seal(packs.HEAD, made, signer=MIRROR), keys=[MIRROR.public])

    assert _status(opened) == unknown("malformed")


def test_a_prefix_is_that_of_the_issuers_log() -> None:
    from safeconduct.status.card_revocation import log

    assert hashed.prefix("MKyCxh7p6uQ").to_bytes(12, "big") == log.prefix("MKyCxh7p6uQ")


def test_a_list_without_its_key_counts_and_gives_out_no_key() -> None:
    gathered = Gathered(kid=KEY.kid, key=None, state=body.LISTED, listed=packs.crl({"revokedrid0": None}))
    opened = packs.pack(GatheredIssuer(url=ISSUER, keys=(gathered,)))

    assert _status(opened) == CONFIRM
    assert opened.keys_named(KEY.kid) == {}
    assert list(opened.entries()) == []
