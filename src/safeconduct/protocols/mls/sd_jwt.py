"""An SD-JWT with key binding as an MLS credential: its text (classic), or its parts decoded (compacted).

Signatures and hashes are over the text, so a text is compacted only where decoding and encoding give the very
same text again: every part is base64url in its one canonical form. All others stay classic.

Source: draft-mahy-mls-sd-cwt-credential-02. Where it leaves something open: a disclosure within `disclosures`
is `opaque<V>`; the key binding JWT, which as a whole is not base64url, stands there as its ASCII text, or as
its three parts, each `opaque<V>`. The two differ in their first byte: the text begins with "e", and the
length of a header below 9472 bytes does not.
"""

import re
from typing import Literal

import msgspec

from safeconduct import limits
from safeconduct.encoding import b64, tls
from safeconduct.encoding.tls import Reader
from safeconduct.errors import Malformed, Rejected, Unsupported

KeyBindingForm = Literal["ascii", "parts"]

_RULE = "draft-mahy-mls-sd-cwt-credential-02"
_JWT = re.compile(rb"e[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_CLASSIC, _COMPACTED = 0, 1


class ClassicSdJwt(msgspec.Struct, frozen=True):
    """An SD-JWT with key binding as it is written elsewhere. text: `<JWT>~<disclosure>~…~<KB-JWT>`, ASCII."""

    text: str

    def encode(self) -> bytes:
        """Returns the struct SdJwt."""
        return tls.uint(_CLASSIC, 1) + tls.opaque(self.text.encode("ascii"))

    def __repr__(self) -> str:
        return f"<ClassicSdJwt {len(self.text)} characters>"


class CompactedSdJwt(msgspec.Struct, frozen=True, kw_only=True):
    """An SD-JWT with key binding, its parts decoded from base64url.

    key_binding: the KB-JWT as it stands in its field, in one of the two forms.
    """

    protected: bytes
    payload: bytes
    signature: bytes
    disclosures: tuple[bytes, ...]
    key_binding: bytes

    @property
    def text(self) -> str:
        """The SD-JWT with key binding as it was before it was compacted."""
        token = ".".join(b64.encode_each((self.protected, self.payload, self.signature)))
        return "~".join((token, *b64.encode_each(self.disclosures), _key_binding_text(self.key_binding)))

    def encode(self) -> bytes:
        """Returns the struct SdJwt."""
        parts = (self.protected, self.payload, self.signature)
        token = b"".join(tls.opaque(part) for part in parts)
        disclosures = tls.vector(tls.opaque(disclosure) for disclosure in self.disclosures)
        return tls.uint(_COMPACTED, 1) + token + disclosures + tls.opaque(self.key_binding)

    def __repr__(self) -> str:
        return f"<CompactedSdJwt {len(self.disclosures)} disclosures>"


SdJwt = ClassicSdJwt | CompactedSdJwt


def classic(text: str) -> ClassicSdJwt:
    """Returns an SD-JWT with key binding in its classic form.

    Raises Malformed "mls_sd_jwt_malformed"; Rejected "mls_key_binding_missing".
    """
    return _classic(text.encode("utf-8", "surrogatepass"))


def compact(text: str, *, key_binding: KeyBindingForm) -> CompactedSdJwt:
    """Returns an SD-JWT with key binding in its compacted form.

    Raises as `classic`; Unsupported "mls_sd_jwt_not_compactable" if a part is not canonical base64url, so
    that the text could not be had back.
    """
    token, *disclosures, binding = classic(text).text.split("~")
    if len(disclosures) > limits.DISCLOSURES:
        raise _not_compactable()
    try:
        protected, payload, signature = _decode_parts(token)
        return CompactedSdJwt(
            protected=protected,
            payload=payload,
            signature=signature,
            disclosures=tuple(_decode(disclosure) for disclosure in disclosures),
            key_binding=_compact_key_binding(binding, key_binding),
        )
    except Malformed as error:
        raise _not_compactable() from error


def compact_or_classic(text: str, *, key_binding: KeyBindingForm = "ascii") -> SdJwt:
    """Returns an SD-JWT with key binding compacted if its text can be had back, else classic.

    Raises as `classic`.
    """
    try:
        return compact(text, key_binding=key_binding)
    except Unsupported:
        return classic(text)


def take_sd_jwt(reader: Reader) -> SdJwt:
    """Reads the struct SdJwt.

    Raises Malformed "tls_…", "mls_sd_jwt_malformed"; Rejected "mls_key_binding_missing"; Unsupported
    "tls_too_many" above `limits.DISCLOSURES`.
    """
    if reader.choice((_CLASSIC, _COMPACTED)) == _CLASSIC:
        return _classic(reader.opaque())
    taken = CompactedSdJwt(
        protected=_filled(reader),
        payload=_filled(reader),
        signature=_filled(reader),
        disclosures=reader.vector(_filled, count=limits.DISCLOSURES),
        key_binding=reader.opaque(),
    )
    _check_key_binding(taken.key_binding)
    return taken


def _classic(data: bytes) -> ClassicSdJwt:
    _, tilde, binding = data.rpartition(b"~")
    if not data.isascii() or not tilde:
        raise _malformed("The credential is not an SD-JWT.")
    if not binding:
        raise _key_binding_missing()
    return ClassicSdJwt(data.decode("ascii"))


def _filled(reader: Reader) -> bytes:
    part = reader.opaque()
    if not part:
        raise _malformed("A part of the SD-JWT is empty.")
    return part


def _check_key_binding(field: bytes) -> None:
    if not field:
        raise _key_binding_missing()
    if field[:1] != b"e":
        tls.read(field, _take_parts)
    elif _JWT.fullmatch(field) is None:
        raise _malformed("The key binding is not a JWT.")


def _take_parts(reader: Reader) -> tuple[bytes, ...]:
    return _filled(reader), _filled(reader), _filled(reader)


def _key_binding_text(field: bytes) -> str:
    if field[:1] == b"e":
        return field.decode("ascii")
    return ".".join(b64.encode_each(tls.read(field, _take_parts)))


def _compact_key_binding(text: str, form: KeyBindingForm) -> bytes:
    parts = _decode_parts(text)
    field = text.encode("ascii") if form == "ascii" else b"".join(map(tls.opaque, parts))
    # Which of the two it is, the first byte must tell.
    if (field[:1] == b"e") != (form == "ascii"):
        raise _malformed("The form of the key binding could not be told from the other.")
    return field


def _decode_parts(text: str) -> tuple[bytes, bytes, bytes]:
    parts = text.split(".")
    if len(parts) != 3:
        raise _malformed("A JWT has three parts.")
    return _decode(parts[0]), _decode(parts[1]), _decode(parts[2])


def _decode(text: str) -> bytes:
    if not text:
        raise _malformed("A part of the SD-JWT is empty.")
    return b64.decode(text)


def _malformed(reason: str) -> Malformed:
    return Malformed("mls_sd_jwt_malformed", reason, rule=_RULE)


def _key_binding_missing() -> Rejected:
    return Rejected("mls_key_binding_missing", "The SD-JWT has no key binding.", rule=_RULE)


def _not_compactable() -> Unsupported:
    return Unsupported(
        "mls_sd_jwt_not_compactable", "The text of the SD-JWT could not be had back from its compacted form."
    )
