"""Keys in PKCS#11 tokens: one that locks the wallet, and one that a credential is bound to."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.softhsm import SoftHsm
from tests.unit.wallet.conftest import NOW, VERIFIER, Bench

from safeconduct import hsm
from safeconduct.errors import SafeconductError
from safeconduct.formats import sd_cwt
from safeconduct.settings import KeyPlace, WalletSettings
from safeconduct.trust import Policy, Trust
from safeconduct.wallet import store
from safeconduct.wallet.safe import open_safe


def settings(directory: Path, uri: str) -> WalletSettings:
    return WalletSettings(store=directory / "wallet", protection="pkcs11", pkcs11_key=KeyPlace(uri))


def issuers(chosen: WalletSettings) -> Any:
    async def main() -> Any:
        async with open_safe(chosen) as safe:
            return await safe.run(store.list_issuers)

    return asyncio.run(main())


def code(chosen: WalletSettings) -> str:
    with pytest.raises(SafeconductError) as error:
        issuers(chosen)
    return error.value.code


def test_a_wallet_is_locked_with_a_token(tmp_path: Path, softhsm: SoftHsm) -> None:
    uri = softhsm.uri("wallet-lock")
    hsm.generate_wrapping_key(uri)
    assert issuers(settings(tmp_path, uri)) == ()
    assert issuers(settings(tmp_path, uri)) == ()
    assert not list((tmp_path / "wallet").glob("*.key"))
    other = softhsm.uri("another-lock")
    hsm.generate_wrapping_key(other)
    assert code(settings(tmp_path, other)) == "hsm_unwrap_failed"
    assert code(settings(tmp_path, "")) == "guard_unavailable"
    pages = b"".join(file.read_bytes() for file in (tmp_path / "wallet").iterdir())
    assert b"pkcs11:token" not in pages
    assert b"pin-source" not in pages


def test_a_credential_is_bound_to_a_key_in_a_token(bench: Bench, softhsm: SoftHsm) -> None:
    uri = softhsm.uri("holder")
    public = hsm.generate_key(uri, "ES256")
    held = bench.run(lambda wallet: wallet.accept(bench.world.offer_uri, key=uri))
    shown = bench.run(
        lambda wallet: wallet.present(held.id, disclose=["given_name"], audience=VERIFIER, nonce=b"n" * 8)
    )
    verified = sd_cwt.verify(
        shown,
        trust=Trust.of({"https://issuer.example/tenant": bench.world.signing_key.public}),
        policy=Policy(audience=VERIFIER, nonce=b"n" * 8),
        now=NOW,
    )
    assert verified.holder == public
    assert bench.run(lambda wallet: wallet.show(held.id)).claims["given_name"] == "Erika"


def test_a_key_in_a_token_is_for_one_credential(bench: Bench) -> None:
    bench.world.batch_size = 3
    with pytest.raises(SafeconductError) as error:
        bench.run(lambda wallet: wallet.accept(bench.world.offer_uri, key="pkcs11:object=any", batch=2))
    assert error.value.code == "key_for_one"


def test_a_key_of_another_kind_is_not_sent(bench: Bench, softhsm: SoftHsm) -> None:
    uri = softhsm.uri("holder-384")
    hsm.generate_key(uri, "ES384")
    with pytest.raises(SafeconductError) as error:
        bench.run(lambda wallet: wallet.accept(bench.world.offer_uri, key=uri))
    assert error.value.code == "key_kind_refused"
    assert bench.run(lambda wallet: wallet.list()) == ()
