"""PKCS#11 URIs: the strict subset of RFC 7512 that names one key, and never a PIN."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.protocols.reading import read_or_refused

from safeconduct import hsm
from safeconduct.hsm import HsmError
from safeconduct.hsm.uri import Pkcs11Uri, read_uri

MODULE = "module-path=/usr/lib/m.so"


def test_a_uri_names_module_token_key_and_the_file_of_the_pin() -> None:
    text = "pkcs11:token=My%20token;object=signing%3Bkey;id=%01%ff;serial=ab12;type=private"
    found = read_uri(f"{text}?{MODULE}&pin-source=file:/run/my%20pin")

    assert found == Pkcs11Uri(
        module="/usr/lib/m.so",
        token="My token",
        serial="ab12",
        label="signing;key",
        id=b"\x01\xff",
        pin_file=Path("/run/my pin"),
    )


def test_a_pin_is_not_always_needed_and_a_file_has_two_forms() -> None:
    assert read_uri(f"pkcs11:serial=1;id=a?{MODULE}").pin_file is None
    assert read_uri(f"pkcs11:token=t;object=o?{MODULE}&pin-source=file:///run/pin").pin_file == Path(
        "/run/pin"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "key.pem",
        "PKCS11:token=t;object=o?module-path=/m",
        "pkcs11:",
        "pkcs11:token=t;object=o",
        f"pkcs11:token=t?{MODULE}",
        f"pkcs11:object=o?{MODULE}",
        f"pkcs11:token=t;object=o;?{MODULE}",
        f"pkcs11:token=t;token=u;object=o?{MODULE}",
        f"pkcs11:token=;object=o?{MODULE}",
        f"pkcs11:token=t;object=o;type=public?{MODULE}",
        f"pkcs11:token=t;object=o;slot-id=1?{MODULE}",
        f"pkcs11:token=t;object=o;x-vendor=1?{MODULE}",
        f"pkcs11:token=t;object=%zz?{MODULE}",
        f"pkcs11:token=t;object=%ff?{MODULE}",
        f"pkcs11:token=t;object=%00?{MODULE}",
        f"pkcs11:token=t;object=ö?{MODULE}",
        f"pkcs11:token=t;object=a b?{MODULE}",
        "pkcs11:token=t;object=o?",
        "pkcs11:token=t;object=o?module-path=m.so",
        "pkcs11:token=t;object=o?module-name=m",
        f"pkcs11:token=t;object=o?{MODULE}&{MODULE}",
        f"pkcs11:token=t;object=o?{MODULE}&pin-source=/run/pin",
        f"pkcs11:token=t;object=o?{MODULE}&pin-source=file:pin",
        f"pkcs11:token=t;object=o?{MODULE}&pin-source=file://host/pin",
        f"pkcs11:token=t;object=o?{MODULE}&pin-source=%7Ccommand",
        f"pkcs11:token={'t' * 2048};object=o?{MODULE}",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(HsmError) as caught:
        read_uri(text)
    assert caught.value.code == "hsm_uri_malformed"


def test_a_pin_in_the_uri_is_refused_with_the_reason_and_not_repeated() -> None:
    with pytest.raises(HsmError) as caught:
        hsm.open_signer(f"pkcs11:token=t;object=o?{MODULE}&pin-value=271828")
    assert caught.value.code == "hsm_uri_pin"
    assert "pin-source" in caught.value.reason
    assert "271828" not in str(caught.value)


@given(st.text())
def test_any_text_gives_a_place_or_an_hsm_error(text: str) -> None:
    for candidate in (text, f"pkcs11:{text}", f"pkcs11:token=t;object=o?{MODULE}&{text}"):
        read_or_refused(lambda candidate=candidate: read_uri(candidate), Pkcs11Uri)


@pytest.mark.parametrize(("content", "pin"), [(b"1234", "1234"), (b"12 34\r\n", "12 34")])
def test_the_pin_is_the_content_of_its_file(tmp_path: Path, content: bytes, pin: str) -> None:
    (tmp_path / "pin").write_bytes(content)
    place = read_uri(f"pkcs11:token=t;object=o?{MODULE}&pin-source=file:{tmp_path}/pin")

    assert place.pin() == pin
    assert pin not in repr(place)


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe", b"1" * 257])
def test_a_file_without_a_pin_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "pin").write_bytes(content)
    with pytest.raises(HsmError) as caught:
        read_uri(f"pkcs11:token=t;object=o?{MODULE}&pin-source=file:{tmp_path}/pin").pin()
    assert caught.value.code == "hsm_pin_source"


def test_a_uri_is_told_from_a_file_name() -> None:
    assert hsm.is_uri("pkcs11:token=t")
    assert not hsm.is_uri("key.pem")
