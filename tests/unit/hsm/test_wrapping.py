"""What a token has wrapped, only this token opens again, and only for the same use (SoftHSM)."""

from typing import Any

import pytest
from tests.softhsm import SoftHsm

from safeconduct import hsm
from safeconduct.hsm import HsmError

SECRET, CONTEXT = bytes(range(32)), b"wallet"


@pytest.fixture(scope="module")
def uri(softhsm: SoftHsm) -> str:
    """A wrapping key."""
    place = softhsm.uri("wrapping")
    hsm.generate_wrapping_key(place)
    return place


def refused(code: str, call: Any, *arguments: Any, **named: Any) -> None:
    with pytest.raises(HsmError) as caught:
        call(*arguments, **named)
    assert caught.value.code == code


@pytest.mark.parametrize("secret", [b"", b"x", SECRET, bytes(4096)])
def test_a_secret_comes_back(uri: str, secret: bytes) -> None:
    wrapped = hsm.wrap(uri, secret, context=CONTEXT)

    assert hsm.unwrap(uri, wrapped, context=CONTEXT) == secret
    assert len(wrapped) == len(secret) + 28
    assert wrapped != hsm.wrap(uri, secret, context=CONTEXT)


def test_a_secret_of_another_use_or_key_does_not_open(softhsm: SoftHsm, uri: str) -> None:
    other = softhsm.uri("other wrapping")
    hsm.generate_wrapping_key(other)
    wrapped = hsm.wrap(uri, SECRET, context=CONTEXT)

    refused("hsm_unwrap_failed", hsm.unwrap, uri, wrapped, context=b"other")
    refused("hsm_unwrap_failed", hsm.unwrap, other, wrapped, context=CONTEXT)
    assert hsm.unwrap(uri, wrapped, context=CONTEXT) == SECRET


@pytest.mark.parametrize("place", [0, 11, 12, 43, 44, 59])
def test_a_wrapped_secret_that_was_changed_does_not_open(uri: str, place: int) -> None:
    wrapped = bytearray(hsm.wrap(uri, SECRET, context=CONTEXT))
    wrapped[place] ^= 1

    refused("hsm_unwrap_failed", hsm.unwrap, uri, bytes(wrapped), context=CONTEXT)


@pytest.mark.parametrize("wrapped", [b"", bytes(27), bytes(28), bytes(5000)])
def test_what_was_never_wrapped_does_not_open(uri: str, wrapped: bytes) -> None:
    refused("hsm_unwrap_failed", hsm.unwrap, uri, wrapped, context=CONTEXT)


def test_a_wrapping_key_is_missing_or_there_but_never_replaced(softhsm: SoftHsm, uri: str) -> None:
    refused("hsm_key_missing", hsm.wrap, softhsm.uri("no wrapping"), SECRET, context=CONTEXT)
    refused("hsm_key_exists", hsm.generate_wrapping_key, uri)
    refused("hsm_key_missing", hsm.open_signer, uri)


def test_a_signing_key_wraps_nothing(softhsm: SoftHsm) -> None:
    hsm.generate_key(softhsm.uri("signs only"), "ES256")

    refused("hsm_key_missing", hsm.wrap, softhsm.uri("signs only"), SECRET, context=CONTEXT)


def test_the_wrapping_key_cannot_be_read_out(softhsm: SoftHsm, uri: str) -> None:
    import pkcs11

    hsm.wrap(uri, SECRET, context=CONTEXT)
    session = pkcs11.lib(softhsm.module).get_token(token_label="safeconduct").open()
    wanted = {pkcs11.Attribute.LABEL: "wrapping", pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY}
    [key] = session.get_objects(wanted)
    with pytest.raises(pkcs11.PKCS11Error):
        key[pkcs11.Attribute.VALUE]


def test_too_long_a_secret_is_the_callers_mistake(uri: str) -> None:
    with pytest.raises(ValueError, match="4096"):
        hsm.wrap(uri, bytes(4097), context=CONTEXT)
