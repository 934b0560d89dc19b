"""Inputs made to cost far more than they weigh, each read with little memory to spare.

`python -m tests.negative.hostile_inputs` reads each of them in a process of its own, whose address space may
grow by no more than the case allows, and prints what became of it, as JSON.
"""

import json
import os
import resource
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from safeconduct import Key, Trust
from safeconduct.encoding import b64
from safeconduct.envelope import jws
from safeconduct.errors import SafeconductError
from safeconduct.formats import health_card
from safeconduct.formats.health_card import CardTrust, fhir, files, links, qr
from safeconduct.protocols import health_cards_issue
from safeconduct.status import card_keys, card_snapshot
from safeconduct.status.card_keys import CardKey, KeySet
from safeconduct.status.card_revocation.crl import RevocationList
from safeconduct.status.card_revocation.deltas import Delta
from safeconduct.status.card_revocation.lists import RevocationLists
from safeconduct.status.card_revocation.log import Log
from safeconduct.status.compact import pack_file, ribbon_file
from safeconduct.status.token_list import aggregation, bitstring, tokens
from safeconduct.trust.policy import WAIVED

MEGA = 1024 * 1024
NOW = 1_800_000_000
ISSUER = "https://issuer.example"
KEY = Key.generate("ES256")
CARD_KEY = CardKey.of(KEY.public)
KID = CARD_KEY.kid
TRUST = CardTrust({ISSUER: KeySet((CARD_KEY,))})
WIDE = b'{"iss":"%s","nbf":1,"vc":{"type":["https://smarthealth.cards#health-card"],"credentialSubject":'
OPEN = WIDE % ISSUER.encode() + b'{"fhirVersion":"4.0.1","fhirBundle":{"resourceType":"Bundle","x":'
CLOSE = b"}}}}"


class Case(msgspec.Struct, frozen=True):
    """An input and what is to become of it.

    make: gives the input, before memory is bounded. read: takes it. said: the error code, or the verdict and
    what led to it. megabytes: by how much the process may grow.
    """

    make: Callable[[], Any]
    read: Callable[[Any], Any]
    said: str
    megabytes: int = 32


def deflated(data: bytes, *, bits: int = -15) -> bytes:
    """DEFLATE of data, raw unless `bits` says otherwise."""
    machine = zlib.compressobj(9, zlib.DEFLATED, bits)
    return machine.compress(data) + machine.flush()


def bomb(*, beginning: bytes = b"", bits: int = -15, megabytes: int = 1024) -> bytes:
    """Compressed zeros, which take as many MB; none of them is ever made but the first."""
    machine = zlib.compressobj(9, zlib.DEFLATED, bits)
    head = machine.compress(beginning) + machine.flush(zlib.Z_FULL_FLUSH)
    zeros = machine.compress(bytes(MEGA)) + machine.flush(zlib.Z_FULL_FLUSH)
    return head + zeros * megabytes + machine.flush()


def card(compressed: bytes, **header: Any) -> str:
    """A card with any payload, signed by the issuer."""
    return jws.sign(compressed, signer=KEY, header={"zip": "DEF", "kid": KID, **header})


def claims(bundle: bytes) -> str:
    """A card whose claims are right and whose bundle has one member with this JSON."""
    return card(deflated(OPEN + bundle + CLOSE))


def judged(given: Any, *, status: RevocationLists | None = None, findings: bool = False) -> str:
    """The verdict on a card, and the code or reason of it."""
    verdict = health_card.judge(given, trust=TRUST, status=status, now=NOW, findings=findings)
    reason = verdict.status.reason if verdict.status else None
    return " ".join(filter(None, (verdict.verdict, verdict.code, reason)))


def with_list(data: bytes) -> str:
    """The verdict on a good card if this is the issuer's revocation list."""
    lists = RevocationLists()
    lists.read(data, issuer=ISSUER, kid=KID)
    given = health_card.issue({"resourceType": "Bundle"}, issuer=ISSUER, key=KEY, now=1, rid="rid")
    return judged(given, status=lists)


def crl(entries: bytes, more: bytes = b"") -> bytes:
    """A revocation list with these entries."""
    return b'{"kid":"%s","method":"rid","ctr":1,%s"rids":[%s]}' % (KID.encode(), more, entries)


def bomb_token() -> str:
    """A Status List Token of 1 MB that would inflate to 1 GB."""
    members = {"sub": ISSUER, "iat": 1, "status_list": {"bits": 1, "lst": b64.encode(bomb(bits=15))}}
    return jws.sign(json.dumps(members).encode(), signer=KEY, header={"typ": "statuslist+jwt"})


def png(width: int, height: int) -> bytes:
    """A grey PNG that says it has this size; a gigabyte of zeros is in it in any case."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")

    size = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    head = chunk(b"IHDR", size + b"\x08\x00\x00\x00\x00")
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", bomb(bits=15)) + chunk(b"IEND", b"")


def picture(data: bytes) -> Any:
    """Reads the QR codes in a picture."""
    from safeconduct.formats.health_card import images

    return images.read(data)


LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "hahahahaha">'
    + b"".join(
        b'<!ENTITY %c "%s">' % (letter, b"&%c;" % (letter - 1) * 10) for letter in range(ord("b"), ord("k"))
    )
    + b']><svg xmlns="http://www.w3.org/2000/svg"><text>&j;</text></svg>'
)


def token_list(token: str) -> Any:
    """Opens and verifies a Status List Token."""
    trust = Trust.of({ISSUER: KEY.public})
    owner = tokens.Owner(ISSUER)
    return tokens.verify(tokens.parse(token), uri=ISSUER, owner=owner, trust=trust, now=NOW)


CASES: dict[str, Case] = {
    # The compression of a card.
    "a deflate bomb of a hundred megabytes, signed": Case(
        lambda: card(bomb(megabytes=100)), judged, "invalid card_too_large"
    ),
    "the same with a good beginning": Case(
        lambda: card(bomb(beginning=OPEN + b'"', megabytes=100)), judged, "invalid card_too_large"
    ),
    "the same, not signed": Case(
        lambda: card(bomb(megabytes=100))[:-20] + "A" * 20, judged, "invalid signature_invalid"
    ),
    "the same of an unknown key": Case(
        lambda: card(bomb(megabytes=100), kid="A" * 43), judged, "invalid card_key_unknown"
    ),
    "a card of 50 MB": Case(lambda: "e" * (50 * MEGA), judged, "invalid jws_too_large"),
    # The JSON of a card.
    "two issuers": Case(
        lambda: card(deflated(b'{"iss":"https://a.example",' + (OPEN + b"1" + CLOSE)[1:])),
        judged,
        "invalid json_duplicate_member",
    ),
    "two members deep in the bundle": Case(
        lambda: claims(b'{"a":{"b":1,"b":2}}'), judged, "invalid json_duplicate_member"
    ),
    "two members, one of them escaped": Case(
        lambda: claims(b'{"a":1,"\\u0061":2}'), judged, "invalid json_duplicate_member"
    ),
    "a byte order mark": Case(
        lambda: card(deflated(b"\xef\xbb\xbf" + OPEN + b"1" + CLOSE)), judged, "invalid json_malformed"
    ),
    "something after the claims": Case(
        lambda: card(deflated(OPEN + b"1" + CLOSE + b"{}")), judged, "invalid json_malformed"
    ),
    "claims in an array": Case(lambda: card(deflated(b"[1]")), judged, "invalid claims_not_object"),
    # Hostile FHIR.
    "two hundred thousand arrays in each other": Case(
        lambda: claims(b"[" * 200_000 + b"]" * 200_000), judged, "invalid json_too_deep"
    ),
    "objects in each other": Case(
        lambda: claims(b'{"a":' * 150_000 + b"1" + b"}" * 150_000),
        judged,
        "invalid json_too_deep",
        64,
    ),
    "arrays that nobody closes": Case(
        lambda: card(deflated(OPEN + b"[" * 500_000)), judged, "invalid json_too_deep"
    ),
    "half a surrogate pair": Case(lambda: claims(rb'"\ud800"'), judged, "invalid json_malformed"),
    "the other half, as a name": Case(lambda: claims(rb'{"\udc00":1}'), judged, "invalid json_malformed"),
    "halves in wrong order": Case(lambda: claims(rb'"\udc00\ud800"'), judged, "invalid json_malformed"),
    "half a pair in UTF-8": Case(lambda: claims(b'"\xed\xa0\x80"'), judged, "invalid json_malformed"),
    "bytes that are not UTF-8": Case(lambda: claims(b'"\xff"'), judged, "invalid json_malformed"),
    "an integer of 900,000 digits": Case(lambda: claims(b"9" * 900_000), judged, "invalid json_malformed"),
    "a number beyond all floats": Case(lambda: claims(b"1e999"), judged, "invalid json_malformed"),
    "NaN": Case(lambda: claims(b"NaN"), judged, "invalid json_malformed"),
    "Infinity": Case(lambda: claims(b"-Infinity"), judged, "invalid json_malformed"),
    "an exponent of 900,000 digits": Case(
        lambda: claims(b"1e" + b"9" * 900_000), judged, "invalid json_malformed"
    ),
    "a text of 900,000 characters": Case(lambda: claims(b'"%s"' % (b"A" * 900_000)), judged, "valid no-crl"),
    "the same with findings": Case(
        lambda: claims(b'"%s"' % (b"A" * 900_000)), lambda given: judged(given, findings=True), "valid no-crl"
    ),
    "three hundred thousand empty objects": Case(
        lambda: claims(b"[" + b"{}," * 300_000 + b"{}]"), judged, "valid no-crl", 96
    ),
    "the same as entries, with findings": Case(
        lambda: claims(b'1,"entry":[' + b"{}," * 300_000 + b"{}]"),
        lambda given: judged(given, findings=True),
        "valid no-crl",
        128,
    ),
    "a bundle a thousand levels deep, made small": Case(
        lambda: json.loads('{"entry":[{"resource":' + '{"a":' * 400 + "1" + "}" * 400 + "}]}"),
        fhir.minimise,
        "card_fhir_malformed",
    ),
    # Carriers.
    "ten million digits": Case(lambda: "shc:/" + "56" * 5_000_000, judged, "invalid jws_too_large"),
    "a thousand million chunks": Case(lambda: ["shc:/1000000000/1/5676"], qr.read_all, "card_qr_header"),
    "a hundred thousand chunks": Case(
        lambda: [f"shc:/100000/{number}/5676" for number in range(1, 100_001)],
        qr.read_all,
        "card_qr_too_large",
    ),
    "a file of a hundred thousand cards": Case(
        lambda: b'{"verifiableCredential":["%s"]}' % b'","'.join([b"a"] * 100_000),
        files.read,
        "card_file_too_many",
    ),
    "a file of 50 MB": Case(
        lambda: b'{"verifiableCredential":["%s"]}' % (b"a" * 50 * MEGA), files.read, "json_too_large"
    ),
    "a link of 50 MB": Case(
        lambda: "https://a.example/SMARTHealthCard/#" + "%7B" * (17 * MEGA), links.read, "card_link_malformed"
    ),
    # Revocation lists.
    "a list of 50 MB": Case(
        lambda: crl(b'"AAAAAAAAAAA",' * 3_700_000 + b'"B"'),
        RevocationList.parse,
        "crl_too_large",
    ),
    "a list of 50 MB in one entry": Case(
        lambda: crl(b'"%s"' % (b"A" * 50 * MEGA)), RevocationList.parse, "crl_too_large"
    ),
    "ten million times the same rid": Case(
        lambda: crl(b'"a",' * 9_999_999 + b'"a"'), RevocationList.parse, "crl_too_large"
    ),
    "as often as a list may have entries": Case(
        lambda: crl(b'"a",' * 1_999_990 + b'"a"'), RevocationList.parse, "crl_duplicate", 512
    ),
    "the same, for a verdict": Case(
        lambda: crl(b'"a",' * 9_999_999 + b'"a"'), with_list, "unknown card_status_unknown malformed"
    ),
    "one rid twice, once with a time": Case(
        lambda: crl(b'"a","a.1700000000"'), RevocationList.parse, "crl_duplicate"
    ),
    "two counters": Case(lambda: crl(b'"a"', b'"ctr":2,'), RevocationList.parse, "crl_malformed"),
    "two arrays of rids": Case(lambda: crl(b'"a"', b'"rids":[],'), RevocationList.parse, "crl_malformed"),
    "ten million empty entries": Case(
        lambda: crl(b"0," * 9_999_999 + b"0"), RevocationList.parse, "crl_too_large"
    ),
    "ten million arrays in each other": Case(
        lambda: crl(b"[" * 10_000_000 + b"]" * 10_000_000), RevocationList.parse, "crl_too_large"
    ),
    "a counter of a million digits": Case(
        lambda: crl(b'"a"').replace(b'"ctr":1', b'"ctr":' + b"1" * 1_000_000),
        RevocationList.parse,
        "crl_malformed",
    ),
    "a time of a million digits": Case(
        lambda: crl(b'"a.%s"' % (b"1" * 1_000_000)), RevocationList.parse, "crl_entry_malformed"
    ),
    "a delta of 50 MB": Case(
        lambda: b'{"kid":"%s","add":["%s"]}' % (KID.encode(), b"a" * 50 * MEGA),
        Delta.parse,
        "crl_too_large",
    ),
    "a log of 100 MB": Case(
        lambda: bytes(100 * MEGA), lambda data: Log.parse(data, kid=KID), "log_too_large"
    ),
    # Keys.
    "a hundred thousand keys": Case(
        lambda: b'{"keys":[%s]}' % b",".join([b'{"kty":"EC"}'] * 100_000),
        card_keys.read_key_set,
        "json_too_large",
    ),
    "twenty thousand keys": Case(
        lambda: b'{"keys":[%s]}' % b",".join([b"{}"] * 20_000), card_keys.read_key_set, "card_keys_malformed"
    ),
    "two arrays of keys": Case(
        lambda: b'{"keys":[],"keys":[]}', card_keys.read_key_set, "json_duplicate_member"
    ),
    # Status lists and compact sets.
    "a status list that inflates to a gigabyte": Case(bomb_token, token_list, "status_list_too_large", 64),
    "a bitstring that does": Case(
        lambda: "u" + b64.encode(bomb(bits=31)), bitstring.Bitstring.read, "status_list_too_large", 64
    ),
    "an aggregation of 10 MB": Case(
        lambda: b'{"status_lists":["%s"]}' % (b"a" * 10 * MEGA), aggregation.read, "json_too_large"
    ),
    "a ribbon of 50 MB": Case(lambda: bytes(50 * MEGA), ribbon_file.read, "ribbon_too_large"),
    "a ribbon of 2^64 slots": Case(
        lambda: ribbon_file.MAGIC + b"\xff" * 500, ribbon_file.read, "ribbon_malformed"
    ),
    "a pack whose head has 4 GB": Case(
        lambda: b"SCPACK1\0" + b"\xff" * 5000,
        lambda data: pack_file.open_file(data, keys=WAIVED),
        "pack_malformed",
    ),
    # Pictures.
    "a PNG of 2^31 by 2^31 pixels": Case(
        lambda: png(0x7FFFFFFF, 0x7FFFFFFF), picture, "card_image_too_large"
    ),
    "a PNG of a gigabyte, compressed to one megabyte": Case(
        lambda: png(30_000, 30_000), picture, "card_image_too_large"
    ),
    "a PNG that inflates to more than it says": Case(
        lambda: png(100, 100), picture, "card_qr_unreadable", 128
    ),
    "a picture of 50 MB": Case(
        lambda: b"\x89PNG\r\n\x1a\n" + bytes(50 * MEGA), picture, "card_image_too_large"
    ),
    "an SVG of entities in entities": Case(lambda: LAUGHS, picture, "card_svg_unsupported"),
    "an SVG of a million runs": Case(
        lambda: b'<svg><path d="' + b"M0 0h1" * 1_000_000 + b'"/></svg>',
        picture,
        "card_svg_unsupported",
        64,
    ),
    "an SVG of a run of 10^9 modules": Case(
        lambda: b'<svg><path class="qrline" d="M0 0h1000000000"/></svg>',
        picture,
        "card_svg_unsupported",
        64,
    ),
    # Whole directories and packs.
    "a snapshot of 50 MB": Case(
        lambda: b'{"time":"%s","issuerInfo":[]}' % (b"a" * 50 * MEGA),
        card_snapshot.parse,
        "snapshot_too_large",
    ),
    "a snapshot of a million issuers": Case(
        lambda: b'{"issuerInfo":[%s{}]}' % (b"{}," * 1_000_000), card_snapshot.parse, "snapshot_too_large"
    ),
    "parameters of 10 MB": Case(
        lambda: b'{"resourceType":"Parameters","parameter":[{"name":"%s"}]}' % (b"a" * 10 * MEGA),
        health_cards_issue.read_response,
        "json_too_large",
    ),
}

UNBOUNDED: dict[str, Case] = {
    "inflating without a bound": Case(
        lambda: bomb(megabytes=100), lambda data: zlib.decompress(data, -15), "MemoryError"
    ),
    "reading ten million entries without counting": Case(
        lambda: crl(b'"a",' * 9_999_999 + b'"a"'), json.loads, "MemoryError"
    ),
}
"""What the same inputs do to a reader without bounds: this shows that the bound on memory is one."""


def main() -> int:
    """Reads every input and prints what became of it."""
    told = {name: _apart(case) for name, case in {**CASES, **UNBOUNDED}.items()}
    print(json.dumps(told))
    return 0


def _apart(case: Case) -> str:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, _bounded(case).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as answer:
        told = answer.read()
    os.waitpid(child, 0)
    return told or "died"


def _bounded(case: Case) -> str:
    given = case.make()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + case.megabytes * MEGA
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    try:
        found = case.read(given)
    except SafeconductError as error:
        return error.code
    except (MemoryError, RecursionError, ValueError) as error:
        return type(error).__name__
    return found if isinstance(found, str) else "accepted"


if __name__ == "__main__":
    sys.exit(main())
