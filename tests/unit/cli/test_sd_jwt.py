"""`safeconduct sd-jwt`: the contract of verify, serialisations, key binding, and what inspect shows."""

import json
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Run

from safeconduct.crypto.keys import Key
from safeconduct.limits import TOKEN_BYTES

CLAIMS = {
    "iss": "https://issuer.example",
    "vct": "https://issuer.example/types/card",
    "given_name": "Zoë",
    "address": {"region": "Łódź", "street": "Long 1"},
    "nationalities": ["DE", "FR"],
    "500": True,
    "odd.name": 1,
}
ISSUE = ("sd-jwt", "issue", "claims.json", "--issuer-key", "issuer.pem", "--holder-key", "holder-public.jwk")
REDACT = ("--redact", "given_name", "--redact", "address", "--redact", "address.region", "--redact", "500")
AUDIENCE = ("--audience", "https://verifier.example")
PRESENT = ("sd-jwt", "present", "token.txt", "--holder-key", "holder.jwk", *AUDIENCE, "--nonce", "n-1")
VERIFY = ("sd-jwt", "verify", "--issuer-key", "issuer-public.pem", *AUDIENCE)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    issuer, holder = Key.generate("ES256"), Key.generate("ES256", kid="holder-1")
    (tmp_path / "issuer.pem").write_text(issuer.to_pem(private=True))
    (tmp_path / "issuer-public.pem").write_text(issuer.public.to_pem())
    (tmp_path / "other-public.pem").write_text(holder.public.to_pem())
    (tmp_path / "holder.jwk").write_text(json.dumps(holder.to_jwk(private=True)))
    (tmp_path / "holder-public.jwk").write_text(json.dumps(holder.public.to_jwk()))
    (tmp_path / "claims.json").write_text(json.dumps(CLAIMS))
    (tmp_path / "trust.json").write_text(json.dumps({CLAIMS["iss"]: issuer.public.to_jwk()}))
    return tmp_path


@pytest.fixture
def token(place: Path, run: Run) -> str:
    done = run(*ISSUE, *REDACT, "--redact", "nationalities[0]", "--redact", '["odd.name"]', "--decoys", "2")
    assert done.exit_code == 0, done.output
    (place / "token.txt").write_text(done.stdout)
    return done.stdout.strip()


@pytest.fixture
def presentation(token: str, run: Run) -> bytes:
    done = run(*PRESENT, "--disclose", "given_name", "--disclose", "500")
    assert done.exit_code == 0, done.output
    return done.stdout_bytes


def test_valid_gives_the_disclosed_claims_as_json_and_status_0(presentation: bytes, run: Run) -> None:
    for anchors in (("--issuer-key", "issuer-public.pem"), ("--trust", "trust.json")):
        done = run("sd-jwt", "verify", *anchors, *AUDIENCE, "--nonce", "n-1", stdin=presentation)
        assert (done.exit_code, done.stderr) == (0, "")
        claims = json.loads(done.stdout)
        assert (claims["given_name"], claims["500"], claims["nationalities"]) == ("Zoë", True, ["FR"])
        assert claims.keys().isdisjoint({"address", "odd.name", "_sd", "_sd_alg"})


def test_json_wraps_claims_and_key_binding(presentation: bytes, run: Run) -> None:
    done = json.loads(run(*VERIFY, "--nonce", "n-1", "--json", stdin=presentation).stdout)

    assert done.keys() == {"claims", "key_binding"}
    assert (done["key_binding"]["nonce"], done["key_binding"]["aud"]) == ("n-1", "https://verifier.example")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--nonce", "n-2"), "nonce_mismatch"),
        (("--at", "1"), "issued_in_future"),
        (("--at", "99999999999"), "expired"),
        (("--profile", "sd-jwt"), "sd_jwt_typ"),
        (("--type", "https://issuer.example/types/other"), "type_not_accepted"),
        (("--require", "address"), "claim_missing"),
    ],
)
def test_not_acceptable_gives_code_and_reason_and_status_1(
    arguments: tuple[str, ...], code: str, place: Path, run: Run
) -> None:
    issued = run(*ISSUE, *REDACT, "--lifetime", "100000", "--now", "1750000000", "--out", "token.txt")
    assert (issued.exit_code, issued.stdout) == (0, "")
    shown = run(*PRESENT, "--now", "1750000000")
    assert run(*VERIFY, "--at", "1750000000", stdin=shown.stdout_bytes).exit_code == 0

    done = run(*VERIFY, "--at", "1750000000", *arguments, stdin=shown.stdout_bytes)

    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{code}: ")
    assert done.stderr.count("\n") == 1


def test_another_issuers_key_or_audience_is_not_accepted(presentation: bytes, run: Run) -> None:
    other = run("sd-jwt", "verify", "--issuer-key", "other-public.pem", *AUDIENCE, stdin=presentation)
    assert (other.exit_code, other.stderr.split(":")[0]) == (1, "signature_invalid")
    elsewhere = run(*VERIFY[:-1], "https://elsewhere.example", stdin=presentation)
    assert (elsewhere.exit_code, elsewhere.stderr.split(":")[0]) == (1, "kbt_audience_mismatch")


def test_no_key_binding_is_accepted_only_when_said(token: str, run: Run) -> None:
    shown = run("sd-jwt", "present", "token.txt", "--no-key-binding", "--disclose", "address.region")
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.strip().endswith("~")
    assert len(shown.stdout) < len(token)

    refused = run(*VERIFY, "--json", stdin=shown.stdout_bytes)
    assert (refused.exit_code, json.loads(refused.stdout)["code"]) == (1, "key_binding_missing")
    taken = run(*VERIFY, "--no-key-binding", "--json", stdin=shown.stdout_bytes)
    assert taken.exit_code == 0
    assert json.loads(taken.stdout)["key_binding"] is None
    assert json.loads(taken.stdout)["claims"]["address"] == {"region": "Łódź", "street": "Long 1"}


def test_a_key_binding_that_is_there_is_checked_even_if_waived(presentation: bytes, run: Run) -> None:
    done = run(*VERIFY, "--no-key-binding", "--nonce", "n-2", stdin=presentation)

    assert (done.exit_code, done.stderr.split(":")[0]) == (1, "nonce_mismatch")


@pytest.mark.parametrize("form", ["flattened", "general"])
@pytest.mark.parametrize("hash_name", ["sha-256", "sha-384", "sha-512"])
def test_every_serialisation_and_hash_verifies(form: str, hash_name: str, place: Path, run: Run) -> None:
    issued = run(*ISSUE, *REDACT, "--form", form, "--hash", hash_name, "--out", "token.txt")
    assert issued.exit_code == 0, issued.output
    shown = run(*PRESENT, "--all")
    assert json.loads(shown.stdout).keys() >= {"payload"}

    done = run(*VERIFY, "--nonce", "n-1", stdin=shown.stdout_bytes)

    assert json.loads(done.stdout)["address"]["region"] == "Łódź"


def test_an_sd_jwt_that_is_no_credential_needs_no_vct(place: Path, run: Run) -> None:
    plain = json.dumps({"iss": "https://issuer.example", "a": 1}).encode()
    arguments = ("sd-jwt", "issue", "--issuer-key", "issuer.pem", "--redact", "a")

    refused = run(*arguments, stdin=plain)
    assert (refused.exit_code, refused.stderr.split(":")[0]) == (1, "claim_missing")
    issued = run(*arguments, "--profile", "sd-jwt", stdin=plain)
    done = run(*VERIFY, "--no-key-binding", stdin=issued.stdout_bytes)
    assert json.loads(done.stdout)["a"] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (*VERIFY, "--nonce", ""),
        (*VERIFY, "--at", "soon"),
        (*VERIFY, "--accept", "anything"),
        (*VERIFY, "--trust", "trust.json"),
        ("sd-jwt", "verify", *AUDIENCE),
        ("sd-jwt", "verify", "--issuer-key", "issuer-public.pem"),
        (*PRESENT, "--all", "--disclose", "500"),
        (*PRESENT, "--disclose", "a..b"),
        (*PRESENT, "--no-key-binding"),
        ("sd-jwt", "present", "token.txt", "--holder-key", "holder.jwk", *AUDIENCE),
        ("sd-jwt", "present", "token.txt", "--no-key-binding", "--lifetime", "5"),
        ("sd-jwt", "present", "absent.txt", "--no-key-binding"),
        (*ISSUE, "--redact", "a..b"),
        (*ISSUE, "--x5c", "issuer-public.pem"),
    ],
)
def test_wrong_use_gives_status_2_and_one_line(arguments: tuple[str, ...], token: str, run: Run) -> None:
    done = run(*arguments, stdin=token.encode())

    assert (done.exit_code, done.stdout) == (2, "")


def test_an_exp_is_given_once(place: Path, run: Run) -> None:
    claims = json.dumps({**CLAIMS, "exp": 2_000_000_000}).encode()

    done = run(*ISSUE[:2], *ISSUE[3:], "--lifetime", "5", stdin=claims)

    assert done.exit_code == 2
    assert "--lifetime" in done.stderr


def test_json_tells_where_the_token_went_or_holds_it(token: str, place: Path, run: Run) -> None:
    held = json.loads(run(*PRESENT, "--json").stdout)
    assert held["bytes"] == len(held["token"])
    written = json.loads(run(*PRESENT, "--json", "--out", "shown.txt").stdout)
    assert written["out"] == "shown.txt"
    assert (place / "shown.txt").read_text().count("~") == 1


def test_a_token_that_is_too_long_is_not_acceptable(place: Path, run: Run) -> None:
    done = run(*VERIFY, stdin=b"a" * (TOKEN_BYTES + 5))

    assert (done.exit_code, done.stderr.split(":")[0]) == (1, "sd_jwt_too_large")


def test_inspect_shows_states_and_paths_of_an_issued_token(token: str, run: Run) -> None:
    done = run("sd-jwt", "inspect", "token.txt")

    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("NOT VERIFIED")
    assert lines[1].startswith("issued SD-JWT, profile sd-jwt-vc, ")
    assert "2 redacted" in lines[1]
    assert any("path address.region" in line for line in lines)
    assert any("path nationalities[0]" in line for line in lines)


def test_inspect_shows_presentations_json_forms_and_bare_jwts(
    token: str, presentation: bytes, run: Run
) -> None:
    shown = json.loads(run("sd-jwt", "inspect", "--json", stdin=presentation).stdout)
    assert (shown["kind"], shown["verified"]) == ("presentation", False)
    assert [part["name"] for part in shown["parts"]] == ["key binding JWT", "SD-JWT"]
    assert shown["counts"]["disclosed"] == 2

    bare = json.loads(run("sd-jwt", "inspect", "--json", stdin=token.split("~")[0].encode()).stdout)
    assert bare["kind"] == "JWT"
    general = run(*PRESENT, "--all", "--form", "general").stdout_bytes
    described = json.loads(run("sd-jwt", "inspect", "--json", stdin=general).stdout)
    assert described["kind"] == "presentation"


def test_inspect_names_a_disclosure_that_answers_nothing(token: str, run: Run) -> None:
    done = run("sd-jwt", "inspect", stdin=(token + "WyJzIiwxXQ~").encode())

    assert "unreferenced" in done.stdout
