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
_LARGE_CBOR = (
    b"\x99\x80\x00" + b"\x80" * 0x8000,
    b"\xb9\x40\x00" + b"".join(b"\x19" + key.to_bytes(2, "big") + b"\xf6" for key in range(0x1000, 0x5000)),
    b"\xc1" * 0x40000,
    b"\x81" * 0x40000,
    b"\x9b" + b"\xff" * 8 + b"\x81" * 0x3FFF0,
    b"\xc2\x5a\x00\x03\xff\xf0" + b"\xff" * 0x3FFF0,
)
_JSON = (
    b'{"a":[1,-0.5e-3,true,false,null,"\\u00e9\\ud83d\\ude00"],"b":{"":""}}',
    b"[" * 20 + b"1" + b"]" * 20,
    b'"\\\\\\"[{"',
)
_LARGE_JSON = (
    *(b"[" * 262_144, b'{"a":' * 52_428, b"[" + b"[]," * 87_000 + b"1]"),
    *(b'"' + b"\\" * 262_142 + b'"', b'"' * 262_144, b'["' + b"\\ud800" * 43_690 + b'"]'),
    *(b"9" * 262_144, b"1e" + b"9" * 262_142, b" " * 262_143 + b"1"),
    b"{" + b",".join(b'"%d":1' % number for number in range(25_000)) + b"}",
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
        large=lambda: _LARGE_CBOR,
    ),
    Target(
        name="json.loads",
        read=_json_round_trip,
        seeds=lambda: [*_JSON, *seeds.files("sd-jwt/testcases/**/*.json", largest=2000)],
        large=lambda: _LARGE_JSON,
    ),
    Target(
        name="b64.decode",
        read=_b64_round_trip,
        seeds=lambda: (b"", b"AA", b"-_-_", b"AQIDBAU"),
        large=lambda: (b"A" * 349_525, b"A" * 349_528, b"=" * 349_525),
    ),
    Target(
        name="paths.parse",
        read=_path_round_trip,
        prepare=lambda data: data.decode("utf-8", "surrogateescape"),
        seeds=lambda: _PATHS,
        large=lambda: (b"a" + b".a" * 2047, b"a" + b"[0]" * 1365, b'["' + b"\\u0061" * 682, b"[" * 4096),
    ),
)
