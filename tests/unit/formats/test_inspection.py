"""Looking into tokens: what is said of each claim, and that no bytes whatever break it."""

import hashlib
import secrets
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from safeconduct.crypto.keys import Key
from safeconduct.encoding import cbor
from safeconduct.encoding.cbor import Simple, Tag
from safeconduct.envelope import cose
from safeconduct.errors import Malformed
from safeconduct.formats import sd_cwt
from safeconduct.formats.inspected import Inspection, Node
from safeconduct.formats.redaction import decoys, redact
from safeconduct.formats.sd_cwt.inspection import inspect
from safeconduct.trust import AeadKey

ISSUER, HOLDER = Key.generate("ES256"), Key.generate("ES256")
CLAIMS = {
    "iss": "https://issuer.example",
    "sub": redact("urn:example:1"),
    "exp": 1_800_000_000,
    "name": redact("Erika"),
    "address": redact({"region": redact("BE"), "street": "Long 1"}),
    "nationalities": ["US", redact("DE"), redact("FR")],
    "other": {59: "an integer, not the marker"},
    decoys(2): None,
}


def _issued(profile: sd_cwt.Profile = sd_cwt.IETF_08) -> bytes:
    return sd_cwt.issue(CLAIMS, issuer=ISSUER, holder=HOLDER.public, now=1_700_000_000, profile=profile)


def _presented(profile: sd_cwt.Profile = sd_cwt.IETF_08, **more: Any) -> bytes:
    return sd_cwt.present(
        _issued(profile),
        holder=HOLDER,
        disclose=["name", "address.region"],
        audience="https://verifier.example",
        nonce=b"nonce",
        now=1_700_000_001,
        profile=profile,
        **more,
    )


def _nodes(parts: tuple[Node, ...]) -> Iterator[Node]:
    for part in parts:
        yield part
        yield from _nodes(part.children)


def _named(seen: Inspection, name: str) -> Node:
    return next(node for node in _nodes(seen.parts) if node.name == name)


@pytest.mark.parametrize("profile", [sd_cwt.IETF_08, sd_cwt.SEED_2024])
def test_an_issued_token_shows_every_claim_with_its_path(profile: sd_cwt.Profile) -> None:
    seen = inspect(_issued(profile))
    assert (seen.kind, seen.profile, seen.verified) == ("issued SD-CWT", profile.name, False)
    assert (seen.counts["disclosed"], seen.counts["decoy"]) == (6, 2)
    assert "redacted" not in seen.counts
    assert (_named(seen, "name").text, _named(seen, "name").state) == ('"Erika"', "disclosed")
    assert _named(seen, "region").path == "address.region"
    assert _named(seen, "[1]").path == "nationalities[1]"
    assert _named(seen, "59").text == '"an integer, not the marker"'


@pytest.mark.parametrize("profile", [sd_cwt.IETF_08, sd_cwt.SEED_2024])
def test_a_presentation_shows_what_is_withheld(profile: sd_cwt.Profile) -> None:
    seen = inspect(_presented(profile))
    assert (seen.kind, seen.profile) == ("presentation", profile.name)
    assert (seen.counts["disclosed"], seen.counts["redacted"]) == (3, 5)
    assert _named(seen, "aud").text == '"https://verifier.example"'
    assert not any(node.path for node in _nodes(seen.parts))
    assert not any("urn:example" in node.text for node in _nodes(seen.parts))


def test_times_are_dates_headers_have_names_and_keys_thumbprints() -> None:
    seen = inspect(_issued())
    assert _named(seen, "exp").note == "2027-01-15T08:00:00Z"
    assert _named(seen, "alg").note == "ES256"
    assert _named(seen, "typ").note == "application/sd-cwt"
    assert "thumbprint" in _named(seen, "cnf").note
    assert _named(seen, "signature").size == 64


def test_a_broken_signature_is_no_obstacle() -> None:
    data = _issued()
    assert inspect(data[:-1] + b"\0").counts == inspect(data[:-1] + b"\1").counts


def test_encrypted_disclosures_are_counted_and_not_opened() -> None:
    seen = inspect(_presented(encrypt={"name": AeadKey(bytes(16), 7)}))
    assert seen.counts["encrypted"] == 1
    assert _named(seen, "disclosure").note == "key context 7"


def test_a_disclosure_without_a_digest_is_pointed_out() -> None:
    message = cose.parse(_issued())
    stray = cbor.dumps([bytes(16), "added", "name"])
    carried = {17: [*message.unprotected[17], stray]}
    seen = inspect(cose.assemble(message.protected_bytes, carried, message.payload, message.signature))
    assert seen.counts["unreferenced"] == 1


def test_a_digest_that_occurs_many_times_is_followed_once() -> None:
    encoded, digest = b"", None
    disclosures: list[bytes] = []
    for _ in range(60):
        value = "end" if digest is None else [Tag(60, digest)] * 2
        encoded = cbor.dumps([secrets.token_bytes(16), value])
        disclosures.append(encoded)
        digest = hashlib.sha256(cbor.dumps(encoded)).digest()
    payload = cbor.dumps({1: "i", 9: [Tag(60, digest)]})
    seen = inspect(cose.assemble(cbor.dumps({16: 293}), {17: disclosures}, payload, b""))
    assert len(list(_nodes(seen.parts))) < 300


@pytest.mark.parametrize("text", ["\x1b[2J", "\x9b31m", "\u202e", "a\nb", "\x00"])
def test_nothing_that_a_terminal_obeys_is_in_a_text(text: str) -> None:
    for item in (
        {text: text},
        [text, Tag(700, text)],
        Tag(
            18,
            [cbor.dumps({text: text, 4: text.encode()}), {text: 1}, cbor.dumps({text: text, 8: text}), b""],
        ),
    ):
        for node in _nodes(inspect(cbor.dumps(item)).parts):
            assert (node.name + node.text + node.note + node.path).isprintable()


ODD: list[Any] = [
    0,
    None,
    "text",
    b"bytes",
    Simple(99),
    1.5,
    float("nan"),
    {},
    [],
    {b"key": {Simple(59): [1]}, Simple(59): 3},
    Tag(1, 10**15),
    Tag(1, -(1 << 64)),
    Tag(18, 1),
    Tag(18, [b"", {}, None, b""]),
    [b"", {}, b"", b""],
    Tag(18, [b"\xff", {17: 3}, b"\xff", b""]),
    Tag(18, [cbor.dumps({16: 293, 1: "x", 170: [], 13: 0}), {}, b"", b""]),
    Tag(
        18, [cbor.dumps({16: [1], 15: {Simple(59): [b"x"]}}), {17: [1, b"", b"\x80", b"\x84"]}, b"\xa0", b""]
    ),
    Tag(18, [cbor.dumps({16: 293}), {171: [[], [1, 2, 3], 7], 17: [b"\x81\x01"]}, b"\xa1\x04\x60", b""]),
    Tag(18, [b"", {18: cbor.dumps({})}, cbor.dumps({8: {1: {1: 1}}, 12: 4, 13: [[]]}), b""]),
]


@pytest.mark.parametrize("item", ODD, ids=repr)
def test_anything_that_is_cbor_is_described(item: Any) -> None:
    assert inspect(cbor.dumps(item)).parts


def test_flipped_bytes_are_described_or_malformed() -> None:
    random = Random(5)  # noqa: S311
    tokens = [
        _issued(),
        _presented(),
        _presented(sd_cwt.SEED_2024),
        _presented(encrypt={"name": AeadKey(bytes(16))}),
    ]
    described = 0
    for _ in range(2000):
        data = bytearray(random.choice(tokens))
        for _ in range(random.randrange(1, 4)):
            data[random.randrange(len(data))] = random.randrange(256)
        try:
            described += bool(inspect(bytes(data)).parts)
        except Malformed:
            continue
    assert described > 100


def test_what_is_no_cbor_is_malformed() -> None:
    for data in (b"", b"\xff", b"\x01\x01", b"\x9f\xff"):
        with pytest.raises(Malformed):
            inspect(data)
