"""Passing a credential on without its issuer: the holder's key signs it over to another key.

`issue` makes a delegated credential, `check_issued` is the receiver's look at it, `present` shows a part of
it to one verifier, and `verify` gives the claims of a presentation to a verifier whose policy takes such, or
raises. It proves that the issuer gave the credential to somebody, and that each holder gave the next one no
more than they had. Nobody but the issuer can take it back: by revoking the parent. So give short times.
"""

import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from safeconduct import limits
from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.errors import Rejected
from safeconduct.formats.redaction import Located, Path, redact
from safeconduct.formats.sd_jwt import issuance, presentation, token
from safeconduct.formats.sd_jwt.claims import Claims, resolve
from safeconduct.formats.sd_jwt.confirmation import confirmation_for
from safeconduct.formats.sd_jwt.delegated_chain import (
    CLAIM,
    DELEGATION,
    UNNARROWED,
    VCT,
    Chain,
    Grant,
    Link,
    Rights,
    Terms,
    Window,
    attenuated,
    check_compact,
    is_delegated,
    open_chain,
)
from safeconduct.formats.sd_jwt.delegated_verification import (
    DelegationPolicy,
    VerifiedDelegation,
    VerifiedLink,
    verify,
)
from safeconduct.formats.sd_jwt.holding import open_held
from safeconduct.formats.sd_jwt.parsing import Parsed, parse
from safeconduct.formats.sd_jwt.profile import SD_JWT_VC
from safeconduct.formats.selection import Disclose, choose
from safeconduct.ids import Random
from safeconduct.trust import WAIVED, Policy, Trust, Waived

__all__ = [
    "DELEGATION",
    "MEDIA_TYPE",
    "VCT",
    "DelegationPolicy",
    "HeldDelegation",
    "VerifiedDelegation",
    "VerifiedLink",
    "check_issued",
    "is_delegated",
    "issue",
    "open_chain",
    "present",
    "verify",
]

MEDIA_TYPE = f"application/{DELEGATION.typ}"
"""Of a delegated credential, presented or not."""


class HeldDelegation(msgspec.Struct, frozen=True):
    """A delegated credential that its receiver may keep; only `check_issued` makes one.

    claims: all that it can show. redactable: what of it can be withheld. verified: who passed what on.
    """

    claims: Claims
    redactable: tuple[Path, ...]
    verified: VerifiedDelegation

    def __repr__(self) -> str:
        return f"<HeldDelegation: {len(self.claims)} claims>"


def issue(
    parent: str | bytes,
    *,
    delegator: Signer,
    receiver: PublicKey,
    disclose: Disclose,
    rights: Rights,
    not_before: int,
    expires: int,
    further: int,
    now: int,
    accept: Collection[str] = frozenset(),
    random: Random = secrets.token_bytes,
) -> str:
    """Return a credential that passes `parent` on, with all that its receiver may show.

    parent: an issued SD-JWT VC, or a delegated one that may be passed on, as its holder keeps it; the
    signatures in it are not checked again. delegator: the key that it confirms. receiver: the key that the
    new one is for. disclose: as in `present`, of the issuer's claims; the others stay with the delegator.
    What stands in clear cannot be kept back. rights: what is left of claims that are arrays of texts, for
    each that is narrowed. not_before, expires: seconds since 1970. further: how often the receiver may pass
    it on. now: seconds since 1970.
    Raises Rejected: holder_key_mismatch, cnf_missing, claim_not_found, delegation_exceeds_parent,
    delegation_outlives_parent, delegation_not_passed_on, delegation_too_deep, jwt_times; Malformed:
    delegation_malformed; and as `parse` and `reveal_token`.
    """
    text = parent if isinstance(parent, str) else parent.decode("ascii", "replace")
    opened = parse(text, profiles=(DELEGATION, SD_JWT_VC), accept=accept)
    check_compact(opened)
    held = open_held(text, delegator.public, (DELEGATION, SD_JWT_VC), accept)
    chain = _chain_of(opened, text, accept)
    if len(chain.links) >= limits.DELEGATION_DEPTH:
        raise Rejected("delegation_too_deep", "The credential was passed on as often as it can be.")
    envelope, chosen = held.opened.envelope, _chosen(chain, disclose)
    # In the parent's order, which tells nothing about the choice.
    shown = [encoded.decode("ascii") for encoded in envelope.disclosures if encoded in chosen]
    grant = Grant(
        parent=envelope.jwts[0],
        disclosures=shown,
        rights={name: list(left) for name, left in rights.items()},
        further=further,
    )
    terms = Terms(
        vct=VCT,
        iat=now,
        nbf=not_before,
        exp=expires,
        cnf=confirmation_for(receiver),
        delegation=grant,
    )
    _check_narrower(envelope.jwts[0], shown, terms, accept)
    return issuance.issue(
        {**msgspec.to_builtins(terms), CLAIM: _redactable(grant)},
        issuer=delegator,
        holder=None,
        now=now,
        profile=DELEGATION,
        random=random,
    )


def check_issued(
    data: str | bytes,
    *,
    holder: PublicKey,
    trust: Trust,
    now: int,
    types: Collection[str] | Waived,
    leeway: int = 0,
    accept: Collection[str] = frozenset(),
) -> HeldDelegation:
    """Check a delegated credential as its receiver, before keeping it.

    holder: the key that it must be for. trust: in the issuer. types: the `vct` that were promised, or WAIVED.
    Raises Rejected: holder_key_mismatch, key_binding_present, and as `verify`.
    """
    policy = Policy(
        audience=WAIVED,
        nonce=WAIVED,
        key_binding=WAIVED,
        leeway=leeway,
        status=WAIVED,
        accept=frozenset(accept),
    )
    taken = DelegationPolicy(
        depth=limits.DELEGATION_DEPTH, types=types if isinstance(types, Waived) else frozenset(types)
    )
    verified = verify(data, trust=trust, policy=policy, delegation=taken, now=now)
    if verified.key_binding is not None:
        raise Rejected("key_binding_present", "An issued token carries no key binding.", rule="RFC 9901 §7.2")
    if verified.holder != holder:
        raise Rejected("holder_key_mismatch", "The token is bound to another key.", rule="RFC 9901 §7.2")
    narrowed = {name for link in verified.links for name in link.rights}
    places = (item.path for item in _located(open_chain(data, accept=accept, depth=taken.depth)))
    # The places in an array that was narrowed are no longer those in the issuer's.
    redactable = dict.fromkeys(path[:1] if path[0] in narrowed else path for path in places)
    return HeldDelegation(verified.claims, tuple(redactable), verified)


def present(
    data: str | bytes,
    *,
    holder: Signer,
    disclose: Disclose,
    audience: str,
    nonce: str,
    now: int,
    lifetime: int | None = None,
    accept: Collection[str] = frozenset(),
) -> str:
    """Return a presentation of a delegated credential: the chosen claims of its issuer, under a key binding.

    The arguments are those of `presentation.present`. What the delegators gave along can be withheld again.
    Raises Rejected: claim_not_found, holder_key_mismatch; and as `open_chain`.
    """
    chain = open_chain(data, accept=accept, depth=limits.DELEGATION_DEPTH)
    chosen = {item.decode("ascii") for item in _chosen(chain, disclose, outermost=False)}
    return presentation.present(
        open_held(data, holder.public, (DELEGATION,), accept),
        holder=holder,
        disclose=lambda _path, value: value in chosen,
        audience=audience,
        nonce=nonce,
        now=now,
        lifetime=lifetime,
        form="compact",
    )


def _chain_of(opened: Parsed, text: str, accept: Collection[str]) -> Chain:
    if opened.profile is not DELEGATION:
        return Chain(opened, ())
    return open_chain(text, accept=accept, depth=limits.DELEGATION_DEPTH)


def _located(chain: Chain) -> tuple[Located, ...]:
    return token.reveal_token(chain.root.token, locate=True).located


def _chosen(chain: Chain, disclose: Disclose, *, outermost: bool = True) -> set[bytes]:
    """The disclosures that a choice of the issuer's claims means in the last link, or in its parent."""
    revealed = token.reveal_token(chain.root.token, locate=True)
    chosen = choose(disclose, revealed.located, revealed.trees, resolve=resolve)
    for link in chain.links if outermost else chain.links[:-1]:
        chosen = _carrying(link, chosen)
    return chosen


def _carrying(link: Link, chosen: set[bytes]) -> set[bytes]:
    """The disclosures of a link whose values are among these."""
    return {
        item.disclosure.encoded
        for item in link.located
        if str(item.disclosure.value).encode("ascii", "replace") in chosen
    }


def _check_narrower(parent: str, shown: Sequence[str], terms: Terms, accept: Collection[str]) -> None:
    """Check what a verifier will, so that no delegation is made that nobody takes."""
    if not UNNARROWED.isdisjoint(terms.delegation.rights):
        raise Rejected("delegation_exceeds_parent", "A registered claim cannot be narrowed.")
    text = "~".join([parent, *shown, ""])
    chain = _chain_of(parse(text, profiles=(DELEGATION, SD_JWT_VC), accept=accept), text, accept)
    root: Mapping[str, Any] = token.reveal_token(chain.root.token).trees[0]
    claims, window = dict(root), Window.of_root(root)
    for link in (*(link.terms for link in chain.links), terms):
        claims = attenuated(claims, window, link)
        window = Window.of_link(link)
    if not terms.delegation.rights.keys() <= claims.keys():
        raise Rejected("claim_not_found", "A claim that is to be narrowed is not passed on.")


def _redactable(grant: Grant) -> dict[str, Any]:
    return {**msgspec.to_builtins(grant), "disclosures": [redact(text) for text in grant.disclosures]}
