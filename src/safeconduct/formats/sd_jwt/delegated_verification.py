"""Verification of a delegated credential: the issuer's token first, then each holder's link to the next."""

from collections.abc import Mapping
from typing import Any

import msgspec

from safeconduct.crypto.keys import PublicKey
from safeconduct.crypto.x509 import Certificate
from safeconduct.errors import Rejected
from safeconduct.formats.sd_jwt import values, verification
from safeconduct.formats.sd_jwt.claims import Claims
from safeconduct.formats.sd_jwt.confirmation import confirmed_key
from safeconduct.formats.sd_jwt.delegated_chain import (
    DELEGATION,
    Chain,
    Link,
    Rights,
    Terms,
    Window,
    attenuated,
    open_chain,
)
from safeconduct.formats.sd_jwt.profile import SD_JWT_VC
from safeconduct.formats.sd_jwt.verification import VerifiedPresentation
from safeconduct.status.token_list import CredentialStatus, Owner, TokenStatusLists
from safeconduct.status.token_list.checking import check
from safeconduct.trust import WAIVED, Policy, Trust, Waived


class DelegationPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What a verifier takes of credentials that holders passed on. Whoever gives none takes none.

    depth: how many hands after the first holder's. types: the `vct` of issuers' credentials that may be
    passed on, or WAIVED.
    """

    depth: int
    types: frozenset[str] | Waived


class VerifiedLink(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a chain. delegator: the key that signed it. holder: the key that it is for.

    rights: what it left of the parent's claims. not_before, expires: seconds since 1970. further: how often
    its holder may pass it on.
    """

    delegator: PublicKey
    holder: PublicKey
    rights: Rights
    not_before: int
    expires: int
    further: int

    def __repr__(self) -> str:
        return "<VerifiedLink>"


class VerifiedDelegation(msgspec.Struct, frozen=True, kw_only=True):
    """A delegated credential that passed every check; only `verify` makes one. It is no VerifiedPresentation.

    claims: what the issuer's token shows, narrowed by every link, with the times and the key of the last one,
    and without `sub` and `status`, which are the first holder's. issuer, its key: of the issuer's token.
    holder: the last key. key_binding: as in a VerifiedPresentation. links: who passed it on, the first holder
    first. status: of the issuer's token.
    """

    claims: Claims
    key_binding: Claims | None
    issuer: str | None
    issuer_key: PublicKey | None
    issuer_certificate: Certificate | None
    holder: PublicKey
    links: tuple[VerifiedLink, ...]
    status: CredentialStatus | None

    def __repr__(self) -> str:
        return f"<VerifiedDelegation: {len(self.links)} links, {len(self.claims)} claims>"


def verify(
    data: str | bytes,
    *,
    trust: Trust,
    policy: Policy,
    delegation: DelegationPolicy,
    now: int,
    status_lists: TokenStatusLists | None = None,
) -> VerifiedDelegation:
    """Check a presentation of a delegated credential wholly and return its claims, or raise.

    1. The chain is taken apart; it has no more links than `delegation` allows, and ends at an SD-JWT VC.
    2. The issuer's token passes `sd_jwt.verify`: signature of a trusted issuer, disclosures, times, claims;
       its type is one that may be passed on.
    3. Each link is signed by the key that the token before it confirms, and is good now.
    4. The last link's key signed the key binding, for this audience and nonce.
    5. No link gives more claims, a longer time or more steps than the one before it.
    6. The status of the issuer's token is good; if it was revoked, so is all that was passed on.

    policy: as for the issuer's token, which its demands for claims and types are about. now: seconds since
    1970. Raises SafeconductError; docs/rules/sd-jwt.md lists each code.
    """
    # 1
    chain = open_chain(data, accept=policy.accept, depth=delegation.depth)
    # 2
    root = verification.verify(chain.root, trust=trust, policy=_root_policy(policy, delegation), now=now)
    # 3, 4
    last, links = _verified_links(chain, root, policy, now)
    # 5
    claims = _left_of(root.claims.wire, [link.terms for link in chain.links])
    # 6
    status = None
    if values.STATUS in root.claims:
        owner, claim = (
            Owner(root.issuer, root.issuer_key, root.issuer_certificate),
            root.claims[values.STATUS],
        )
        status = check(claim, lists=status_lists, owner=owner, trust=trust, policy=policy, now=now)
    return VerifiedDelegation(
        claims=Claims(claims),
        key_binding=last.key_binding,
        issuer=root.issuer,
        issuer_key=root.issuer_key,
        issuer_certificate=root.issuer_certificate,
        holder=links[-1].holder,
        links=links,
        status=status,
    )


def _root_policy(policy: Policy, delegation: DelegationPolicy) -> Policy:
    types = policy.types
    if not isinstance(delegation.types, Waived):
        types = frozenset(delegation.types) if types is None else types & delegation.types
    return msgspec.structs.replace(
        policy,
        profiles=(SD_JWT_VC,),
        types=types,
        # Its holder proves possession by the link; what is shown is bound at the other end of the chain.
        key_binding=WAIVED,
        nonce=WAIVED,
        status=WAIVED,  # looked up last, of a credential that is good otherwise
    )


def _verified_links(
    chain: Chain, root: VerifiedPresentation, policy: Policy, now: int
) -> tuple[VerifiedPresentation, tuple[VerifiedLink, ...]]:
    if "cnf" not in root.claims:
        raise Rejected("cnf_missing", "The token confirms no holder's key.", rule="RFC 9901 §7.3 step 5.1")
    key = confirmed_key(root.claims["cnf"], policy.holder_keys)
    links: list[VerifiedLink] = []
    verified = root
    for place, link in enumerate(chain.links, start=1):
        demands = _link_policy(policy, last=place == len(chain.links))
        verified = verification.verify(
            link.parsed, trust=Trust.key(key.with_kid(None)), policy=demands, now=now
        )
        links.append(_verified_link(link, key))
        key = links[-1].holder
    return verified, tuple(links)


def _link_policy(policy: Policy, *, last: bool) -> Policy:
    demands = msgspec.structs.replace(
        policy,
        profiles=(DELEGATION,),
        types=None,
        require_claims=frozenset(),
        require_disclosure=False,
        holder_keys=(),  # each link says itself whom it is for
        status=WAIVED,
    )
    return demands if last else msgspec.structs.replace(demands, key_binding=WAIVED, nonce=WAIVED)


def _verified_link(link: Link, delegator: PublicKey) -> VerifiedLink:
    return VerifiedLink(
        delegator=delegator,
        holder=confirmed_key(link.terms.cnf, ()),
        rights=link.terms.delegation.rights,
        not_before=link.terms.nbf,
        expires=link.terms.exp,
        further=link.terms.delegation.further,
    )


_FIRST_HOLDERS = frozenset({"sub", values.STATUS})
"""Claims that name the first holder, or its credential: a later one could be taken for that by them."""


def _left_of(root: Mapping[str, Any], links: list[Terms]) -> dict[str, Any]:
    claims = {name: value for name, value in root.items() if name not in _FIRST_HOLDERS}
    window = Window.of_root(root)
    for link in links:
        claims = attenuated(claims, window, link)
        window = Window.of_link(link)
    last = links[-1]
    return {**claims, "iat": last.iat, "nbf": last.nbf, "exp": last.exp, "cnf": last.cnf}
