"""`safeconduct sd-cwt`: the contract of verify, the forms of claims, and what inspect shows."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cli.conftest import CLAIMS, ISSUE, PRESENT, VERIFY, Run

from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64, cbor
from safeconduct.encoding.cbor import Tag
from safeconduct.envelope import cose
from safeconduct.formats.sd_cwt import LENIENCIES
from safeconduct.limits import TOKEN_BYTES


def test_valid_gives_the_disclosed_claims_as_json_and_status_0(presentation: bytes, run: Run) -> None:
    done = run(*VERIFY, "--nonce", "aabb", stdin=presentation)
    assert (done.exit_code, done.stderr) == (0, "")
    claims = json.loads(done.stdout)
    assert (claims["given_name"], claims["500"], claims["nationalities"]) == ("Zoë", True, ["FR"])
    assert "address" not in claims
    assert "Zoë" in done.stdout


def test_json_wraps_claims_and_key_binding(presentation: bytes, run: Run) -> None:
    done = json.loads(run(*VERIFY, "--nonce", "aabb", "--json", stdin=presentation).stdout)
    assert done.keys() == {"claims", "key_binding"}
    assert done["key_binding"]["cnonce"] == b64.encode(b"\xaa\xbb")


def test_cbor_is_the_exact_encoding_of_the_claims(presentation: bytes, run: Run) -> None:
    done = run(*VERIFY, "--cbor", stdin=presentation)
    assert cbor.loads(done.stdout_bytes)[1] == "https://issuer.example"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--nonce", "ccdd"), "nonce_mismatch"),
        (("--at", "1"), "not_yet_valid"),
        (("--at", "99999999999"), "expired"),
        (("--profile", "seed-2024"), "profile_not_accepted"),
    ],
)
def test_not_acceptable_gives_code_and_reason_and_status_1(
    arguments: tuple[str, ...], code: str, place: Path, run: Run
) -> None:
    claims = {**CLAIMS, "nbf": 1_700_000_000, "exp": 1_800_000_000, "iat": 1_700_000_000}
    issued = run(*ISSUE[:2], *ISSUE[3:], stdin=json.dumps(claims).encode())
    shown = run(*PRESENT, "--nonce", "aabb", "--now", "1750000000", stdin=issued.stdout_bytes)
    assert shown.exit_code == 0, shown.output
    assert run(*VERIFY, "--at", "1750000000", stdin=shown.stdout_bytes).exit_code == 0
    done = run(*VERIFY, "--at", "1750000000", *arguments, stdin=shown.stdout_bytes)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith(f"{code}: ")
    assert done.stderr.count("\n") == 1


def test_json_gives_code_and_reason_on_standard_output(token: bytes, run: Run) -> None:
    done = run(*VERIFY, "--json", stdin=token)
    assert done.exit_code == 1
    answer = json.loads(done.stdout)
    assert answer.keys() == {"code", "reason"}
    assert answer["code"] == "key_binding_missing"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--nonce", "aab"),
        ("--nonce", "zz"),
        ("--nonce", ""),
        ("--aead-key", "0x00"),
        ("--at", "soon"),
        ("--at", "-1"),
        ("--profile", "ietf-99"),
        ("--accept", "anything"),
        ("--trust", "trust.json"),
        ("--holder-key", "missing"),
        ("--cbor", "--json"),
        ("--audience", ""),
    ],
)
def test_bad_options_are_wrong_use(arguments: tuple[str, ...], presentation: bytes, run: Run) -> None:
    done = run(*VERIFY, *arguments, stdin=presentation)
    assert done.exit_code == 2
    assert "Traceback" not in done.output


def test_without_any_issuer_key_nothing_is_believed(presentation: bytes, run: Run) -> None:
    done = run("sd-cwt", "verify", "presentation.cbor", "--audience", "https://verifier.example")
    assert done.exit_code == 2
    assert "--trust" in done.stderr


def test_a_trust_file_names_issuers_and_their_keys(presentation: bytes, place: Path, run: Run) -> None:
    key = (place / "issuer-public.pem").read_text()
    other = Key.generate("ES256").public.to_jwk()
    verify = ("sd-cwt", "verify", "--audience", "https://verifier.example", "--trust", "trust.json")
    for listed, status in (
        ({"https://issuer.example": [other, {"pem": key}]}, 0),
        ({"https://issuer.example": {"keys": [other]}}, 1),
        ({"https://elsewhere.example": [key]}, 1),
        ({"https://issuer.example": []}, 2),
        ([], 2),
    ):
        (place / "trust.json").write_text(json.dumps(listed))
        assert run(*verify, stdin=presentation).exit_code == status


def test_a_pinned_key_counts_by_whatever_kid(place: Path, run: Run) -> None:
    key = Key.generate("ES256", kid="by one name")
    (place / "named.jwk").write_text(json.dumps(key.to_jwk(private=True)))
    (place / "named-public.jwk").write_text(json.dumps(key.public.with_kid("by another").to_jwk()))
    issued = run(*ISSUE[:3], "--issuer-key", "named.jwk", *ISSUE[5:])
    assert cose.parse(issued.stdout_bytes).protected[cose.KID] == b"by one name"
    shown = run(*PRESENT, stdin=issued.stdout_bytes)
    done = run(*VERIFY[:2], "--issuer-key", "named-public.jwk", *VERIFY[4:], stdin=shown.stdout_bytes)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("confirmation", ["ckt", "kid"])
def test_a_holder_key_that_is_referred_to_is_given_to_verify(
    confirmation: str, place: Path, run: Run
) -> None:
    issued = run(*ISSUE, "--confirmation", confirmation)
    assert issued.exit_code == 0, issued.output
    shown = run(*PRESENT, stdin=issued.stdout_bytes)
    assert shown.exit_code == 0, shown.output
    assert run(*VERIFY, stdin=shown.stdout_bytes).stderr.startswith("cnf_key_unknown:")
    done = run(*VERIFY, "--holder-key", "holder-public.cose", stdin=shown.stdout_bytes)
    assert done.exit_code == 0, done.output


def test_an_encrypted_disclosure_opens_with_its_key_alone(token: bytes, run: Run) -> None:
    key = "00112233445566778899aabbccddeeff"
    shown = run(*PRESENT, "--encrypt", f"given_name={key}", stdin=token).stdout_bytes
    assert "given_name" not in json.loads(run(*VERIFY, stdin=shown).stdout)
    assert json.loads(run(*VERIFY, "--aead-key", key, stdin=shown).stdout)["given_name"] == "Zoë"
    wrong = run(*VERIFY, "--aead-key", key[::-1], stdin=shown)
    assert (wrong.exit_code, wrong.stderr.partition(":")[0]) == (1, "aead_authentication_failed")


@pytest.mark.parametrize("profile", ["ietf-08", "seed-2024"])
def test_each_profile_goes_all_the_way(profile: str, place: Path, run: Run) -> None:
    pinned = ("--profile", profile)
    issued = run(*ISSUE, "--redact", "given_name", "--redact", "500", "--lifetime", "60", *pinned)
    shown = run(*PRESENT, "--disclose", "500", "--nonce", "aabb", *pinned, stdin=issued.stdout_bytes)
    done = run(*VERIFY, "--nonce", "aabb", *pinned, stdin=shown.stdout_bytes)
    assert done.exit_code == 0, done.output
    claims = json.loads(done.stdout)
    assert claims["500"] is True
    assert "given_name" not in claims


def test_all_shows_everything(token: bytes, run: Run) -> None:
    shown = run(*PRESENT, "--all", stdin=token)
    assert json.loads(run(*VERIFY, stdin=shown.stdout_bytes).stdout).items() >= CLAIMS.items()


EDN = """{
  1: "https://issuer.example",  / iss / # who says so
  2: "urn:example:1",
  58(300): [58("a"), "b", 62(1)],
  58("name"): 'bytes',
  62(2): null
}"""
TAGGED = cbor.dumps(
    {
        1: "https://issuer.example",
        2: "urn:example:1",
        Tag(58, 300): [Tag(58, "a"), "b", Tag(62, 1)],
        Tag(58, "name"): b"bytes",
        Tag(62, 2): None,
    }
)


@pytest.mark.parametrize("claims", [EDN.encode(), TAGGED])
def test_edn_and_cbor_mark_claims_by_tags(claims: bytes, place: Path, run: Run) -> None:
    issued = run(*ISSUE[:2], *ISSUE[3:], stdin=claims)
    assert issued.exit_code == 0, issued.output
    seen = json.loads(run("sd-cwt", "inspect", "--json", stdin=issued.stdout_bytes).stdout)
    assert seen["counts"] == {"clear": 4, "disclosed": 3, "decoy": 2}
    shown = run(*PRESENT, "--disclose", "300", stdin=issued.stdout_bytes)
    assert json.loads(run(*VERIFY, stdin=shown.stdout_bytes).stdout)["300"] == ["a", "b"]


@pytest.mark.parametrize(
    ("claims", "arguments", "code"),
    [
        (b"{", (), "edn_malformed"),
        (b'{"iss": 1,', (), "json_malformed"),
        (b'{"iss": "a", "iss": "b"}', (), "json_duplicate_member"),
        (b'{"iss": "a", "1": "b"}', (), "claim_duplicate"),
        (b'{"iss": "i", "sub": "s", "n": 99999999999999999999}', (), "claim_value"),
        (b'{"sub": "s"}', (), "claim_missing"),
        (b'{"iss": "i", "sub": "s"}', ("--redact", "nothing"), "claim_not_found"),
        (b'{"iss": "i", "sub": "s", "a": []}', ("--redact", "a[0]"), "claim_not_found"),
        (b'{"iss": "i", "sub": "s"}', ("--redact", "iss"), "claim_not_redactable"),
        (b'{"iss": "i", "sub": "s", "cnf": {}}', (), "claim_duplicate"),
        (b"{1: [_ 1]}", (), "cbor_not_preferred"),
        (b"[" * 5000, (), "edn_too_complex"),
        (b"\xff\xff", (), "cbor_not_preferred"),
        (b"\xa1\x01", (), "cbor_malformed"),
        (b"\x80", ("--format", "cbor"), "claims_not_map"),
        (b"", (), "edn_malformed"),
        (b"{}", ("--format", "edn"), "claim_missing"),
        (b'{"a": "' + b"x" * TOKEN_BYTES + b'"}', (), "claims_too_large"),
    ],
)
def test_claims_that_cannot_be_issued_say_why(
    claims: bytes, arguments: tuple[str, ...], code: str, place: Path, run: Run
) -> None:
    done = run(*ISSUE[:2], *ISSUE[3:], *arguments, "--out", "token.cbor", stdin=claims)
    assert (done.exit_code, done.stderr.partition(":")[0]) == (1, code), done.output
    assert not (place / "token.cbor").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--redact", "a..b"),
        ("--redact", ""),
        ("--decoys", "257"),
        ("--hash", "md5"),
        ("--alg", "ES384"),
        ("--kid", "0xzz"),
        ("--lifetime", "0"),
        ("--now", "99999999999999999999"),
        ("--format", "yaml"),
        ("--out", "missing/token.cbor"),
        ("--out", "."),
    ],
)
def test_issue_refuses_bad_options(arguments: tuple[str, ...], place: Path, run: Run) -> None:
    done = run(*ISSUE, *arguments)
    assert done.exit_code == 2, done.output


def test_lifetime_and_exp_exclude_each_other(place: Path, run: Run) -> None:
    (place / "claims.json").write_text(json.dumps({**CLAIMS, "exp": 2_000_000_000}))
    assert run(*ISSUE, "--lifetime", "5").exit_code == 2


def test_confirmation_by_kid_wants_a_key_with_one(place: Path, run: Run) -> None:
    done = run(*ISSUE[:-1], "issuer-public.pem", "--confirmation", "kid")
    assert done.exit_code == 2


def test_present_finds_no_claim_that_is_not_there(token: bytes, run: Run) -> None:
    done = run(*PRESENT, "--disclose", "nothing", stdin=token)
    assert (done.exit_code, done.stderr.partition(":")[0]) == (1, "claim_not_found")
    for arguments in (("--disclose", "a..b"), ("--encrypt", "x"), ("--all", "--disclose", "sub")):
        assert run(*PRESENT, *arguments, stdin=token).exit_code == 2


def test_deterministic_issuance_differs_only_by_its_salts(place: Path, run: Run) -> None:
    once, again = (run(*ISSUE, "--deterministic", "--now", "1").stdout_bytes for _ in range(2))
    assert once == again


def test_tokens_come_as_base64url_in_json(place: Path, run: Run) -> None:
    done = json.loads(run(*ISSUE, "--json").stdout)
    assert len(cose.parse(b64.decode(done["token"])).signature) == 64
    assert done["bytes"] == len(b64.decode(done["token"]))


def test_the_help_names_every_leniency(run: Run) -> None:
    shown = run("sd-cwt", "verify", "--help").stdout.replace("-\n", "-").replace("\n", " ")
    shown = " ".join(shown.split()).replace("- ", "-")
    assert [name for name in LENIENCIES if name not in shown] == []


def test_inspect_says_first_that_nothing_is_verified(presentation: bytes, run: Run) -> None:
    shown = run("sd-cwt", "inspect", "presentation.cbor").stdout
    assert shown.startswith("NOT VERIFIED")
    broken = presentation[:-1] + bytes((presentation[-1] ^ 1,))
    assert run("sd-cwt", "inspect", stdin=broken).stdout.count("given_name") == 1


@pytest.mark.parametrize("text", ["\x1b]0;owned\x07", "\x9b31m", "a\u202egnp.exe", "line\nline"])
def test_no_claim_reaches_the_terminal_as_a_command(text: str, place: Path, run: Run) -> None:
    claims: dict[str, Any] = {**CLAIMS, "given_name": text, text: {"x": text}}
    (place / "claims.json").write_text(json.dumps(claims))
    issued = run(*ISSUE, "--redact", "given_name").stdout_bytes
    shown = run(*PRESENT, "--all", stdin=issued).stdout_bytes
    for done in (run("sd-cwt", "inspect", stdin=shown), run(*VERIFY, stdin=shown)):
        assert done.exit_code == 0
        assert all(char.isprintable() or char == "\n" for char in done.stdout)
        assert text not in done.stdout
    assert json.loads(run(*VERIFY, stdin=shown).stdout)[text] == {"x": text}
