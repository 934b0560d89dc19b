"""Where the commands meet that keep an issuer's register of health cards, in the issuer's database."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from safeconduct import limits
from safeconduct.cli import files, operating, output
from safeconduct.cli.faults import WrongUse
from safeconduct.services.card_register import CardRegister, read_secrets
from safeconduct.services.signing_keys import SigningKeys
from safeconduct.settings import IssuerSettings, Settings
from safeconduct.storage import Database
from safeconduct.storage.migrations import ISSUER

Result = TypeVar("Result")


def issuer_of(settings: Settings, tenant: str | None) -> IssuerSettings:
    """Return the issuer that is meant. Raises WrongUse."""
    if tenant is None and len(settings.issuer.issuers) > 1:
        raise WrongUse("the settings have several issuers: name one with --tenant")
    for issuer in settings.issuer.issuers:
        if tenant is None or issuer.name == tenant:
            return issuer
    raise WrongUse("the settings have no tenant of this name")


def at_desk(
    work: Callable[[CardRegister, IssuerSettings], Awaitable[Result]],
    *,
    config: str | None,
    tenant: str | None,
) -> Result:
    """Do something at the register of an issuer's cards. Raises WrongUse, and as `work`."""
    settings = operating.settings(config)
    issuer = issuer_of(settings, tenant)
    url = settings.card_issuer_of(issuer)
    if not url:
        raise WrongUse(
            "it is not said which URL health cards name as their issuer: set card_issuer in [issuer], or "
            "SAFECONDUCT_ISSUER__CARD_ISSUER, to the https URL below which the published tree stands"
        )

    async def do() -> Result:
        secrets = read_secrets(issuer.card_rid_secrets)
        async with await Database.open(settings.issuer.database, branch=ISSUER) as database:
            return await work(CardRegister(database, url, secrets=secrets), issuer)

    return operating.carry_out(do())


async def register_own_key(register: CardRegister, issuer: IssuerSettings) -> str:
    """Make the key known that signs the issuer's cards, one that has to be made included; return its kid."""
    signing = SigningKeys(issuer.card_key, certificate=issuer.card_certificate)
    if signing.created:
        output.note(f"made a key that signs health cards: {issuer.card_key}")
    return await register.register(signing.signer.public, chain=signing.chain, now=operating.clock())


def has_own_key(issuer: IssuerSettings) -> bool:
    """Whether there is a key that signs the issuer's cards."""
    return issuer.card_key.in_hardware or Path(issuer.card_key).exists()


def subjects(given: Iterable[str]) -> list[str]:
    """Return the subjects that are meant, those of standard input in the place of "-". Raises WrongUse."""
    found: list[str] = []
    for one in given:
        found += _lines() if one == files.STANDARD_STREAM else [one]
    if any(not one or len(one) > limits.MANAGEMENT_TEXT_CHARS for one in found):
        raise WrongUse(f"a subject has from 1 to {limits.MANAGEMENT_TEXT_CHARS} characters")
    return found


def in_parts(named: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield so many subjects as are done at once: often enough for whoever watches, and for other writers."""
    for start in range(0, len(named), _AT_ONCE):
        yield named[start : start + _AT_ONCE]


_AT_ONCE = 256


def _lines() -> list[str]:
    data = files.read_whole(files.STANDARD_STREAM, max_bytes=limits.SOURCE_BYTES)
    try:
        return [line for line in data.decode("utf-8").splitlines() if line]
    except UnicodeDecodeError:
        raise WrongUse("standard input holds subjects as UTF-8 text, one a line") from None
