"""`safeconduct serve`, `offer` and `wallet`: one credential through real processes on this machine."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Run

from safeconduct.telemetry import Log

TOKEN = "a-management-token-of-length"
SAFECONDUCT = (sys.executable, "-c", "from safeconduct.cli.main import run; run()")


@contextmanager
def serving(name: str, place: Path, *arguments: str) -> Iterator[dict[str, str]]:
    """Run a service in a process; gives the URLs of its listeners, and demands that it ends in order."""
    command = (*SAFECONDUCT, "serve", name, "--port", "0", "--admin-port", "0", "--json", *arguments)
    with subprocess.Popen(command, cwd=place, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = [json.loads(process.stdout.readline()) for _ in range(2)]
            yield {line["listener"]: line["url"] for line in lines}
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


@pytest.fixture(autouse=True)
def diverted(monkeypatch: pytest.MonkeyPatch) -> list[Log]:
    """The logs that libraries were diverted to in this process, whose logging stays as it is."""
    logs: list[Log] = []
    monkeypatch.setattr("safeconduct.telemetry.logs.divert_libraries", logs.append)
    return logs


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that operator and holder have."""
    for variable, value in {
        "ISSUER__ADMIN_TOKEN": TOKEN,
        "VERIFIER__TRUST": "trust.json",
        "TELEMETRY__LOG_LEVEL": "off",
    }.items():
        monkeypatch.setenv(f"SAFECONDUCT_{variable}", value)


def test_a_credential_is_offered_accepted_and_presented(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as services:
        issuer = services.enter_context(serving("issuer", tmp_path))
        monkeypatch.setenv("SAFECONDUCT_WALLET_SERVER__ISSUERS", issuer["issuer"])
        server = services.enter_context(serving("wallet-server", tmp_path))["wallet-server"]
        management = ("--issuer", issuer["issuer-admin"])

        claims = json.dumps({"given_name": "Zoë", "family_name": "Łuczak"}).encode()
        arguments = ("--configuration", "identity", "--claims", "-", "--tx-code", *management)
        offered = run("offer", "create", *arguments, stdin=claims)
        assert offered.exit_code == 0, offered.output
        uri, code = offered.stdout.split()
        assert uri.startswith("openid-credential-offer://")
        assert offered.stdout.count("\n") == 1

        assert run("wallet", "accept", uri).stderr.startswith("tx_code_needed:")
        accepted = run("wallet", "accept", uri, "--tx-code", code, "--via", server)
        assert accepted.exit_code == 0, accepted.output
        assert accepted.stderr == ""
        credential = accepted.stdout.split()[0]
        assert run("wallet", "list").stdout == accepted.stdout
        shown = json.loads(run("wallet", "show", credential).stdout)
        assert shown["claims"]["given_name"] == "Zoë"
        assert "given_name" in shown["withholdable"]

        offers = json.loads(run("offer", "list", *management, "--json").stdout)["offers"]
        assert [offer["state"] for offer in offers] == ["issued"]
        assert run("offer", "cancel", offers[0]["offer_id"], *management).exit_code == 0
        again = run("offer", "cancel", offers[0]["offer_id"], *management)
        assert (again.exit_code, again.stderr.partition(":")[0]) == (1, "transition_refused")
        _manage(run, management)
        _trust(tmp_path, issuer["issuer"])
        _present(tmp_path, run, credential, services)

    gone = run("offer", "list", *management)
    assert (gone.exit_code, gone.stderr.partition(":")[0]) == (1, "fetch_failed")
    assert run("wallet", "remove", credential).exit_code == 0
    assert run("wallet", "list").stdout == ""


def _manage(run: Run, management: tuple[str, str]) -> None:
    """What else an operator does with offers, and sees of what was issued."""
    claims = json.dumps({"given_name": "Zoë", "family_name": "Łuczak"}).encode()
    create = ("offer", "create", "--configuration", "identity", "--claims", "-", *management)
    more = ("--reference", "case 7", "--deferred", "--authorization-code", "--lifetime", "60")
    made = run(*create, *more, "--qr", "offer.svg", "--json", stdin=claims)
    assert made.exit_code == 0, made.output
    assert "pre-authorized_code" not in made.stdout
    assert "--subject" in made.stderr
    assert Path("offer.svg").read_bytes().startswith(b"<?xml")
    assert Path("offer.svg").stat().st_mode & 0o077 == 0
    offer = json.loads(made.stdout)["offer_id"]
    line = run("offer", "list", "--reference", "case 7", *management).stdout
    assert line == run("offer", "show", offer, *management).stdout
    assert line.rstrip("\n").split("\t")[::5] == [offer, "case 7"]
    assert run(*create, "--qr", "offer.gif", stdin=claims).exit_code == 2
    assert run("offer", "show", "none", *management).stderr.startswith("offer_unknown:")

    (found,) = json.loads(run("issued", "find", "--configuration", "identity", *management, "--json").stdout)[
        "issued"
    ]
    assert run("issued", "find", *management).stdout.startswith(f"{found['issued_id']}\t")
    assert run("issued", "find", "--until", "1", *management).stdout == ""
    assert run("issued", "shares", "--issued", found["issued_id"], *management).stdout == ""
    assert json.loads(run("issued", "shares", "--state", "pending", *management, "--json").stdout) == {
        "shares": []
    }
    assert run("issued", "shares", "--state", "stolen", *management).stderr.startswith("parameter_malformed:")
    assert run("issued", "revoke-share", "none", *management).stderr.startswith("share_unknown:")
    assert run("deferred", "list", *management).stdout == ""
    for verdict in ("approve", "deny"):
        assert run("deferred", verdict, "none", *management).stderr.startswith("transaction_unknown:")
    rotated = json.loads(run("key", "rotate-encryption", *management, "--json").stdout)
    assert rotated["published_at"] < rotated["destroyed_at"]
    assert run("offer", "list", "--tenant", "town", *management).stderr.startswith("not_found:")
    link = run("login", "link", "urn:example:person:1", *management)
    assert "/login/" in link.stdout
    assert json.loads(run("login", "link", "x", *management, "--json").stdout)["expires_in"] > 0


def _trust(place: Path, issuer: str) -> None:
    """Trust the key that the issuer signs with, as its operator hands it over."""
    command = (*SAFECONDUCT, "key", "public", "safeconduct-data/issuer-key.pem")
    pem = subprocess.run(command, cwd=place, capture_output=True, text=True, check=True).stdout
    (place / "trust.json").write_text(json.dumps({issuer: [{"pem": pem}]}))


def _present(place: Path, run: Run, credential: str, services: ExitStack) -> None:
    verifier = services.enter_context(serving("verifier", place))["verifier"]
    present = ("wallet", "present", credential, "--disclose", "given_name")
    judged = run(*present, "--to", verifier)
    assert judged.exit_code == 0, judged.output
    claims = json.loads(judged.stdout)
    assert claims["given_name"] == "Zoë"
    assert "family_name" not in claims
    written = run(
        *present, "--audience", "https://elsewhere.example", "--nonce", "aabb", "--out", "shown.cbor"
    )
    assert written.exit_code == 0, written.output
    verify = ("sd-cwt", "verify", "shown.cbor", "--trust", "trust.json", "--nonce", "aabb")
    assert run(*verify, "--audience", "https://elsewhere.example").exit_code == 0


def test_check_says_what_is_wrong_without_starting(tmp_path: Path, run: Run) -> None:
    assert run("serve", "issuer", "--check").exit_code == 0
    assert (tmp_path / "safeconduct-data/issuer-key.pem").stat().st_mode & 0o077 == 0
    refused = run("serve", "verifier", "--check")
    assert (refused.exit_code, "trust.json" in refused.stderr) == (2, True)
    (tmp_path / "bad.toml").write_text("[issuer]\nport = 'x'\nnothing = 1\n")
    refused = run("serve", "issuer", "--check", "--config", "bad.toml")
    assert refused.exit_code == 2
    assert refused.stderr.count("bad.toml") == 2


def test_check_names_a_tls_file_that_is_not_there(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFECONDUCT_ISSUER__TLS_CERTIFICATE", "nowhere.pem")
    monkeypatch.setenv("SAFECONDUCT_ISSUER__TLS_KEY", "nowhere.key")
    refused = run("serve", "issuer", "--check")
    assert (refused.exit_code, "nowhere.pem" in refused.stderr) == (2, True)


def test_check_says_which_extra_a_database_wants(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    monkeypatch.setenv("SAFECONDUCT_ISSUER__DATABASE", "postgresql+psycopg://nobody@127.0.0.1:1/none")
    refused = run("serve", "issuer", "--check")
    assert (refused.exit_code, "safeconduct[postgres]" in refused.stderr) == (2, True)


def test_the_host_of_status_writes_the_tree_before_it_listens(tmp_path: Path, run: Run) -> None:
    assert run("serve", "status", "--check").exit_code == 0
    assert (tmp_path / "safeconduct-data/status-tree").is_dir()
    assert not (tmp_path / "safeconduct-data/status-key.pem").exists()  # nothing is to be signed


def test_a_host_that_only_gives_out_opens_no_database(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAFECONDUCT_STATUS__REFRESH", "0")
    assert run("serve", "status", "--check").exit_code == 0
    assert not (tmp_path / "safeconduct-data/issuer.db").exists()


def test_a_tree_that_cannot_be_written_is_named(tmp_path: Path, run: Run) -> None:
    (tmp_path / "safeconduct-data").mkdir()
    (tmp_path / "safeconduct-data/status-tree").write_text("no folder")
    refused = run("serve", "status", "--check")
    assert (refused.exit_code, "status-tree" in refused.stderr) == (2, True)


def test_a_wallet_server_without_issuers_says_that_it_forwards_nothing(run: Run) -> None:
    checked = run("serve", "wallet-server", "--check")
    assert (checked.exit_code, "SAFECONDUCT_WALLET_SERVER__ISSUERS" in checked.stderr) == (0, True)


def test_a_service_lets_libraries_speak_through_its_log_only(
    tmp_path: Path, run: Run, diverted: list[Log]
) -> None:
    with serving("issuer", tmp_path) as issuer:
        port = issuer["issuer"].rpartition(":")[2]
        assert run("serve", "issuer", "--port", port, "--admin-port", "0").exit_code == 2
    assert len(diverted) == 1


def test_an_address_in_use_is_wrong_use(tmp_path: Path, run: Run) -> None:
    with serving("issuer", tmp_path) as issuer:
        port = issuer["issuer"].rpartition(":")[2]
        refused = run("serve", "issuer", "--port", port, "--admin-port", "0")
        assert refused.exit_code == 2
        assert "cannot be listened on" in refused.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("offer", "create", "--configuration", "identity", "--claims", "missing"),
        ("wallet", "accept", "-"),
        ("wallet", "present", "ab"),
        ("wallet", "present", "ab", "--to", "https://v.example", "--nonce", "aabb"),
        ("wallet", "present", "ab", "--audience", "https://v.example", "--nonce", "xyz"),
        ("wallet", "list", "--config", "missing.toml"),
        ("serve", "issuer", "--port", "70000"),
    ],
)
def test_wrong_use_is_told(arguments: tuple[str, ...], run: Run) -> None:
    done = run(*arguments)
    assert done.exit_code == 2, done.output


def test_without_the_management_token_nothing_is_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAFECONDUCT_ISSUER__ADMIN_TOKEN")
    done = run("offer", "list")
    assert (done.exit_code, "ADMIN_TOKEN" in done.stderr) == (2, True)


TENANTS = """
[[issuer.tenants]]
name = "town"
identifier = "http://127.0.0.1:8440/town"
signing_key = "town.pem"

[[issuer.tenants]]
name = "school"
identifier = "http://127.0.0.1:8440/school"
signing_key = "school.pem"
"""


def test_where_several_issuers_are_served_one_has_to_be_named(tmp_path: Path, run: Run) -> None:
    (tmp_path / "safeconduct.toml").write_text(TENANTS)
    with serving("issuer", tmp_path) as issuer:
        management = ("--issuer", issuer["issuer-admin"])
        assert run("offer", "list", "--tenant", "town", *management).exit_code == 0
        unnamed = run("offer", "list", *management)
        assert unnamed.stderr.startswith("not_found:")
        assert "--tenant" in unnamed.stderr


@pytest.mark.parametrize(
    "arguments", [("show", "ab"), ("remove", "ab"), ("accept", "https://no.example/offer")]
)
def test_what_the_wallet_refuses_has_a_code(arguments: tuple[str, ...], run: Run) -> None:
    done = run("wallet", *arguments, "--json")
    assert done.exit_code == 1
    assert json.loads(done.stdout).keys() == {"code", "reason"}


def test_a_wallet_that_others_may_enter_is_not_used(tmp_path: Path, run: Run) -> None:
    (tmp_path / "safeconduct-data/wallet").mkdir(parents=True, mode=0o755)
    done = run("wallet", "list")
    assert (done.exit_code, done.stderr.partition(":")[0]) == (1, "store_exposed")


def test_a_store_that_is_no_directory_is_wrong_use(tmp_path: Path, run: Run) -> None:
    (tmp_path / "safeconduct-data").write_text("not a directory")
    done = run("wallet", "list")
    assert done.exit_code == 2
    assert "safeconduct-data" in done.stderr
