"""`safeconduct sd-cwt verify`: the contract that scripts rely on."""

from typing import Annotated

import typer

from safeconduct.cli.options import (
    Accept,
    AsJson,
    NonceHex,
    ProfileName,
    audience_name,
    hexadecimal,
    leniencies,
    moment,
)
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

PresentationFile = Annotated[
    str, typer.Argument(metavar="FILE|-", help="The presentation; - for standard input.")
]
AeadKeys = Annotated[
    list[str] | None,
    typer.Option("--aead-key", metavar="HEX", help="Opens encrypted disclosures. May be repeated."),
]
AsCbor = Annotated[bool, typer.Option("--cbor", help="Write the claims as CBOR instead of JSON.")]


def verify(
    file: PresentationFile = "-",
    *,
    issuer_key: IssuerKeys = None,
    trust: TrustFile = None,
    audience: Audience,
    nonce: NonceHex = None,
    at: At = None,
    profile: ProfileName = "ietf-08",
    accept: Accept = None,
    aead_key: AeadKeys = None,
    holder_key: HolderKeys = None,
    leeway: Leeway = 0,
    max_age: MaxAge = None,
    status_list: StatusListFiles = None,
    status_policy: StatusPolicyName = None,
    status_max_age: StatusMaxAge = None,
    as_cbor: AsCbor = False,
    as_json: AsJson = False,
) -> None:
    """Verify a presentation and print the disclosed claims as JSON.

    Exit status 0: valid. 1: not acceptable, with "code: reason" on standard error. With --json, standard
    output has {"claims", "key_binding"} or {"code", "reason"}, and "status" for a credential that has one.
    Without --nonce any nonce is accepted: a presentation can then be replayed. Without --status-list and
    --status-policy nobody looks whether it was revoked.

    \b
    Example:
      safeconduct sd-cwt verify presentation.cbor --issuer-key issuer-public.pem \\
        --audience https://verifier.example --nonce 8c0f5f523b95bea44a9a48c649240803
    """
    from safeconduct.cli import files, keyfiles, output, tokens
    from safeconduct.cli.faults import WrongUse
    from safeconduct.formats import sd_cwt
    from safeconduct.limits import TOKEN_BYTES
    from safeconduct.trust import WAIVED, AeadKey, Policy

    if as_cbor and as_json:
        raise WrongUse("--cbor and --json exclude each other")
    policy = Policy(
        audience=audience_name(audience),
        nonce=WAIVED if nonce is None else hexadecimal("--nonce", nonce),
        leeway=leeway,
        max_age=max_age,
        status="if-given" if status_policy is None else status_policy.value,
        status_max_age=status_max_age,
        profiles=(tokens.profile(profile),),
        accept=leniencies(accept),
        aead_keys=tuple(AeadKey(hexadecimal("--aead-key", text)) for text in aead_key or ()),
        holder_keys=tuple(keyfiles.read_public(name) for name in holder_key or ()),
    )
    anchors, lists = trust_of(issuer_key or (), trust), status_lists(status_list)
    data = files.read(file, max_bytes=TOKEN_BYTES)
    verified = sd_cwt.verify(data, trust=anchors, policy=policy, now=moment(at), status_lists=lists)
    if as_cbor:
        output.write_bytes(tokens.encoded(verified.claims))
    elif as_json:
        binding = verified.key_binding.to_json()
        output.write_json(
            {
                "claims": verified.claims.to_json(),
                "key_binding": binding,
                **status_json(verified.status),
            }
        )
    else:
        output.write_json(verified.claims.to_json())
