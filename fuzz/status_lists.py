"""Targets: Token Status Lists, documents that name them, and Bitstring Status Lists.

Tokens are taken apart into trees, changed in some place, and signed again with a known key.
"""

import zlib
from collections.abc import Iterable
from typing import Any

from fuzz import seeds
from fuzz.choices import Choices
from fuzz.json_trees import POOL as JSON_POOL
from fuzz.json_trees import encode, preparing, seeding
from fuzz.judgement import Target
from fuzz.parts import Sealing, scratched, sign1
from fuzz.tokens import ISSUER, ISSUER_KEY, NOW, TRUST
from fuzz.tokens import POOL as CBOR_POOL
from fuzz.trees import Pool, mutate
from safeconduct.encoding import b64, json
from safeconduct.status import token_list
from safeconduct.status.token_list import Owner, StatusReference, aggregation, bitstring
from safeconduct.status.token_list.bitstring import Bitstring, Entry

_URI = "https://status.example/1"
_PACKED = (
    zlib.compress(bytes(64)),
    zlib.compress(b"\xff" * 64)[:-1],
    zlib.compress(b""),
    zlib.compress(bytes(1 << 20), 9),
    bytes(8),
)
_MEMBERS = ("bits", "lst", "aggregation_uri", "sub", "iat", "exp", "nbf", "aud", "ttl", "status_list")
_JSON = Pool(
    keys=(*JSON_POOL.keys, *_MEMBERS),
    values=(
        *JSON_POOL.values,
        *(*map(b64.encode, _PACKED), 0, 3, 8, 9, NOW, NOW + 1, 0.5, _URI, "statuslist+jwt", "JWT"),
    ),
)
_CBOR = Pool(
    keys=(*CBOR_POOL.keys, *_MEMBERS, 65533, 65534, 2, 6),
    values=(*CBOR_POOL.values, *_PACKED, 3, 8, 9, 0.5, _URI, "application/statuslist+cwt"),
    tags=CBOR_POOL.tags,
)
_LIST: dict[Any, Any] = {"bits": 2, "aggregation_uri": "https://status.example/all"}
_OF_JWT: dict[Any, Any] = {
    "sub": _URI,
    "iat": NOW - 5,
    "exp": NOW + 5,
    "ttl": 60,
    "status_list": {**_LIST, "lst": b64.encode(_PACKED[0])},
}
_OF_CWT: dict[Any, Any] = {
    2: _URI,
    6: NOW - 5,
    4: NOW + 5,
    65534: 60,
    65533: {**_LIST, "lst": _PACKED[0]},
}


def _jwt(choices: Choices) -> bytes:
    parts: list[Any] = [{"alg": "ES256", "typ": "statuslist+jwt", "kid": "k"}, _OF_JWT]
    for _ in range(choices.pick((1, 1, 2, 0))):
        place = choices.pick((1, 1, 1, 0))
        parts[place] = mutate(parts[place], choices, _JSON)
    signed = ".".join(b64.encode(encode(part, choices)) for part in parts)
    return f"{signed}.{b64.encode(ISSUER_KEY.sign(signed.encode()))}".encode()


def _cwt(choices: Choices) -> bytes:
    parts: list[Any] = [{1: -7, 16: "application/statuslist+cwt", 4: b"k"}, _OF_CWT]
    for _ in range(choices.pick((1, 1, 2, 0))):
        place = choices.pick((1, 1, 1, 0))
        parts[place] = mutate(parts[place], choices, _CBOR)
    header, payload = (scratched(Sealing().encoded(part), choices) for part in parts)
    return bytes(Sealing().encoded(sign1(header, {}, payload, ISSUER_KEY)))


def _token(data: bytes) -> bytes:
    """Makes a token that `data` says how to change."""
    choices = Choices(data)
    kind = choices.number(3)
    return choices.rest() if kind == 2 else (_jwt, _cwt)[kind](choices)


def _verify(data: bytes) -> None:
    found = token_list.verify(token_list.parse(data), uri=_URI, owner=Owner(ISSUER), trust=TRUST, now=NOW)
    found.check_times(now=NOW)
    token_list.StatusList.from_json(found.statuses.to_json())
    found.statuses.status(7)


def _read_reference(tree: bytes) -> None:
    found = token_list.read_reference(_json(tree))
    assert found is None or token_list.read_reference(found.claim()) == found


def _read_entry(data: bytes) -> None:
    found = bitstring.read_entry(_json(data))
    assert bitstring.read_entry(found.write()) == found


def _look_up(data: bytes) -> None:
    document = _json(data)
    if isinstance(document, dict):
        bitstring.look_up(document, _ENTRY)


def _json(data: bytes) -> Any:
    return json.loads(data)


def _large() -> Iterable[bytes]:
    """Tokens with much in them: a list that inflates far, many members."""
    far = {**_OF_JWT, "status_list": {**_LIST, "lst": b64.encode(zlib.compress(bytes(1 << 24), 9))}}
    many = {**_OF_JWT, **{f"claim{number}": number for number in range(5000)}}
    header = b64.encode(b'{"alg":"ES256","typ":"statuslist+jwt"}')
    for claims in (far, many):
        signed = f"{header}.{b64.encode(encode(claims, Choices(b'')))}"
        yield f"{signed}.{b64.encode(ISSUER_KEY.sign(signed.encode()))}".encode()


_ENTRY = Entry(purpose="revocation", index=7, list_url=_URI)
_CREDENTIAL = bitstring.write_credential(
    Bitstring.of({7: 1}), url=_URI, issuer=ISSUER, purpose="revocation", valid_from="2026-01-01T00:00:00Z"
)

TARGETS = (
    Target(
        name="token_list.verify",
        read=_verify,
        prepare=_token,
        seeds=lambda: [
            b"\0" * 8,
            b"\1" * 8,
            *(b"\2" + data for data in seeds.files("status/token-status-list/status_list_jwt_raw.md")),
        ],
        large=_large,
    ),
    Target(
        name="token_list.read_reference",
        read=_read_reference,
        prepare=preparing(StatusReference(7, _URI).claim()),
        seeds=seeding(StatusReference(7, _URI).claim()),
    ),
    Target(
        name="token_list.aggregation",
        read=aggregation.read,
        prepare=preparing({"status_lists": [_URI]}),
        seeds=seeding({"status_lists": [_URI]}),
    ),
    Target(
        name="bitstring.read_entry",
        read=_read_entry,
        prepare=preparing(_ENTRY.write()),
        seeds=seeding(_ENTRY.write()),
    ),
    Target(
        name="bitstring.look_up",
        read=_look_up,
        prepare=preparing(_CREDENTIAL),
        seeds=seeding(_CREDENTIAL),
    ),
)
