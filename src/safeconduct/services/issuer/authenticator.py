"""Who is at the browser: a small protocol, and what answers it unless another is given: links and accounts.

An authenticator only names the person. The page, its protection against other sites, and the limit of
attempts for one authorization request are around it.
"""

import asyncio
import hashlib
from collections.abc import Mapping
from typing import Protocol

import msgspec

from safeconduct import limits
from safeconduct.errors import Rejected
from safeconduct.services.issuer import authorization_store
from safeconduct.services.issuer.accounts import NOBODY, Account, load_accounts, password_fits
from safeconduct.services.issuer.authorization_store import Identity
from safeconduct.services.issuer.digests import digest_of
from safeconduct.services.issuer.tenant import Tenant

ACCOUNT_ATTEMPTS = 10
"""Wrong passwords for one account in `ATTEMPTS_SECONDS`, whatever requests and browsers they come from."""

ATTEMPTS_SECONDS = 900

HASHES_AT_ONCE = 2
"""Passwords that a process hashes at the same time: each takes a core and 32 MiB for a while."""


class LoginRefused(Rejected):
    """The person is not who they say, or has tried too often. The reason is shown to them."""

    oauth_error = "access_denied"


class Prompt(msgspec.Struct, frozen=True):
    """What the login page asks for. account: a name and a password. link: a link for one login.

    linked: whom the link is for that the browser has opened before; None without one.
    """

    account: bool
    link: bool
    linked: str | None = None

    def __repr__(self) -> str:
        return f"<Prompt account={self.account} link={self.link}>"


class Authenticator(Protocol):
    """Asks people who they are."""

    async def begin(self, *, link: str | None, now: int) -> Prompt:
        """Returns what the login page shall ask for. link: the one that the browser has opened, if any."""

    async def login(self, form: Mapping[str, str], *, now: int) -> Identity:
        """Returns who has sent the form, by `account` and `password` or by `link`. Raises LoginRefused."""


class BuiltInAuthenticator:
    """Logs people in by links that management makes, and by the accounts of a file."""

    def __init__(self, tenant: Tenant, accounts: Mapping[str, Account]) -> None:
        self._tenant = tenant
        self._accounts = accounts
        self._hashing = asyncio.Semaphore(HASHES_AT_ONCE)

    @classmethod
    def load(cls, tenant: Tenant) -> "BuiltInAuthenticator":
        """Reads the accounts of the tenant's settings. Raises SettingsError."""
        return cls(tenant, load_accounts(tenant.settings.accounts))

    async def begin(self, *, link: str | None, now: int) -> Prompt:
        """See `Authenticator.begin`."""
        linked = None
        if link is not None:
            linked = await self._tenant.database.run(
                authorization_store.find_link, self._tenant.url, digest_of(link), now=now
            )
        return Prompt(account=bool(self._accounts), link=True, linked=linked)

    async def login(self, form: Mapping[str, str], *, now: int) -> Identity:
        """See `Authenticator.login`.

        Raises LoginRefused "link_unknown", "login_wrong" (unknown account or wrong password, which nothing
        tells apart), "login_limited" (too many wrong ones for this account).
        """
        if any(len(value) > limits.LOGIN_CHARS for value in form.values()):
            raise LoginRefused("login_wrong", "What you entered is too long.")
        if "link" in form:
            return await self._by_link(form["link"], now)
        return await self._by_password(form.get("account", ""), form.get("password", ""), now)

    async def _by_link(self, text: str, now: int) -> Identity:
        secret = text.strip().rpartition("/")[2]
        subject = await self._tenant.database.run(
            authorization_store.use_link, self._tenant.url, digest_of(secret), now=now
        )
        if subject is None:
            raise LoginRefused("link_unknown", "This link is unknown, used or expired. Ask for a new one.")
        return Identity(subject)

    async def _by_password(self, name: str, password: str, now: int) -> Identity:
        bucket = _bucket(self._tenant.url, name)
        left = await self._tenant.database.run(
            authorization_store.take_attempt,
            bucket,
            limit=ACCOUNT_ATTEMPTS,
            now=now,
            expires_at=now + ATTEMPTS_SECONDS,
        )
        if not left:
            raise LoginRefused("login_limited", "There were too many attempts. Try again in a while.")
        account = self._accounts.get(name)
        hashed = NOBODY if account is None else account.password
        async with self._hashing:
            fits = await asyncio.to_thread(password_fits, password, hashed)
        if account is None or not fits:
            raise LoginRefused("login_wrong", "The name or the password is wrong.")
        await self._tenant.database.run(authorization_store.forget_attempts, bucket)
        return Identity(account.subject or account.name, account.claims)


def _bucket(tenant: str, name: str) -> bytes:
    """What the attempts at an account are counted by.

    Names that do not exist are counted as well, or a limit would tell them apart; sharing a bounded number of
    rows keeps strangers from filling the database with them.
    """
    digest = hashlib.sha256(f"login {tenant} {name}".encode("utf-8", "surrogatepass")).digest()
    number = int.from_bytes(digest[:8], "big") % limits.LOGIN_ROWS
    return hashlib.sha256(f"login {tenant} {number}".encode()).digest()
