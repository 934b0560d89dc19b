"""`safeconduct sd-jwt verify`: the contract that scripts rely on."""

from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import typer

from safeconduct.cli.options import AsJson, audience_name, moment
from safeconduct.cli.sd_jwt.options import Accept, NonceText, ProfileChoice, leniencies, nonce_text
from safeconduct.cli.verifying import (
    At,
    Audience,
    HolderKeys,
    IssuerKeys,
    Leeway,
    MaxAge,
    StatusListFiles,
    StatusMaxAge,
    StatusPolicyName,
    TrustFile,
    status_json,
    status_lists,
)
from safeconduct.cli.verifying import trust as trust_of
from safeconduct.limits import DELEGATION_DEPTH

if TYPE_CHECKING:
    from safeconduct.formats.sd_jwt import VerifiedPresentation
    from safeconduct.formats.sd_jwt.delegation import VerifiedDelegation
    from safeconduct.status.token_list import TokenStatusLists
    from safeconduct.trust import Policy, Trust

    class Evidence(TypedDict):
        """What every verification is given."""

        trust: Trust
        policy: Policy
        now: int
        status_lists: TokenStatusLists | None


PresentationFile = Annotated[
    str, typer.Argument(metavar="FILE|-", help="The presentation; - for standard input.")
]
NoKeyBinding = Annotated[
    bool,
    typer.Option(
        "--no-key-binding",
        help="Accept a presentation that proves no possession. A key binding that is there is checked all "
        "the same.",
    ),
]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", metavar="VCT", help="Accept only credentials of this type. May be repeated."),
]
Require = Annotated[
    list[str] | None,
    typer.Option("--require", metavar="CLAIM", help="Demand this claim, such as exp. May be repeated."),
]
ProfileName = Annotated[
    ProfileChoice | None,
    typer.Option("--profile", help="Accept only credentials, or only other SD-JWTs; both unless said."),
]
DelegationDepth = Annotated[
    int,
    typer.Option(
        "--delegation-depth",
        metavar="N",
        min=0,
        max=DELEGATION_DEPTH,
        help="Take credentials of the types of --type that up to N holders passed on, one to the next, "
        "without the issuer.",
    ),
]


def verify(
    file: PresentationFile = "-",
    *,
    issuer_key: IssuerKeys = None,
    trust: TrustFile = None,
    audience: Audience,
    nonce: NonceText = None,
    at: At = None,
    no_key_binding: NoKeyBinding = False,
    types: Types = None,
    require: Require = None,
    profile: ProfileName = None,
    accept: Accept = None,
    holder_key: HolderKeys = None,
    leeway: Leeway = 0,
    max_age: MaxAge = None,
    status_list: StatusListFiles = None,
    status_policy: StatusPolicyName = None,
    status_max_age: StatusMaxAge = None,
    delegation_depth: DelegationDepth = 0,
    as_json: AsJson = False,
) -> None:
    """Verify a presentation and print the disclosed claims as JSON.

    Exit status 0: valid. 1: not acceptable, with "code: reason" on standard error. With --json, standard
    output has {"claims", "key_binding"} or {"code", "reason"}, "status" for a credential that has one, and
    "delegations" for one that holders passed on.
    Without --nonce any nonce is accepted: a presentation can then be replayed. Without --status-list and
    --status-policy nobody looks whether it was revoked.

    \b
    Example:
      safeconduct sd-jwt verify presentation.txt --issuer-key issuer-public.pem \\
        --audience https://verifier.example --nonce n-0S6_WzA2Mj
    """
    from safeconduct.cli import files, keyfiles, output
    from safeconduct.formats import sd_jwt
    from safeconduct.limits import TOKEN_BYTES
    from safeconduct.trust import WAIVED, Policy

    policy = Policy(
        audience=audience_name(audience),
        nonce=WAIVED if nonce is None else nonce_text(nonce),
        key_binding=WAIVED if no_key_binding else "demanded",
        leeway=leeway,
        max_age=max_age,
        status="if-given" if status_policy is None else status_policy.value,
        status_max_age=status_max_age,
        types=None if types is None else frozenset(types),
        require_claims=frozenset(require or ()),
        profiles=tuple(sd_jwt.PROFILES) if profile is None else (profile.value,),
        accept=leniencies(accept),
        holder_keys=tuple(keyfiles.read_public(name) for name in holder_key or ()),
    )
    anchors, lists = trust_of(issuer_key or (), trust), status_lists(status_list)
    data = files.read(file, max_bytes=TOKEN_BYTES).strip()
    evidence: Evidence = {"trust": anchors, "policy": policy, "now": moment(at), "status_lists": lists}
    verified, more = _verified(data, evidence, depth=delegation_depth)
    claims = verified.claims.to_json()
    if as_json:
        binding = None if verified.key_binding is None else verified.key_binding.to_json()
        output.write_json({"claims": claims, "key_binding": binding, **status_json(verified.status), **more})
    else:
        output.write_json(claims)


def _verified(
    data: bytes, evidence: "Evidence", *, depth: int
) -> "tuple[VerifiedPresentation | VerifiedDelegation, dict[str, Any]]":
    """Verify, and say what is to be said of delegations. Raises WrongUse for a depth without types."""
    from safeconduct.cli.faults import WrongUse
    from safeconduct.formats import sd_jwt
    from safeconduct.formats.sd_jwt import delegation

    types = evidence["policy"].types
    if depth and types is None:
        raise WrongUse("give --type VCT with --delegation-depth: not every credential is to be passed on")
    if not depth or not delegation.is_delegated(data, accept=evidence["policy"].accept):
        return sd_jwt.verify(data, **evidence), {}
    taken = delegation.DelegationPolicy(depth=depth, types=frozenset(map(str, types or ())))
    verified = delegation.verify(data, **evidence, delegation=taken)
    steps = [
        {
            "rights": {name: list(left) for name, left in link.rights.items()},
            "not_before": link.not_before,
            "expires": link.expires,
        }
        for link in verified.links
    ]
    return verified, {"delegations": steps}
