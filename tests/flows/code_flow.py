"""A browser, and a wallet that uses it for the authorization code flow; a test can bend each step."""

import contextlib
import html
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from tests.flows.small_wallet import House, SmallWallet, issuer_house

from safeconduct.net.fetch import Response
from safeconduct.protocols.oauth import authorization_request as requests
from safeconduct.protocols.oauth import form, pkce, token
from safeconduct.protocols.oauth.authorization_details import CredentialDetail
from safeconduct.protocols.oauth.authorization_request import AuthorizationRequest
from safeconduct.services.issuer.accounts import hash_password

CALLBACK = "https://wallet.example/callback"
NATIVE = "http://127.0.0.1/callback"
PASSWORD = "correct horse battery staple"
SUBJECT = "urn:example:person:1"
CLIENTS = f"""
[[clients]]
client_id = "wallet"
name = "Example Wallet"
redirect_uris = ["{CALLBACK}", "{NATIVE}", "com.example.wallet:/callback"]

[[clients]]
client_id = "other-wallet"
redirect_uris = ["{CALLBACK}"]
"""
CONFIGURATIONS = """
[[configurations]]
id = "identity"
vct = "https://issuer.example/identity"
name = "Identity"
scope = "identity"
[configurations.claims]
given_name = { mandatory = true }

[[configurations]]
id = "diploma"
vct = "https://issuer.example/diploma"
name = "Diploma <1st class>"
scope = "diploma"
[configurations.claims]
given_name = { mandatory = true }
"""
_HASH = hash_password(PASSWORD)
ACCOUNTS = f"""
[[accounts]]
name = "erika"
password = "{_HASH}"
subject = "{SUBJECT}"
[accounts.claims]
given_name = "Erika"

[[accounts]]
name = "max"
password = "{_HASH}"
[accounts.claims]
given_name = "Max"
"""


@contextlib.asynccontextmanager
async def login_house(folder: Path, **settings: Any) -> AsyncIterator[House]:
    """An issuer with two clients, two accounts and two configurations."""
    files = {"clients": CLIENTS, "accounts": ACCOUNTS, "configurations": CONFIGURATIONS}
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    paths = {name: folder / f"{name}.toml" for name in files}
    async with issuer_house(folder, **{**paths, **settings}) as house:
        yield house


@dataclass
class Browser:
    """What a person holds: pages, cookies, and no way around them. It follows no redirect by itself."""

    client: httpx2.AsyncClient
    page: httpx2.Response | None = None

    async def open(self, url: str) -> httpx2.Response:
        self.page = await self.client.get(url)
        return self.page

    async def submit(self, **fields: str | None) -> httpx2.Response:
        """Sends the form on the page that has these fields; None leaves a hidden field out."""
        page = self.page
        assert page is not None, "no page is open"
        action, hidden = _form(page.text, fields)
        values = {name: value for name, value in {**hidden, **fields}.items() if value is not None}
        self.page = await self.client.post(str(page.url.join(action)), data=values)
        return self.page

    async def follow(self) -> httpx2.Response:
        """Follows a redirect that stays at the server."""
        assert self.page is not None
        assert self.page.status_code == 303, self.page.text
        return await self.open(str(self.page.url.join(self.page.headers["location"])))

    async def sign_in(self, account: str = "erika", password: str = PASSWORD) -> httpx2.Response:
        await self.submit(account=account, password=password)
        return await self.follow()

    async def decide(self, decision: str = "allow", **fields: str | None) -> str:
        """Decides, and returns where the browser is sent."""
        answer = await self.submit(decision=decision, **fields)
        assert answer.status_code == 303, answer.text
        return str(answer.headers["location"])


@contextlib.asynccontextmanager
async def browser(house: House) -> AsyncIterator[Browser]:
    async with httpx2.AsyncClient(transport=house.fetcher._transport) as client:  # type: ignore[attr-defined]
        yield Browser(client)


def _form(page: str, fields: Mapping[str, str | None]) -> tuple[str, dict[str, str]]:
    for action, inside in re.findall(r'<form method="post" action="([^"]*)">(.*?)</form>', page, re.DOTALL):
        names = set(re.findall(r'name="(\w+)"', inside))
        if set(fields) <= names:
            hidden = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', inside)
            return html.unescape(action), {name: html.unescape(value) for name, value in hidden}
    raise AssertionError(f"no form with {set(fields)} in {page}")


@dataclass
class CodeWallet(SmallWallet):
    """A wallet that asks for authorization. Arguments bend single steps; None leaves a parameter out."""

    client_id: str = "wallet"
    redirect_uri: str = CALLBACK
    verifier: str = field(default_factory=pkce.new_verifier)
    pushed: requests.PushedResponse | None = None
    extra: dict[str, str] = field(default_factory=dict)

    def parameters(self, **bent: str | None) -> bytes:
        request = AuthorizationRequest(
            client_id=self.client_id,
            redirect_uri=self.redirect_uri,
            code_challenge=pkce.challenge(self.verifier),
            state="the state",
            authorization_details=() if bent.get("scope") else (CredentialDetail("identity"),),
        )
        members: dict[str, str | None] = dict(form.parse_form(requests.authorization_request_form(request)))
        return form.encode_form(
            (name, value) for name, value in {**members, **bent}.items() if value is not None
        )

    async def push(self, *, proof: str | None = None, **bent: str | None) -> Response:
        headers = {"Content-Type": form.MEDIA_TYPE, **self.extra}
        if proof is not None:
            headers["DPoP"] = proof
        answer = await self.fetcher.request(
            "POST", f"{self.issuer}/par", headers=headers, content=self.parameters(**bent)
        )
        self.dpop_nonce = answer.headers.get("dpop-nonce", self.dpop_nonce)
        if answer.status == 201:
            self.pushed = requests.parse_pushed_response(answer.body)
        return answer

    def url(self, **bent: str | None) -> str:
        assert self.pushed is not None
        members = {"client_id": self.client_id, "request_uri": self.pushed.request_uri, **bent}
        query = form.encode_form((name, value) for name, value in members.items() if value is not None)
        return f"{self.issuer}/authorize?{query.decode()}"

    async def authorized(self, house: House, **bent: str | None) -> str:
        """Pushes a request, lets a person log in and consent, and returns the code."""
        answer = await self.push(**bent)
        assert answer.status == 201, answer.body
        async with browser(house) as person:
            await person.open(self.url())
            await person.sign_in()
            return str(parameters_of(await person.decide())["code"])

    async def redeem_code(self, code: str, /, *, proof: str | None = None, **bent: str | None) -> Response:
        members: dict[str, str | None] = {
            "grant_type": token.AUTHORIZATION_CODE,
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
            "client_id": self.client_id,
            **bent,
        }
        return await self._ask(members, proof)

    async def refresh(self, refresh_token: str, *, proof: str | None = None, **bent: str | None) -> Response:
        members = {"grant_type": token.REFRESH_TOKEN, "refresh_token": refresh_token, **bent}
        return await self._ask(members, proof)

    async def _ask(self, members: Mapping[str, str | None], proof: str | None) -> Response:
        if self.dpop_nonce is None:
            await self.nonces()
        body = form.encode_form((name, value) for name, value in members.items() if value is not None)
        return await self.redeem_form(body, proof=proof)

    async def redeem_form(self, body: bytes, *, proof: str | None = None) -> Response:
        proof = proof or self.proof_of_possession("/token")
        headers = {"Content-Type": form.MEDIA_TYPE, "DPoP": proof, **self.extra}
        answer = await self.fetcher.request("POST", f"{self.issuer}/token", headers=headers, content=body)
        self.dpop_nonce = answer.headers.get("dpop-nonce", self.dpop_nonce)
        return answer

    def keep(self, answer: Response) -> None:
        """Takes over what a token response gives."""
        assert answer.status == 200, answer.body
        granted = answer.json()
        self.access_token = granted["access_token"]
        details = granted.get("authorization_details", [])
        named = tuple(name for detail in details for name in detail["credential_identifiers"])
        self.identifiers = named or ("none was given",)


def code_wallet(house: House, **members: Any) -> CodeWallet:
    return CodeWallet(house.fetcher, house.clock, **members)


def parameters_of(url: str) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
