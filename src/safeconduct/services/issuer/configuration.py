"""What the issuer issues: a TOML file, or a folder of them, with one table for each kind of credential.

[[configurations]]
id = "identity"                           # the credential configuration id
vct = "https://issuer.example/identity"   # the credential type
name = "Identity"                         # for people
validity = 31536000                       # seconds; without it, the setting credential_lifetime
rounding = "day"                          # of iat, nbf and exp: "day", "hour" or "second"
decoys = 2                                # added to the redacted claims
redact = ["address", "address.region"]    # what a holder may withhold; without it, everything

[configurations.claims]                   # what an offer may say; a path also permits all below it
given_name = { mandatory = true, name = "Given name" }
"address.region" = {}
"nationalities[]" = {}                    # each element by itself
"""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.formats.sd_cwt.labels import CLAIM_LABELS
from safeconduct.protocols import jwt
from safeconduct.protocols.openid4vci.configuration import (
    COSE_KEY,
    JWT_PROOF,
    SD_CWT,
    ClaimDescription,
    ClaimPath,
    CredentialConfiguration,
    Display,
    check_configuration,
)
from safeconduct.services.issuer.sources import SourceSettings
from safeconduct.settings import SettingsError

ROUNDING = {"second": 1, "hour": 3600, "day": 86400}
"""Seconds that the times in a credential are multiples of; precise ones would link it to its issuance."""

_LOCALE = "en"


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of credential: what the metadata says about it, and how it is made.

    validity: seconds. rounding: seconds. decoys: how many are added.
    source: where its claims come from; None: with the offer.
    """

    configuration: CredentialConfiguration
    validity: int
    rounding: int
    decoys: int
    source: SourceSettings | None = None


Catalogue = Mapping[str, Kind]
"""The kinds of credentials by configuration id."""


def load_catalogue(
    path: Path | None, *, issuer: str, signing_algorithm: int, credential_lifetime: int
) -> Catalogue:
    """Returns the kinds of credentials that the file, or each `*.toml` of the folder, describes.

    path: None for one example, "identity". issuer: its identifier. signing_algorithm: COSE number.
    credential_lifetime: seconds, where a description does not say. Raises SettingsError.
    """
    described = (
        [_example(issuer)] if path is None else [kind for file in _files(path) for kind in _read(file)]
    )
    problems = [f"configurations.{kind.id}: given twice" for kind in _repeated(described)]
    catalogue: dict[str, Kind] = {}
    for described_kind in described:
        try:
            catalogue[described_kind.id] = _kind(described_kind, signing_algorithm, credential_lifetime)
        except (SafeconductError, ValueError) as error:
            problems.append(f"configurations.{described_kind.id}: {error}")
    if not described:
        problems.append(f"{path}: no [[configurations]]")
    if problems:
        raise SettingsError(tuple(problems))
    return catalogue


class _Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mandatory: bool = False
    name: str | None = None


class _Described(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
    vct: Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
    claims: Annotated[dict[str, _Claim], msgspec.Meta(min_length=1, max_length=limits.DISCLOSURES // 2)]
    name: str | None = None
    validity: Annotated[int, msgspec.Meta(ge=60)] | None = None
    rounding: Literal["second", "hour", "day"] = "day"
    decoys: Annotated[int, msgspec.Meta(ge=0, le=limits.DECOYS)] = 0
    redact: tuple[str, ...] | None = None
    source: SourceSettings | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    configurations: tuple[_Described, ...] = ()


def _files(path: Path) -> list[Path]:
    return sorted(path.glob("*.toml")) if path.is_dir() else [path]


def _read(file: Path) -> tuple[_Described, ...]:
    try:
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), _File).configurations
    except OSError as error:
        raise SettingsError((f"{file}: cannot be read ({error.strerror})",)) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SettingsError((f"{file}: {error}",)) from None


def _repeated(described: Iterable[_Described]) -> list[_Described]:
    known: set[str] = set()
    return [kind for kind in described if kind.id in known or known.add(kind.id)]  # type: ignore[func-returns-value]


def _kind(described: _Described, signing_algorithm: int, credential_lifetime: int) -> Kind:
    claims = {_path(text): claim for text, claim in described.claims.items()}
    for path in claims:
        if path[0] in CLAIM_LABELS:
            raise ValueError(f"the claim {path[0]} is the issuer's own to set")
    redact = _containers(claims) if described.redact is None else {_path(text) for text in described.redact}
    if not redact <= _containers(claims):
        raise ValueError("redact names a claim that is not described")
    configuration = CredentialConfiguration(
        id=described.id,
        format=SD_CWT,
        vct=described.vct,
        signing_algorithms=(signing_algorithm,),
        binding_methods=(COSE_KEY,),
        proof_algorithms={JWT_PROOF: jwt.PROOF_ALGORITHMS},
        display=(Display(name=described.name, locale=_LOCALE),) if described.name else (),
        claims=tuple(_description(path, claim) for path, claim in claims.items()),
        redact=tuple(redact),
    )
    check_configuration(configuration)
    return Kind(
        configuration=configuration,
        validity=described.validity or credential_lifetime,
        rounding=ROUNDING[described.rounding],
        decoys=described.decoys,
        source=described.source,
    )


def _path(text: str) -> ClaimPath:
    """`address.region`, `nationalities[]`: names, and None for each element of an array."""
    steps: list[str | None] = []
    for part in text.split("."):
        name = part.rstrip("[]")
        arrays = part[len(name) :]
        if not name or arrays != "[]" * (len(arrays) // 2):
            raise ValueError("a claim is written like address.region or nationalities[]")
        steps += [name, *[None] * (len(arrays) // 2)]
    return tuple(steps)


def _containers(claims: Iterable[ClaimPath]) -> set[ClaimPath]:
    """The claims and everything that holds them."""
    return {path[:length] for path in claims for length in range(1, len(path) + 1)}


def _description(path: ClaimPath, claim: _Claim) -> ClaimDescription:
    display = (Display(name=claim.name, locale=_LOCALE),) if claim.name else None
    return ClaimDescription(path, claim.mandatory, display)


def _example(issuer: str) -> _Described:
    return _Described(
        id="identity",
        vct=f"{issuer}/credentials/identity",
        name="Identity",
        decoys=2,
        claims={
            "given_name": _Claim(mandatory=True, name="Given name"),
            "family_name": _Claim(mandatory=True, name="Family name"),
            "birthdate": _Claim(name="Date of birth"),
            "email": _Claim(name="E-mail address"),
            "phone_number": _Claim(name="Telephone number"),
            "address.street_address": _Claim(name="Street"),
            "address.locality": _Claim(name="Town"),
            "address.region": _Claim(name="Region"),
            "address.postal_code": _Claim(name="Postal code"),
            "address.country": _Claim(name="Country"),
            "nationalities[]": _Claim(name="Nationality"),
            "age_over_18": _Claim(name="Is 18 or older"),
            "document_number": _Claim(name="Document number"),
        },
    )
