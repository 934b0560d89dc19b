"""An SD-JWT in MLS: compacted only where its text comes back, else classic; never without key binding."""

import pytest
from tests.unit.protocols.mls.clients import (
    DISCLOSURES,
    HEADER,
    JWT,
    KB_JWT,
    KB_PARTS,
    PAYLOAD,
    SD_JWT,
    SIGNATURE,
)

from safeconduct import limits
from safeconduct.encoding import b64, tls
from safeconduct.errors import SafeconductError
from safeconduct.protocols.mls import sd_jwt
from safeconduct.protocols.mls.sd_jwt import ClassicSdJwt, CompactedSdJwt, KeyBindingForm, SdJwt

FORMS: tuple[KeyBindingForm, ...] = ("ascii", "parts")
FIELDS = b"".join(map(tls.opaque, (HEADER, PAYLOAD, SIGNATURE)))
DISCLOSED = tls.vector(map(tls.opaque, DISCLOSURES))
PARTS = b"".join(map(tls.opaque, KB_PARTS))
COMPACTED = b"\x01" + FIELDS + DISCLOSED


def take(data: bytes) -> SdJwt:
    return tls.read(data, sd_jwt.take_sd_jwt)


def code_of(data: bytes) -> str:
    with pytest.raises(SafeconductError) as caught:
        take(data)
    return caught.value.code


def test_the_classic_form_holds_the_text() -> None:
    made = sd_jwt.classic(SD_JWT)
    assert made.encode() == b"\x00" + tls.opaque(SD_JWT.encode())
    assert take(made.encode()) == made
    assert made.text == SD_JWT


@pytest.mark.parametrize(("form", "field"), [("ascii", KB_JWT.encode()), ("parts", PARTS)])
def test_the_compacted_form_holds_the_parts_decoded(form: KeyBindingForm, field: bytes) -> None:
    made = sd_jwt.compact(SD_JWT, key_binding=form)
    assert made.encode() == COMPACTED + tls.opaque(field)
    assert take(made.encode()) == made
    assert made.text == SD_JWT


@pytest.mark.parametrize("form", FORMS)
def test_G1_no_disclosures_are_an_empty_vector(form: KeyBindingForm) -> None:
    made = sd_jwt.compact(f"{JWT}~{KB_JWT}", key_binding=form)
    assert made.disclosures == ()
    assert take(made.encode()).text == f"{JWT}~{KB_JWT}"


def test_G2_the_key_binding_is_its_text_unless_told_otherwise() -> None:
    made = sd_jwt.compact_or_classic(SD_JWT)
    assert isinstance(made, CompactedSdJwt)
    assert made.key_binding == KB_JWT.encode()


# RFC 7515 §2: base64url without padding; a final group has zero bits where nothing stands.
LAST = SD_JWT.rpartition("~")[0]
NOT_CANONICAL = {
    "padding": SD_JWT.replace("~", "=~", 1),
    "padding of a disclosure": LAST + "==~" + KB_JWT,
    "a space": SD_JWT.replace(".", " .", 1),
    "a newline": SD_JWT.replace("~", "\n~", 1),
    "plus": SD_JWT.replace("~", "++++~", 1),
    "slash": SD_JWT.replace("~", "////~", 1),
    "pad bits of the signature": f"{JWT[:-1]}9~{KB_JWT}",
    "pad bits of a disclosure": f"{JWT}~QR~{KB_JWT}",
    "pad bits of the key binding": f"{JWT}~{KB_JWT[:-1]}9",
    "one character over": f"{JWT}~QUFBQ~{KB_JWT}",
    "a dot in a disclosure": f"{JWT}~QUFB.QUFB~{KB_JWT}",
    "an empty disclosure": f"{JWT}~~{KB_JWT}",
    "an empty signature": f"{JWT.rpartition('.')[0]}.~{KB_JWT}",
    "a token of two parts": f"{JWT.rpartition('.')[0]}~{KB_JWT}",
    "a key binding of two parts": f"{JWT}~{KB_JWT.rpartition('.')[0]}",
    "a token as JSON": '{"payload":"QQ"}~' + KB_JWT,
    "a header that does not begin as JSON does": f"{JWT}~{b64.encode(b' {}')}.QUFB.QUFB",
    "too many disclosures": JWT + "~QUFB" * (limits.DISCLOSURES + 1) + "~" + KB_JWT,
}


@pytest.mark.parametrize("reason", NOT_CANONICAL)
def test_a_text_that_would_not_come_back_stays_classic(reason: str) -> None:
    text = NOT_CANONICAL[reason]
    assert text != SD_JWT
    with pytest.raises(SafeconductError) as caught:
        sd_jwt.compact(text, key_binding="ascii")
    assert caught.value.code == "mls_sd_jwt_not_compactable"

    made = sd_jwt.compact_or_classic(text)
    assert isinstance(made, ClassicSdJwt)
    assert take(made.encode()).text == text


def test_pad_bits_are_found_because_the_text_would_change() -> None:
    """What a lenient decoder makes of such a text shows that the strict one is needed."""
    text = f"{JWT[:-1]}9~{KB_JWT}"
    lenient = CompactedSdJwt(
        protected=HEADER, payload=PAYLOAD, signature=SIGNATURE, disclosures=(), key_binding=KB_JWT.encode()
    )
    assert lenient.text != text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "mls_sd_jwt_malformed"),
        (JWT, "mls_sd_jwt_malformed"),
        (SD_JWT + "ü", "mls_sd_jwt_malformed"),
        (SD_JWT + "\ud800", "mls_sd_jwt_malformed"),
        (f"{JWT}~", "mls_key_binding_missing"),
        (LAST + "~", "mls_key_binding_missing"),
    ],
)
def test_what_has_no_key_binding_is_no_credential(text: str, code: str) -> None:
    for make in (sd_jwt.classic, sd_jwt.compact_or_classic):
        with pytest.raises(SafeconductError) as caught:
            make(text)
        assert caught.value.code == code
    data = text.encode("utf-8", "surrogatepass")
    assert code_of(b"\x00" + tls.opaque(data)) == code


def _parts(*parts: bytes) -> bytes:
    return COMPACTED + tls.vector(map(tls.opaque, parts))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x02", "tls_choice_malformed"),
        (COMPACTED, "tls_truncated"),
        (COMPACTED + tls.opaque(KB_JWT.encode()) + b"\0", "tls_trailing_bytes"),
        (COMPACTED + b"\x00", "mls_key_binding_missing"),
        (COMPACTED + tls.opaque(b"e"), "mls_sd_jwt_malformed"),
        (COMPACTED + tls.opaque(b"eyJ.QUFB.QUFB.QUFB"), "mls_sd_jwt_malformed"),
        (COMPACTED + tls.opaque(b"eyJ..QUFB"), "mls_sd_jwt_malformed"),
        (COMPACTED + tls.opaque(b"eyJ.QUFB.QUFB\n"), "mls_sd_jwt_malformed"),
        (COMPACTED + tls.opaque(KB_JWT.encode() + b"~"), "mls_sd_jwt_malformed"),
        (_parts(b"{}", b"{}"), "tls_truncated"),
        (_parts(b"{}", b"{}", b"s", b"s"), "tls_trailing_bytes"),
        (_parts(b"{}", b"", b"s"), "mls_sd_jwt_malformed"),
        (_parts(b"", b"{}", b"s"), "mls_sd_jwt_malformed"),
        # A header of 9472 bytes makes the three parts begin with "e", and they are not a text.
        (_parts(b"h" * 9472, b"{}", b"s"), "mls_sd_jwt_malformed"),
        (b"\x01\x00" + FIELDS, "mls_sd_jwt_malformed"),
        (b"\x01" + FIELDS + tls.vector([b"\0"]) + tls.opaque(KB_JWT.encode()), "mls_sd_jwt_malformed"),
        (b"\x01" + FIELDS + tls.vector([b"\1a"] * (limits.DISCLOSURES + 1)), "tls_too_many"),
    ],
)
def test_a_compacted_form_that_is_not_sound_is_refused(data: bytes, code: str) -> None:
    assert code_of(data) == code


@pytest.mark.parametrize(("size", "compactable"), [(9471, True), (9472, False), (9727, False), (9728, True)])
def test_G2_the_two_forms_of_a_key_binding_are_told_apart(size: int, compactable: bool) -> None:
    header = b"{" + b" " * (size - 2) + b"}"
    text = f"{JWT}~{b64.encode(header)}.QUFB.QUFB"
    assert sd_jwt.compact(text, key_binding="ascii").text == text
    made = sd_jwt.compact_or_classic(text, key_binding="parts")
    assert isinstance(made, CompactedSdJwt) == compactable
    assert take(made.encode()).text == text


def test_nothing_of_it_is_shown() -> None:
    for made in (sd_jwt.classic(SD_JWT), sd_jwt.compact(SD_JWT, key_binding="parts")):
        assert "issuer" not in repr(made)
        assert "eyJ" not in repr(made)
