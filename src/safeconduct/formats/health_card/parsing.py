"""Opening a health card: its JWS, strictly. Nothing is verified here."""

from functools import lru_cache
from typing import Any

import msgspec

from safeconduct import limits
from safeconduct.encoding import b64, json
from safeconduct.errors import Malformed, Rejected, SafeconductError, Unsupported
from safeconduct.formats.health_card import qr
from safeconduct.formats.health_card.claims import CardClaims, open_claims
from safeconduct.formats.health_card.deflate import inflate
from safeconduct.status.card_keys import ALGORITHM


class Needs(msgspec.Struct, frozen=True):
    """The evidence that verification will want, as an unverified card tells it.

    issuer: whose keys. kid: which of them; the list of revoked cards has this name, too.
    """

    issuer: str
    kid: str

    def __repr__(self) -> str:
        return "<Needs>"


class ParsedCard(msgspec.Struct, frozen=True):
    """A card that is a well-formed JWS; it gives out no claims as true.

    kid: of the key that it says it is signed by. signing_input: the very bytes received that the signature
    covers. compressed: the payload, still compressed. signature: r followed by s. encoded_header: as it came.
    altered: whether bits of the signature's text that stand for nothing are set. Anybody can set them, and
    such a text is refused; but a revoked card is revoked in that guise, too, so this is for `verify` to say.
    """

    kid: str
    signing_input: bytes
    compressed: bytes
    signature: bytes
    encoded_header: bytes
    altered: bool = False

    @property
    def header(self) -> dict[str, Any]:
        """The protected header."""
        return json.loads_object(b64.decode(self.encoded_header), max_bytes=limits.JOSE_HEADER_BYTES)

    def unverified_payload(self) -> bytes:
        """Return the payload, inflated but not verified; raises as `deflate.inflate`."""
        return inflate(self.compressed)

    def unverified_claims(self) -> CardClaims:
        """Return the claims, not verified; raises as `deflate.inflate` and `claims.open_claims`."""
        return open_claims(self.unverified_payload())

    def needs(self) -> Needs:
        """Tell which evidence `verify` will look for; raises as `unverified_claims`."""
        return Needs(self.unverified_claims().issuer, self.kid)

    def __repr__(self) -> str:
        return f"<ParsedCard {len(self.compressed)} bytes>"


def parse(data: str | bytes) -> ParsedCard:
    """Open a card.

    data: a compact JWS, or the text of its QR code ("shc:/" and digits), nothing around it.
    Raises Malformed: "jws_malformed", "jws_too_large", "card_header_malformed" (no kid, or not compressed),
    card_qr_*; Unsupported: "algorithm_unsupported"; Rejected: "crit_unsupported".
    Source: SMART Health Cards Framework 1.4.0, "Health Cards are Encoded as Compact Serialization JWS".
    """
    if len(data) > limits.TOKEN_BYTES:
        raise Malformed("jws_too_large", "The card is longer than allowed here.")
    try:
        if data[:5] in _QR_PREFIXES:
            encoded = qr.ascii_of(data if isinstance(data, str) else data.decode("ascii"))
        else:
            encoded = data.encode("ascii") if isinstance(data, str) else data
    except UnicodeError:
        raise malformed("The card is not ASCII text.") from None
    signing_input, _, encoded_signature = encoded.rpartition(b".")
    encoded_header, dot, payload = signing_input.partition(b".")
    if not dot:
        raise malformed("A compact JWS has three parts.")
    read_header = _read_header_once if len(encoded_header) <= _CACHED_CHARS else _read_header
    kid = read_header(encoded_header)
    try:
        compressed, signature = b64.decode(payload), b64.decode(encoded_signature)
    except Malformed:
        compressed, signature = _decode_altered(payload, encoded_signature)
        return ParsedCard(kid, signing_input, compressed, signature, encoded_header, True)
    return ParsedCard(kid, signing_input, compressed, signature, encoded_header)


def malformed(reason: str) -> Malformed:
    """Return the error of a card that is not a compact JWS."""
    return Malformed("jws_malformed", reason, rule="RFC 7515 §5.2")


def _decode_altered(payload: bytes, signature: bytes) -> tuple[bytes, bytes]:
    """Decode payload and signature, in whose text bits may be set that stand for nothing."""
    if len(signature) == _SIGNATURE_CHARS:
        # The last character of 64 bytes carries two bits; the others may have been set by anybody.
        signature = signature[:-1] + signature[-1:].translate(_TO_TWO_BITS)
    try:
        return b64.decode(payload), b64.decode(signature)
    except Malformed as error:
        raise malformed("A part of the JWS is not base64url.") from error


_SIGNATURE_CHARS = 86
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_TO_TWO_BITS = bytes.maketrans(_ALPHABET, bytes(_ALPHABET[place & 0b110000] for place in range(64)))


_QR_PREFIXES = frozenset({"shc:/", b"shc:/"})


def _read_header(encoded: bytes) -> str:
    """Check a protected header and return its kid."""
    try:
        header = json.loads_object(b64.decode(encoded), max_bytes=limits.JOSE_HEADER_BYTES)
    except SafeconductError as error:
        raise malformed("The JWS header is not base64url of a JSON object.") from error
    # No extension is understood, so none may be ignored (RFC 7515 §4.1.11, RFC 7797 §6).
    if "crit" in header or header.get("b64", True) is not True:
        raise Rejected("crit_unsupported", "The card needs an extension that is not supported.")
    if header.get("alg") != ALGORITHM:
        raise Unsupported("algorithm_unsupported", "A health card is signed with ES256.", rule=_RULE)
    kid = header.get("kid")
    if header.get("zip") != "DEF" or type(kid) is not str:
        raise Malformed("card_header_malformed", "The header lacks its kid, or zip is not DEF.", rule=_RULE)
    return kid


# One issuer's cards all have one header text: it is read once. Bounded in number and in length.
_CACHED_CHARS = 256
_read_header_once = lru_cache(maxsize=1024)(_read_header)


_RULE = "SHC-1.4.0, Health Cards are Encoded as Compact Serialization JWS"
