"""The three ways to write an SD-JWT say the same, and what breaks them is refused."""

import json
from typing import Any

import pytest

from safeconduct import limits
from safeconduct.errors import Malformed
from safeconduct.formats.sd_jwt import serialisation
from safeconduct.formats.sd_jwt.serialisation import Envelope

JWT = "e30.e30.AAAA"
ENVELOPE = Envelope("compact", (JWT,), ({},), (b"WyJhIl0", b"WyJiIl0"), "h.p.s")
FLATTENED: dict[str, Any] = {
    "payload": "e30",
    "protected": "e30",
    "signature": "AAAA",
    "header": {"disclosures": ["WyJhIl0", "WyJiIl0"], "kb_jwt": "h.p.s"},
}


def _general(**more: Any) -> dict[str, Any]:
    first = {name: FLATTENED[name] for name in ("protected", "signature", "header")}
    return {"payload": "e30", "signatures": [first], **more}


def test_the_compact_form_ends_with_a_tilde_or_with_the_key_binding() -> None:
    assert serialisation.read("e30.e30.AAAA~WyJhIl0~WyJiIl0~h.p.s") == ENVELOPE
    assert serialisation.read("e30.e30.AAAA~").disclosures == ()
    assert serialisation.read("e30.e30.AAAA~").binding is None
    assert serialisation.read(b"e30.e30.AAAA~h.p.s").binding == "h.p.s"


@pytest.mark.parametrize("form", ["compact", "flattened", "general"])
def test_what_is_written_is_read_again(form: serialisation.Form) -> None:
    text = serialisation.write(ENVELOPE, ENVELOPE.disclosures, ENVELOPE.binding, form=form)

    read = serialisation.read(text)

    assert read.form == form
    assert (read.jwts, read.disclosures, read.binding) == (ENVELOPE.jwts, ENVELOPE.disclosures, "h.p.s")


@pytest.mark.parametrize("form", ["flattened", "general"])
def test_without_disclosures_and_key_binding_there_is_no_header(form: serialisation.Form) -> None:
    written = serialisation.write(ENVELOPE, (), None, form=form)

    assert "header" not in written
    assert serialisation.read(written).disclosures == ()


@pytest.mark.parametrize(
    "text",
    [
        "e30.e30.AAAA",
        "e30.e30.AAAA~~",
        "e30.e30.AAAA~WyJhIl0~~WyJiIl0~",
        "e30.e30.AAAA~~WyJiIl0~",
        "e30.e30.AAAA~é~",
        json.dumps({**FLATTENED, "signatures": []}),
        json.dumps(_general(protected="e30")),
        json.dumps(_general(signatures=[])),
        json.dumps(_general(signatures={})),
        json.dumps(_general(signatures=["x"])),
        json.dumps(_general(payload=None)),
        json.dumps(_general(signatures=[{**FLATTENED, "header": {"kb_jwt": None}}])),
        json.dumps({**FLATTENED, "payload": "e30.e30"}),
        json.dumps({**FLATTENED, "signature": 1}),
        json.dumps({**FLATTENED, "header": []}),
        json.dumps({**FLATTENED, "header": {"disclosures": "WyJhIl0"}}),
        json.dumps({**FLATTENED, "header": {"disclosures": [1]}}),
        json.dumps({**FLATTENED, "header": {"disclosures": [""]}}),
        json.dumps({**FLATTENED, "header": {"disclosures": ["é"]}}),
        json.dumps({**FLATTENED, "header": {"kb_jwt": ""}}),
        json.dumps({**FLATTENED, "header": {"kb_jwt": None}}),
        json.dumps({**FLATTENED, "header": {"kb_jwt": ["h.p.s"]}}),
    ],
)
def test_any_other_text_is_malformed(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        serialisation.read(text)
    assert caught.value.code == "sd_jwt_malformed"


@pytest.mark.parametrize("member", [{"disclosures": []}, {"kb_jwt": "h.p.s"}])
def test_disclosures_and_key_binding_stand_in_the_first_header_alone(member: dict[str, Any]) -> None:
    first = _general()["signatures"][0]

    with pytest.raises(Malformed) as caught:
        serialisation.read(json.dumps(_general(signatures=[first, {**first, "header": member}])))
    assert caught.value.code == "sd_jwt_malformed"


def test_SIGNATURES_may_be_there_and_one_more_not() -> None:
    first = _general()["signatures"][0]
    other = {"protected": "e30", "signature": "AAAA"}
    most = [first, *[other] * (limits.SIGNATURES - 1)]

    assert len(serialisation.read(json.dumps(_general(signatures=most))).jwts) == limits.SIGNATURES
    with pytest.raises(Malformed) as caught:
        serialisation.read(json.dumps(_general(signatures=[*most, other])))
    assert caught.value.code == "sd_jwt_malformed"


def test_DISCLOSURES_may_be_shown_and_one_more_not() -> None:
    most = "WyJhIl0~" * limits.DISCLOSURES

    assert len(serialisation.read(f"{JWT}~{most}").disclosures) == limits.DISCLOSURES
    with pytest.raises(Malformed) as caught:
        serialisation.read(f"{JWT}~{most}WyJhIl0~")
    assert caught.value.code == "too_many_disclosures"


@pytest.mark.parametrize("start", ["e30.e30.AAAA~", "{"])
def test_a_text_of_TOKEN_BYTES_is_the_longest(start: str) -> None:
    with pytest.raises(Malformed) as caught:
        serialisation.read(start.ljust(limits.TOKEN_BYTES + 1, "A"))
    assert caught.value.code == "sd_jwt_too_large"
