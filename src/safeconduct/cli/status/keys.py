"""`safeconduct status keys`, `add-key` and `revoke-key`: the keys that sign health cards, or did."""

from typing import Annotated

import typer

from safeconduct.cli.issuing import Tenant
from safeconduct.cli.options import AsJson, Config


def keys(tenant: Tenant = None, config: Config = None, as_json: AsJson = False) -> None:
    """List the keys that sign health cards, or did, the newest first.

    A line has the kid, whether it is published or revoked, the counter of its list (0: none yet) and how the
    list names cards, with tabs between.

    \b
    Example:
      safeconduct status keys
    """
    from safeconduct.cli import output
    from safeconduct.cli.status import desk
    from safeconduct.services.card_register import CardRegister
    from safeconduct.settings import IssuerSettings
    from safeconduct.storage.status.card_store import StoredKey

    async def find(register: CardRegister, _issuer: IssuerSettings) -> tuple[StoredKey, ...]:
        return await register.keys()

    found = desk.at_desk(find, config=config, tenant=tenant)
    rows = [(key.kid, "revoked" if key.removed else "published", key.ctr, key.method) for key in found]
    if as_json:
        names = ("kid", "state", "ctr", "method")
        output.write_json({"keys": [dict(zip(names, row, strict=True)) for row in rows]})
        return
    for row in rows:
        output.write_columns(*map(str, row))


def add_key(
    file: Annotated[
        str, typer.Argument(metavar="FILE|-|URI", help="The public key, or the private one it is half of.")
    ],
    crl: Annotated[
        str | None,
        typer.Option(
            "--crl",
            metavar="FILE",
            help="The revocation list that was published of it elsewhere; it goes on from there.",
        ),
    ] = None,
    without_rid: Annotated[
        bool,
        typer.Option(
            "--without-rid",
            help="Its cards have no rid. They are named by a hash of their signed text, which only verifiers "
            "understand that know this method.",
        ),
    ] = False,
    tenant: Tenant = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Publish a further key that signed health cards, such as one that another system used before.

    The key of the settings needs no adding. A key stays published until it is revoked.

    \b
    Example:
      safeconduct status add-key old-key.jwk --crl 3Kfdg-XwP-7gXyywtUfUADwBumDOPKMQx-iELL11W9s.json
    """
    from safeconduct import limits
    from safeconduct.cli import files, keyfiles, operating, output
    from safeconduct.cli.status import desk
    from safeconduct.services.card_register import CardRegister
    from safeconduct.settings import IssuerSettings
    from safeconduct.status.card_revocation import RevocationList

    public = keyfiles.read_public_of_either(file)
    known = None if crl is None else RevocationList.parse(files.read(crl, max_bytes=limits.CRL_BYTES))

    async def add(register: CardRegister, _issuer: IssuerSettings) -> str:
        return await register.register(public, known=known, by_signed_text=without_rid, now=operating.clock())

    kid = desk.at_desk(add, config=config, tenant=tenant)
    if as_json:
        output.write_json({"kid": kid})
    else:
        output.write_text(kid)


def revoke_key(
    kid: Annotated[
        str,
        typer.Argument(
            metavar="KID",
            help='The key, as `status keys` lists it; with "--" before one with a dash first.',
        ),
    ],
    tenant: Tenant = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a key for ever, and with it every card that it signed.

    It leaves the JWKS with the next `safeconduct status publish`. That is for a stolen key, and for cards
    that cannot be revoked one by one; their holders need new cards, under a new key.

    \b
    Example:
      safeconduct status revoke-key 3Kfdg-XwP-7gXyywtUfUADwBumDOPKMQx-iELL11W9s
    """
    from safeconduct.cli import operating, output
    from safeconduct.cli.status import desk
    from safeconduct.services.card_register import CardRegister
    from safeconduct.settings import IssuerSettings

    async def remove(register: CardRegister, _issuer: IssuerSettings) -> bool:
        return await register.revoke_key(kid, now=operating.clock())

    changed = desk.at_desk(remove, config=config, tenant=tenant)
    if as_json:
        output.write_json({"changed": changed})
    elif changed:
        output.note("revoked; it leaves the JWKS with the next `safeconduct status publish`")
        output.note("if it still signs, put another in its place: `safeconduct key rotate FILE`")
    else:
        output.note("it was revoked already")
