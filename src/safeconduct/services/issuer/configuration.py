"""What the issuer issues: a TOML file, or a folder of them, with one table for each kind of credential.

[[configurations]]
id = "identity"                           # the credential configuration id
format = "application/sd-cwt"             # or "dc+sd-jwt"
also = { identity_sd_jwt = "dc+sd-jwt" }  # the same credential in another format, under an id of its own
vct = "https://issuer.example/identity"   # the credential type
scope = "identity"                        # the OAuth scope that asks for it; without it, the id
name = "Identity"                         # for people, in English
validity = 31536000                       # seconds; without it, the setting credential_lifetime
rounding = "day"                          # of iat, nbf and exp: "day", "hour" or "second"
decoys = 2                                # added to the redacted claims
redact = ["address", "address.region"]    # what a holder may withhold; without it, everything
status = false                            # whether it gets a place in a status list (setting status_list_uri)
proof_types = ["jwt"]                     # how a wallet proves its keys: "jwt", "attestation"
key_attestation = { key_storage = ["iso_18045_high"] }   # what is demanded; {} for any level

[configurations.claims]                   # what an offer may say; a path also permits all below it
given_name = { mandatory = true, name = "Given name" }
"address.region" = { display = [{ name = "Region", locale = "en" }, { name = "Land", locale = "de" }] }
"nationalities[]" = {}                    # each element by itself

[[configurations.display]]                # for people, in another language or with more to show
name = "Ausweis"
locale = "de"
description = "…"
text_color = "#ffffff"
background_color = "#12107c"
background_image = { uri = "https://…" }
logo = { uri = "https://…", alt_text = "…" }

# [configurations.source]                 # who knows the claims, if not the offer: see `sources`
# [configurations.sharing]                # whether and how holders share it: see `sharing_rules`

[[display]]                               # of the issuer itself; once for each language
name = "Example Issuer"
locale = "en"
logo = { uri = "https://…" }

SD-CWT is the default format: as it travels, it is a quarter smaller than an SD-JWT, and it is what this
issuer gave out before it knew any other.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from safeconduct import limits
from safeconduct.crypto import algorithms
from safeconduct.errors import SafeconductError
from safeconduct.formats.sd_cwt.labels import CLAIM_LABELS
from safeconduct.protocols import jwt
from safeconduct.protocols.openid4vci.configuration import (
    COSE_KEY,
    JWK,
    SD_CWT,
    ClaimDescription,
    ClaimPath,
    CredentialConfiguration,
    Display,
    check_configuration,
    check_display,
)
from safeconduct.protocols.openid4vci.key_attestation import PROOF_TYPE as ATTESTATION
from safeconduct.protocols.openid4vci.key_attestation import KeyAttestationsRequired
from safeconduct.services.issuer.sharing_rules import SharingRules
from safeconduct.services.issuer.sources import SourceSettings
from safeconduct.settings import SettingsError

ROUNDING = {"second": 1, "hour": 3600, "day": 86400}
"""Seconds that the times in a credential are multiples of; precise ones would link it to its issuance."""

_LOCALE = "en"
_TAG = re.compile(r"[a-z]{2,8}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?(-([a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*")
"""A language tag in its canonical form (RFC 5646 §2.1.1): language, script, region, variants."""
_SCOPE = r"^[\x21\x23-\x5b\x5d-\x7e]+$"  # RFC 6749 §3.3

Format = Literal["application/sd-cwt", "dc+sd-jwt"]
"""Formats that are issued."""

_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of credential: what the metadata says about it, and how it is made.

    validity: seconds. rounding: seconds. decoys: how many are added. status: whether it has a place in a
    status list. source: who knows the claims; None if they come with the offer. sharing: on which terms
    holders share it; None: they do not. formats: configuration ids of the same credential in each format, its
    own first.
    """

    configuration: CredentialConfiguration
    validity: int
    rounding: int
    decoys: int
    status: bool = False
    source: SourceSettings | None = None
    sharing: SharingRules | None = None
    formats: tuple[str, ...] = ()


Catalogue = Mapping[str, Kind]
"""The kinds of credentials by configuration id."""


def load_catalogue(
    path: Path | None,
    *,
    issuer: str,
    signing_algorithm: int,
    credential_lifetime: int,
    status_list_uri: str = "",
    status_list_bits: int = 1,
    key_attesters: bool = False,
) -> Catalogue:
    """Returns the kinds of credentials that the file, or each `*.toml` of the folder, describes.

    path: None for one example, "identity". issuer: its identifier. signing_algorithm: COSE number.
    credential_lifetime: seconds, where a description does not say. status_list_uri: "" if there are no status
    lists. status_list_bits: of a status in one. key_attesters: whether anybody is trusted to attest keys.
    Raises SettingsError.
    """
    maker = _Maker(
        signing_algorithm, credential_lifetime, bool(status_list_uri), status_list_bits, key_attesters
    )
    described = (
        [_example(issuer)]
        if path is None
        else [kind for file in _files(path) for kind in _read(file).configurations]
    )
    problems = [f"configurations.{name}: given twice" for name in _repeated(described)]
    catalogue: dict[str, Kind] = {}
    for described_kind in described:
        try:
            for configuration_id, format_ in _formats(described_kind).items():
                catalogue[configuration_id] = _kind(described_kind, configuration_id, format_, maker)
        except (SafeconductError, ValueError) as error:
            problems.append(f"configurations.{described_kind.id}: {error}")
    if not described:
        problems.append(f"{path}: no [[configurations]]")
    if problems:
        raise SettingsError(tuple(problems))
    return catalogue


def load_display(path: Path | None) -> tuple[Display, ...]:
    """Returns how the issuer itself is shown, as the same files say. Raises SettingsError."""
    if path is None:
        return ()
    display = tuple(entry for file in _files(path) for entry in _read(file).display)
    try:
        check_display(display)
        _check_shown(display)
    except (SafeconductError, ValueError) as error:
        raise SettingsError((f"{path}: display: {error}",)) from None
    return display


class _Maker(msgspec.Struct, frozen=True):
    """What of the issuer's own goes into every kind, and what it can do."""

    algorithm: int
    lifetime: int
    status: bool
    status_bits: int
    attested: bool


class _Claim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mandatory: bool = False
    name: str | None = None
    display: tuple[Display, ...] = ()


class _Described(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    id: _Id
    vct: Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
    claims: Annotated[dict[str, _Claim], msgspec.Meta(min_length=1, max_length=limits.DISCLOSURES // 2)]
    format: Format = SD_CWT
    also: dict[_Id, Format] = {}
    scope: Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=_SCOPE)] | None = None
    name: str | None = None
    display: tuple[Display, ...] = ()
    validity: Annotated[int, msgspec.Meta(ge=60)] | None = None
    rounding: Literal["second", "hour", "day"] = "day"
    decoys: Annotated[int, msgspec.Meta(ge=0, le=limits.DECOYS)] = 0
    redact: tuple[str, ...] | None = None
    status: bool = False
    proof_types: Annotated[tuple[Literal["jwt", "attestation"], ...], msgspec.Meta(min_length=1)] = ("jwt",)
    key_attestation: KeyAttestationsRequired | None = None
    source: SourceSettings | None = None
    sharing: SharingRules | None = None


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    configurations: tuple[_Described, ...] = ()
    display: tuple[Display, ...] = ()


def _files(path: Path) -> list[Path]:
    return sorted(path.glob("*.toml")) if path.is_dir() else [path]


def _read(file: Path) -> _File:
    try:
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), _File)
    except OSError as error:
        raise SettingsError((f"{file}: cannot be read ({error.strerror})",)) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise SettingsError((f"{file}: {error}",)) from None


def _formats(described: _Described) -> Mapping[str, Format]:
    """The configuration ids of a description, and the format of each."""
    formats: dict[str, Format] = {described.id: described.format}
    return formats | described.also


def _repeated(described: Iterable[_Described]) -> list[str]:
    names = [name for kind in described for name in (kind.id, *kind.also)]
    return sorted({name for name in names if names.count(name) > 1})


def _kind(described: _Described, name: str, format_: Format, maker: _Maker) -> Kind:
    claims = {_path(text): claim for text, claim in described.claims.items()}
    for path in claims:
        if path[0] in CLAIM_LABELS:
            raise ValueError(f"the claim {path[0]} is the issuer's own to set")
    redact = _containers(claims) if described.redact is None else {_path(text) for text in described.redact}
    if not redact <= _containers(claims):
        raise ValueError("redact names a claim that is not described")
    _check_possible(described, maker)
    sharing = described.sharing
    if sharing is not None:
        sharing.check(claims.keys(), status=described.status, status_list_bits=maker.status_bits)
    configuration = CredentialConfiguration(
        id=name,
        format=format_,
        vct=described.vct,
        scope=described.scope or name,
        signing_algorithms=(_algorithm_name(format_, maker.algorithm),),
        binding_methods=(COSE_KEY if format_ == SD_CWT else JWK,),
        proof_algorithms=dict.fromkeys(described.proof_types, jwt.PROOF_ALGORITHMS),
        key_attestations={}
        if described.key_attestation is None
        else dict.fromkeys(described.proof_types, described.key_attestation),
        display=_display(described.name, described.display),
        claims=tuple(
            ClaimDescription(path, claim.mandatory, _display(claim.name, claim.display) or None)
            for path, claim in claims.items()
        ),
        redact=tuple(redact),
        sharing=None if sharing is None else sharing.terms(),
    )
    check_configuration(configuration)
    _check_shown(configuration.display)
    for claim in configuration.claims:
        _check_shown(claim.display or ())
    return Kind(
        configuration=configuration,
        validity=described.validity or maker.lifetime,
        rounding=ROUNDING[described.rounding],
        decoys=described.decoys,
        status=described.status,
        source=described.source,
        sharing=sharing,
        formats=(name, *(one for one in _formats(described) if one != name)),
    )


def _check_possible(described: _Described, maker: _Maker) -> None:
    if described.status and not maker.status:
        raise ValueError("status needs the setting status_list_uri")
    attested = described.key_attestation is not None or ATTESTATION in described.proof_types
    if attested and not maker.attested:
        raise ValueError("key attestations need the setting key_attesters")
    if any(entry.name is None for entry in described.display):
        raise ValueError("each display has a name")


def _check_shown(display: Iterable[Display]) -> None:
    """Wallets find a text by its language, and fetch a picture only from where nobody can change it."""
    for entry in display:
        if entry.locale is not None and not _TAG.fullmatch(entry.locale):
            raise ValueError("a locale is a language tag such as en, pt-BR or zh-Hant-TW")
        for image in (entry.logo, entry.background_image):
            if image is not None and not image.uri.startswith(("https://", "data:")):
                raise ValueError("the uri of a picture is an https or data URL")


def _algorithm_name(format_: Format, number: int) -> int | str:
    """As the format has it in metadata: SD-CWT a COSE number, SD-JWT VC a JOSE name."""
    return number if format_ == SD_CWT else algorithms.by_cose(number).jose


def _display(name: str | None, display: tuple[Display, ...]) -> tuple[Display, ...]:
    """The short form, a name in English, before what is said at length."""
    return (Display(name=name, locale=_LOCALE), *display) if name else display


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
