"""`safeconduct status revoke`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from safeconduct.cli.issuing import Tenant
from safeconduct.cli.options import AsJson, Config

if TYPE_CHECKING:
    from safeconduct.services.card_register import CardRegister

_LAST_SECOND = 0xFFFF_FFFE  # of rids.LAST_SECOND, which is not imported before a command runs


def revoke(
    subject: Annotated[
        list[str] | None,
        typer.Option(
            "--subject",
            metavar="SUBJECT|-",
            help="All health cards of this person, under every key; - for standard input, one a line. May be "
            "repeated.",
        ),
    ] = None,
    card: Annotated[
        list[str] | None,
        typer.Option(
            "--card",
            metavar="FILE|-",
            help="This health card (JWS or digits of its QR code), and those made before it with the same "
            "rid. May be repeated.",
        ),
    ] = None,
    rid: Annotated[
        list[str] | None,
        typer.Option("--rid", metavar="RID", help="All health cards with this rid. May be repeated."),
    ] = None,
    kid: Annotated[
        str | None,
        typer.Option("--kid", metavar="KID", help="With --rid: the key that signed the cards."),
    ] = None,
    before: Annotated[
        int | None,
        typer.Option(
            "--before",
            metavar="UNIX",
            min=1,
            max=_LAST_SECOND,
            help="Only health cards made before this second, in seconds since 1970.",
        ),
    ] = None,
    issued: Annotated[
        list[str] | None,
        typer.Option(
            "--issued",
            metavar="ID",
            help="Credentials of another kind, by the id that `safeconduct issued find` shows. May be "
            "repeated.",
        ),
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(
            "--reference",
            metavar="REFERENCE",
            help="All credentials of another kind that were issued under this reference. May be repeated.",
        ),
    ] = None,
    suspend: Annotated[
        bool,
        typer.Option("--suspend", help="With --issued or --reference: for a while, instead of for good."),
    ] = False,
    reinstate: Annotated[
        bool,
        typer.Option(
            "--reinstate", help="Take the revocation of health cards, or a suspension, back instead."
        ),
    ] = False,
    tenant: Tenant = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Revoke health cards and other credentials, or take that back.

    Verifiers learn of it when the status is next published. What is revoked already stays so; of two times
    the later one counts. Other credentials than health cards are revoked for good, or suspended.

    \b
    Examples:
      safeconduct status revoke --subject urn:example:person:1 --before 1800000000
      safeconduct status revoke --reference "case 4711" --suspend
    """
    from safeconduct.cli import output, progress
    from safeconduct.cli.faults import WrongUse
    from safeconduct.cli.status import desk
    from safeconduct.settings import IssuerSettings

    if sum(map(bool, (subject, card, rid, issued or reference))) != 1:
        raise WrongUse("say what to revoke: one of --subject, --card, --rid, --issued and --reference")
    if suspend and (reinstate or not (issued or reference)):
        raise WrongUse("--suspend goes with --issued and --reference, and without --reinstate")
    if kid is not None and not rid:
        raise WrongUse("--kid goes with --rid")
    if before is not None and reinstate:
        raise WrongUse("--before does not go with --reinstate, which takes all of it back")

    async def change(register: "CardRegister", _issuer: IssuerSettings) -> int:
        named, done = desk.subjects(subject or ()), 0
        with progress.shown("Revoking", len(named), quiet=as_json or not named) as advance:
            for part in desk.in_parts(named):
                done += await _of_subjects(register, part, before, reinstate=reinstate)
                advance(len(part))
        for place in card or ():
            done += await _of_card(register, place, before, reinstate=reinstate)
        for one in rid or ():
            done += await _of_rid(register, one, kid, before, reinstate=reinstate)
        return done

    if issued or reference:
        if before is not None:
            raise WrongUse("--before is for health cards")
        from safeconduct.cli.status import credentials

        changed = credentials.change(
            issued=issued or [],
            references=reference or [],
            to="valid" if reinstate else "suspended" if suspend else "invalid",
            config=config,
            tenant=tenant,
        )
    else:
        changed = desk.at_desk(change, config=config, tenant=tenant)
    if as_json:
        output.write_json({"changed": changed})
    elif changed:
        output.note(f"changed: {changed}; verifiers learn of it from the next `safeconduct status publish`")
    else:
        output.note("changed: 0, it was so already")


async def _of_subjects(
    register: "CardRegister", named: Sequence[str], before: int | None, *, reinstate: bool
) -> int:
    if reinstate:
        return await register.reinstate_subjects(named)
    return await register.revoke_subjects(named, before=before)


async def _of_card(register: "CardRegister", place: str, before: int | None, *, reinstate: bool) -> int:
    from math import floor

    from safeconduct import limits
    from safeconduct.cli import files

    data = files.read(place, max_bytes=limits.TOKEN_BYTES).strip()
    if reinstate:
        return await register.reinstate_card(data)
    if before is None:
        _, _, made = await register.read_card(data)
        before = floor(made) + 1
    return await register.revoke_card(data, before=before)


async def _of_rid(
    register: "CardRegister", rid: str, kid: str | None, before: int | None, *, reinstate: bool
) -> int:
    from safeconduct.cli.faults import WrongUse
    from safeconduct.status.card_revocation import rids

    if not rids.is_rid(rid):
        raise WrongUse("--rid wants up to 24 characters of the base64url alphabet")
    if reinstate:
        return await register.reinstate_rid(rid, kid=kid)
    return await register.revoke_rid(rid, kid=kid, before=before)
