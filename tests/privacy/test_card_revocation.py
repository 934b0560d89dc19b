"""What published revocation tells of the people whose cards it names: nothing that they can be found by.

Each test is shown to find what it looks for where the protection is missing.
"""

import asyncio
import hashlib
import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.services.publishing_stage import CARD_ISSUER, NOW, Stage, files_of

from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64, json
from safeconduct.formats import health_card
from safeconduct.services.card_register import CardRegister
from safeconduct.status.card_revocation import SIGNED_TEXT, RevocationList, legacy, log, rids
from safeconduct.storage.status import card_lists

SUBJECT = "urn:example:patient:4711-0815"
FAMILY, GIVEN, BORN = "Anyperson", "Johanna", "1951-01-20"
SECRET = hashlib.sha256(b"a secret of the issuer").digest()
GIVEN_NAMES = ("Anna", "Berta", "Clara", "Dora", "Emma", "Johanna")
BIRTH_YEARS = range(1949, 1953)


def bundle(given: str = GIVEN, born: str = BORN) -> dict[str, Any]:
    """What a card says: all of it is known to who tries, but the name and the birth date."""
    patient = {
        "resourceType": "Patient",
        "name": [{"family": FAMILY, "given": [given]}],
        "birthDate": born,
    }
    dose = {"resourceType": "Immunization", "status": "completed", "lotNumber": "LOT-8812-X"}
    entries = [{"fullUrl": f"resource:{n}", "resource": one} for n, one in enumerate((patient, dose))]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def people() -> Iterator[tuple[str, str]]:
    """Everybody who it could be."""
    for given, year, month, day in itertools.product(GIVEN_NAMES, BIRTH_YEARS, range(1, 13), range(1, 29)):
        yield given, f"{year}-{month:02}-{day:02}"


class Issuer(Stage):
    """An issuer that has issued a card under each of two keys, and revoked both."""

    cards: list[str]
    rids: list[str]
    other_kid: str


async def _revoked(folder: Path, *, secrets: tuple[bytes, ...]) -> Issuer:
    issuer = await Issuer.open(folder, f"sqlite:///{folder}/issuer.db")
    assert isinstance(issuer, Issuer)
    issuer.register = CardRegister(issuer.database, CARD_ISSUER, secrets=secrets)
    other = Key.generate("ES256")
    issuer.other_kid = await issuer.register.register(other.public, now=NOW)
    keys = {issuer.kid: issuer.key, issuer.other_kid: other}
    issuer.rids = [await issuer.register.allocate(kid, SUBJECT, now=NOW) for kid in keys]
    issuer.cards = [
        health_card.issue(bundle(), issuer=CARD_ISSUER, key=key, now=NOW, rid=rid)
        for key, rid in zip(keys.values(), issuer.rids, strict=True)
    ]
    await issuer.publish()
    await issuer.register.revoke_subject(SUBJECT, before=None)
    await issuer.publish()
    await issuer.register.reinstate_rid(issuer.rids[0], kid=issuer.kid)
    await issuer.publish()
    await issuer.register.revoke_subject(SUBJECT, before=NOW + 1)
    await issuer.publish()
    return issuer


@pytest.fixture(params=[(), (SECRET,)], ids=["drawn", "derived"])
def issuer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Issuer]:
    opened = asyncio.run(_revoked(tmp_path, secrets=request.param))
    yield opened
    opened.close()


def forms(value: str) -> set[bytes]:
    """A value in each form in which it could lie in a file: as text, encoded, or as a plain digest."""
    data = value.encode()
    hashed = [hashlib.new(name, data).digest() for name in ("sha256", "sha1", "md5")]
    digests = [form for digest in hashed for form in (digest[:8], digest.hex().encode())]
    encoded = [b64.encode(data), *(b64.encode(digest)[:10] for digest in hashed)]
    return {data, data.hex().encode(), *(text.encode() for text in encoded), *digests}


def opened(files: Mapping[str, bytes]) -> list[bytes]:
    """Every file, and what is signed in it."""
    payloads = [
        b64.decode(part)
        for name, data in files.items()
        if name.endswith(".jws")
        for part in data.split(b".")[:2]
    ]
    return [*files.values(), *payloads, *(name.encode() for name in files)]


def found_in(files: Mapping[str, bytes], values: list[str]) -> set[str]:
    """Which of the values lie in the files in any form."""
    data = opened(files)
    return {value for value in values if any(form in one for form in forms(value) for one in data)}


def claims_of(card: str) -> list[str]:
    """Every longer text of a card's claims, and the card itself with its parts and its digest."""
    payload = health_card.parse(card).unverified_claims().bundle
    texts = [text for text in _texts(payload) if len(text) > 6]
    return [*texts, FAMILY, GIVEN, BORN, *card.split("."), b64.encode(hashlib.sha256(card.encode()).digest())]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(part)


def secrets_of(issuer: Issuer) -> list[str]:
    return [SUBJECT, *(text for card in issuer.cards for text in claims_of(card))]


def test_published_files_hold_no_subject_and_no_claim(issuer: Issuer) -> None:
    files = files_of(issuer.tree)
    assert len(files) > 8
    assert any(issuer.rids[1].encode() in data for data in files.values())  # the right files are searched

    assert found_in(files, secrets_of(issuer)) == set()


@pytest.mark.parametrize("careless", ["subject", "digest of the subject", "claim"])
def test_the_search_finds_what_a_careless_issuer_publishes(issuer: Issuer, careless: str) -> None:
    digest = b64.encode(hashlib.sha256(SUBJECT.encode()).digest()[:8])
    rid = {"subject": "4711-0815", "digest of the subject": digest, "claim": FAMILY}[careless]
    asyncio.run(issuer.revoke(rid))
    asyncio.run(issuer.publish())

    assert found_in(files_of(issuer.tree), ["4711-0815", *secrets_of(issuer)]) != set()


def test_the_database_holds_no_subject_in_clear_and_no_claim(issuer: Issuer) -> None:
    pages = b"".join(path.read_bytes() for path in issuer.tree.parent.glob("issuer.db*"))
    assert issuer.rids[0].encode() in pages

    assert [text for text in secrets_of(issuer) if text.encode() in pages] == []


def linked(one: RevocationList, other: RevocationList) -> set[str]:
    """Identifiers, or beginnings of their hashes, by which two lists could be laid side by side."""
    ends = [
        {form for rid in found.entries for form in (rid, rid[:6], log.prefix(rid).hex())}
        for found in (one, other)
    ]
    return ends[0] & ends[1]


def lists_of(issuer: Issuer, *kids: str) -> list[RevocationList]:
    files = files_of(issuer.tree)
    return [RevocationList.parse(files[f"crl/{kid}.json"]) for kid in kids]


def test_cards_of_one_subject_under_two_keys_cannot_be_linked(issuer: Issuer) -> None:
    one, other = lists_of(issuer, issuer.kid, issuer.other_kid)
    assert one.entries
    assert other.entries

    assert linked(one, other) == set()


def test_the_comparison_finds_a_rid_that_does_not_depend_on_the_key(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    derive = rids.derive
    monkeypatch.setattr(rids, "derive", lambda secret, _kid, subject: derive(secret, "", subject))
    careless = CardRegister(issuer.database, CARD_ISSUER, secrets=(SECRET,))
    asyncio.run(careless.revoke_subject("another person", before=None))
    asyncio.run(issuer.publish())

    assert linked(*lists_of(issuer, issuer.kid, issuer.other_kid)) != set()


def guesses(given: str, born: str, kid: str) -> set[str]:
    """What an identifier could be that was made of what is known of a person, without a secret."""
    whole = bundle(given, born)
    known = [
        json.dumps(whole),
        given.encode() + born.encode(),
        f"{given} {FAMILY} {born}".encode(),
        SUBJECT.encode(),
    ]
    digests = [hashlib.sha256(text).digest() for text in (*known, *(kid.encode() + text for text in known))]
    keyed = [rids.derive(bytes(32), kid, subject) for subject in (SUBJECT, f"{given}{FAMILY}{born}")]
    return {
        legacy.of_bundle(whole),
        *keyed,
        *(b64.encode(digest)[:count] for digest in digests for count in (11, 22)),
    }


def people_behind(published: set[str], kid: str) -> list[tuple[str, str]]:
    """Tries every name and birth date."""
    return [person for person in people() if guesses(*person, kid) & published]


def identifiers(issuer: Issuer) -> set[str]:
    """Every identifier that any published file names, or ever did."""
    found = set()
    for kid in (issuer.kid, issuer.other_kid):
        told = issuer.database.run_sync(card_lists.history, CARD_ISSUER, kid)
        found |= {change.rid for changes in told.changes.values() for change in changes}
    return found


def test_trying_every_name_and_birth_date_finds_nobody_behind_a_rid(issuer: Issuer) -> None:
    published = identifiers(issuer)
    assert set(issuer.rids) <= published

    assert people_behind(published, issuer.kid) == []


def test_trying_every_name_and_birth_date_finds_who_is_behind_a_hash_of_the_bundle() -> None:
    assert people_behind({legacy.of_bundle(bundle())}, "A" * 43) == [(GIVEN, BORN)]


def test_trying_every_name_and_birth_date_finds_nobody_behind_a_signed_text(tmp_path: Path) -> None:
    async def without_rid() -> tuple[str, RevocationList]:
        issuer = await Stage.open(tmp_path, f"sqlite:///{tmp_path}/issuer.db")
        key = Key.generate("ES256")
        kid = await issuer.register.register(key.public, by_signed_text=True, now=NOW)
        card = health_card.issue(bundle(), issuer=CARD_ISSUER, key=key, now=NOW)
        await issuer.register.revoke_card(card, before=None)
        await issuer.publish()
        data = (issuer.tree / f"crl/{kid}.json").read_bytes()
        await issuer.database.close()
        return card, RevocationList.parse(data)

    card, listed = asyncio.run(without_rid())
    assert listed.method == SIGNED_TEXT
    parsed = health_card.parse(card)
    assert set(listed.entries) == {legacy.of_signed_text(parsed.signing_input, parsed.signature)}

    assert people_behind(set(listed.entries), listed.kid) == []
    # Who guesses every claim has the signed text still without r, which is as random as a key.
    assert legacy.of_signed_text(parsed.signing_input, bytes(64)) not in listed.entries
