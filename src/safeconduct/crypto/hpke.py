"""Hybrid Public Key Encryption (RFC 9180): base and PSK modes: a message that only one private key opens.

Suites: DHKEM on P-256 or X25519, HKDF-SHA256, and AES-128-GCM, AES-256-GCM or ChaCha20-Poly1305.

    enc, ciphertext = seal(suite, recipient, plaintext=..., info=..., aad=...)
    plaintext = open_(suite, key, enc=enc, ciphertext=ciphertext, info=..., aad=...)

`setup_sender` and `setup_recipient` give contexts for several messages in order, and for exported secrets.
"""

import hmac
from typing import Final

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from safeconduct.crypto import aead
from safeconduct.crypto.agreement import AgreementKey, AgreementPublicKey, Curve
from safeconduct.errors import Malformed, Rejected, Unsupported

KEM_P256: Final = 0x0010
KEM_X25519: Final = 0x0020
KDF_HKDF_SHA256: Final = 0x0001
AEAD_AES_128_GCM: Final = 0x0001
AEAD_AES_256_GCM: Final = 0x0002
AEAD_CHACHA20_POLY1305: Final = 0x0003

_CURVES: Final[dict[int, Curve]] = {KEM_P256: "P-256", KEM_X25519: "X25519"}
_AEADS: Final = {AEAD_AES_128_GCM: 1, AEAD_AES_256_GCM: 2, AEAD_CHACHA20_POLY1305: 29}
_HASH_BYTES: Final = 32
_SHORTEST_PSK: Final = 32
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


class Suite(msgspec.Struct, frozen=True, kw_only=True):
    """Which algorithms a sender and a recipient use, by their numbers in RFC 9180 §7.

    An unknown number raises Unsupported "hpke_suite_unsupported".
    """

    kem: int
    aead: int
    kdf: int = KDF_HKDF_SHA256

    def __post_init__(self) -> None:
        if self.kem not in _CURVES or self.kdf != KDF_HKDF_SHA256 or self.aead not in _AEADS:
            raise Unsupported("hpke_suite_unsupported", "The HPKE suite is not one that is supported here.")

    @property
    def curve(self) -> Curve:
        """The curve on which the recipient's key must lie."""
        return _CURVES[self.kem]


class Psk(msgspec.Struct, frozen=True):
    """A secret that both sides have already, and its name: with one, HPKE runs in PSK mode.

    secret: at least 32 bytes, drawn from at least as much entropy (RFC 9180 §9.5). identifier: not empty.
    Anything else raises Rejected "hpke_psk_inconsistent" (RFC 9180 §5.1, VerifyPSKInputs).
    """

    secret: bytes
    identifier: bytes

    def __post_init__(self) -> None:
        if len(self.secret) < _SHORTEST_PSK or not self.identifier:
            raise Rejected(
                "hpke_psk_inconsistent", "A pre-shared key is too short or has no name.", rule="RFC 9180 §5.1"
            )

    def __repr__(self) -> str:
        return "<Psk (secret not shown)>"


class SenderContext:
    """Seals messages in order for one recipient; made by `setup_sender`."""

    __slots__ = ("_secrets", "_sequence")

    def __init__(self, secrets: "_Secrets", sequence: int = 0) -> None:
        self._secrets = secrets
        self._sequence = sequence

    def seal(self, plaintext: bytes, aad: bytes = b"") -> bytes:
        """Returns the next ciphertext, tag included (RFC 9180 §5.2).

        Raises Rejected "hpke_sequence_exhausted".
        """
        nonce = self._secrets.nonce(self._sequence)
        ciphertext, tag = aead.seal(self._secrets.aead, self._secrets.key, nonce, plaintext, aad)
        self._sequence += 1
        return ciphertext + tag

    def export(self, context: bytes, length: int) -> bytes:
        """Returns a secret of `length` (1 to 8160) bytes, which the recipient gets too (RFC 9180 §5.3)."""
        return self._secrets.export(context, length)


class RecipientContext:
    """Opens messages in the order they were sealed; made by `setup_recipient`."""

    __slots__ = ("_secrets", "_sequence")

    def __init__(self, secrets: "_Secrets", sequence: int = 0) -> None:
        self._secrets = secrets
        self._sequence = sequence

    def open(self, ciphertext: bytes, aad: bytes = b"") -> bytes:
        """Returns the plaintext of the next ciphertext; a failure does not move on.

        Raises Rejected "hpke_open_failed" or "hpke_sequence_exhausted" (RFC 9180 §5.2).
        """
        secrets = self._secrets
        nonce = secrets.nonce(self._sequence)
        cut = max(len(ciphertext) - aead.by_identifier(secrets.aead).tag_bytes, 0)
        try:
            plaintext = aead.open_(secrets.aead, secrets.key, nonce, ciphertext[:cut], ciphertext[cut:], aad)
        except (Malformed, Rejected):
            raise _open_failed() from None
        self._sequence += 1
        return plaintext

    def export(self, context: bytes, length: int) -> bytes:
        """Returns a secret of `length` (1 to 8160) bytes, which the sender gets too (RFC 9180 §5.3)."""
        return self._secrets.export(context, length)


def setup_sender(
    suite: Suite,
    recipient: AgreementPublicKey,
    *,
    info: bytes,
    psk: Psk | None = None,
    ephemeral: AgreementKey | None = None,
) -> tuple[bytes, SenderContext]:
    """Begins to send to `recipient` (RFC 9180 §5.1.1, §5.1.2).

    info: what both sides know of the purpose; must be equal on both. ephemeral: a fresh key, made here unless
    a test gives one.

    Returns the encapsulated key to send along, and the context. Raises Rejected "key_curve_mismatch",
    "shared_secret_invalid".
    """
    pair = ephemeral or AgreementKey.generate(suite.curve)
    _check_curve(suite, recipient.curve)
    enc = pair.public.to_raw()
    shared = _shared_secret(suite, pair.exchange(recipient), enc + recipient.to_raw())
    return enc, SenderContext(_schedule(suite, shared, info, psk))


def setup_recipient(
    suite: Suite, key: AgreementKey, *, enc: bytes, info: bytes, psk: Psk | None = None
) -> RecipientContext:
    """Begins to receive with `key` what `setup_sender` encapsulated as `enc` (RFC 9180 §5.1.1, §5.1.2).

    Raises Rejected "hpke_open_failed" for an encapsulated key that is none, "key_curve_mismatch" if `key` is
    not one for the suite.
    """
    _check_curve(suite, key.curve)
    try:
        secret = key.exchange(AgreementPublicKey.from_raw(enc, suite.curve))
    except (Malformed, Rejected):
        raise _open_failed() from None
    shared = _shared_secret(suite, secret, enc + key.public.to_raw())
    return RecipientContext(_schedule(suite, shared, info, psk))


def seal(
    suite: Suite,
    recipient: AgreementPublicKey,
    *,
    plaintext: bytes,
    info: bytes,
    aad: bytes = b"",
    psk: Psk | None = None,
) -> tuple[bytes, bytes]:
    """Encrypts one message (RFC 9180 §6.1); returns the encapsulated key and the ciphertext."""
    enc, context = setup_sender(suite, recipient, info=info, psk=psk)
    return enc, context.seal(plaintext, aad)


def open_(
    suite: Suite,
    key: AgreementKey,
    *,
    enc: bytes,
    ciphertext: bytes,
    info: bytes,
    aad: bytes = b"",
    psk: Psk | None = None,
) -> bytes:
    """Decrypts one message (RFC 9180 §6.1); raises Rejected "hpke_open_failed", "key_curve_mismatch"."""
    return setup_recipient(suite, key, enc=enc, info=info, psk=psk).open(ciphertext, aad)


def derive_key_pair(kem: int, seed: bytes) -> AgreementKey:
    """Returns the key pair that a secret seed gives (RFC 9180 §7.1.3, DeriveKeyPair).

    seed: at least 32 secret bytes.

    Raises Unsupported "hpke_suite_unsupported", Rejected "hpke_seed_unusable".
    """
    curve = Suite(kem=kem, aead=AEAD_AES_128_GCM).curve
    suite_id = _kem_id(kem)
    if len(seed) < _HASH_BYTES:
        raise Rejected("hpke_seed_unusable", "The seed of a key pair is too short.", rule="RFC 9180 §7.1.3")
    secret = _labeled_extract(suite_id, b"", b"dkp_prk", seed)
    if curve == "X25519":
        return AgreementKey.from_raw(_labeled_expand(suite_id, secret, b"sk", b"", 32), curve)
    for counter in range(256):
        candidate = _labeled_expand(suite_id, secret, b"candidate", bytes([counter]), 32)
        if 0 < int.from_bytes(candidate, "big") < _P256_ORDER:
            return AgreementKey.from_raw(candidate, curve)
    raise Rejected("hpke_seed_unusable", "The seed gives no key pair.", rule="RFC 9180 §7.1.3")


class _Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """What the key schedule gives; `aead` is the number in the IANA registry, not HPKE's own."""

    suite_id: bytes
    aead: int
    key: bytes
    base_nonce: bytes
    exporter_secret: bytes

    def nonce(self, sequence: int) -> bytes:
        length = len(self.base_nonce)
        # RFC 9180 §5.2 leaves the last number unused, so that the counter itself never wraps.
        if sequence >= (1 << (8 * length)) - 1:
            raise Rejected("hpke_sequence_exhausted", "The context sealed all it may.", rule="RFC 9180 §5.2")
        return (int.from_bytes(self.base_nonce, "big") ^ sequence).to_bytes(length, "big")

    def export(self, context: bytes, length: int) -> bytes:
        return _labeled_expand(self.suite_id, self.exporter_secret, b"sec", context, length)

    def __repr__(self) -> str:
        return "<HPKE secrets (not shown)>"


def _schedule(suite: Suite, shared_secret: bytes, info: bytes, psk: Psk | None) -> _Secrets:
    """RFC 9180 §5.1, KeySchedule."""
    suite_id = b"HPKE" + b"".join(number.to_bytes(2, "big") for number in (suite.kem, suite.kdf, suite.aead))
    mode, psk_secret, psk_name = (1, psk.secret, psk.identifier) if psk else (0, b"", b"")
    context = (
        bytes([mode])
        + _labeled_extract(suite_id, b"", b"psk_id_hash", psk_name)
        + _labeled_extract(suite_id, b"", b"info_hash", info)
    )
    secret = _labeled_extract(suite_id, shared_secret, b"secret", psk_secret)
    cipher = aead.by_identifier(_AEADS[suite.aead])
    return _Secrets(
        suite_id=suite_id,
        aead=cipher.identifier,
        key=_labeled_expand(suite_id, secret, b"key", context, cipher.key_bytes),
        base_nonce=_labeled_expand(suite_id, secret, b"base_nonce", context, cipher.nonce_bytes),
        exporter_secret=_labeled_expand(suite_id, secret, b"exp", context, _HASH_BYTES),
    )


def _shared_secret(suite: Suite, dh: bytes, kem_context: bytes) -> bytes:
    """RFC 9180 §4.1, ExtractAndExpand."""
    suite_id = _kem_id(suite.kem)
    extracted = _labeled_extract(suite_id, b"", b"eae_prk", dh)
    return _labeled_expand(suite_id, extracted, b"shared_secret", kem_context, _HASH_BYTES)


def _kem_id(kem: int) -> bytes:
    return b"KEM" + kem.to_bytes(2, "big")


def _labeled_extract(suite_id: bytes, salt: bytes, label: bytes, secret: bytes) -> bytes:
    return hmac.digest(salt, b"HPKE-v1" + suite_id + label + secret, "sha256")


def _labeled_expand(suite_id: bytes, secret: bytes, label: bytes, info: bytes, length: int) -> bytes:
    labeled = length.to_bytes(2, "big") + b"HPKE-v1" + suite_id + label + info
    return HKDFExpand(hashes.SHA256(), length, labeled).derive(secret)


def _check_curve(suite: Suite, curve: Curve) -> None:
    if curve != suite.curve:
        raise Rejected("key_curve_mismatch", "The recipient's key lies on another curve than the suite's.")


def _open_failed() -> Rejected:
    return Rejected(
        "hpke_open_failed", "The message was not sealed to this key in this way.", rule="RFC 9180 §5.2"
    )
