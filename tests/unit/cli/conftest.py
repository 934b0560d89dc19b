"""A working directory with keys, claims and tokens, and the command line called in it."""

import functools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer.testing
from typer.main import get_command
from typer.testing import CliRunner, Result

from safeconduct.cli.main import app
from safeconduct.crypto.keys import Key
from safeconduct.encoding import cbor

Run = Callable[..., Result]

CLAIMS = {
    "iss": "https://issuer.example",
    "sub": "urn:example:1",
    "given_name": "Zoë",
    "address": {"region": "Łódź", "street": "Long 1"},
    "nationalities": ["DE", "FR"],
    "500": True,
}


_built = functools.cache(get_command)
"""The tree of commands, which takes longer to build than most of them to run."""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `safeconduct` in the test's directory and return its result."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(typer.testing, "_get_command", _built)

    def call(*arguments: str, stdin: bytes = b"") -> Result:
        return CliRunner().invoke(app, list(arguments), input=stdin)

    return call


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The test's directory with issuer.pem, holder.jwk, their public halves, and claims.json."""
    issuer, holder = Key.generate("ES256"), Key.generate("Ed25519", kid="holder-1")
    (tmp_path / "issuer.pem").write_text(issuer.to_pem(private=True))
    (tmp_path / "issuer-public.pem").write_text(issuer.public.to_pem())
    (tmp_path / "holder.jwk").write_text(json.dumps(holder.to_jwk(private=True)))
    (tmp_path / "holder-public.cose").write_bytes(cbor.dumps(holder.public.to_cose_key()))
    (tmp_path / "claims.json").write_text(json.dumps(CLAIMS))
    return tmp_path


ISSUE = ("sd-cwt", "issue", "claims.json", "--issuer-key", "issuer.pem", "--holder-key", "holder-public.cose")
PRESENT = ("sd-cwt", "present", "--holder-key", "holder.jwk", "--audience", "https://verifier.example")
VERIFY = ("sd-cwt", "verify", "--issuer-key", "issuer-public.pem", "--audience", "https://verifier.example")
REDACT = ("--redact", "given_name", "--redact", "address", "--redact", "address.region")


@pytest.fixture
def token(place: Path, run: Run) -> bytes:
    """An issued token, also in token.cbor."""
    done = run(*ISSUE, *REDACT, "--redact", "nationalities[0]", "--decoys", "2", "--out", "token.cbor")
    assert done.exit_code == 0, done.output
    return (place / "token.cbor").read_bytes()


@pytest.fixture
def presentation(token: bytes, place: Path, run: Run) -> bytes:
    """A presentation of given_name with nonce aabb, also in presentation.cbor."""
    arguments = ("--nonce", "aabb", "--disclose", "given_name", "--out", "presentation.cbor")
    done = run(*PRESENT, *arguments, stdin=token)
    assert done.exit_code == 0, done.output
    return (place / "presentation.cbor").read_bytes()
