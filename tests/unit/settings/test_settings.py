"""Settings are read in one place, checked before anything starts, and wrong ones are named, not shown."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from safeconduct.settings import (
    DatabaseUrl,
    IssuerSettings,
    Secret,
    Settings,
    SettingsError,
    VerifierSettings,
    is_loopback,
    load,
)

TOKEN = "a-token-nobody-may-see-in-a-message"


@pytest.fixture(autouse=True)
def _empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def loaded(text: str, environ: Mapping[str, str] | None = None) -> Settings:
    Path("safeconduct.toml").write_text(text, encoding="utf-8")
    return load(environ=environ or {})


def problems(text: str, environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as error:
        loaded(text, environ)
    assert str(error.value) == "\n".join(error.value.problems)
    return error.value.problems


def test_without_file_and_variables_everything_runs_on_this_machine() -> None:
    settings = load(environ={"HOME": "/", "SAFECONDUCT_VECTORS": "/somewhere"})
    assert settings == Settings()
    assert settings.issuer.url == "http://127.0.0.1:8440"
    for section in (settings.issuer, settings.wallet_server, settings.verifier):
        assert section.database.startswith("sqlite:///")
        assert is_loopback(section.host)
        assert is_loopback(section.admin_host)
    ports = [s.port for s in (settings.issuer, settings.wallet_server, settings.verifier)]
    ports += [s.admin_port for s in (settings.issuer, settings.wallet_server, settings.verifier)]
    assert len(set(ports)) == 6


def test_the_file_is_read_and_variables_win_over_it() -> None:
    text = '[issuer]\nport = 1\nadmin_port = 2\nidentifier = "https://issuer.example/tenant"\n'
    settings = loaded(text, {"SAFECONDUCT_ISSUER__PORT": "8443", "SAFECONDUCT_ISSUER__DATABASE": ""})
    assert (settings.issuer.port, settings.issuer.admin_port) == (8443, 2)
    assert settings.issuer.url == "https://issuer.example/tenant"
    assert settings.issuer.database == IssuerSettings().database


def test_the_file_may_be_named_by_argument_or_variable(tmp_path: Path) -> None:
    file = tmp_path / "other.toml"
    file.write_text("[verifier]\nport = 7\n", encoding="utf-8")
    assert load(file, environ={}).verifier.port == 7
    assert load(environ={"SAFECONDUCT_SETTINGS": str(file)}).verifier.port == 7


def test_variables_become_the_type_of_their_setting() -> None:
    settings = load(
        environ={
            "SAFECONDUCT_ISSUER__REQUIRE_ENCRYPTION": "false",
            "SAFECONDUCT_ISSUER__SIGNING_KEY": "keys/issuer.pem",
            "SAFECONDUCT_ISSUER__ADMIN_TOKEN": TOKEN,
            "SAFECONDUCT_ISSUER__DATABASE": "postgresql+psycopg://me@host/db",
            "SAFECONDUCT_WALLET_SERVER__ISSUERS": "https://a.example, https://b.example",
            "SAFECONDUCT_WALLET_SERVER__FORWARD_TIMEOUT": "2.5",
            "SAFECONDUCT_VERIFIER__TRUST": "trust.json",
            "SAFECONDUCT_TELEMETRY__LOG_LEVEL": "off",
        }
    )
    assert settings.issuer.require_encryption is False
    assert settings.issuer.signing_key == "keys/issuer.pem"
    assert settings.issuer.admin_token is not None
    assert settings.issuer.admin_token.matches(TOKEN)
    assert settings.wallet_server.issuers == ("https://a.example", "https://b.example")
    assert settings.wallet_server.forward_timeout == 2.5
    assert settings.verifier.trust == Path("trust.json")
    assert settings.telemetry.log_level == "off"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[issuer]\nport = '1'", "safeconduct.toml: issuer.port: expected `int`"),
        ("[issuer]\nport = 65536", "safeconduct.toml: issuer.port: expected `int` <= 65535"),
        ("[issuer]\nprot = 1", "safeconduct.toml: issuer.prot: no such setting"),
        ("[isuer]\nport = 1", "safeconduct.toml: isuer: no such section"),
        ("issuer = 1", "safeconduct.toml: issuer: expected a section [issuer]"),
        (
            "[issuer]\nadmin_token = 'short'",
            "issuer.admin_token: expected a secret of at least 16 characters",
        ),
        ("[issuer]\nadmin_token = 16", "issuer.admin_token: expected `str`"),
        ("[issuer]\nsigning_key = 1", "issuer.signing_key: expected `str`"),
        ("[issuer]\ndatabase = 'mysql://h/d'", "issuer.database: expected a URL that begins with sqlite://"),
        ("[issuer]\nnonce_lifetime = 0", "issuer.nonce_lifetime: expected `int` >= 1"),
        ("[issuer]\nrequire_encryption = 'no'", "issuer.require_encryption: expected `bool`"),
        ("[wallet_server]\nissuers = 'https://a'", "wallet_server.issuers: expected `array`"),
        ("[wallet_server]\nissuers = [1]", "wallet_server.issuers: expected `str`"),
        ("[wallet_server]\nissuers = ['http://a.example']", "wallet_server.issuers: expected https"),
        ("[wallet]\nwallet_server = 'ftp://a'", "wallet.wallet_server: expected an https URL"),
        ("[telemetry]\nlog_level = 'loud'", "telemetry.log_level: expected one of debug, info, warning"),
        ("[issuer]\nidentifier = 'http://issuer.example'", "issuer.identifier: expected https"),
        ("[issuer]\nidentifier = 'https://issuer.example/?a=b'", "issuer.identifier: expected a URL without"),
        ("[issuer]\nidentifier = 'https://issuer.example/'", "issuer.identifier: expected a URL without"),
        ("[issuer]\nidentifier = 'https://me@issuer.example'", "issuer.identifier: expected a URL without"),
        ("[issuer]\nidentifier = 'https://[::1'", "issuer.identifier: expected a URL"),
        ("[issuer]\nidentifier = 'issuer'", "issuer.identifier: expected an https URL"),
        ("[issuer]\nhost = '192.0.2.1'", "issuer.identifier: expected one, because host is not this machine"),
        ("[issuer]\ntls_key = 'key.pem'", "issuer.tls_certificate: expected together with tls_key"),
        ("[verifier]\nadmin_port = 8460", "verifier.admin_port: expected another port"),
        ("[relay]\nlifetime_most = 3600", "relay.lifetime_default: expected at most lifetime_most"),
        ("[relay]\npayload_chars = 65536", "relay.payload_chars: expected less than body_bytes"),
        ("[relay]\nidentifier = 'http://relay.example'", "relay.identifier: expected https"),
        ("[wallet]\nrelay = 'http://relay.example'", "wallet.relay: expected https"),
        ("[wallet]\nrelays = ['https://relay.example/?a']", "wallet.relays: expected a URL without query"),
        ("[wallet]\npersona = 'A B'", "wallet.persona: expected"),
        ("[issuer", "safeconduct.toml: expected TOML:"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_expected(text: str, problem: str) -> None:
    (line,) = problems(text)
    assert problem in line


def test_a_wrong_variable_is_named_as_variable() -> None:
    lines = problems(
        "",
        {
            "SAFECONDUCT_ISSUER__PORT": "many",
            "SAFECONDUCT_ISSUER__PROT": "1",
            "SAFECONDUCT_ISUER__PORT": "1",
        },
    )
    assert set(lines) == {
        "SAFECONDUCT_ISSUER__PORT: expected `int`",
        "SAFECONDUCT_ISSUER__PROT: no such setting",
        "SAFECONDUCT_ISUER__PORT: no section isuer",
    }


def test_all_wrong_settings_are_reported_at_once() -> None:
    assert len(problems("[issuer]\nport = 'x'\nbatch_size = 0\n[verifier]\nprofiles = []\n")) == 3


def test_no_message_shows_a_value() -> None:
    text = f"[issuer]\nport = '{TOKEN}'\nadmin_token = ['{TOKEN}']\ndatabase = '{TOKEN}'\nidentifier = 3\n"
    text += f"[telemetry]\nlog_level = '{TOKEN}'\n[wallet_server]\nissuers = '{TOKEN}'\n"
    assert TOKEN not in "\n".join(problems(text, {"SAFECONDUCT_ISSUER__BATCH_SIZE": TOKEN}))


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path / "none.toml", environ={})
    with pytest.raises(SettingsError, match="cannot be read"):
        load(environ={"SAFECONDUCT_SETTINGS": str(tmp_path)})
    (tmp_path / "latin.toml").write_bytes(b"# \xff")
    with pytest.raises(SettingsError, match="expected UTF-8 text"):
        load(tmp_path / "latin.toml", environ={})


def test_secrets_and_passwords_show_nowhere() -> None:
    settings = loaded(
        f"[issuer]\nadmin_token = '{TOKEN}'\ndatabase = 'postgresql+psycopg://me:{TOKEN}@host/db'\n"
    )
    assert TOKEN not in repr(settings)
    assert TOKEN not in str(settings)
    assert "postgresql+psycopg://me:***@host/db" in repr(settings)
    assert settings.issuer.admin_token is not None
    assert settings.issuer.admin_token.reveal() == TOKEN
    with pytest.raises(TypeError):
        msgspec.json.encode(settings)


TENANTS = """
[issuer]
offer_lifetime = 30
batch_size = 5
[[issuer.tenants]]
name = "town-hall"
identifier = "https://issuer.example/town"
signing_key = "town.pem"
batch_size = 2
[[issuer.tenants]]
name = "school"
identifier = "https://issuer.example/school"
signing_key = "pkcs11:token=t;object=school?pin-value=1234"
require_encryption = false
"""


def test_a_tenant_has_what_it_says_and_the_rest_from_its_section() -> None:
    issuer = loaded(
        TENANTS,
        {
            "SAFECONDUCT_ISSUER__TENANTS__TOWN_HALL__WEBHOOK_URL": "https://hooks.example",
            "SAFECONDUCT_ISSUER__TENANTS__TOWN_HALL__WEBHOOK_SECRET": TOKEN,
        },
    ).issuer
    town, school = issuer.issuers
    assert (town.batch_size, town.offer_lifetime, town.require_encryption) == (2, 30, True)
    assert (school.batch_size, school.offer_lifetime, school.require_encryption) == (5, 30, False)
    assert town.webhook_secret is not None
    assert town.webhook_secret.matches(TOKEN)
    assert school.webhook_secret is None
    assert (town.signing_key.in_hardware, school.signing_key.in_hardware) == (False, True)
    assert "1234" not in repr(issuer)
    assert IssuerSettings().issuers == (IssuerSettings(),)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('name = "school"', 'name = "town-hall"', "issuer.tenants: expected a name of its own"),
        ('name = "school"', 'name = "School"', "issuer.tenants.School.name: expected `str` matching regex"),
        ('name = "school"', "", "issuer.tenants.?.name: expected one, it is not inherited"),
        ('signing_key = "town.pem"', "", "issuer.tenants.town-hall.signing_key: expected one"),
        ('"town.pem"', '"pkcs11:token=t;object=school?pin-value=1234"', "expected a signing_key of its own"),
        ("example/school", "example/town", "expected identifiers with different paths"),
        ("example/school", "example/town/a", "expected identifiers with different paths"),
        ("example/school", "example", "expected identifiers with different paths"),
        (
            "https://issuer.example/school",
            "http://issuer.example/school",
            "tenants.school.identifier: expect",
        ),
        ("batch_size = 2", "port = 2", "issuer.tenants.town-hall.port: no such setting"),
        ("batch_size = 2", "tenants = []", "issuer.tenants.town-hall.tenants: no such setting"),
        ("batch_size = 2", "batch_size = 0", "issuer.tenants.town-hall.batch_size: expected `int` >= 1"),
        ("batch_size = 2", "webhook_url = 'https://a.example'", "tenants.town-hall.webhook_secret: expected"),
        ("batch_size = 5", "name = 'all'", "issuer.name: no such setting"),
        ("batch_size = 5", "webhook_url = 'ftp://a'", "webhook_url: expected an https URL"),
        ("batch_size = 5\n[[issuer.tenants]]", "[issuer.tenants]", "expected tables [[issuer.tenants]]"),
    ],
)
def test_a_wrong_tenant_is_named(old: str, new: str, problem: str) -> None:
    assert old in TENANTS
    text = TENANTS.replace(old, new, 1)
    if new.startswith("[issuer.tenants]"):
        text = text.partition("[[")[0]
    assert any(problem in line for line in problems(text)), problems(text)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ("card_bundles = 'ftp://records.example'", "issuer.card_bundles: expected an https URL"),
        ("card_bundles = 'http://records.example'", "issuer.card_bundles: expected https"),
        ("card_bundles = 'folder'\ncard_bundles_secret = '{TOKEN}'", "issuer.card_bundles_secret: expected"),
        ("card_bundles_secret = '{TOKEN}'", "issuer.card_bundles_secret: expected together with a URL"),
        ("card_link_lifetime = 0", "issuer.card_link_lifetime: expected `int` >= 1"),
    ],
)
def test_where_bundles_cannot_be_is_said(lines: str, problem: str) -> None:
    found = problems("[issuer]\n" + lines.replace("{TOKEN}", TOKEN))
    assert any(problem in line for line in found), found


def test_bundles_of_one_tenant_are_no_others() -> None:
    first, mark, rest = TENANTS.partition("[[issuer.tenants]]")
    issuer = loaded(first + "card_bundles = 'folder'\n" + mark + rest).issuer
    assert [one.card_bundles for one in issuer.issuers] == ["", ""]


def test_an_issuer_is_told_whom_its_cards_name() -> None:
    settings = loaded("[status]\nidentifier = 'https://cards.example'\n" + TENANTS)
    named = [tenant.card_issuer for tenant in settings.issuer_of_cards.tenants]
    assert named == ["https://cards.example/town-hall", "https://cards.example/school"]
    assert loaded("").issuer_of_cards.card_issuer == ""


def test_identifiers_beside_each_other_are_told_apart_whatever_stands_between() -> None:
    apart = TENANTS.replace("example/school", "example/town-2")
    assert len(loaded(apart).issuer.tenants) == 2
    third = (
        apart + '[[issuer.tenants]]\nname = "c"\nsigning_key = "c"\nidentifier = "https://b.example/town/c"'
    )
    assert any("different paths" in line for line in problems(third))


def test_a_variable_of_an_unknown_tenant_is_refused() -> None:
    variable = "SAFECONDUCT_ISSUER__TENANTS__NOBODY__BATCH_SIZE"
    assert problems(TENANTS, {variable: "1"}) == (f"{variable}: no such setting",)


def test_a_secret_matches_itself_only() -> None:
    secret = Secret(TOKEN)
    assert secret.matches(TOKEN)
    assert not secret.matches(TOKEN[:-1])
    assert not secret.matches("")
    assert not secret.matches("é")


def test_the_url_follows_host_port_and_tls() -> None:
    assert VerifierSettings(host="::1", port=1).url == "http://[::1]:1"
    tls = IssuerSettings(port=1, tls_certificate=Path("c"), tls_key=Path("k"))
    assert tls.url == "https://127.0.0.1:1"


def test_a_database_url_without_password_is_shown_whole() -> None:
    assert repr(DatabaseUrl("sqlite:///a.db")) == "'sqlite:///a.db'"


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Settings().issuer.port = 1  # type: ignore[misc]
