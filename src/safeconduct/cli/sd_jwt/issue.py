"""`safeconduct sd-jwt issue`."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from safeconduct.cli.options import LATEST, AsJson, Now, Out, moment
from safeconduct.cli.sd_jwt.options import FormName, ProfileChoice


class HashName(StrEnum):
    """Hashes of disclosures."""

    SHA256 = "sha-256"
    SHA384 = "sha-384"
    SHA512 = "sha-512"


ClaimsFile = Annotated[str, typer.Argument(metavar="CLAIMS|-", help="Claims in JSON; - for standard input.")]
IssuerKey = Annotated[str, typer.Option("--issuer-key", metavar="FILE", help="The issuer's private key.")]
HolderKey = Annotated[
    str | None,
    typer.Option(
        "--holder-key", metavar="FILE", help="The holder's public key; left out if no key is to be bound."
    ),
]
Redact = Annotated[
    list[str] | None,
    typer.Option(
        "--redact",
        metavar="PATH",
        help="A claim that the holder may withhold, such as address.region, nationalities[0] or "
        '["odd.name"]. May be repeated.',
    ),
]
DecoyCount = Annotated[int, typer.Option("--decoys", min=0, max=256, help="Decoys to add at the top.")]
AlgorithmName = Annotated[
    str | None,
    typer.Option("--alg", metavar="NAME", help="Another algorithm of the issuer's key, such as EdDSA."),
]
Kid = Annotated[
    str | None,
    typer.Option("--kid", metavar="TEXT", help="The issuer key's identifier, if not the file's own."),
]
Certificates = Annotated[
    str | None,
    typer.Option(
        "--x5c", metavar="FILE", help="The issuer key's certificates in PEM, leaf first, anchor left out."
    ),
]
HashOption = Annotated[HashName, typer.Option("--hash", help="The hash of disclosures.")]
Lifetime = Annotated[
    int | None,
    typer.Option("--lifetime", metavar="SECONDS", min=1, max=LATEST, help="Set exp so long after now."),
]
Deterministic = Annotated[
    bool, typer.Option("--deterministic", help="Sign by RFC 6979; the salts stay random.")
]
Form = Annotated[FormName, typer.Option("--form", help="The serialisation.")]
ProfileName = Annotated[
    ProfileChoice, typer.Option("--profile", help="A credential (dc+sd-jwt, with vct), or any SD-JWT.")
]


def issue(
    claims: ClaimsFile = "-",
    *,
    issuer_key: IssuerKey,
    holder_key: HolderKey = None,
    redact: Redact = None,
    decoys: DecoyCount = 0,
    algorithm: AlgorithmName = None,
    kid: Kid = None,
    x5c: Certificates = None,
    hash_name: HashOption = HashName.SHA256,
    lifetime: Lifetime = None,
    now: Now = None,
    deterministic: Deterministic = False,
    profile: ProfileName = ProfileChoice.VC,
    form: Form = FormName.COMPACT,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Make an SD-JWT VC, or any SD-JWT, for a holder, with all its disclosures.

    A credential must have vct; iat is added. What may be withheld is said by --redact.

    \b
    Example:
      safeconduct sd-jwt issue claims.json --issuer-key issuer.pem \\
        --holder-key holder-public.pem --redact given_name --redact address.region \\
        --decoys 2 --lifetime 86400 --out token.txt
    """
    from safeconduct.cli import files, keyfiles, tokens
    from safeconduct.cli.claims import mark
    from safeconduct.encoding import json
    from safeconduct.formats import sd_jwt
    from safeconduct.formats.sd_jwt.claims import resolve
    from safeconduct.limits import TOKEN_BYTES

    signer = keyfiles.read_signer(issuer_key, algorithm=algorithm, deterministic=deterministic)
    holder = None if holder_key is None else keyfiles.read_public(holder_key)
    chain = () if x5c is None else _certificates(x5c, signer)
    issued_at = moment(now)
    claim_set = json.loads_object(files.read(claims, max_bytes=TOKEN_BYTES))
    token = sd_jwt.issue(
        _complete(mark(claim_set, redact or (), resolved_by=resolve), decoys, lifetime, issued_at),
        issuer=signer,
        holder=holder,
        now=issued_at,
        kid=kid if kid is not None else tokens.identifier_text(signer.kid),
        x5c=chain,
        hash_name=hash_name.value,
        profile=sd_jwt.PROFILES[profile.value],
        form=form.value,
    )
    tokens.deliver_text(token, out, as_json=as_json)


def _complete(claims: dict[Any, Any], decoy_count: int, lifetime: int | None, now: int) -> dict[Any, Any]:
    from safeconduct.cli.faults import WrongUse
    from safeconduct.formats.redaction import decoys

    result = dict(claims)
    if decoy_count:
        result[decoys(decoy_count)] = None
    if lifetime is not None:
        if "exp" in result:
            raise WrongUse("the claims have an exp of their own: leave out --lifetime")
        result["exp"] = now + lifetime
    return result


def _certificates(place: str, signer: Any) -> list[str]:
    from safeconduct.cli import files
    from safeconduct.cli.faults import WrongUse
    from safeconduct.cli.keyfiles import MAX_BYTES
    from safeconduct.crypto import x509
    from safeconduct.errors import SafeconductError

    try:
        chain = x509.chain_from_pem(files.read_whole(place, max_bytes=MAX_BYTES))
        own = chain[0].key == signer.public
    except SafeconductError as error:
        raise WrongUse(f"{files.shown(place)} is no certificate chain: {error.reason}") from None
    if not own:
        raise WrongUse(f"{files.shown(place)}: the first certificate is of another key than --issuer-key")
    return x509.to_x5c(chain)
