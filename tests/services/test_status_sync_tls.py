"""The command line against a plain file server over TLS, which knows neither ranges nor entity tags."""

import json
import subprocess
import sys
from pathlib import Path

from tests.interop.https import served
from tests.status_host import Host, Publisher, card_key

NOW = 1_700_000_000


def run(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "safeconduct", "status", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_a_store_is_filled_over_tls_and_asked_when_the_server_is_gone(tmp_path: Path) -> None:
    files, key = tmp_path / "files", card_key()
    with served(files, secrets=tmp_path) as (origin, authority):
        host = Host()
        publisher = Publisher(host, origin, keys=[key])

        def publish(rids: list[str]) -> None:
            publisher.publish(key["kid"], dict.fromkeys(rids), now=NOW)
            for url, data in host.files.items():
                path = files / url.removeprefix(f"{origin}/")
                path.parent.mkdir(parents=True, exist_ok=True)
                if not path.exists() or path.read_bytes() != data:
                    path.write_bytes(data)

        sync = ("sync", origin, "--store", "store", "--ca", str(authority), "--allow-loopback", "--json")
        many = [f"rid-{number}" for number in range(300)]
        publish(many)
        assert ways(run(tmp_path, *sync)) == ["full", "full"]
        assert ways(run(tmp_path, *sync, "--refresh", "0")) == ["unchanged", "unchanged"]
        publish([*many, "another"])
        assert ways(run(tmp_path, *sync)) == ["delta", "full"]
        untrusted = run(tmp_path, "sync", origin, "--store", "other", "--allow-loopback")
        assert untrusted.returncode == 1
        assert untrusted.stderr.startswith("fetch_failed: ")
    check = ("check", "rid-7", "another", "good", "--issuer", origin, "--store", "store", "--json")
    done = run(tmp_path, *check)
    states = [one["status"]["state"] for one in json.loads(done.stdout)["checked"]]
    assert states == ["revoked", "revoked", "good"]
    assert done.returncode == 1


def ways(done: "subprocess.CompletedProcess[str]") -> list[str]:
    """What became of the list and of the JWKS."""
    assert done.returncode == 0, done.stderr
    return [one["way"] for one in json.loads(done.stdout)["outcomes"]]
