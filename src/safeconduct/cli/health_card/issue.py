"""`safeconduct health-card issue`."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from safeconduct.cli.health_card.options import Level, LevelName, Scale
from safeconduct.cli.options import LATEST, AsJson, Now, Out, moment

if TYPE_CHECKING:
    from safeconduct.formats.health_card import Finding

Content = Annotated[
    str,
    typer.Argument(
        metavar="BUNDLE|-",
        help="A FHIR bundle, or the whole payload of a card, in JSON; - for standard input.",
    ),
]
IssuerKey = Annotated[
    str, typer.Option("--key", metavar="FILE", help="The issuer's private key (P-256), or a PKCS#11 URI.")
]
Issuer = Annotated[
    str | None,
    typer.Option(
        "--issuer",
        metavar="URL",
        help="The https address below which .well-known/jwks.json is published; not with a whole payload.",
    ),
]
Rid = Annotated[
    str | None,
    typer.Option(
        "--rid",
        metavar="TEXT",
        help="What the card can be revoked by: 1 to 24 base64url characters, the same for all cards of a "
        "person under a key. `safeconduct status allocate` makes one. Without it, only the key can be "
        "revoked.",
    ),
]
Expires = Annotated[
    int | None,
    typer.Option("--expires", metavar="UNIX", min=0, max=LATEST, help="The last second of its validity."),
]
Lifetime = Annotated[
    int | None,
    typer.Option("--lifetime", metavar="SECONDS", min=1, max=LATEST, help="As --expires, counted from now."),
]
Types = Annotated[
    list[str] | None,
    typer.Option("--type", metavar="URI", help="A further type of the credential. May be repeated."),
]
FhirVersion = Annotated[
    str | None, typer.Option("--fhir-version", metavar="TEXT", help="The version of FHIR, if not 4.0.1.")
]
Minimise = Annotated[
    bool,
    typer.Option(
        "--qr-minimise",
        help="Leave out what a QR code may not hold: ids, metadata, narratives, texts beside codes; shorten "
        "URLs and references.",
    ),
]
CardFile = Annotated[
    str | None,
    typer.Option("--file", metavar="FILE", help="Write a .smart-health-card file, for a person to download."),
]
QrFile = Annotated[
    str | None, typer.Option("--qr", metavar="FILE", help="Draw a QR code in this file, .svg or .png.")
]


def issue(
    content: Content = "-",
    *,
    key: IssuerKey,
    issuer: Issuer = None,
    rid: Rid = None,
    expires: Expires = None,
    lifetime: Lifetime = None,
    types: Types = None,
    fhir_version: FhirVersion = None,
    now: Now = None,
    qr_minimise: Minimise = False,
    out: Out = None,
    file: CardFile = None,
    qr: QrFile = None,
    level: Level = LevelName.L,
    scale: Scale = 4,
    as_json: AsJson = False,
) -> None:
    """Make a health card of a FHIR bundle: as a JWS, a file to download, a QR code to scan.

    The JWS goes to --out or standard output; with --file or --qr alone it goes nowhere else. What the card
    breaks of the framework's rules is said on standard error; rules for QR codes count where --qr is given.

    \b
    Example:
      safeconduct health-card issue bundle.json --issuer https://issuer.example \\
        --key card-key.pem --rid MKyCxh7p6uQ --qr-minimise \\
        --file jane.smart-health-card --qr jane.svg
    """
    from safeconduct.cli import files, keyfiles
    from safeconduct.cli.faults import WrongUse
    from safeconduct.cli.health_card import cards
    from safeconduct.encoding import json
    from safeconduct.formats import health_card
    from safeconduct.formats.health_card import drawing, findings
    from safeconduct.limits import CARD_FILE_BYTES

    form = None if qr is None else cards.form_of(qr)
    if qr is not None and form is None:
        raise WrongUse("--qr wants a file whose name ends in .svg or .png")
    signer = keyfiles.read_signer(key, algorithm=None, deterministic=False)
    members = json.loads_object(files.read(content, max_bytes=CARD_FILE_BYTES), max_bytes=CARD_FILE_BYTES)
    at = moment(now)
    claims = {
        "issuer": issuer,
        "rid": rid,
        "expires": _expiry(expires, lifetime, at),
        "types": types,
        "fhir_version": fhir_version,
    }
    # An empty text is no text left out: a card that was to have a rid must not go out without one.
    given = {name: value for name, value in claims.items() if value not in (None, [])}
    payload = _payload(members, given, minimise=qr_minimise, now=at)
    card = health_card.sign_payload(payload, key=signer)
    picture = None if form is None else drawing.draw(card, form=form, level=level.value, scale=scale)
    said = findings.of_card(health_card.parse(card), json.loads_object(payload), now=at)
    _note(said, for_qr=qr is not None)
    _deliver(card, picture, out=out, file=file, qr=qr, said=said if as_json else None)


def _expiry(expires: int | None, lifetime: int | None, now: int) -> int | None:
    from safeconduct.cli.faults import WrongUse

    if expires is not None and lifetime is not None:
        raise WrongUse("--expires and --lifetime exclude each other")
    return expires if lifetime is None else now + lifetime


def _payload(members: dict[str, Any], given: dict[str, Any], *, minimise: bool, now: int) -> bytes:
    """Return the payload that is to be signed, made of a bundle or given whole."""
    from safeconduct.cli.faults import WrongUse
    from safeconduct.encoding import json
    from safeconduct.formats import health_card
    from safeconduct.formats.health_card import fhir

    if "vc" in members:
        if given:
            raise WrongUse(
                "a whole payload says all about itself: give --key alone with it, or give a bundle"
            )
        if minimise:
            subject = health_card.open_claims(json.dumps(members)).payload["vc"]["credentialSubject"]
            members["vc"]["credentialSubject"] = {
                **subject,
                "fhirBundle": fhir.minimise(subject["fhirBundle"]),
            }
        return json.dumps(members)
    if "issuer" not in given:
        raise WrongUse("--issuer wants the https address below which .well-known/jwks.json is published")
    return health_card.payload(fhir.minimise(members) if minimise else members, now=now, **given)


def _note(said: Iterable["Finding"], *, for_qr: bool) -> None:
    """Say what is wrong with the card, the rules for QR codes only where it becomes one."""
    from safeconduct.cli import output

    for finding in said:
        if finding.severity == "error" or (finding.severity == "warning" and for_qr):
            where = f" ({finding.path})" if finding.path else ""
            output.note(f"{finding.severity}: {finding.code}: {finding.text}{where}")


def _deliver(
    card: str,
    picture: bytes | None,
    *,
    out: str | None,
    file: str | None,
    qr: str | None,
    said: Iterable["Finding"] | None,
) -> None:
    """Write the card wherever it is to go. said: the findings, for an answer in JSON."""
    import msgspec

    from safeconduct.cli import files, output
    from safeconduct.formats.health_card import files as card_files

    if file is not None:
        files.write(file, card_files.write([card]))
    if qr is not None and picture is not None:
        files.write(qr, picture)
    written = {name: place for name, place in (("out", out), ("file", file), ("qr", qr)) if place is not None}
    if out is not None and out != files.STANDARD_STREAM:
        files.write(out, card.encode() + b"\n")
    if said is not None:
        shown = {} if written else {"card": card}
        output.write_json(
            {**shown, **written, "bytes": len(card), "findings": msgspec.to_builtins(list(said))}
        )
    elif out == files.STANDARD_STREAM or not written:
        output.write_text(card)
