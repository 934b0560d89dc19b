"""The login and consent pages: who may pass them, what other sites and browsers cannot do, what they show."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.flows.code_flow import (
    CALLBACK,
    PASSWORD,
    SUBJECT,
    browser,
    code_wallet,
    login_house,
    parameters_of,
)
from tests.flows.small_wallet import ISSUER, House

from safeconduct import limits
from safeconduct.net.fetch import HttpFetcher
from safeconduct.services.issuer import accounts, authenticator, authorizations
from safeconduct.services.issuer.accounts import password_fits


def play(folder: Path, story: Callable[[House], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        async with login_house(folder, **settings) as house:
            await story(house)

    asyncio.run(main())


async def _link(house: House, subject: str = SUBJECT) -> str:
    answer = await house.manage("POST", "/links", {"subject": subject})
    assert answer.status == 201, answer.body
    return str(answer.json()["url"])


# What the pages are.


def test_a_page_runs_no_script_and_stands_in_no_frame(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.push()
        async with browser(house) as person:
            pages = [await person.open(wallet.url()), await person.sign_in()]
            pages.append(await person.open(f"{ISSUER}/authorize"))
        for page in pages:
            policy = page.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "base-uri 'none'" in policy
            assert "unsafe" not in policy
            assert "script-src" not in policy
            assert page.headers["cache-control"] == "no-store"
            assert page.headers["referrer-policy"] == "no-referrer"
            assert page.headers["x-content-type-options"] == "nosniff"
            assert "<script" not in page.text
            assert not re.search(r"\son\w+=", page.text)
            assert '<html lang="en">' in page.text
        for page in pages[:2]:
            assert "form-action 'self' https://wallet.example;" in page.headers["content-security-policy"]
            for name in re.findall(r'<input id="(\w+)"', page.text):
                assert f'<label for="{name}">' in page.text

    play(tmp_path, story)


def test_names_are_shown_as_text_never_as_markup(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        client = "<img src=x onerror=alert(1)>"
        wallet = code_wallet(house, client_id=client)
        await wallet.push(scope="diploma", authorization_details=None)
        link = await _link(house, "<b>mallory</b>")
        async with browser(house) as person:
            await person.open(link)
            login = await person.open(wallet.url())
            await person.submit(linked="1")
            consent = await person.follow()
            wrong = await person.open(f"{ISSUER}/authorize?client_id=%3Cb%3E&request_uri=%3Cb%3E")
        for page in (login, consent, wrong):
            assert "<img" not in page.text
            assert "<b>" not in page.text
        assert "&lt;img" in consent.text
        assert "Diploma &lt;1st class&gt;" in consent.text
        assert "&lt;b&gt;mallory" in consent.text

    play(tmp_path, story, unregistered_clients="any")


def test_cookies_are_for_this_origin_alone_and_out_of_reach_for_scripts(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.push()
        async with browser(house) as person:
            answers = [
                await person.open(wallet.url()),
                await person.submit(account="erika", password=PASSWORD),
            ]
            answers.append(await person.open(await _link(house)))
        cookies = [value for answer in answers for value in answer.headers.get_list("set-cookie")]
        assert len(cookies) == 3
        for cookie in cookies:
            assert cookie.startswith("__Host-safeconduct-")
            parts = {part.strip().lower() for part in cookie.split(";")[1:]}
            assert {"httponly", "secure", "samesite=lax", "path=/"} <= parts
            assert not any(part.startswith("domain") for part in parts)

    play(tmp_path, story)


def test_logging_in_changes_the_cookie(tmp_path: Path) -> None:
    """Who planted the first one has nothing of the login (session fixation)."""

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.push()
        async with browser(house) as person, browser(house) as thief:
            await person.open(wallet.url())
            for name, value in person.client.cookies.items():
                thief.client.cookies.set(name, value, domain="issuer.example", path="/")
            thief.page = await person.submit(account="erika", password=PASSWORD)
            assert (await thief.follow()).status_code == 400

    play(tmp_path, story)


# What other sites and browsers cannot do.


@pytest.mark.parametrize("csrf", [None, "", "x" * 43, "é"])
def test_a_form_of_another_site_is_refused(tmp_path: Path, csrf: str | None) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.push()
        async with browser(house) as person:
            await person.open(wallet.url())
            page = person.page
            answer = await person.submit(account="erika", password=PASSWORD, csrf=csrf)
            assert answer.status_code == 400
            person.page = page
            await person.sign_in()
            answer = await person.submit(decision="allow", csrf=csrf)
            assert answer.status_code == 400

    play(tmp_path, story)


def test_without_that_check_a_form_of_another_site_would_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shows that the test above can fail."""
    monkeypatch.setattr(authorizations, "check_csrf", lambda *_: None)

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.push()
        async with browser(house) as person:
            await person.open(wallet.url())
            await person.sign_in()
            assert "code" in parameters_of(await person.decide(csrf=None))

    play(tmp_path, story)


def test_another_browser_cannot_go_on_with_a_login(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.push()
        async with browser(house) as person, browser(house) as thief:
            await person.open(wallet.url())
            await person.sign_in()
            thief.page = person.page
            assert (await thief.submit(decision="allow")).status_code == 400
            assert (await thief.open(str(person.page.url))).status_code == 400  # type: ignore[union-attr]
            assert "code" in parameters_of(await person.decide())

    play(tmp_path, story)


def test_nobody_consents_without_a_login(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.push()
        async with browser(house) as person:
            page = await person.open(wallet.url())
            hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text))
            answer = await person.client.post(
                f"{ISSUER}/authorize/consent", data={**hidden, "decision": "allow"}
            )
            assert answer.status_code == 400
            url = f"{ISSUER}/authorize/consent?reference={hidden['reference']}"
            assert (await person.open(url)).status_code == 400

    play(tmp_path, story)


@pytest.mark.parametrize(
    "path",
    [
        "/authorize",
        "/authorize?client_id=wallet",
        "/authorize?client_id=wallet&request_uri=urn:x",
        "/authorize?client_id=wallet&request_uri=urn:ietf:params:oauth:request_uri:",
        "/authorize?client_id=wallet&client_id=wallet&request_uri=urn:x",
        "/authorize?client_id=%00&request_uri=urn:x",
        "/authorize?client_id=%ff",
        "/authorize/consent",
        "/authorize/consent?reference=%C3%A9",
        "/login/unknown",
        "/login/%00",
    ],
)
def test_garbage_gets_a_page_that_says_so(tmp_path: Path, path: str) -> None:
    async def story(house: House) -> None:
        async with browser(house) as person:
            page = await person.open(ISSUER + path)
            assert page.status_code in (400, 401, 404), page.text
            assert page.headers["content-type"].startswith("text/html")
            answer = await person.client.post(
                f"{ISSUER}/authorize/login", content=b"\xff", headers={"Content-Type": "text/plain"}
            )
            assert answer.status_code == 415

    play(tmp_path, story)


# Accounts.


def test_a_wrong_password_and_an_unknown_account_are_told_apart_by_nothing(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)
        seen = []
        for account, password in (("erika", "wrong"), ("nobody", "wrong"), ("nobody", PASSWORD), ("", "")):
            await wallet.push()
            async with browser(house) as person:
                await person.open(wallet.url())
                page = await person.submit(account=account, password=password)
                seen.append((page.status_code, re.sub(r'value="[^"]*"', "", page.text)))
        assert len(set(seen)) == 1
        assert seen[0][0] == 403

    play(tmp_path, story)


def test_an_unknown_account_costs_a_hash_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hashed: list[str] = []

    def counted(password: str, stored: str) -> bool:
        hashed.append(stored)
        return password_fits(password, stored)

    monkeypatch.setattr(authenticator, "password_fits", counted)

    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.push()
        async with browser(house) as person:
            await person.open(wallet.url())
            await person.submit(account="nobody", password="x")
        assert hashed == [accounts.NOBODY]

    play(tmp_path, story)


def test_a_request_ends_after_some_failed_logins(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.push()
        async with browser(house) as person:
            await person.open(wallet.url())
            await person.submit(account="erika", password="wrong")
            await person.open(wallet.url())  # opening it again gives no attempts back
            await person.submit(account="nobody", password="wrong")
            page, answer = person.page, await person.submit(account="erika", password="wrong")
            assert answer.status_code == 303
            assert parameters_of(answer.headers["location"]) == {
                "error": "access_denied",
                "state": "the state",
                "iss": ISSUER,
            }
            person.page = page
            assert (await person.submit(account="erika", password=PASSWORD)).status_code == 400

    play(tmp_path, story, login_attempts=3)


def test_an_account_is_closed_for_a_while_after_failed_logins_from_anywhere(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        async def attempt(account: str, password: str) -> str:
            wallet = code_wallet(house)
            await wallet.push()
            async with browser(house) as person:
                await person.open(wallet.url())
                return (await person.submit(account=account, password=password)).text

        for account in ("erika", "nobody"):
            for _ in range(authenticator.ACCOUNT_ATTEMPTS):
                assert "is wrong" in await attempt(account, "wrong")
            assert "too many attempts" in await attempt(account, PASSWORD)
        assert "too many" not in await attempt("max", "wrong")
        house.clock.now += authenticator.ATTEMPTS_SECONDS
        assert await attempt("erika", PASSWORD) == ""  # a redirect, as it should be

    play(tmp_path, story)


def test_a_login_gives_the_accounts_attempts_back(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        for _ in range(3):
            wallet = code_wallet(house)
            await wallet.push()
            async with browser(house) as person:
                await person.open(wallet.url())
                for _ in range(authenticator.ACCOUNT_ATTEMPTS // 2):
                    await person.submit(account="erika", password="wrong")
                await person.sign_in()

    play(tmp_path, story, login_attempts=20)


def test_failed_logins_take_a_bounded_number_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOGIN_ROWS", 8)
    rows = {authenticator._bucket(ISSUER, f"name {number}") for number in range(500)}
    assert len(rows) == 8
    assert rows.isdisjoint({authenticator._bucket("https://other.example", "name")})


def test_what_a_person_enters_is_bounded(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = code_wallet(house)
        await wallet.push()
        async with browser(house) as person:
            await person.open(wallet.url())
            page = await person.submit(account="erika", password="x" * (limits.LOGIN_CHARS + 1))
            assert page.status_code == 403
            assert "too long" in page.text

    play(tmp_path, story)


# Links.


@pytest.mark.parametrize("how", ["opened", "pasted", "secret alone"])
def test_a_link_logs_its_reader_in_once(tmp_path: Path, how: str) -> None:
    async def story(house: House) -> None:
        link = await _link(house)
        wallet = code_wallet(house)
        for status in (303, 403):
            await wallet.push()
            async with browser(house) as person:
                if how == "opened" and status == 303:
                    page = await person.open(link)
                    assert "You can now sign in" in page.text
                    await person.open(link)  # to open it does not use it up
                await person.open(wallet.url())
                if how == "opened" and status == 303:
                    answer = await person.submit(linked="1")
                else:
                    answer = await person.submit(link=link if how != "secret alone" else link[-43:])
                assert answer.status_code == status
                if status == 303:
                    assert SUBJECT in (await person.follow()).text
                    assert "code" in parameters_of(await person.decide())

    play(tmp_path, story)


def test_a_link_expires_and_is_good_at_its_tenant_only(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/issuer.db"

    async def main() -> None:
        async with (
            login_house(tmp_path, database=database) as house,
            login_house(tmp_path, database=database, identifier=f"{ISSUER}/other") as other,
        ):
            link = await _link(house)
            stranger = code_wallet(other, issuer=f"{ISSUER}/other")
            await stranger.push()
            async with browser(other) as person:
                await person.open(stranger.url())
                assert (await person.submit(link=link)).status_code == 403
            wallet = code_wallet(house)
            house.clock.now += 3600
            await wallet.push()
            async with browser(house) as person:
                await person.open(wallet.url())
                assert (await person.submit(link=link)).status_code == 403
                assert (await person.open(link)).status_code == 404

    asyncio.run(main())


def test_a_link_is_used_once_also_by_two_at_once(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        link = await _link(house)

        async def use() -> int:
            wallet = code_wallet(house)
            await wallet.push()
            async with browser(house) as person:
                await person.open(wallet.url())
                return (await person.submit(link=link)).status_code

        assert sorted(await asyncio.gather(*[use() for _ in range(4)])) == [303, 403, 403, 403]

    play(tmp_path, story)


# The issuer on this machine, without TLS.


def test_without_tls_cookies_do_without_the_prefix(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        assert isinstance(house.fetcher, HttpFetcher)
        wallet = code_wallet(house, issuer="http://127.0.0.1:8440", redirect_uri=CALLBACK)
        await wallet.push()
        async with browser(house) as person:
            page = await person.open(wallet.url())
            cookie = page.headers["set-cookie"].lower()
            assert cookie.startswith("safeconduct-")
            assert "secure" not in cookie
            assert "httponly" in cookie
            await person.sign_in()
            assert "code" in parameters_of(await person.decide())

    play(tmp_path, story, identifier="http://127.0.0.1:8440")
