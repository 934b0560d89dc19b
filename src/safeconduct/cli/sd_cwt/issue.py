"""`safeconduct sd-cwt issue`."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from safeconduct.cli.options import (
    LATEST,
    Accept,
    AsJson,
    NonceHex,
    Now,
    Out,
    ProfileName,
    hexadecimal,
    key_identifier,
    leniencies,
    moment,
)


class ClaimsForm(StrEnum):
    """How claims are written."""

    JSON = "json"
    EDN = "edn"
    CBOR = "cbor"


class HashName(StrEnum):
    """Hashes of disclosures."""

    SHA256 = "sha-256"
    SHA384 = "sha-384"
    SHA512 = "sha-512"
    SHA512_256 = "sha-512/256"


class ConfirmationKind(StrEnum):
    """How a token names the holder's key."""

    COSE_KEY = "cose-key"
    CKT = "ckt"
    KID = "kid"


ClaimsFile = Annotated[
    str,
    typer.Argument(
        metavar="CLAIMS|-", help="Claims in JSON, EDN or CBOR (tags 58 and 62); - for standard input."
    ),
]
IssuerKey = Annotated[str, typer.Option("--issuer-key", metavar="FILE", help="The issuer's private key.")]
HolderKey = Annotated[
    str | None,
    typer.Option(
        "--holder-key", metavar="FILE", help="The holder's public key; left out if the claims have a cnf."
    ),
]
Redact = Annotated[
    list[str] | None,
    typer.Option(
        "--redact",
        metavar="PATH",
        help="A claim that the holder may withhold, such as address.region, nationalities[0], 500 or "
        '["odd.name"]. May be repeated.',
    ),
]
DecoyCount = Annotated[int, typer.Option("--decoys", min=0, max=256, help="Decoys to add at the top.")]
FormName = Annotated[
    ClaimsForm | None, typer.Option("--format", help="How the claims are written, if not told by content.")
]
AlgorithmName = Annotated[
    str | None,
    typer.Option("--alg", metavar="NAME", help="Another algorithm of the issuer's key, such as ESP256."),
]
Kid = Annotated[
    str | None,
    typer.Option("--kid", metavar="TEXT|0xHEX", help="The issuer key's identifier, if not the file's own."),
]
HashOption = Annotated[HashName, typer.Option("--hash", help="The hash of disclosures.")]
Lifetime = Annotated[
    int | None,
    typer.Option("--lifetime", metavar="SECONDS", min=1, max=LATEST, help="Set exp so long after now."),
]
ConfirmationOption = Annotated[
    ConfirmationKind, typer.Option("--confirmation", help="How the token names the holder's key.")
]
Deterministic = Annotated[
    bool, typer.Option("--deterministic", help="Sign by RFC 6979; the salts stay random.")
]


def issue(
    claims: ClaimsFile = "-",
    *,
    issuer_key: IssuerKey,
    holder_key: HolderKey = None,
    redact: Redact = None,
    decoys: DecoyCount = 0,
    form: FormName = None,
    algorithm: AlgorithmName = None,
    kid: Kid = None,
    hash_name: HashOption = HashName.SHA256,
    lifetime: Lifetime = None,
    now: Now = None,
    nonce: NonceHex = None,
    confirmation: ConfirmationOption = ConfirmationKind.COSE_KEY,
    deterministic: Deterministic = False,
    profile: ProfileName = "ietf-08",
    accept: Accept = None,
    out: Out = None,
    as_json: AsJson = False,
) -> None:
    """Make an SD-CWT for a holder, with all its disclosures.

    JSON claims are named as registered (iss, sub, exp) or by label ("500"). iss and sub must be there; iat is
    added. What may be withheld is said by --redact, or by tag 58 in EDN and CBOR.

    \b
    Example:
      safeconduct sd-cwt issue claims.json --issuer-key issuer.pem \\
        --holder-key holder-public.pem --redact given_name --redact address.region \\
        --decoys 2 --lifetime 86400 --out token.cbor
    """
    from safeconduct.cli import files, keyfiles, tokens
    from safeconduct.cli.claims import mark, read_claims
    from safeconduct.formats import sd_cwt
    from safeconduct.limits import TOKEN_BYTES

    signer = keyfiles.read_signer(issuer_key, algorithm=algorithm, deterministic=deterministic)
    holder = None if holder_key is None else keyfiles.read_public(holder_key)
    issued_at = moment(now)
    data = files.read(claims, max_bytes=TOKEN_BYTES)
    claim_set = read_claims(data, form=None if form is None else form.value, accept=leniencies(accept))
    token = sd_cwt.issue(
        _complete(mark(claim_set, redact or ()), decoys, lifetime, issued_at),
        issuer=signer,
        holder=_confirmable(holder, confirmation),
        now=issued_at,
        kid=key_identifier(kid) if kid is not None else tokens.identifier(signer.kid),
        nonce=None if nonce is None else hexadecimal("--nonce", nonce),
        confirmation=confirmation.value,
        hash_name=hash_name.value,
        profile=tokens.profile(profile),
    )
    tokens.deliver(token, out, as_json=as_json)


def _complete(claims: dict[Any, Any], decoy_count: int, lifetime: int | None, now: int) -> dict[Any, Any]:
    from safeconduct.cli.faults import WrongUse
    from safeconduct.formats.redaction import decoys
    from safeconduct.formats.sd_cwt.labels import EXP

    result = dict(claims)
    if decoy_count:
        result[decoys(decoy_count)] = None
    if lifetime is not None:
        if EXP in result:
            raise WrongUse("the claims have an exp of their own: leave out --lifetime")
        result[EXP] = now + lifetime
    return result


def _confirmable(holder: Any, confirmation: ConfirmationKind) -> Any:
    from safeconduct.cli.faults import WrongUse

    if holder is not None and holder.kid is None and confirmation is ConfirmationKind.KID:
        raise WrongUse(
            "--confirmation kid wants a holder key with a kid: give a JWK or COSE_Key that has one"
        )
    return holder
