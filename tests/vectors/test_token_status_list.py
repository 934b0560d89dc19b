"""Every vector of draft-ietf-oauth-status-list: read, written again to the same bytes, examples verified."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from safeconduct.crypto.keys import PublicKey
from safeconduct.encoding import cbor
from safeconduct.envelope import cose
from safeconduct.errors import Rejected
from safeconduct.status import token_list
from safeconduct.status.token_list import Owner, StatusList, StatusReference
from safeconduct.trust import Trust

URI = "https://example.com/statuslists/1"
ISSUED, EXPIRES = 1686920170, 2291720170
OWNER = Owner("https://example.com")
KINDS = ("jwt", "cwt")


@pytest.fixture(scope="module")
def folder(vectors: Path) -> Path:
    return vectors / "status" / "token-status-list"


def _encodings(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "encoding_vectors.json").read_bytes())["vectors"]
    return found


def _example(folder: Path, kind: str) -> bytes:
    if kind == "jwt":
        return (folder / "status_list_jwt_raw.md").read_text().replace("\n", "").encode()
    return bytes.fromhex((folder / "status_list_cwt.md").read_text())


def _trust(folder: Path) -> Trust:
    key = PublicKey.from_jwk(json.loads((folder / "example_key.jwk.json").read_bytes()))
    return Trust.of({"https://example.com": key})


@pytest.mark.parametrize("place", range(4))
def test_the_lists_of_a_million_are_read_and_written_as_published(folder: Path, place: int) -> None:
    vector = _encodings(folder)[place]
    size = vector["size"]
    wanted = {int(index): value for index, value in vector["statuses"].items()}
    from_json = StatusList.from_json(vector["json"])
    from_cbor = StatusList.from_cbor(cbor.loads(bytes.fromhex(vector["cbor_hex"])))

    assert from_json == from_cbor == StatusList.of(wanted, size=size, bits=vector["bits"])
    assert from_json.size == size
    assert {index: value for index in range(size) if (value := from_json.status(index))} == {
        index: value for index, value in wanted.items() if value
    }
    assert from_json.to_json() == vector["json"]
    assert from_json.to_cbor().hex() == vector["cbor_hex"]


def test_there_are_lists_of_every_number_of_bits(folder: Path) -> None:
    assert [vector["bits"] for vector in _encodings(folder)] == [1, 2, 4, 8]


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        ("", [1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 1]),
        ("2", [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]),
    ],
)
def test_the_small_examples_are_read_and_written_as_published(
    folder: Path, name: str, statuses: list[int]
) -> None:
    """The statuses are those that §4.1 writes out."""
    text = (folder / f"status_list_encoding{name}_json.md").read_text()
    published = json.loads(text.partition("encoded:")[2])
    hexadecimal = (folder / f"status_list_encoding{name}_cbor.md").read_text().partition("encoded:")[2]
    array = bytes(int(byte, 16) for byte in re.findall(r"0x([0-9a-f]{2})", text))
    made = StatusList.of(dict(enumerate(statuses)), size=len(statuses), bits=published["bits"])

    assert made.data == array
    assert StatusList.from_json(published) == made
    assert made.to_json() == published
    assert made.to_cbor().hex() == hexadecimal.strip()
    assert [made.status(index) for index in range(made.size)] == statuses


@pytest.mark.parametrize("kind", KINDS)
def test_the_signed_examples_verify(folder: Path, kind: str) -> None:
    parsed = token_list.parse(_example(folder, kind))
    verified = token_list.verify(parsed, uri=URI, owner=OWNER, trust=_trust(folder), now=ISSUED)
    verified.check_times(now=ISSUED)
    verified.check_times(now=EXPIRES - 1)

    assert (parsed.kind, parsed.named) == (kind, URI)
    assert (verified.issued_at, verified.expires, verified.ttl) == (ISSUED, EXPIRES, 43200)
    assert verified.statuses.data == b"\xb9\xa3"


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_bit_of_a_signed_example_is_found(folder: Path, kind: str) -> None:
    example = bytearray(_example(folder, kind))
    example[-20] ^= 1
    parsed = token_list.parse(bytes(example))
    with pytest.raises(Rejected) as error:
        token_list.verify(parsed, uri=URI, owner=OWNER, trust=_trust(folder), now=ISSUED)
    assert error.value.code == "signature_invalid"


def test_the_example_of_a_referenced_token_names_its_place(folder: Path) -> None:
    message = cose.parse(bytes.fromhex((folder / "referenced_token_cwt.md").read_text()))
    [key] = _trust(folder).keys_for("https://example.com")
    cose.verify(message, key=key, accept={"ES256"})
    claims = cbor.loads(message.payload)

    assert token_list.read_reference(claims[65535]) == StatusReference(0, URI)
    assert StatusReference(0, URI).claim() == claims[65535]
