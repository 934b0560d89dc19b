"""What the holder sees of a credential: every claim, and which of them can be withheld."""

from typing import Any

import msgspec

from safeconduct.formats import sd_cwt
from safeconduct.formats.sd_cwt.claims import path_text
from safeconduct.trust import Trust
from safeconduct.wallet import store
from safeconduct.wallet.context import Context
from safeconduct.wallet.records import Credential, Held
from safeconduct.wallet.requests import CLOCK_LEEWAY


class Shown(msgspec.Struct, frozen=True):
    """A credential, opened for its holder. claims: as JSON. withholdable: claim paths."""

    held: Held
    claims: dict[str, Any]
    withholdable: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<Shown {self.held.id}>"


async def show(context: Context, credential: str) -> Shown:
    """Open the credential whose id begins so. Raises Rejected: credential_unknown, credential_ambiguous."""
    return open_credential(await context.safe.run(store.find_credential, credential))


def open_credential(credential: Credential) -> Shown:
    """Open a stored credential; the issuer's signature was checked when it came."""
    opened = sd_cwt.check_issued(
        credential.token,
        holder=credential.holder_key.public,
        trust=Trust.issuer_not_checked(),
        now=credential.held.received,  # an expired one can still be looked at
        leeway=CLOCK_LEEWAY,
    )
    paths = tuple(sorted(path_text(path) for path in opened.redactable))
    return Shown(credential.held, opened.claims.to_json(), paths)
