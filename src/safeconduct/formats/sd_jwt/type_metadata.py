"""Type Metadata: what a credential type is called, which claims it has, and which of them can be withheld.

Pure: `needed` says which document is to be fetched next, `resolve` puts the fetched ones together, `check`
holds a verified credential against them. Source: draft-ietf-oauth-sd-jwt-vc, "SD-JWT VC Type Metadata",
"Document Integrity", "Display Metadata", "Claim Metadata"; W3C Subresource Integrity §3.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import msgspec

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed, Rejected
from safeconduct.formats.paths import Index
from safeconduct.formats.redaction import Path
from safeconduct.formats.sd_jwt import integrity
from safeconduct.formats.sd_jwt.holding import VerifiedIssued
from safeconduct.formats.sd_jwt.verification import VerifiedPresentation

_RULE = "SD-JWT-VC, SD-JWT VC Type Metadata"
_CLAIMS = "SD-JWT-VC, Claim Metadata"

ClaimPath = tuple[str | int | None, ...]
"""Member names, array positions, and None for every element of an array."""


class Display(msgspec.Struct, frozen=True):
    """How a type is shown in one language. rendering: by rendering method, as it was received."""

    locale: str
    name: str
    description: str | None = None
    rendering: Mapping[str, Any] = {}


class ClaimDisplay(msgspec.Struct, frozen=True):
    """How a claim is shown in one language."""

    locale: str
    label: str
    description: str | None = None


class ClaimMetadata(msgspec.Struct, frozen=True):
    """What the type says of one claim, or of several that one path selects.

    mandatory: it must be in the credential. sd: whether it can be withheld.
    """

    path: ClaimPath
    display: tuple[ClaimDisplay, ...] = ()
    mandatory: bool = False
    sd: Literal["always", "allowed", "never"] = "allowed"
    svg_id: str | None = None


class TypeMetadata(msgspec.Struct, frozen=True):
    """One Type Metadata document, or several that extend one another put together."""

    vct: str
    name: str | None = None
    description: str | None = None
    extends: str | None = None
    extends_integrity: str | None = msgspec.field(default=None, name="extends#integrity")
    display: tuple[Display, ...] = ()
    claims: tuple[ClaimMetadata, ...] = ()


def parse(data: bytes, *, vct: str) -> TypeMetadata:
    """Read one document. vct: the type for whose sake it was fetched; it must name itself so.

    Raises Malformed: type_metadata_malformed and json_*; Rejected: type_metadata_other.
    """
    members = json.loads_object(data, max_bytes=limits.METADATA_BYTES)
    try:
        metadata = msgspec.convert(members, TypeMetadata)
    except msgspec.ValidationError:
        raise _malformed("A member of the Type Metadata has the wrong type.") from None
    if metadata.vct != vct:
        raise Rejected("type_metadata_other", "The Type Metadata is of another type.", rule=_RULE)
    paths = [claim.path for claim in metadata.claims]
    if len(paths) > limits.LIST_ITEMS or len(set(paths)) != len(paths):
        raise _malformed("The Type Metadata has too many claims, or one twice.")
    for path in paths:
        if not 0 < len(path) <= limits.CLAIM_DEPTH or any(type(key) is int and key < 0 for key in path):
            raise _malformed("A claim path of the Type Metadata is empty, too long or has a negative index.")
    return metadata


def needed(vct: str, documents: Mapping[str, bytes], *, checksum: str | None = None) -> str | None:
    """Return the type whose document must be fetched next, None if `documents` has all of them.

    Raises as `resolve`, but for the document that is missing.
    """
    for identifier, document, _ in _chain(vct, documents, checksum):
        if document is None:
            return identifier
    return None


def resolve(vct: str, documents: Mapping[str, bytes], *, checksum: str | None = None) -> TypeMetadata:
    """Put the metadata of a type together with that of the types it extends.

    documents: by type, as they were received. checksum: the `vct#integrity` of the credential.
    Raises Rejected: type_metadata_missing, type_metadata_other, type_metadata_circular,
    type_metadata_conflict, integrity_mismatch; Malformed: type_metadata_malformed, integrity_malformed and
    json_*.
    """
    chain: list[TypeMetadata] = []
    for _, document, metadata in _chain(vct, documents, checksum):
        if document is None or metadata is None:
            raise Rejected("type_metadata_missing", "A Type Metadata document is not there.", rule=_RULE)
        chain.append(metadata)
    whole = chain.pop()
    while chain:
        whole = _extended(whole, chain.pop())
    return whole


def check(verified: VerifiedPresentation | VerifiedIssued, metadata: TypeMetadata) -> None:
    """Check that a credential has what its type demands, and lets withhold what its type says.

    Of a presentation only that can be judged which is shown: a mandatory claim that can be withheld may be
    among what was.
    Raises Rejected: type_metadata_other, claim_missing, claim_in_clear, claim_not_redactable.
    """
    if verified.claims.get("vct") != metadata.vct:
        raise Rejected("type_metadata_other", "The Type Metadata is of another type.", rule=_RULE)
    hidden = isinstance(verified, VerifiedPresentation) and verified.withheld > 0
    disclosed = frozenset(verified.disclosed_paths())
    for claim in metadata.claims:
        # Positions are those of the whole credential; where elements are withheld, others have moved up.
        if hidden and any(type(key) is int for key in claim.path):
            continue
        places = [*_select(verified.claims.wire, claim.path, ())]
        if claim.mandatory and not places and not (hidden and _may_be_hidden(claim, metadata)):
            raise Rejected("claim_missing", "A claim that the type demands is not there.", rule=_CLAIMS)
        if claim.sd == "always" and not disclosed.issuperset(places):
            raise Rejected("claim_in_clear", "A claim cannot be withheld as the type demands.", rule=_CLAIMS)
        if claim.sd == "never" and not disclosed.isdisjoint(places):
            raise Rejected("claim_not_redactable", "A claim can be withheld against the type.", rule=_CLAIMS)


def _chain(
    vct: str, documents: Mapping[str, bytes], checksum: str | None
) -> Iterator[tuple[str, bytes | None, TypeMetadata | None]]:
    """Walk from a type to the one at its root; the last document may be missing."""
    seen: set[str] = set()
    following: str | None = vct
    while following is not None:
        if following in seen or len(seen) >= limits.TYPE_EXTENSIONS:
            raise Rejected(
                "type_metadata_circular", "Types extend one another in a circle, or too many.", rule=_RULE
            )
        seen.add(following)
        document = documents.get(following)
        if document is None:
            yield following, None, None
            return
        if checksum is not None:
            integrity.check(document, checksum)
        metadata = parse(document, vct=following)
        yield following, document, metadata
        following, checksum = metadata.extends, metadata.extends_integrity


def _extended(base: TypeMetadata, child: TypeMetadata) -> TypeMetadata:
    claims = {claim.path: claim for claim in base.claims}
    for claim in child.claims:
        older = claims.get(claim.path)
        if older is not None:
            _check_narrows(older, claim)
        claims[claim.path] = claim
    return msgspec.structs.replace(
        child, display=child.display or base.display, claims=tuple(claims.values()), extends=None
    )


def _check_narrows(older: ClaimMetadata, claim: ClaimMetadata) -> None:
    if (older.sd != "allowed" and claim.sd != older.sd) or (older.mandatory and not claim.mandatory):
        raise Rejected(
            "type_metadata_conflict", "A type loosens what the type that it extends demands.", rule=_CLAIMS
        )


def _may_be_hidden(claim: ClaimMetadata, metadata: TypeMetadata) -> bool:
    """Tell whether a claim, or something that contains it, can be withheld."""
    rules = {other.path: other.sd for other in metadata.claims}
    return any(
        rules.get(claim.path[:length], "allowed") != "never" for length in range(1, len(claim.path) + 1)
    )


def _select(value: Any, path: ClaimPath, here: Path) -> Iterator[Path]:
    """Find the places that a claim path selects; one that does not fit the claims selects nothing."""
    if not path:
        yield here
        return
    key, rest = path[0], path[1:]
    if isinstance(key, str):
        if isinstance(value, dict) and key in value:
            yield from _select(value[key], rest, (*here, key))
        return
    if isinstance(value, list):
        for position in _positions(key, len(value)):
            yield from _select(value[position], rest, (*here, Index(position)))


def _positions(key: int | None, length: int) -> Iterable[int]:
    if key is None:
        return range(length)
    return (key,) if key < length else ()


def _malformed(reason: str) -> Malformed:
    return Malformed("type_metadata_malformed", reason, rule=_RULE)
