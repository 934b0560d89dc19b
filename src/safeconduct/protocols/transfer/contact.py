"""Receiving cards: what a person gives to another once, so that shares can be made for their key alone.

A card is one line of text, fit for a QR code: `sct:c1.` and a JWS that the person's proof key has signed, the
key itself in its header (typ "sct-contact+jwt"). It names the X25519 key that offers are sealed to. That the
card is the right person's, only the way it came by can say, or the digits that two people compare.
"""

import hashlib
import unicodedata
from typing import Annotated, Final

import msgspec

from safeconduct import limits
from safeconduct.crypto.agreement import AgreementPublicKey
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.encoding import b64
from safeconduct.envelope import jws
from safeconduct.errors import Malformed, Rejected, Unsupported
from safeconduct.protocols import jwt, wire

CONTACT_PREFIX: Final = "sct:c1."
"""How the text of a receiving card begins."""

TYPE: Final = "sct-contact+jwt"

_LEEWAY: Final = 300  # seconds; the clocks of two telephones
_WHAT: Final = "Receiving card"
_DIGITS: Final = 25  # 83 bits: a second card with the same digits is out of reach


class ContactCard(msgspec.Struct, frozen=True, kw_only=True):
    """A card whose signature was checked.

    receiving_key: X25519; offers are sealed to it. proof_key: whose possession the issuer asks for when the
    credential is fetched. name: as the owner wrote it; nobody vouches for it. issued_at: Unix time.
    """

    receiving_key: AgreementPublicKey
    proof_key: PublicKey
    name: str
    issued_at: int

    @property
    def jkt(self) -> str:
        """The JWK thumbprint of the proof key (RFC 7638, SHA-256) as base64url."""
        return b64.encode(self.proof_key.jwk_thumbprint())

    @property
    def algorithm(self) -> str:
        """The JOSE name of the algorithm that the proof key signs with."""
        return self.proof_key.algorithm.jose

    @property
    def fingerprint(self) -> str:
        """Five groups of five digits for both keys together, to be read out."""
        keys = self.receiving_key.to_raw() + self.proof_key.jwk_thumbprint()
        digest = hashlib.sha256(b"sct/2 contact" + keys).digest()
        digits = f"{int.from_bytes(digest, 'big') % 10**_DIGITS:0{_DIGITS}}"
        return " ".join(digits[at : at + 5] for at in range(0, _DIGITS, 5))

    def __repr__(self) -> str:
        return "<ContactCard (not shown)>"


def issue_contact(*, receiving_key: AgreementPublicKey, signer: Signer, name: str, now: int) -> str:
    """Returns a receiving card as text.

    receiving_key: X25519. signer: holds the proof key. name: shown to others; 1 to 64 characters.

    Raises Malformed "contact_name_unacceptable"; Rejected "key_curve_mismatch"; Unsupported
    "algorithm_unsupported" for a key that proofs are not signed with (ML-DSA; also too long for a QR code).
    """
    _check_curve(receiving_key)
    _check_algorithm(signer)
    claims = {"iat": now, "name": check_name(name), "x": b64.encode(receiving_key.to_raw())}
    header = {"typ": TYPE, "jwk": jwt.public_jwk(signer)}
    text = CONTACT_PREFIX + jws.sign(wire.encode(claims), signer=signer, header=header)
    parse_contact(text, now=now)
    return text


def parse_contact(text: str, *, now: int) -> ContactCard:
    """Reads a receiving card and checks that the key in it has signed it.

    Raises Malformed "contact_malformed", "contact_name_unacceptable"; Rejected "iat_in_future",
    "signature_invalid", "jws_type", and what `jwt.header_key` raises; Unsupported "algorithm_unsupported".
    """
    line = text.strip() if len(text) <= limits.TRANSFER_LINK_CHARS else ""
    if not line.startswith(CONTACT_PREFIX):
        raise _malformed()
    parsed = jws.parse(line.removeprefix(CONTACT_PREFIX), max_bytes=limits.TRANSFER_LINK_CHARS)
    key = jwt.header_key(parsed.header)
    payload = jws.verify(parsed, key=key, algorithms=jwt.PROOF_ALGORITHMS, typ=TYPE)
    claims = wire.read_json(payload, _Claims, what=_WHAT)
    if claims.iat > now + _LEEWAY:
        raise Rejected("iat_in_future", "The card was made in the future.")
    return ContactCard(
        receiving_key=AgreementPublicKey.from_raw(b64.decode(claims.x), "X25519"),
        proof_key=key,
        name=check_name(claims.name),
        issued_at=claims.iat,
    )


def check_name(name: str) -> str:
    """Returns a name that a list can show: all of it is seen, and nothing beside it is changed.

    Raises Malformed "contact_name_unacceptable".
    """
    normal = unicodedata.normalize("NFC", name) if len(name) <= limits.TRANSFER_NAME_CHARS else ""
    shown = normal.strip()
    hidden = any(unicodedata.category(one) in _HIDDEN or one in _BLANK for one in normal)
    dangling = unicodedata.category(shown[:1] or " ").startswith("M")
    if not shown or hidden or dangling or len(normal) > limits.TRANSFER_NAME_CHARS:
        raise Malformed("contact_name_unacceptable", "The name on the card is empty, too long or not text.")
    return shown


# Controls and formats (also those that turn the direction of writing), surrogates, private and unassigned
# characters, line and paragraph separators.
_HIDDEN: Final = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"))

# Letters, marks and signs that show nothing: of Hangul and Khmer, a joiner, and Braille without a dot.
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


class _Claims(msgspec.Struct, frozen=True):
    iat: Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]
    name: Annotated[str, msgspec.Meta(max_length=limits.TRANSFER_NAME_CHARS)]
    x: Annotated[str, msgspec.Meta(max_length=43)]


def _check_curve(key: AgreementPublicKey) -> None:
    if key.curve != "X25519":
        raise Rejected("key_curve_mismatch", "Offers are sealed to X25519 keys.")


def _check_algorithm(signer: Signer) -> None:
    if signer.algorithm.jose not in jwt.PROOF_ALGORITHMS:
        raise Unsupported("algorithm_unsupported", "Proofs are not signed with a key of this kind.")


def _malformed() -> Malformed:
    return Malformed("contact_malformed", "The text is not a receiving card.")
