"""PKCS#11 URIs (RFC 7512): which key of which token, reached how. A strict subset.

    pkcs11:token=issuers;object=signing?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/run/pin

Of the path: `token` (label), `serial`, `object` (label of the key), `id`, `type` (only "private"). Of the
query: `module-path` and `pin-source`, which names a file. Anything else is refused: nothing is overlooked.
"""

import re
from pathlib import Path

import msgspec

from safeconduct.hsm.errors import HsmError

SCHEME = "pkcs11:"

_MAX_CHARS = 2048
_PIN_BYTES = 256
_ATTRIBUTE = re.compile(r"([a-z-]+)=((?:[A-Za-z0-9._~:\[\]@!$'()*+,=/-]|%[0-9A-Fa-f]{2})+)")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_PATH = frozenset({"token", "serial", "object", "id", "type"})
_QUERY = frozenset({"module-path", "pin-source"})


class Pkcs11Uri(msgspec.Struct, frozen=True, kw_only=True):
    """Where a key is. It holds no PIN, only the place of one.

    module: absolute path of the PKCS#11 module. token, serial: of the token; at least one. label, id: of the
    key; at least one. pin_file: holds the user's PIN; None for a token that wants none.
    """

    module: str
    token: str | None
    serial: str | None
    label: str | None
    id: bytes | None
    pin_file: Path | None

    def pin(self) -> str | None:
        """Reads the PIN from its file, a final line break left out.

        Raises HsmError "hsm_pin_source".
        """
        if self.pin_file is None:
            return None
        try:
            with self.pin_file.open("rb") as file:
                content = file.read(_PIN_BYTES + 1)
        except OSError as error:
            raise HsmError(
                "hsm_pin_source", f"The file of the PIN cannot be read ({error.strerror})."
            ) from None
        pin = content.rstrip(b"\r\n")
        if not pin or len(content) > _PIN_BYTES or not pin.isascii():
            raise HsmError("hsm_pin_source", "The file of the PIN does not hold a PIN alone.")
        return pin.decode("ascii")


def read_uri(text: str) -> Pkcs11Uri:
    """Reads a PKCS#11 URI.

    Raises HsmError "hsm_uri_malformed"; "hsm_uri_pin" for a PIN in the URI itself.
    Source: RFC 7512 §2.3, §2.4.
    """
    if len(text) > _MAX_CHARS or not text.startswith(SCHEME):
        raise _malformed(f"A key in a token is named by a URI that begins with {SCHEME}")
    path_text, mark, query_text = text.removeprefix(SCHEME).partition("?")
    if "pin-value=" in text:
        raise HsmError(
            "hsm_uri_pin",
            "A PIN in a URI shows in process lists, logs and backups: put it into a file, and name that "
            "by pin-source=file:/path.",
            rule="RFC 7512 §4",
        )
    path = _attributes(path_text, ";", _PATH)
    query = _attributes(query_text, "&", _QUERY) if mark else {}
    if path.get("type", b"private") != b"private":
        raise _malformed("The type of a signing key is private.")
    if not path.keys() & {"token", "serial"} or not path.keys() & {"object", "id"}:
        raise _malformed("The URI names a token (token or serial) and a key in it (object or id).")
    module = _text(query, "module-path")
    if module is None or not module.startswith("/"):
        raise _malformed("The URI names the PKCS#11 module by module-path, an absolute path.")
    return Pkcs11Uri(
        module=module,
        token=_text(path, "token"),
        serial=_text(path, "serial"),
        label=_text(path, "object"),
        id=path.get("id"),
        pin_file=_pin_file(_text(query, "pin-source")),
    )


def _attributes(text: str, separator: str, known: frozenset[str]) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for part in text.split(separator):
        attribute = _ATTRIBUTE.fullmatch(part)
        if attribute is None or attribute[1] not in known or attribute[1] in found:
            raise _malformed(
                f"Attributes that are understood: {', '.join(sorted(_PATH | _QUERY))}, once each."
            )
        raw = attribute[2].encode("ascii")
        found[attribute[1]] = _ESCAPE.sub(lambda escape: bytes([int(escape[1], 16)]), raw)
    return found


def _text(attributes: dict[str, bytes], name: str) -> str | None:
    if name not in attributes:
        return None
    try:
        value = attributes[name].decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed(f"The attribute {name} is not UTF-8.") from None
    if "\0" in value:
        raise _malformed(f"The attribute {name} holds a zero byte.")
    return value


def _pin_file(source: str | None) -> Path | None:
    if source is None:
        return None
    if not source.startswith("file:"):
        raise _malformed("pin-source names a file, as file:/path does.")
    path = source.removeprefix("file:")
    path = path.removeprefix("//") if path.startswith("///") else path
    if not path.startswith("/") or path.startswith("//"):
        raise _malformed("pin-source names a file of this machine by its absolute path.")
    return Path(path)


def _malformed(reason: str) -> HsmError:
    return HsmError("hsm_uri_malformed", reason, rule="RFC 7512 §2.3")
