"""HPKE contexts keep their order, tell no secret, and agree with another implementation (RFC 9180)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyhpke import AEADId, CipherSuite, KDFId, KEMId, KEMKey

from safeconduct.crypto import hpke
from safeconduct.crypto.agreement import AgreementKey
from safeconduct.errors import Rejected, SafeconductError, Unsupported

KEMS = {"P-256": hpke.KEM_P256, "X25519": hpke.KEM_X25519}
SUITES = [
    hpke.Suite(kem=kem, aead=number)
    for kem in KEMS.values()
    for number in (hpke.AEAD_AES_128_GCM, hpke.AEAD_AES_256_GCM, hpke.AEAD_CHACHA20_POLY1305)
]
KEYS = {curve: AgreementKey.generate(curve) for curve in KEMS}
PSK = hpke.Psk(bytes(range(32)), b"name of the key")
INFO = b"what this is for"


def oracle(suite: hpke.Suite) -> CipherSuite:
    return CipherSuite.new(KEMId(suite.kem), KDFId(suite.kdf), AEADId(suite.aead))


def oracle_key(key: AgreementKey, *, private: bool) -> KEMKey:
    members = key.to_jwk(private=True) if private else key.public.to_jwk()
    return KEMKey.from_jwk({name: value for name, value in members.items() if name not in ("use", "alg")})


def ids(suite: hpke.Suite) -> str:
    return f"{suite.curve}-{suite.aead}"


@pytest.mark.parametrize("suite", SUITES, ids=ids)
@pytest.mark.parametrize("psk", [None, PSK], ids=["base", "psk"])
def test_pyhpke_opens_what_we_seal(suite: hpke.Suite, psk: hpke.Psk | None) -> None:
    key = KEYS[suite.curve]
    enc, context = hpke.setup_sender(suite, key.public, info=INFO, psk=psk)
    extra = {"psk": psk.secret, "psk_id": psk.identifier} if psk else {}
    theirs = oracle(suite).create_recipient_context(enc, oracle_key(key, private=True), INFO, **extra)
    for number in range(4):
        assert theirs.open(context.seal(b"text %d" % number, b"aad"), b"aad") == b"text %d" % number
    assert theirs.export(b"label", 40) == context.export(b"label", 40)


@pytest.mark.parametrize("suite", SUITES, ids=ids)
@pytest.mark.parametrize("psk", [None, PSK], ids=["base", "psk"])
def test_we_open_what_pyhpke_seals(suite: hpke.Suite, psk: hpke.Psk | None) -> None:
    key = KEYS[suite.curve]
    extra = {"psk": psk.secret, "psk_id": psk.identifier} if psk else {}
    enc, theirs = oracle(suite).create_sender_context(oracle_key(key, private=False), INFO, **extra)
    context = hpke.setup_recipient(suite, key, enc=enc, info=INFO, psk=psk)
    for number in range(4):
        assert context.open(theirs.seal(b"text %d" % number, b"aad"), b"aad") == b"text %d" % number
    assert theirs.export(b"label", 40) == context.export(b"label", 40)


@given(st.sampled_from(SUITES), st.binary(max_size=100), st.binary(max_size=20), st.booleans())
def test_one_message_comes_through(suite: hpke.Suite, text: bytes, aad: bytes, shared: bool) -> None:
    key, psk = KEYS[suite.curve], PSK if shared else None
    enc, ciphertext = hpke.seal(suite, key.public, plaintext=text, info=INFO, aad=aad, psk=psk)
    assert hpke.open_(suite, key, enc=enc, ciphertext=ciphertext, info=INFO, aad=aad, psk=psk) == text


@pytest.mark.parametrize("suite", SUITES, ids=ids)
def test_any_difference_between_the_sides_fails_alike(suite: hpke.Suite) -> None:
    key = KEYS[suite.curve]
    enc, ciphertext = hpke.seal(suite, key.public, plaintext=b"text", info=INFO, aad=b"aad", psk=PSK)
    right = {"enc": enc, "ciphertext": ciphertext, "info": INFO, "aad": b"aad", "psk": PSK}
    other_enc, _ = hpke.seal(suite, key.public, plaintext=b"text", info=INFO)
    assert hpke.open_(suite, key, **right) == b"text"  # type: ignore[arg-type]
    reasons = set()
    for wrong in (
        {"enc": other_enc},
        {"enc": b""},
        {"enc": enc + b"\x00"},
        {"enc": bytes(len(enc))},
        {"ciphertext": b""},
        {"ciphertext": ciphertext[:-1]},
        {"ciphertext": ciphertext[:15]},
        {"ciphertext": bytes([ciphertext[0] ^ 1]) + ciphertext[1:]},
        {"info": b""},
        {"aad": b""},
        {"psk": None},
        {"psk": hpke.Psk(bytes(32), PSK.identifier)},
        {"psk": hpke.Psk(PSK.secret, b"other")},
    ):
        with pytest.raises(Rejected) as error:
            hpke.open_(suite, key, **{**right, **wrong})  # type: ignore[arg-type]
        assert error.value.code == "hpke_open_failed"
        reasons.add(str(error.value))
    assert len(reasons) == 1
    with pytest.raises(Rejected) as error:
        hpke.open_(suite, AgreementKey.generate(suite.curve), **right)  # type: ignore[arg-type]
    assert error.value.code == "hpke_open_failed"


def test_messages_open_in_order_only_and_a_failure_does_not_move_on() -> None:
    suite, key = SUITES[0], KEYS["P-256"]
    enc, sender = hpke.setup_sender(suite, key.public, info=INFO)
    recipient = hpke.setup_recipient(suite, key, enc=enc, info=INFO)
    first, second = sender.seal(b"1"), sender.seal(b"2")
    for early in (second, b"", first[:-1]):
        with pytest.raises(Rejected) as error:
            recipient.open(early)
        assert error.value.code == "hpke_open_failed"
    assert recipient.open(first) == b"1"
    with pytest.raises(Rejected) as error:
        recipient.open(first)
    assert error.value.code == "hpke_open_failed"
    assert recipient.open(second) == b"2"


def test_a_context_ends_before_its_counter_wraps() -> None:
    suite, key = SUITES[0], KEYS["P-256"]
    enc, sender = hpke.setup_sender(suite, key.public, info=INFO)
    recipient = hpke.setup_recipient(suite, key, enc=enc, info=INFO)
    last = 2**96 - 2
    sender._sequence = recipient._sequence = last
    assert recipient.open(sender.seal(b"last")) == b"last"
    for use in (lambda: sender.seal(b"text"), lambda: recipient.open(bytes(20))):
        with pytest.raises(Rejected) as error:
            use()
        assert error.value.code == "hpke_sequence_exhausted"


@pytest.mark.parametrize(
    ("secret", "name"), [(b"", b"name"), (bytes(31), b"name"), (bytes(32), b""), (b"", b"")]
)
def test_a_pre_shared_key_is_long_and_has_a_name(secret: bytes, name: bytes) -> None:
    with pytest.raises(Rejected) as error:
        hpke.Psk(secret, name)
    assert error.value.code == "hpke_psk_inconsistent"


@pytest.mark.parametrize(
    ("kem", "kdf", "number"),
    [
        (0x0011, 1, 1),
        (0x0012, 1, 1),
        (0x0021, 1, 1),
        (0x10, 2, 1),
        (0x10, 1, 0),
        (0x10, 1, 4),
        (0x20, 1, 0xFFFF),
    ],
)
def test_other_suites_are_unsupported(kem: int, kdf: int, number: int) -> None:
    with pytest.raises(Unsupported) as error:
        hpke.Suite(kem=kem, kdf=kdf, aead=number)
    assert error.value.code == "hpke_suite_unsupported"


@pytest.mark.parametrize(("suite", "curve"), [(SUITES[0], "X25519"), (SUITES[-1], "P-256")])
def test_a_key_of_another_curve_than_the_suite_is_refused(suite: hpke.Suite, curve: str) -> None:
    with pytest.raises(Rejected) as error:
        hpke.setup_sender(suite, KEYS[curve].public, info=INFO)
    assert error.value.code == "key_curve_mismatch"
    with pytest.raises(Rejected) as error:
        hpke.setup_recipient(suite, KEYS[curve], enc=bytes(32), info=INFO)
    assert error.value.code == "key_curve_mismatch"


def test_an_encapsulated_key_without_a_secret_is_refused() -> None:
    with pytest.raises(Rejected) as error:
        hpke.setup_recipient(SUITES[-1], KEYS["X25519"], enc=bytes(32), info=INFO)
    assert error.value.code == "hpke_open_failed"


@given(st.sampled_from(SUITES), st.binary(max_size=80), st.binary(max_size=80))
def test_garbage_never_opens(suite: hpke.Suite, enc: bytes, ciphertext: bytes) -> None:
    with pytest.raises(SafeconductError) as error:
        hpke.open_(suite, KEYS[suite.curve], enc=enc, ciphertext=ciphertext, info=INFO)
    assert error.value.code == "hpke_open_failed"


def test_a_seed_of_a_key_pair_is_long_enough() -> None:
    for kem in KEMS.values():
        with pytest.raises(Rejected) as error:
            hpke.derive_key_pair(kem, bytes(31))
        assert error.value.code == "hpke_seed_unusable"


def test_neither_contexts_nor_pre_shared_keys_show_secrets() -> None:
    _, context = hpke.setup_sender(SUITES[0], KEYS["P-256"].public, info=INFO)
    secrets = context._secrets
    shown = f"{context!r} {secrets!r} {PSK!r} {PSK}"
    for secret in (PSK.secret, secrets.key, secrets.exporter_secret):
        assert secret.hex() not in shown
        assert repr(secret) not in shown
