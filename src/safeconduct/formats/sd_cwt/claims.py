"""A claim set as its readers see it: registered claims by name or label, and its JSON form.

In JSON a registered label of the top map is written by name, any other integer key in decimal, bytes in
base64url. A text key that would read as one of those is written as a quoted path segment: `["500"]`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from safeconduct.encoding import b64
from safeconduct.encoding.cbor import Simple, Tag, undefined
from safeconduct.errors import Malformed
from safeconduct.formats import paths
from safeconduct.formats.redaction import Decoys, Path, Redacted
from safeconduct.formats.sd_cwt.labels import BYTES_CLAIMS, CLAIM_LABELS, CLAIM_NAMES


class Claims(Mapping[int | str, Any]):
    """A frozen claim set. `claims["iss"]` and `claims[1]` are the same claim; iteration gives names.

    wire: the same claims under the keys that the token has.
    """

    __slots__ = ("wire",)

    def __init__(self, wire: Mapping[Any, Any]) -> None:
        self.wire = wire

    def __getitem__(self, key: int | str) -> Any:
        return self.wire[CLAIM_LABELS.get(key, key) if isinstance(key, str) else key]

    def __iter__(self) -> Iterator[int | str]:
        return (CLAIM_NAMES.get(key, key) if type(key) is int else key for key in self.wire)

    def __len__(self) -> int:
        return len(self.wire)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Claims):
            return self.wire == other.wire
        return isinstance(other, Mapping) and self.wire == with_labels(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Claims: {len(self.wire)} claims>"

    def to_json(self) -> dict[str, Any]:
        """Return the claims as JSON values, written as the module says."""
        return claims_to_json(self.wire)


def with_labels(claims: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return `claims` with registered names at the top replaced by their labels.

    Raises Malformed: claim_duplicate where both spellings are there.
    """
    result = {CLAIM_LABELS.get(key, key): value for key, value in claims.items()}
    if len(result) != len(claims):
        raise Malformed("claim_duplicate", "A claim is given twice, by its name and by its label.")
    return result


def claims_to_json(claims: Mapping[Any, Any]) -> dict[str, Any]:
    """Write a claim set as JSON values."""
    return {_top_key(key): _to_json(value) for key, value in claims.items()}


def claims_from_json(claims: Mapping[str, Any]) -> dict[Any, Any]:
    """Read a claim set from JSON values: names and decimal keys become labels, `cti` and `cnonce` bytes.

    Marks of the redaction engine pass through.
    Raises Malformed: claim_duplicate, claim_path, claim_value, base64url_malformed.
    """
    result: dict[Any, Any] = {}
    for key, value in claims.items():
        label = _from_key(key, top=True)
        if label in result:
            raise Malformed("claim_duplicate", "A claim is given twice.")
        if label in BYTES_CLAIMS and type(value) is str:
            result[label] = b64.decode(value)
        else:
            result[label] = _from_json(value)
    return result


def resolve(segments: tuple[paths.Segment, ...]) -> Path:
    """Turn a parsed claim path into the keys and indices of a CWT."""
    return tuple(_segment_key(segment, top=place == 0) for place, segment in enumerate(segments))


def path_text(path: Path) -> str:
    """Write a place in a claim set as a claim path that `resolve` reads back."""
    return paths.write(_segment_of(key, top=place == 0) for place, key in enumerate(path))


def _segment_of(key: Any, *, top: bool) -> paths.Segment:
    if isinstance(key, paths.Index):
        return key
    if isinstance(key, int):
        return paths.Name(CLAIM_NAMES.get(key, str(key)) if top else str(key))
    ambiguous = paths.is_label(key) or (top and key in CLAIM_LABELS)
    return paths.Text(key) if ambiguous else paths.Name(key)


def _segment_key(segment: paths.Segment, *, top: bool) -> Any:
    if isinstance(segment, paths.Index):
        return segment
    if isinstance(segment, paths.Text):
        return segment.text
    if top and segment.text in CLAIM_LABELS:
        return CLAIM_LABELS[segment.text]
    return int(segment.text) if paths.is_label(segment.text) else segment.text


def _top_key(key: Any) -> str:
    if type(key) is int:
        return CLAIM_NAMES.get(key, str(key))
    return _quoted(key) if key in CLAIM_LABELS else _key(key)


def _key(key: Any) -> str:
    if type(key) is int:
        return str(key)
    return _quoted(key) if paths.is_label(key) or key.startswith('["') else key


def _quoted(key: str) -> str:
    return paths.write((paths.Text(key),))


def _from_key(key: str, *, top: bool) -> int | str:
    if key.startswith('["'):
        segments = paths.parse(key)
        if len(segments) == 1 and isinstance(segments[0], paths.Text):
            return segments[0].text
    if top and key in CLAIM_LABELS:
        return CLAIM_LABELS[key]
    return int(key) if paths.is_label(key) else key


def _to_json(value: Any) -> Any:
    kind = type(value)
    if kind is bytes:
        return b64.encode(value)
    if kind is dict:
        return {_key(key): _to_json(item) for key, item in value.items()}
    if kind is list:
        return [_to_json(item) for item in value]
    if kind is Tag:
        return {"tag": value.tag, "value": _to_json(value.value)}
    if kind is Simple:
        return {"simple": value.value}
    if value is undefined:
        return None
    if kind is float and value - value != 0:
        return str(value)
    return value


def _from_json(value: Any) -> Any:
    if isinstance(value, dict):
        keys = [key if isinstance(key, Decoys) else _from_key(key, top=False) for key in value]
        if len(set(keys)) != len(keys):
            raise Malformed("claim_duplicate", "A claim is given twice.")
        return dict(zip(keys, map(_from_json, value.values()), strict=True))
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    if type(value) is int and not -(1 << 64) <= value < 1 << 64:
        raise Malformed("claim_value", "An integer has more than 64 bits and a sign.", rule="RFC 8949 §3.1")
    return Redacted(_from_json(value.value)) if isinstance(value, Redacted) else value
