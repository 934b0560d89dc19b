"""Encrypted disclosures (SD-CWT-08 §11)."""

from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from tests.negative.builder import (
    DECOY,
    FIRST_DATE,
    GOOD,
    HOLDER_KEY,
    ISSUED,
    ISSUER_KEY,
    LICENCE,
    NAME,
    NOW,
    REGION,
    SHOWN,
    Presentation,
    code_of,
    digest,
    disclosure,
    issued_code_of,
    present,
    present_code_of,
    salt,
    verify,
)

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.formats import sd_cwt
from safeconduct.formats.redaction import redact
from safeconduct.trust import AeadKey

KEY = bytes(range(16))
LONG_KEY = bytes(range(32))
KEYS = (AeadKey(KEY),)


def entry(
    encoded: bytes,
    *context: Any,
    key: bytes = KEY,
    cipher: Any = AESGCM,
    nonce: bytes = bytes(12),
    aad: bytes = b"",
) -> list[Any]:
    sealed = cipher(key).encrypt(nonce, cbor2.dumps(encoded), aad)
    return [nonce, sealed[:-16], sealed[-16:], *context]


def hiding(*entries: Any, **parts: Any) -> Presentation:
    """LICENCE is encrypted, the other disclosures are in the clear."""
    return GOOD.showing(FIRST_DATE, REGION).but(unprotected={171: list(entries)}, **parts)


def test_an_entry_opens_to_a_disclosure() -> None:
    assert verify(hiding(entry(LICENCE)), aead_keys=KEYS).claims.wire == SHOWN


def test_without_a_key_entries_are_passed_over() -> None:
    shown = verify(hiding(entry(LICENCE)))
    assert shown.claims.wire == {key: value for key, value in SHOWN.items() if key != 501}
    assert shown.withheld == 4


def test_all_disclosures_may_be_encrypted() -> None:
    only = GOOD.but(
        disclosures=None, unprotected={171: [entry(item) for item in (LICENCE, REGION, FIRST_DATE)]}
    )
    assert verify(only, aead_keys=KEYS).claims.wire == SHOWN
    assert verify(only, aead_keys=KEYS, require_disclosure=True)
    assert code_of(only, require_disclosure=True) == "disclosure_required"


def test_an_encrypted_decoy_discloses_no_claim() -> None:
    only = GOOD.but(disclosures=None, unprotected={171: [entry(DECOY)]})
    assert verify(only, aead_keys=KEYS)
    assert code_of(only, aead_keys=KEYS, require_disclosure=True) == "disclosure_required"


def test_an_empty_list_of_entries_is_rejected() -> None:
    assert code_of(hiding()) == "aead_claims_empty"
    assert issued_code_of(ISSUED.but(unprotected={171: []})) == "aead_claims_empty"


@pytest.mark.parametrize("value", [b"", {}, None, 7, "x", cbor2.dumps([entry(LICENCE)])])
def test_the_entries_are_an_array(value: Any) -> None:
    assert code_of(GOOD.but(unprotected={171: value})) == "aead_entry_malformed"


NONCE_, CIPHERTEXT, TAG = entry(LICENCE)


@pytest.mark.parametrize(
    "broken",
    [
        *([], [NONCE_], [NONCE_, CIPHERTEXT], [NONCE_, CIPHERTEXT, TAG, 7, 8]),
        *(b"entry", None, {0: NONCE_}),
        *(["nonce", CIPHERTEXT, TAG], [NONCE_, None, TAG], [NONCE_, CIPHERTEXT, []]),
        *([NONCE_, CIPHERTEXT, TAG, context] for context in (None, True, 1.5, [7], {})),
        *([bytes(size), CIPHERTEXT, TAG] for size in (0, 11, 13, 16)),
        *([NONCE_, CIPHERTEXT, bytes(size)] for size in (0, 4, 15, 17)),
        [NONCE_, CIPHERTEXT + TAG[:8], TAG[8:]],
    ],
)
def test_an_entry_has_a_nonce_a_ciphertext_and_a_tag_of_their_lengths(broken: Any) -> None:
    assert code_of(hiding(broken), aead_keys=KEYS) == "aead_entry_malformed"
    assert code_of(hiding(broken)) == "aead_entry_malformed"


def test_a_key_context_that_is_negative_is_no_number() -> None:
    assert code_of(hiding(entry(LICENCE, -1))) == "aead_entry_malformed"


@pytest.mark.parametrize("part", range(3))
def test_an_altered_entry_does_not_open(part: int) -> None:
    altered = entry(LICENCE)
    altered[part] = bytes((altered[part][0] ^ 1,)) + altered[part][1:]
    assert code_of(hiding(altered), aead_keys=KEYS) == "aead_authentication_failed"


def test_an_entry_for_another_key_does_not_open() -> None:
    other = entry(LICENCE, key=bytes(16))
    assert code_of(hiding(other), aead_keys=KEYS) == "aead_authentication_failed"
    assert verify(hiding(other), aead_keys=(*KEYS, AeadKey(bytes(16)))).claims.wire == SHOWN


def test_an_entry_with_other_associated_data_does_not_open() -> None:
    assert code_of(hiding(entry(LICENCE, aad=b"x")), aead_keys=KEYS) == "aead_authentication_failed"


def test_a_key_of_the_wrong_length_does_not_open() -> None:
    assert code_of(hiding(entry(LICENCE)), aead_keys=(AeadKey(LONG_KEY),)) == "aead_malformed"


def test_the_context_chooses_the_key() -> None:
    for context in (7, "key-7", b"key-7", 0):
        shown = hiding(entry(LICENCE, context))
        assert verify(shown, aead_keys=(AeadKey(KEY, context=context),)).claims.wire == SHOWN
        assert verify(shown, aead_keys=KEYS).claims.wire == SHOWN
        wrong = (AeadKey(bytes(16), context=context), AeadKey(KEY, context="other"))
        assert code_of(shown, aead_keys=wrong) == "aead_authentication_failed"


def test_an_entry_of_an_unknown_context_is_passed_over() -> None:
    keys = (AeadKey(KEY, context=7),)
    assert 501 not in verify(hiding(entry(LICENCE, 8)), aead_keys=keys).claims
    assert 501 not in verify(hiding(entry(LICENCE)), aead_keys=keys).claims
    assert 501 not in verify(hiding(entry(LICENCE, "7")), aead_keys=keys).claims


def test_what_an_entry_opens_to_obeys_the_rules_of_disclosures() -> None:
    stray = entry(disclosure(salt(9), "x", "stray"))
    assert code_of(hiding(stray), aead_keys=KEYS) == "disclosure_unreferenced"
    assert verify(hiding(stray))
    short_salt = entry(disclosure(bytes(8), "x", "stray"))
    assert code_of(hiding(short_salt), aead_keys=KEYS) == "salt_size"
    bare = AESGCM(KEY).encrypt(bytes(12), LICENCE, b"")
    assert code_of(hiding([bytes(12), bare[:-16], bare[-16:]]), aead_keys=KEYS) == "disclosure_malformed"


def test_a_disclosure_is_there_once_whether_encrypted_or_not() -> None:
    twice = hiding(entry(LICENCE), entry(LICENCE, nonce=bytes(11) + b"\x01"))
    assert code_of(twice, aead_keys=KEYS) == "disclosure_duplicate"
    clear = GOOD.but(unprotected={171: [entry(LICENCE)]})
    assert code_of(clear, aead_keys=KEYS) == "disclosure_duplicate"
    assert verify(clear).claims.wire == SHOWN


FORBIDDEN = (*range(3, 15), 18, 19, 21, 22, 24, 25, 27, 28)


@pytest.mark.parametrize("number", FORBIDDEN)
def test_forbidden_algorithms_are_rejected_with_or_without_a_key(number: int) -> None:
    shown = hiding(entry(LICENCE)).headed({172: number})
    assert code_of(shown, aead_keys=KEYS) == "sd_aead_forbidden"
    assert code_of(shown) == "sd_aead_forbidden"


@pytest.mark.parametrize("number", FORBIDDEN)
def test_an_issuer_does_not_name_a_forbidden_algorithm(number: int) -> None:
    with pytest.raises(SafeconductError) as error:
        sd_cwt.issue(
            {1: "https://issuer.example", 2: "x"},
            issuer=ISSUER_KEY,
            holder=HOLDER_KEY.public,
            now=NOW,
            aead=number,
        )
    assert error.value.code == "sd_aead_forbidden"


@pytest.mark.parametrize("number", [-1, 65536, "1", b"\x01", None, True, 1.0])
def test_sd_aead_is_a_16_bit_number(number: Any) -> None:
    assert code_of(hiding(entry(LICENCE)).headed({172: number})) == "sd_aead_malformed"


@pytest.mark.parametrize("number", [0, 15, 16, 17, 20, 23, 26, 30, 31, 32, 33, 65535])
def test_other_algorithms_are_passed_over_and_not_opened(number: int) -> None:
    shown = hiding(entry(LICENCE, nonce=bytes(16))).headed({172: number})
    assert 501 not in verify(shown).claims
    assert code_of(shown, aead_keys=KEYS) == "aead_unsupported"


@pytest.mark.parametrize(("number", "cipher"), [(2, AESGCM), (29, ChaCha20Poly1305)])
def test_the_issuer_fixes_the_algorithm(number: int, cipher: Any) -> None:
    shown = hiding(entry(LICENCE, key=LONG_KEY, cipher=cipher))
    assert verify(shown.headed({172: number}), aead_keys=(AeadKey(LONG_KEY),)).claims.wire == SHOWN
    assert code_of(shown, aead_keys=(AeadKey(LONG_KEY),)) == "aead_malformed"
    assert (
        code_of(shown.headed({172: 31 - number}), aead_keys=(AeadKey(LONG_KEY),))
        == "aead_authentication_failed"
    )


def test_DISCLOSURES_entries_may_be_there_and_one_more_not() -> None:
    one = entry(LICENCE)
    assert verify(hiding(*[one] * limits.DISCLOSURES))
    assert code_of(hiding(*[one] * (limits.DISCLOSURES + 1))) == "too_many_disclosures"


def test_16_byte_nonces_are_a_leniency() -> None:
    old = hiding(entry(LICENCE, nonce=bytes(16)))
    accept = frozenset({"aead-nonce-16"})
    assert verify(old, aead_keys=KEYS, accept=accept).claims.wire == SHOWN
    assert code_of(old, aead_keys=KEYS) == "aead_entry_malformed"
    assert verify(hiding(entry(LICENCE)), aead_keys=KEYS, accept=accept).claims.wire == SHOWN
    other = hiding(entry(LICENCE, nonce=bytes(13)))
    assert code_of(other, aead_keys=KEYS, accept=accept) == "aead_entry_malformed"


def test_16_byte_nonces_do_not_fit_every_algorithm() -> None:
    old = hiding([bytes(16), CIPHERTEXT, TAG]).headed({172: 29})
    code = code_of(old, aead_keys=(AeadKey(LONG_KEY),), accept=frozenset({"aead-nonce-16"}))
    assert code == "aead_malformed"


# The holder encrypts


def test_what_the_holder_encrypts_only_the_key_opens() -> None:
    shown = present(ISSUED, disclose=["501", "503.region"], encrypt={"501": AeadKey(KEY, context=7)})
    assert b"ABCD-123456" not in shown
    assert 501 not in verify(shown).claims
    assert verify(shown, aead_keys=(AeadKey(KEY, context=7),)).claims[501] == "ABCD-123456"
    assert verify(shown, aead_keys=(AeadKey(KEY, context=7),)).claims[503] == {
        "country": "us",
        "region": "ca",
    }


def test_a_container_is_encrypted_with_what_is_inside_it() -> None:
    token = sd_cwt.issue(
        {1: "https://issuer.example", 2: "x", "home": redact({"street": redact("Elm"), "no": 7})},
        issuer=ISSUER_KEY,
        holder=HOLDER_KEY.public,
        now=NOW,
    )
    shown = present(token, encrypt={"home": AeadKey(KEY)}, now=NOW)
    assert b"Elm" not in shown
    assert verify(shown, aead_keys=KEYS).claims["home"] == {"street": "Elm", "no": 7}
    inner = present(token, encrypt={"home.street": AeadKey(KEY)}, now=NOW)
    assert verify(inner).claims["home"] == {"no": 7}
    assert verify(inner, aead_keys=KEYS).claims["home"] == {"street": "Elm", "no": 7}


@pytest.mark.parametrize("path", ["name", "nmae", "500", "502[1]", "503.country", "503.region.x"])
def test_a_path_to_encrypt_that_leads_to_no_chosen_disclosure_shows_nothing(path: str) -> None:
    """Otherwise a slip of the pen would send in clear what was to be hidden."""
    code = present_code_of(ISSUED, disclose=["501", "502[0]", "503.region"], encrypt={path: AeadKey(KEY)})
    assert code == "claim_not_found"


def test_the_holder_encrypts_with_nothing_but_a_fitting_key_and_a_known_algorithm() -> None:
    assert present_code_of(ISSUED, encrypt={"501": AeadKey(LONG_KEY)}) == "aead_malformed"
    assert present_code_of(ISSUED.headed({172: 3}), encrypt={"501": AeadKey(KEY)}) == "sd_aead_forbidden"
    assert present_code_of(ISSUED.headed({172: 30}), encrypt={"501": AeadKey(KEY)}) == "aead_unsupported"


def test_every_entry_has_its_own_nonce() -> None:
    shown = present(ISSUED, encrypt={"501": AeadKey(KEY), "name": AeadKey(KEY), "502": AeadKey(KEY)})
    entries = cbor2.loads(cbor2.loads(shown).value[0])[13].value[1][171]
    assert len({nonce for nonce, _, _ in entries}) == len(entries) == 4
    assert digest(NAME) != digest(LICENCE)
    assert verify(shown, aead_keys=KEYS).claims["name"] == "Erika"


def test_a_key_is_not_shown() -> None:
    shown = repr(AeadKey(KEY, context=7))
    assert KEY.hex() not in shown
    assert repr(KEY) not in shown
