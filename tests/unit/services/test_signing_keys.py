"""Keys that sign: replaced whole, the old private half destroyed, the public half published for a while."""

import fcntl
from pathlib import Path

import pytest
from tests.pki import Authority, pem

from safeconduct.crypto.keys import Key
from safeconduct.encoding import json
from safeconduct.services.signing_keys import SigningKeys, rotate
from safeconduct.settings import KeyPlace, SettingsError

NOW = 1_800_000_000


def opened(path: Path, certificate: Path | None = None) -> SigningKeys:
    return SigningKeys(KeyPlace(path), certificate=certificate)


def kids(keys: SigningKeys, now: int) -> list[str | bytes | None]:
    return [key.kid for key in keys.published(now)]


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "Ed25519", "ML-DSA-44"])
def test_a_rotated_key_signs_from_the_next_look_on_and_is_published_before(
    tmp_path: Path, algorithm: str
) -> None:
    path = tmp_path / "key.pem"
    path.write_text(Key.generate(algorithm).to_pem(private=True))
    keys = opened(path)
    old = keys.signer
    new = rotate(path, overlap=100, now=NOW)
    assert new.algorithm == old.algorithm
    assert keys.signer is old
    published = keys.published(NOW)
    assert [key.jwk_thumbprint() for key in published] == [new.jwk_thumbprint(), old.public.jwk_thumbprint()]
    assert keys.refresh() is True
    assert keys.signer.public.jwk_thumbprint() == new.jwk_thumbprint()
    assert keys.signer.kid == published[0].kid
    assert keys.refresh() is False
    assert kids(keys, NOW + 99) == [published[0].kid, published[1].kid]
    assert kids(keys, NOW + 100) == [published[0].kid]
    assert kids(opened(path), NOW) == [published[0].kid, published[1].kid]


def test_the_old_private_half_is_in_no_file(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    opened(path)
    before = path.read_text()
    secret = before.splitlines()[1]
    with path.open() as still_open:  # the old file itself, of which a copy or a hard link may be left
        rotate(path, overlap=100, now=NOW)
        still_open.seek(0)
        assert set(still_open.read()) == {"\0"}
    assert path.read_text() != before
    for file in tmp_path.iterdir():
        assert secret not in file.read_text()
        assert file.stat().st_mode & 0o777 == 0o600
    assert {file.name for file in tmp_path.iterdir()} == {"key.pem", "key.pem.retired"}
    assert b'"d"' not in (tmp_path / "key.pem.retired").read_bytes()


def test_several_rotations_keep_what_is_not_over_yet(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    keys = opened(path)
    for number in range(20):
        rotate(path, overlap=1000, now=NOW + number)
    assert len(keys.published(NOW + 20)) == 18  # sixteen retired, the new one, and the one that still signs
    rotate(path, overlap=1000, now=NOW + 5000)
    assert len(json.loads_object((tmp_path / "key.pem.retired").read_bytes())["retired"]) == 1


def test_one_rotates_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    opened(path)
    before = path.read_bytes()
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(SettingsError, match="is being rotated"):
            rotate(path, overlap=1, now=NOW)
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", ["rubbish", ""])
def test_what_is_no_key_is_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key.pem"
    path.write_text(content)
    with pytest.raises(SettingsError):
        rotate(path, overlap=1, now=NOW)
    assert path.read_text() == content
    with pytest.raises(SettingsError, match="cannot be used"):
        rotate(tmp_path / "none.pem", overlap=1, now=NOW)


@pytest.mark.parametrize(
    "content",
    ["[]", "{}", '{"retired": [{"key": {}, "until": 1}]}', '{"retired": [], "more": 1}', '{"retired": 1}'],
)
def test_a_spoiled_list_of_retired_keys_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key.pem"
    keys = opened(path)
    (tmp_path / "key.pem.retired").write_text(content)
    with pytest.raises(SettingsError, match="expected what `safeconduct key rotate` writes"):
        opened(path)
    with pytest.raises(SettingsError, match="expected what"):
        keys.refresh()
    assert len(keys.published(NOW)) == 1


def test_a_running_service_keeps_its_key_when_the_file_becomes_unusable(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    keys = opened(path)
    before = keys.signer
    for content in ("rubbish", Key.generate("ES384").to_pem(private=True)):
        path.write_text(content)
        with pytest.raises(SettingsError):
            keys.refresh()
        assert keys.signer is before
        assert kids(keys, NOW) == [before.kid]


def test_a_certificate_must_be_of_the_key(tmp_path: Path) -> None:
    path, certificate = tmp_path / "key.pem", tmp_path / "chain.pem"
    key = Key.from_pem((opened(path) and path).read_bytes())
    ca = Authority.root().authority("CA")
    certificate.write_text(pem(*ca.chain(key)))
    keys = opened(path, certificate)
    assert len(keys.chain) == 2
    rotate(path, overlap=1, now=NOW)
    with pytest.raises(SettingsError, match="not of the signing key"):
        keys.refresh()
    assert keys.chain[0].key.jwk_thumbprint() == keys.signer.public.jwk_thumbprint()
    certificate.write_text(pem(*ca.chain(Key.from_pem(path.read_bytes()))))
    assert keys.refresh() is True
    assert keys.chain[0].key.jwk_thumbprint() == keys.signer.public.jwk_thumbprint()
    for content in ("rubbish", pem(*ca.chain(key))):
        certificate.write_text(content)
        with pytest.raises(SettingsError):
            opened(path, certificate)


def test_a_key_in_hardware_that_cannot_be_opened_is_named_without_its_pin() -> None:
    with pytest.raises(SettingsError) as error:
        SigningKeys(KeyPlace("pkcs11:token=nowhere;object=x?module-path=/nowhere.so&pin-value=1234"))
    assert "signing_key" in str(error.value)
    assert "1234" not in str(error.value)
