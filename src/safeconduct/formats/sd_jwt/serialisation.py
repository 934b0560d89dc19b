"""How an SD-JWT is written: compact, or in one of the two JSON serialisations (RFC 9901 §4, §8)."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed

Form = Literal["compact", "flattened", "general"]

DISCLOSURES, KB_JWT = "disclosures", "kb_jwt"

_RULE = "RFC 9901 §4"
_JSON_RULE = "RFC 9901 §8; RFC 7515 §7.2"


class Envelope(msgspec.Struct, frozen=True):
    """The parts of an SD-JWT, as text that nobody has verified.

    jwts: the issuer-signed JWT in compact form, once for each signature; disclosures and key binding belong
    to the first. headers: the unprotected header of each, without what is carried in it.
    disclosures: each in base64url. binding: the KB-JWT, None in an SD-JWT without key binding.
    """

    form: Form
    jwts: tuple[str, ...]
    headers: tuple[Mapping[str, Any], ...]
    disclosures: tuple[bytes, ...]
    binding: str | None

    def __repr__(self) -> str:
        return f"<Envelope {self.form}, {len(self.disclosures)} disclosures>"


def read(data: str | bytes, *, max_bytes: int = limits.TOKEN_BYTES) -> Envelope:
    """Take an SD-JWT or SD-JWT+KB apart; which form it has is seen from its first character.

    Raises Malformed: sd_jwt_malformed, sd_jwt_too_large, too_many_disclosures, and json_* for what begins
    like JSON. Source: RFC 9901 §4, §8.
    """
    if len(data) > max_bytes:
        raise Malformed("sd_jwt_too_large", "The SD-JWT is longer than allowed here.")
    try:
        text = data if isinstance(data, str) else data.decode("ascii" if data[:1] != b"{" else "utf-8")
        if text[:1] == "{":
            return _from_json(json.loads_object(text, max_bytes=max_bytes))
        return _from_compact(text)
    except UnicodeError:
        raise _malformed("The SD-JWT holds characters that it cannot have.") from None


def covered(envelope: Envelope, disclosures: Iterable[bytes]) -> bytes:
    """Return what `sd_hash` covers (RFC 9901 §4.3.1): the JWT and disclosures, each followed by a tilde."""
    return b"~".join([envelope.jwts[0].encode("ascii"), *disclosures, b""])


def write(envelope: Envelope, disclosures: Sequence[bytes], binding: str | None, *, form: Form) -> str:
    """Write an SD-JWT with these disclosures and this KB-JWT in the form that is asked for.

    Of several signatures only the general serialisation keeps more than the first.
    """
    if form == "compact":
        return covered(envelope, disclosures).decode("ascii") + (binding or "")
    carried: dict[str, Any] = {DISCLOSURES: [item.decode("ascii") for item in disclosures]}
    if not disclosures:
        carried = {}
    if binding is not None:
        carried[KB_JWT] = binding
    signatures = [
        _signature(jwt, header) for jwt, header in zip(envelope.jwts, envelope.headers, strict=True)
    ]
    if carried:
        signatures[0]["header"] = {**signatures[0].get("header", {}), **carried}
    payload = envelope.jwts[0].split(".")[1]
    shape = {**signatures[0]} if form == "flattened" else {"signatures": signatures}
    return json.dumps({"payload": payload, **shape}).decode()


def _signature(jwt: str, header: Mapping[str, Any]) -> dict[str, Any]:
    protected, _, signature = jwt.split(".")
    return {"protected": protected, "signature": signature} | ({"header": dict(header)} if header else {})


def _from_compact(text: str) -> Envelope:
    jwt, tilde, rest = text.partition("~")
    if not tilde:
        raise _malformed("An SD-JWT has a tilde behind its JWT.")
    shown, _, binding = rest.rpartition("~")
    disclosures = shown.encode("ascii").split(b"~") if shown else ()
    if shown == "" and rest[:1] == "~":
        raise _malformed("An SD-JWT has an empty disclosure.")
    return Envelope("compact", (jwt,), (_NOTHING,), _bounded(disclosures), binding or None)


def _from_json(members: dict[str, Any]) -> Envelope:
    payload = members.get("payload")
    general = "signatures" in members
    signatures = members["signatures"] if general else [members]
    if type(signatures) is not list or not 1 <= len(signatures) <= limits.SIGNATURES:
        raise _malformed("The signatures are not an array of a few.", _JSON_RULE)
    if general and not members.keys().isdisjoint(("protected", "header", "signature")):
        raise _malformed("The JSON serialisation is both general and flattened.", _JSON_RULE)
    parts = [_parts(item, payload) for item in signatures]
    for _, header in parts[1:]:
        if DISCLOSURES in header or KB_JWT in header:
            raise _malformed("Disclosures stand in another header than the first.", "RFC 9901 §8.3")
    carrier = parts[0][1]
    bound = KB_JWT in carrier
    shown, binding = carrier.pop(DISCLOSURES, []), carrier.pop(KB_JWT, None)
    if type(shown) is not list or not all(type(item) is str for item in shown):
        raise _malformed("The disclosures are not an array of texts.", "RFC 9901 §8.1")
    if bound and not (type(binding) is str and binding):
        raise _malformed("The key binding is not text.", "RFC 9901 §8.1")
    return Envelope(
        "general" if general else "flattened",
        tuple(jwt for jwt, _ in parts),
        tuple(header for _, header in parts),
        _bounded([item.encode("ascii") for item in shown]),
        binding,
    )


def _parts(signature: Any, payload: Any) -> tuple[str, dict[str, Any]]:
    if type(signature) is not dict:
        raise _malformed("A signature is not an object.", _JSON_RULE)
    texts: list[Any] = [signature.get("protected"), payload, signature.get("signature")]
    if not all(type(text) is str and "." not in text for text in texts):
        raise _malformed("A part of the JSON serialisation is not base64url text.", _JSON_RULE)
    header = signature.get("header", {})
    if type(header) is not dict:
        raise _malformed("An unprotected header is not an object.", _JSON_RULE)
    return ".".join(texts), dict(header)


def _bounded(disclosures: Sequence[bytes]) -> tuple[bytes, ...]:
    if len(disclosures) > limits.DISCLOSURES:
        raise Malformed("too_many_disclosures", f"More than {limits.DISCLOSURES} disclosures.")
    if b"" in disclosures:
        raise _malformed("An SD-JWT has an empty disclosure.")
    return tuple(disclosures)


_NOTHING: Mapping[str, Any] = {}


def _malformed(reason: str, rule: str = _RULE) -> Malformed:
    return Malformed("sd_jwt_malformed", reason, rule=rule)
