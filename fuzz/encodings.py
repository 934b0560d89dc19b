"""Targets: CBOR, JSON, base64url, claim paths."""

import cbor2

from fuzz import seeds
from fuzz.judgement import Target
from safeconduct.encoding import b64, cbor, json
from safeconduct.formats import paths

_CBOR = (
    cbor2.dumps({1: [None, True, cbor2.undefined, 1.5, -7], "a": cbor2.CBORTag(1, 0), b"k": {2: []}}),
    cbor2.dumps([cbor2.CBORTag(number, b"\x01") for number in (2, 3, 24, 30, 37, 258, 55799)]),
    cbor2.dumps([2**64 - 1, -(2**64), 1e300, float("nan"), cbor2.CBORSimpleValue(59)]),
)
_JSON = (
    b'{"a":[1,-0.5e-3,true,false,null,"\\u00e9\\ud83d\\ude00"],"b":{"":""}}',
    b"[" * 20 + b"1" + b"]" * 20,
    b'"\\\\\\"[{"',
)
_PATHS = (b"address.region", b"nationalities[0]", b"500", b'["odd.name"][12].x', b'["\\u00e9"]', b"-1")


def _round_trip(data: bytes) -> None:
    """What is accepted is also written, and read back as the same."""
    value = cbor.loads(data)
    written = cbor.dumps(value)
    assert cbor.dumps(cbor.loads(written)) == written


def _json_round_trip(data: bytes) -> None:
    value = json.loads(data)
    assert json.loads(json.dumps(value)) == value


def _b64_round_trip(data: bytes) -> None:
    assert b64.encode(b64.decode(data)).encode() == data


def _path_round_trip(text: str) -> None:
    segments = paths.parse(text)
    assert paths.parse(paths.write(segments)) == segments


TARGETS = (
    Target(
        name="cbor.loads",
        read=_round_trip,
        seeds=lambda: [*_CBOR, *seeds.files("sd-cwt/cases/*.cbor", largest=800)],
    ),
    Target(
        name="json.loads",
        read=_json_round_trip,
        seeds=lambda: [*_JSON, *seeds.files("sd-jwt/testcases/**/*.json", largest=2000)],
    ),
    Target(name="b64.decode", read=_b64_round_trip, seeds=lambda: (b"", b"AA", b"-_-_", b"AQIDBAU")),
    Target(
        name="paths.parse",
        read=_path_round_trip,
        prepare=lambda data: data.decode("utf-8", "surrogateescape"),
        seeds=lambda: _PATHS,
    ),
)
