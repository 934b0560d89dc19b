"""Targets: revocation lists of health cards, their deltas, logs and signed heads."""

from fuzz import seeds
from fuzz.judgement import Target
from safeconduct.crypto.keys import PublicKey
from safeconduct.encoding import jcs, json
from safeconduct.errors import Unsupported
from safeconduct.status.card_revocation import RevocationList, heads, log
from safeconduct.status.card_revocation.deltas import Delta
from safeconduct.status.card_revocation.log import Log

_KID = "3Kfdg-XwP-7gXyywtUfUADwBumDOPKMQx-iELL11W9s"
_LIST = b'{"kid":"%s","method":"rid","ctr":3,"rids":["a.5","b"]}' % _KID.encode()
_DELTA = b'{"kid":"%s","method":"rid","from":2,"to":3,"add":["b"],"remove":["c.7"],"digest":"sha-256:%s"}' % (
    _KID.encode(),
    b"A" * 43,
)
_HEAD = (
    "eyJhbGciOiJFUzI1NiIsInR5cCI6InNhZmVjb25kdWN0LWNybC1oZWFkK2p3dCJ9."
    "eyJpc3MiOiJodHRwczovL2kuZXhhbXBsZSJ9." + "A" * 86
)
_KEY = PublicKey.from_raw(
    bytes.fromhex(
        "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
    ),
    "ES256",
)
_LOG_RECORDS = b"".join(number.to_bytes(12, "big") + bytes(4) for number in range(2000))


def _list_round_trip(data: bytes) -> None:
    """What is accepted is also written, and read back as the same."""
    found = RevocationList.parse(data)
    try:
        assert RevocationList.parse(found.encode()) == found
    except Unsupported:
        assert not found.understood


def _delta_round_trip(data: bytes) -> None:
    found = Delta.parse(data)
    assert Delta.parse(found.encode()) == found
    found.apply(RevocationList(kid=found.kid, ctr=found.start, entries=found.remove, method=found.method))


def _log_verdicts(data: bytes) -> None:
    Log.parse(log.header(_KID) + data, kid=_KID).status("a", 0)


def _head(text: str) -> None:
    heads.read_unverified(text)
    heads.verify(text, keys=(_KEY,), issuer="https://i.example", kid=_KID, now=0)


def _canonical(data: bytes) -> None:
    """Canonical JSON is JSON, and canonical."""
    written = jcs.dumps(json.loads(data))
    assert jcs.dumps(json.loads(written)) == written


TARGETS = (
    Target(
        name="card_revocation.list",
        read=_list_round_trip,
        seeds=lambda: [_LIST, *seeds.files("health-card/revocation-cases/crl*.json")],
        large=lambda: (
            b'{"kid":"%s","method":"rid","ctr":1,"rids":[' % _KID.encode() + b'"a",' * 60_000 + b'"a"]}',
            b"[" * 262_144,
            b"," * 262_144,
            b'{"a":' * 52_428,
        ),
    ),
    Target(name="card_revocation.delta", read=_delta_round_trip, seeds=lambda: [_DELTA]),
    Target(
        name="card_revocation.log",
        read=_log_verdicts,
        seeds=lambda: [b"", bytes(16), bytes(31), b"\xff" * 32],
        large=lambda: [_LOG_RECORDS, _LOG_RECORDS[:-1]],
    ),
    Target(
        name="card_revocation.head",
        read=_head,
        prepare=lambda data: data.decode("utf-8", "surrogateescape"),
        seeds=lambda: [_HEAD.encode()],
        large=lambda: [b"A" * 16_385, b"." * 16_384, _HEAD.encode().rjust(16_384, b"A")],
    ),
    Target(
        name="jcs.dumps",
        read=_canonical,
        seeds=lambda: [b'{"b":[1.50,-0.0,1e21,1e-7,18446744073709551615],"\\u20ac":"\\u000f"}', _LIST],
    ),
)
