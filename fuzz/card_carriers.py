"""Targets: everything that a health card comes in, and the FHIR that goes into one."""

import io
import json
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from PIL import Image

from fuzz import seeds
from fuzz.choices import Choices
from fuzz.json_trees import POOL, encode, preparing, seeding
from fuzz.judgement import Target
from fuzz.tokens import NOW
from fuzz.trees import Pool, mutate
from safeconduct.encoding import json as strict_json
from safeconduct.errors import SafeconductError
from safeconduct.formats.health_card import (
    carriers,
    drawing,
    fhir,
    files,
    findings,
    images,
    inspection,
    links,
    qr,
    vc,
)
from safeconduct.formats.health_card.claims import read_claims
from safeconduct.protocols import health_cards_issue

_JWS = "eyJ6aXAiOiJERUYifQ.AZaz09-_." + "A" * 20
_BUNDLE = {
    "resourceType": "Bundle",
    "id": "b",
    "type": "collection",
    "entry": [
        {
            "fullUrl": "https://fhir.example/Patient/1",
            "resource": {
                "resourceType": "Patient",
                "id": "1",
                "text": {"status": "generated", "div": "<div/>"},
                "contained": [{"resourceType": "Location", "id": "here"}],
                "name": [{"family": "Anyperson", "given": ["J", None], "_given": [None, {"id": "x"}]}],
            },
        },
        {
            "fullUrl": "resource:1",
            "resource": {
                "resourceType": "Immunization",
                "meta": {"security": [{"system": "s", "code": "IAL1.2", "display": "d"}], "profile": ["p"]},
                "vaccineCode": {"text": "t", "coding": [{"system": "cvx", "code": "207", "display": "d"}]},
                "patient": {"reference": "Patient/1"},
                "location": {"reference": "#here"},
            },
        },
    ],
}
_PAYLOAD = {
    "iss": "https://issuer.example",
    "nbf": NOW - 1.5,
    "exp": NOW + 100,
    "vc": {
        "type": ["https://smarthealth.cards#health-card"],
        "credentialSubject": {"fhirVersion": "4.0.1", "fhirBundle": _BUNDLE},
        "rid": "MKyCxh7p6uQ",
    },
}
_FHIR = Pool(
    keys=(
        *POOL.keys,
        "resourceType",
        "id",
        "meta",
        "text",
        "coding",
        "reference",
        "display",
        "security",
        "entry",
    ),
    values=(
        *POOL.values,
        "Bundle",
        "Patient",
        "resource:0",
        "resource:1",
        "Patient/1",
        "#here",
        {"text": "t"},
    ),
)


def _fhir(*documents: Any) -> Callable[[bytes], bytes]:
    def prepare(data: bytes) -> bytes:
        choices = Choices(data)
        tree = choices.pick(documents)
        for _ in range(choices.pick((1, 1, 2, 4))):
            tree = mutate(tree, choices, _FHIR)
        return encode(tree, choices)

    return prepare


def _bundle(data: bytes) -> None:
    """What was made small is small, and made small again stays as it is."""
    bundle = strict_json.loads_object(data)
    fhir.examine(bundle)
    small = fhir.minimise(bundle)
    if fhir.minimise(small) != small:
        raise AssertionError("a small bundle was made smaller")


def _payload(data: bytes) -> None:
    claims = strict_json.loads_object(data)
    findings.of_payload(claims, now=NOW)
    findings.of_payload_text(data)
    vc.to_vc(read_claims(claims))


def _unwrap(data: bytes) -> None:
    for card in carriers.unwrap(data).cards:
        if qr.is_chunk(card):
            raise AssertionError("a part was given out as a card")


def _parts(data: bytes) -> None:
    qr.read_all(data.decode("latin-1").split("\n"))


def _inspect(data: bytes) -> None:
    inspection.inspect(data, now=NOW)


def _texts() -> Iterable[bytes]:
    yield from (_JWS.encode(), qr.write(_JWS).encode(), files.write([_JWS, _JWS]))
    yield links.write("https://app.example/SMARTHealthCard/", [_JWS]).encode()
    yield b"shc:/2/2/5676\nshc:/1/2/5629"
    yield from (json.dumps(_PAYLOAD).encode(), json.dumps(_BUNDLE).encode())
    # Work is counted by the bytes of the input: a longer card inflates to ten times its size.
    yield from seeds.files(
        "health-card/spec-examples/*-d-jws.txt", "health-card/spec-examples/*numeric*", largest=2000
    )


@cache
def _pictures() -> tuple[bytes, ...]:
    png = drawing.draw(_JWS, form="png", scale=2)
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    made = [png, drawing.draw(_JWS, form="svg")]
    for form in ("JPEG", "WEBP", "BMP"):
        stream = io.BytesIO()
        (picture.resize((24, 24)) if form == "BMP" else picture).save(stream, form)
        made.append(stream.getvalue())
    return tuple(made)


def _picture(data: bytes) -> bytes:
    """Changes a picture byte by byte, the head more often than the rest."""
    choices = Choices(data)
    changed = bytearray(choices.pick(_pictures()))
    for _ in range(choices.pick((1, 1, 2, 4, 0))):
        at = choices.number(min(len(changed), choices.pick((64, 65536))))
        width, new = choices.number(5), choices.take(choices.number(5))
        changed[at : at + width] = new
    return bytes(changed)


def _large_pictures() -> Iterable[bytes]:
    """Paths with very many runs, and a page of nothing but finder patterns."""
    yield b'<svg><path stroke="#000" d="' + b"M4 4.5h1" * 32768 + b'"/></svg>'
    yield b'<svg><path stroke="#000" d="' + b"h1" * 100_000 + b'"/></svg>'
    yield b"<svg>" + b"<path stroke='" * 50_000


def _large_fhir() -> Iterable[bytes]:
    """Bundles in which everything is remarkable, or that are nothing but nesting."""
    entry = {"resource": {"resourceType": "A", "id": "", "text": {}, "meta": [], "a": {"coding": []}}}
    yield json.dumps({"resourceType": "Bundle", "entry": [entry] * 2000}).encode()
    yield b'{"resourceType":"Bundle","entry":' + b"[" * 100_000
    yield json.dumps({"resourceType": "Bundle", "entry": [{"fullUrl": str(n)} for n in range(9000)]}).encode()


_REQUEST = json.loads(
    health_cards_issue.write_request(
        health_cards_issue.Request(
            types=("#immunization",), value_sets=("v",), identity_claims=("Patient.name",), since="2023"
        )
    )
)
_RESPONSE = json.loads(
    health_cards_issue.write_response(
        health_cards_issue.Response(
            cards=(_JWS,),
            links=(health_cards_issue.ResourceLink(bundled="resource:0", hosted="https://f", card=0),),
        )
    )
)


def _read_answers(data: bytes) -> None:
    try:
        health_cards_issue.read_request(data).resource_types  # noqa: B018
    except SafeconductError:
        health_cards_issue.write_response(health_cards_issue.read_response(data))


TARGETS = (
    Target(name="health_card.carriers.unwrap", read=_unwrap, seeds=_texts),
    Target(name="health_card.qr.read_all", read=_parts, seeds=_texts),
    Target(
        name="health_card.images.read",
        read=images.read,
        prepare=_picture,
        seeds=lambda: (bytes(8), bytes([1]) + bytes(8), bytes([2]) + bytes(8)),
        large=_large_pictures,
    ),
    Target(
        name="health_card.fhir",
        read=_bundle,
        prepare=_fhir(_BUNDLE),
        seeds=lambda: (bytes(8),),
        large=_large_fhir,
    ),
    Target(name="health_card.findings", read=_payload, prepare=_fhir(_PAYLOAD), seeds=lambda: (bytes(8),)),
    Target(name="health_card.inspect", read=_inspect, seeds=_texts, large=_large_fhir),
    Target(
        name="protocols.health_cards_issue.read",
        read=_read_answers,
        prepare=preparing(_REQUEST, _RESPONSE),
        seeds=seeding(_REQUEST, _RESPONSE),
    ),
)
