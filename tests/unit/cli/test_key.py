"""`safeconduct key`: every form in and out, private files private, nothing overwritten."""

import base64
import json
import stat
from pathlib import Path

import pytest
from tests.softhsm import SoftHsm
from tests.unit.cli.conftest import Run
from typer.testing import Result

from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.encoding import cbor


@pytest.mark.parametrize("algorithm", ["ES256", "ESP384", "ES512", "Ed25519", "Ed448", "ML-DSA-65"])
@pytest.mark.parametrize("form", ["pem", "jwk", "cose"])
def test_a_new_key_is_read_back_in_every_form(algorithm: str, form: str, tmp_path: Path, run: Run) -> None:
    made = run("key", "new", "--alg", algorithm, "--format", form, "--out", "key")
    assert made.exit_code == 0, made.output
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600
    public = run("key", "public", "key", "--format", "jwk")
    thumbprint = PublicKey.from_jwk(json.loads(public.stdout)).jwk_thumbprint()
    printed = run("key", "thumbprint", "key").stdout.strip()
    assert base64.urlsafe_b64decode(printed + "=") == thumbprint
    assert thumbprint_of(run("key", "public", "key", "--format", "cose", "--out", "cose"), run) == printed


def thumbprint_of(done: Result, run: Run) -> str:
    assert done.exit_code == 0, done.output
    return run("key", "thumbprint", "cose").stdout.strip()


def test_standard_streams_are_the_default(run: Run) -> None:
    made = run("key", "new")
    assert made.stdout.startswith("-----BEGIN PRIVATE KEY-----")
    public = run("key", "public", "-", stdin=made.stdout_bytes)
    assert PublicKey.from_pem(public.stdout) == Key.from_pem(made.stdout).public


def test_der_is_read(tmp_path: Path, run: Run) -> None:
    key = Key.generate("ES256")
    (tmp_path / "public.der").write_bytes(key.public.to_der())
    pem = "".join(key.to_pem(private=True).splitlines()[1:-1])
    (tmp_path / "private.der").write_bytes(base64.b64decode(pem))
    (tmp_path / "set.json").write_text(json.dumps({"keys": [key.public.to_jwk()]}))
    found = {run("key", "thumbprint", name).stdout for name in ("public.der", "private.der", "set.json")}
    assert len(found) == 1
    assert "" not in found


def test_thumbprints_are_of_the_kind_and_hash_asked_for(place: Path, run: Run) -> None:
    key = PublicKey.from_pem((place / "issuer-public.pem").read_text())
    done = json.loads(run("key", "thumbprint", "issuer.pem", "--cose", "--hash", "sha-512", "--json").stdout)
    assert done["hex"] == key.cose_thumbprint("sha512").hex()


def test_a_private_key_file_is_never_overwritten_unasked(tmp_path: Path, run: Run) -> None:
    assert run("key", "new", "--out", "key.pem").exit_code == 0
    before = (tmp_path / "key.pem").read_bytes()
    again = run("key", "new", "--out", "key.pem")
    assert again.exit_code == 2
    assert "--force" in again.stderr
    assert (tmp_path / "key.pem").read_bytes() == before
    assert run("key", "new", "--out", "key.pem", "--force").exit_code == 0
    assert (tmp_path / "key.pem").read_bytes() != before
    assert stat.S_IMODE((tmp_path / "key.pem").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["key.pem"]


def test_json_says_what_was_made(run: Run) -> None:
    made = json.loads(run("key", "new", "--format", "jwk", "--kid", "one", "--json").stdout)
    assert Key.from_jwk(made["key"]).kid == "one"
    made = json.loads(run("key", "new", "--format", "cose", "--json").stdout)
    Key.from_cose_key(cbor.loads(bytes.fromhex(made["key"])))
    made = json.loads(run("key", "new", "--out", "key.pem", "--json").stdout)
    assert made["out"] == "key.pem"
    assert "key" not in made


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (("new", "--alg", "RS256"), "--help"),
        (("new", "--kid", "one"), "--format"),
        (("new", "--out", "missing/key.pem"), "No such file"),
        (("new", "--out", "."), "directory"),
        (("public", "missing.pem"), "No such file"),
        (("public", "."), "directory"),
        (("public", "claims.json"), "public key"),
        (("public", "empty"), "empty"),
        (("public", "long"), "longer"),
        (("public", "locked.pem"), "public key"),
        (("public", "two.json"), "several keys"),
        (("public", "a\x1b[2Jb"), "\\u001b"),
    ],
)
def test_wrong_use_says_what_to_do_in_one_line(
    arguments: tuple[str, ...], advice: str, place: Path, run: Run
) -> None:
    (place / "empty").write_bytes(b" \n")
    (place / "long").write_bytes(b"-" * 100_000)
    (place / "locked.pem").write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n")
    (place / "two.json").write_text('{"keys": [{}, {}]}')
    done = run("key", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert advice in done.stderr
    assert done.stderr.count("\n") == 1
    assert "\x1b" not in done.stderr


def test_a_locked_key_says_how_to_unlock_it(place: Path, run: Run) -> None:
    (place / "locked.pem").write_text(Key.generate("ES256").to_pem(private=True, password=b"secret"))
    done = run("sd-cwt", "issue", "claims.json", "--issuer-key", "locked.pem")
    assert done.exit_code == 2
    assert "openssl pkey" in done.stderr


def test_of_a_private_key_where_a_public_one_belongs_the_public_half_is_used(place: Path, run: Run) -> None:
    done = run("sd-cwt", "verify", "--issuer-key", "issuer.pem", "--audience", "x")
    assert (done.exit_code, done.stdout) == (1, "")  # it got as far as the token, which is empty
    assert "only its public half is needed" in done.stderr


def test_a_key_is_made_in_a_token_and_only_its_public_half_written(
    softhsm: SoftHsm, tmp_path: Path, run: Run
) -> None:
    uri = softhsm.uri("cli")
    made = run(
        "key", "new", "--pkcs11", uri, "--alg", "ES384", "--format", "jwk", "--kid", "k", "--out", "key"
    )
    assert made.exit_code == 0, made.output

    key = PublicKey.from_jwk(json.loads((tmp_path / "key").read_text()))
    assert (key.algorithm.name, key.kid) == ("ES384", "k")
    assert "BEGIN PUBLIC KEY" in run("key", "public", uri).stdout
    assert run("key", "thumbprint", uri).stdout == run("key", "thumbprint", "key").stdout
    again = run("key", "new", "--pkcs11", uri)
    assert (again.exit_code, "hsm_key_exists" in again.stderr) == (2, True)


def test_a_key_in_a_token_signs_credentials(softhsm: SoftHsm, place: Path, run: Run) -> None:
    uri = softhsm.uri("cli issuer")
    made = json.loads(run("key", "new", "--pkcs11", uri, "--json").stdout)
    (place / "token-public.pem").write_text(made["key"])
    issue = ("sd-cwt", "issue", "claims.json", "--holder-key", "holder-public.cose", "--issuer-key", uri)
    present = (
        "sd-cwt",
        "present",
        "token.cbor",
        "--holder-key",
        "holder.jwk",
        "--audience",
        "https://v.example",
    )
    verify = ("sd-cwt", "verify", "--issuer-key", "token-public.pem", "--audience", "https://v.example")

    assert run(*issue, "--out", "token.cbor").exit_code == 0
    done = run(*verify, stdin=run(*present).stdout_bytes)
    assert done.exit_code == 0, done.output
    other = run(*issue, "--deterministic")
    assert (other.exit_code, other.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (("new", "--pkcs11", "pkcs11:token=t;object=o?module-path=/m&pin-value=1234"), "pin-source"),
        (("new", "--pkcs11", "key.pem"), "pkcs11:"),
        (("new", "--pkcs11", "pkcs11:token=t;object=o?module-path=/missing.so"), "cannot be loaded"),
        (("new", "--pkcs11", "pkcs11:token=t;object=o?module-path=/missing.so", "--kid", "a"), "--format"),
        (("public", "pkcs11:token=t"), "object or id"),
    ],
)
def test_wrong_use_of_tokens_says_what_to_do_in_one_line(
    arguments: tuple[str, ...], advice: str, run: Run
) -> None:
    done = run("key", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert advice in done.stderr
    assert "1234" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_rotated_key_replaces_the_file_and_keeps_its_public_half_beside(run: Run, place: Path) -> None:
    before = (place / "issuer.pem").read_text()
    rotated = run("key", "rotate", "issuer.pem", "--overlap", "50", "--now", "1800000000", "--json")
    assert rotated.exit_code == 0, rotated.output
    answer = json.loads(rotated.stdout)
    assert answer["overlap_ends"] == 1_800_000_050
    assert run("key", "thumbprint", "issuer.pem").stdout == answer["thumbprint"] + "\n"
    assert (place / "issuer.pem").read_text() != before
    (entry,) = json.loads((place / "issuer.pem.retired").read_text())["retired"]
    assert entry["until"] == 1_800_000_050
    assert "d" not in entry["key"]
    assert run("key", "rotate", "issuer.pem").stderr.startswith("replaced issuer.pem: thumbprint ")
    for wrong in ("none.pem", "holder.jwk", "issuer-public.pem"):
        refused = run("key", "rotate", wrong)
        assert (refused.exit_code, wrong in refused.stderr) == (2, True)
    in_a_token = run("key", "rotate", "pkcs11:token=issuers;object=signing")
    assert (in_a_token.exit_code, "signing_key" in in_a_token.stderr) == (2, True)
