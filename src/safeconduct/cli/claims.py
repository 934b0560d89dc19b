"""Claim sets as people write them: JSON, CBOR diagnostic notation (EDN) or CBOR, told apart by content."""

from collections.abc import Iterable
from typing import Any, Literal

from safeconduct import limits
from safeconduct.cli.faults import WrongUse
from safeconduct.encoding import json
from safeconduct.errors import Malformed, Rejected
from safeconduct.formats import paths, sd_cwt
from safeconduct.formats.paths import Index
from safeconduct.formats.redaction import Decoys, Path, Redacted
from safeconduct.formats.sd_cwt.claims import resolve
from safeconduct.formats.selection import Resolve

Form = Literal["json", "edn", "cbor"]

EDN_BRACKETS = 1000
"""Brackets that diagnostic notation may have in all: its parser recurses on the machine's own stack."""


def read_claims(data: bytes, *, form: Form | None, accept: Iterable[str] = ()) -> dict[Any, Any]:
    """Read a claim set for `sd_cwt.issue`.

    form: how it is written, None to tell by its content. accept: leniencies of `read_preissued`. EDN and CBOR
    may mark claims by tag 58 and ask for decoys by tag 62.
    Raises SafeconductError, as `json.loads_object`, `claims_from_json` and `read_preissued`; Malformed:
    edn_malformed, edn_too_complex.
    """
    if len(data) > limits.TOKEN_BYTES:
        raise Malformed("claims_too_large", f"The claims are longer than {limits.TOKEN_BYTES} bytes.")
    written = form or form_of(data)
    if written == "json":
        return sd_cwt.claims_from_json(json.loads_object(data))
    return sd_cwt.read_preissued(from_edn(data) if written == "edn" else data, accept=frozenset(accept))


def form_of(data: bytes) -> Form:
    """Tell how a claim set is written: a JSON object begins with a quoted name, CBOR with a map or a tag."""
    if data[:1] and data[0] >= _CBOR_MAP:
        return "cbor"
    text = data.lstrip()
    return "json" if text[:1] == b"{" and text[1:].lstrip()[:1] in (b'"', b"}") else "edn"


_CBOR_MAP = 0xA0


def from_edn(data: bytes) -> bytes:
    """Turn CBOR diagnostic notation into CBOR. Raises Malformed: edn_malformed, edn_too_complex."""
    from cbor_diag import diag2cbor

    if sum(map(data.count, (b"[", b"{", b"(", b"<"))) > EDN_BRACKETS:
        raise Malformed("edn_too_complex", f"More than {EDN_BRACKETS} brackets: give the claims in CBOR.")
    try:
        encoded: bytes = diag2cbor(data.decode())
    except ValueError as error:
        place = str(error).partition(" (byte")[0].removeprefix("Invalid EDN ")
        where = f", {place}" if place.startswith("in line") else ""
        raise Malformed("edn_malformed", f"The claims are no diagnostic notation{where}.") from None
    return encoded


def mark(claims: dict[Any, Any], wanted: Iterable[str], *, resolved_by: Resolve = resolve) -> dict[Any, Any]:
    """Mark the claims at these paths as ones that the holder may withhold.

    resolved_by: turns paths into the keys of another format.
    Raises WrongUse for what is no path; Rejected: claim_not_found.
    """
    for text in wanted:
        claims = _redact(claims, path(text, option="--redact", resolved_by=resolved_by))
    return claims


def path(text: str, *, option: str, resolved_by: Resolve = resolve) -> Path:
    """Read a claim path that an option gives. Raises WrongUse."""
    try:
        return resolved_by(paths.parse(text))
    except Malformed as error:
        raise WrongUse(f"{option}: {error.reason}") from None


def _redact(tree: Any, rest: Path) -> Any:
    if isinstance(tree, Redacted):
        return Redacted(_redact(tree.value, rest)) if rest else tree
    if not rest:
        return Redacted(tree)
    if isinstance(rest[0], Index):
        if isinstance(tree, list):
            # Decoys will not be there for whoever counts the elements.
            places = [place for place, item in enumerate(tree) if not isinstance(item, Decoys)]
            if rest[0].position < len(places):
                place = places[rest[0].position]
                return [*tree[:place], _redact(tree[place], rest[1:]), *tree[place + 1 :]]
    elif isinstance(tree, dict) and rest[0] in tree:
        return tree | {rest[0]: _redact(tree[rest[0]], rest[1:])}
    raise Rejected("claim_not_found", "A path to redact leads to no claim.")
