"""What the holder sees of a credential: every claim, and which of them can be withheld."""

from collections.abc import Mapping
from typing import Any

import msgspec

from safeconduct.trust import Trust
from safeconduct.wallet import store
from safeconduct.wallet.context import Context
from safeconduct.wallet.formats import format_of
from safeconduct.wallet.holder_keys import signer_of
from safeconduct.wallet.records import Credential, Held
from safeconduct.wallet.requests import CLOCK_LEEWAY


class Shown(msgspec.Struct, frozen=True):
    """A credential, opened for its holder. claims: as JSON. withholdable: claim paths."""

    held: Held
    claims: Mapping[str, Any]
    withholdable: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<Shown {self.held.id}>"


async def show(context: Context, credential: str) -> Shown:
    """Open the credential whose id begins so. Raises Rejected: credential_unknown, credential_ambiguous."""
    return open_credential(await context.safe.run(store.find_credential, credential))


def open_credential(credential: Credential) -> Shown:
    """Open a stored credential; the issuer's signature was checked when it came."""
    opened = format_of(credential.held.format).check(
        credential.token,
        signer_of(credential.key).public,
        Trust.issuer_not_checked(),
        credential.held.received,  # an expired one can still be looked at
        CLOCK_LEEWAY,
    )
    return Shown(credential.held, opened.claims, opened.withholdable)
