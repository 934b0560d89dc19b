"""A delegated credential taken apart: the issuer's token inside, and every holder's signature around it.

A holder passes a credential on by signing, with the key that it confirms, a token of its own for another key:

    {"vct": "urn:safeconduct:delegation:1", "iat": …, "nbf": …, "exp": …, "cnf": {"jwk": the other key},
     "delegation": {"parent": the issuer-signed JWT, "disclosures": [those of it that go along],
                    "rights": {claim: what is left of its array}, "further": 0}}

Each entry of `disclosures` can be withheld in its turn, as an array element of an SD-JWT; nothing else in it
can. The parent may be a delegated credential itself. The type in the header is no SD-JWT's, so that whoever
reads those in general does not take it for one; no claim here is a claim about anybody.
"""

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal

import msgspec

from safeconduct import limits
from safeconduct.errors import Malformed, Rejected
from safeconduct.formats.redaction import Located, Path
from safeconduct.formats.sd_jwt import token, values
from safeconduct.formats.sd_jwt.codec import ELLIPSIS, SD, SD_ALG
from safeconduct.formats.sd_jwt.parsing import Needs, Parsed, parse
from safeconduct.formats.sd_jwt.profile import DEFAULT_PROFILES, SD_JWT_VC, Profile

VCT: Literal["urn:safeconduct:delegation:1"] = "urn:safeconduct:delegation:1"
"""The `vct` of a delegation: of no credential that an issuer gives."""

DELEGATION = Profile(
    name="sct-delegation",
    typ="sct-delegation+jwt",
    typ_read=frozenset({"sct-delegation+jwt"}),
    typ_suffix=None,
    lenient_typ={},
    required=frozenset({"vct", "cnf", "exp", "delegation"}),
    never_redacted=frozenset({"iss", "iat", "nbf", "exp", "cnf", "vct"}),
    never_issued_redacted=frozenset({"iss", "iat", "nbf", "exp", "cnf", "vct"}),
)
"""In no table of profiles: nothing but this module and its neighbours reads it."""

CLAIM = "delegation"

Rights = Mapping[str, Collection[str]]
"""By claim, whose value is an array of texts: what is left of it."""


class Grant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The claim `delegation`, as signed.

    parent: the JWT of what is passed on. disclosures: of it, as texts or digests. rights: as `Rights`.
    further: how many times the receiver may pass it on in its turn.
    """

    parent: str
    disclosures: list[Any]
    rights: Annotated[dict[str, list[str]], msgspec.Meta(max_length=limits.DELEGATION_RIGHTS)]
    further: Annotated[int, msgspec.Meta(ge=0, le=limits.DELEGATION_DEPTH)]

    def __repr__(self) -> str:
        return "<Grant>"


class Terms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that a delegation says. Times in seconds since 1970."""

    vct: Literal["urn:safeconduct:delegation:1"]
    iat: int
    nbf: int
    exp: int
    cnf: dict[str, Any]
    delegation: Grant

    def __repr__(self) -> str:
        return "<Terms>"


class Link(msgspec.Struct, frozen=True):
    """One holder's token, unverified. located: where the disclosures that came along stand in it.

    parent: what it passes on, as an issued token.
    """

    parsed: Parsed
    terms: Terms
    located: tuple[Located, ...]
    parent: str

    def __repr__(self) -> str:
        return "<Link>"


class Chain(msgspec.Struct, frozen=True):
    """A delegated credential, unverified. root: the issuer's token. links: the first holder's first."""

    root: Parsed
    links: tuple[Link, ...]

    def needs(self) -> Needs:
        """Tell which evidence `verify` will look for: that of the issuer's token."""
        return self.root.needs()

    def __repr__(self) -> str:
        return f"<Chain of {len(self.links)}>"


def open_chain(data: str | bytes, *, accept: Collection[str], depth: int) -> Chain:
    """Take a delegated credential apart, presented or not. depth: most links.

    Raises Rejected: delegation_too_deep, sd_jwt_typ; Malformed: delegation_malformed; and as `parse` and
    `reveal_token` for each token in it.
    """
    parsed = parse(data, profiles=(DELEGATION,), accept=accept)
    links: list[Link] = []
    while parsed.profile is DELEGATION:
        if len(links) >= min(depth, limits.DELEGATION_DEPTH):
            raise Rejected("delegation_too_deep", "The credential was passed on more often than allowed.")
        links.append(_link(parsed))
        parsed = parse(links[-1].parent, profiles=(DELEGATION, SD_JWT_VC), accept=accept)
    check_compact(parsed)
    return Chain(parsed, tuple(reversed(links)))


def is_delegated(data: str | bytes, *, accept: Collection[str] = frozenset()) -> bool:
    """Tell by its type whether a token is a delegated credential. Raises as `parse`."""
    return parse(data, profiles=(DELEGATION, *DEFAULT_PROFILES), accept=accept).profile is DELEGATION


def check_compact(parsed: Parsed) -> None:
    """Check that a token is in the compact form, the only one in a chain. Raises Malformed."""
    if parsed.token.envelope.form != "compact":
        raise _malformed("A delegated credential and what is inside are in the compact form.")


def attenuated(claims: Mapping[str, Any], parent: "Window", link: Terms) -> dict[str, Any]:
    """Return the claims that a link leaves of its parent's, and check that it makes nothing wider.

    claims: what the parent gives. parent: when and how often the parent may be used so.
    Raises Rejected: delegation_outlives_parent, delegation_not_passed_on, delegation_exceeds_parent.
    """
    if parent.further is not None and link.delegation.further >= parent.further:
        raise Rejected("delegation_not_passed_on", "The credential was not given to be passed on so often.")
    begins_before = parent.nbf is not None and link.nbf < parent.nbf
    if begins_before or (parent.exp is not None and link.exp > parent.exp):
        raise Rejected("delegation_outlives_parent", "The delegation is good when its parent is not.")
    return {**claims, **_left(claims, link.delegation.rights)}


class Window(msgspec.Struct, frozen=True):
    """What bounds a delegation of a token.

    nbf, exp: of the token, None without. further: how often it may be passed on, None: nobody said.
    """

    nbf: float | None
    exp: float | None
    further: int | None

    @classmethod
    def of_root(cls, claims: Mapping[str, Any]) -> "Window":
        """Return that of the issuer's token: issuers are not asked."""
        return cls(claims.get("nbf"), claims.get("exp"), None)

    @classmethod
    def of_link(cls, link: Terms) -> "Window":
        """Return that of a delegation."""
        return cls(link.nbf, link.exp, link.delegation.further)


def _left(claims: Mapping[str, Any], rights: Rights) -> dict[str, Any]:
    """The narrowed claims; of one that is not shown nothing is left either."""
    left: dict[str, Any] = {}
    for name in rights.keys() & claims.keys():
        value = claims[name]
        if type(value) is not list or not set(rights[name]) <= {item for item in value if type(item) is str}:
            raise Rejected("delegation_exceeds_parent", "The delegation gives more than its parent shows.")
        left[name] = list(rights[name])
    return left


UNNARROWED = values.REGISTERED | {SD, ELLIPSIS, SD_ALG}
"""Claims with a meaning of their own, and what stands for digests: of these nothing is narrowed."""

_ELEMENTS: Path = (CLAIM, "disclosures")


def _link(parsed: Parsed) -> Link:
    check_compact(parsed)
    try:
        # The payload as signed: what could be withheld from it would not be a text, or make it another shape.
        terms = msgspec.convert(parsed.token.payload, type=Terms)
    except msgspec.ValidationError:
        raise _malformed("A delegation does not say all that it has to, or says more.") from None
    if not UNNARROWED.isdisjoint(terms.delegation.rights):
        raise _malformed("A delegation narrows what is no claim of the issuer's own.")
    revealed = token.reveal_token(parsed.token, locate=True)
    shown = revealed.trees[0][CLAIM]["disclosures"]
    parts = [terms.delegation.parent, *shown]
    if not all(type(part) is str and part and "~" not in part for part in parts):
        raise _malformed("A disclosure of a parent is not text.")
    if any(item.path[:2] != _ELEMENTS or len(item.path) != 3 for item in revealed.located):
        raise _malformed("A delegation hides more than disclosures of its parent.")
    return Link(parsed, terms, revealed.located, "~".join([*parts, ""]))


def _malformed(reason: str) -> Malformed:
    return Malformed("delegation_malformed", reason)
