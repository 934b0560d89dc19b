"""Clients and accounts as the operator's files describe them; faults are named before anything starts."""

from pathlib import Path

import pytest

from safeconduct.protocols.oauth.errors import InvalidClient, InvalidRequest
from safeconduct.services.issuer.accounts import NOBODY, hash_password, load_accounts, password_fits
from safeconduct.services.issuer.clients import ClientHeaders, Clients
from safeconduct.settings import IssuerSettings, SettingsError

CALLBACK = "https://wallet.example/callback"
ONE = f'[[clients]]\nclient_id = "wallet"\nredirect_uris = ["{CALLBACK}", "http://127.0.0.1/cb"]\n'


def load(tmp_path: Path, text: str = ONE, **settings: object) -> Clients:
    file = tmp_path / "clients.toml"
    file.write_text(text, encoding="utf-8")
    return Clients.load(IssuerSettings(**{"clients": file, **settings}))  # type: ignore[arg-type]


def test_a_client_has_its_redirect_uris_and_no_other(tmp_path: Path) -> None:
    clients = load(tmp_path)
    clients.check_redirect_uri("wallet", CALLBACK, attested=False)
    clients.check_redirect_uri("wallet", "http://127.0.0.1:5000/cb", attested=False)
    for uri in (f"{CALLBACK}?x=1", "https://wallet.example:444/callback", "http://127.0.0.1:5000/other"):
        with pytest.raises(InvalidRequest) as caught:
            clients.check_redirect_uri("wallet", uri, attested=True)
        assert caught.value.code == "redirect_uri_unregistered"
    with pytest.raises(InvalidClient) as unknown:
        clients.check_redirect_uri("other", CALLBACK, attested=False)
    assert unknown.value.code == "client_unknown"


def test_an_attested_wallet_names_its_own_place(tmp_path: Path) -> None:
    load(tmp_path).check_redirect_uri("other", "https://other.example/cb", attested=True)


def test_a_client_is_called_by_its_name(tmp_path: Path) -> None:
    assert load(tmp_path).name_of("wallet") == "wallet"
    assert load(tmp_path, ONE + 'name = "Wallet"\n').name_of("wallet") == "Wallet"
    assert load(tmp_path).name_of("other") == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("clients = 1", "Expected `array`"),
        ("[[clients]]\nclient_id = 'a'", "redirect_uris"),
        ("[[clients]]\nclient_id = 'a'\nredirect_uris = []", "length >= 1"),
        ("[[clients]]\nclient_id = 'a'\nredirect_uris = ['javascript:x']", "neither https"),
        (ONE + ONE, "given twice"),
        ("[[clients]]\nsecret = 'a'", "unknown field"),
        ("\xff[", "Invalid"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, text)
    assert problem in str(caught.value)


def test_attestation_needs_anchors(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load(tmp_path, client_attestation="required")
    assert "client_attestation_anchors" in str(caught.value)
    for text in (None, "{", '{"*": 1}'):
        anchors = tmp_path / "anchors.json"
        if text is not None:
            anchors.write_text(text, encoding="utf-8")
        with pytest.raises(SettingsError) as unreadable:
            load(tmp_path, client_attestation="required", client_attestation_anchors=anchors)
        assert "anchors.json" in str(unreadable.value)


def test_without_attestation_the_headers_are_not_looked_at(tmp_path: Path) -> None:
    headers = ClientHeaders(attestations=["x"], attestation_pops=["y", "z"])
    assert load(tmp_path).authenticate(headers, now=0) is None
    assert load(tmp_path).auth_methods == ("none",)


def test_a_password_fits_its_hash_only() -> None:
    hashed = hash_password("geheim é")
    assert hashed.startswith("scrypt$15$8$1$")
    assert hashed != hash_password("geheim é")
    assert password_fits("geheim é", hashed)
    assert not password_fits("geheim", hashed)
    assert not password_fits("", NOBODY)
    assert not password_fits("geheim é", "scrypt$99$8$1$AAAA$AAAA")


def test_accounts_are_read_by_name_and_show_nothing(tmp_path: Path) -> None:
    file = tmp_path / "accounts.toml"
    hashed = hash_password("x")
    account = f'[[accounts]]\nname = "erika"\npassword = "{hashed}"\n'
    file.write_text(account + "[accounts.claims]\nage = 3\n", encoding="utf-8")
    (erika,) = load_accounts(file).values()
    assert (erika.name, erika.subject, erika.claims) == ("erika", "", {"age": 3})
    assert hashed not in repr(erika)
    assert load_accounts(None) == {}

    for text, problem in (
        (account + account, "given twice"),
        ('[[accounts]]\nname = "a"\npassword = "hunter2"', "matching regex"),
        ("[", "Invalid"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(SettingsError) as caught:
            load_accounts(file)
        assert problem in str(caught.value)
        assert "hunter2" not in str(caught.value)
    with pytest.raises(SettingsError) as missing:
        load_accounts(tmp_path / "none.toml")
    assert "cannot be read" in str(missing.value)
