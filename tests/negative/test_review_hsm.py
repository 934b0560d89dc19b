"""Keys in tokens that their owners made for something else."""

import pytest
from tests.softhsm import SoftHsm

from safeconduct import hsm
from safeconduct.hsm import HsmError


def session_in(softhsm: SoftHsm) -> object:
    import pkcs11

    return pkcs11.lib(softhsm.module).get_token(token_label="safeconduct").open(rw=True)


def test_a_key_that_may_not_sign_is_unsupported(softhsm: SoftHsm) -> None:
    import pkcs11

    hsm.generate_key(softhsm.uri("log in"), "ES256")
    domain = session_in(softhsm).create_domain_parameters(  # type: ignore[attr-defined]
        pkcs11.KeyType.EC,
        {pkcs11.Attribute.EC_PARAMS: bytes.fromhex("06082a8648ce3d030107")},
        local=True,
    )
    domain.generate_keypair(
        label="agreement",
        store=True,
        capabilities=pkcs11.MechanismFlag.DERIVE,
        private_template={pkcs11.Attribute.SIGN: False},
    )
    with pytest.raises(HsmError) as error:
        hsm.open_signer(softhsm.uri("agreement"))
    assert error.value.code == "hsm_key_unsupported"


def test_a_key_that_may_not_encrypt_wraps_nothing(softhsm: SoftHsm) -> None:
    import pkcs11

    hsm.generate_wrapping_key(softhsm.uri("log in to wrap"))
    session_in(softhsm).generate_key(  # type: ignore[attr-defined]
        pkcs11.KeyType.AES, 256, label="mac only", store=True, capabilities=pkcs11.MechanismFlag.SIGN
    )
    uri = softhsm.uri("mac only")
    for use in (
        lambda: hsm.wrap(uri, b"secret", context=b"test"),
        lambda: hsm.unwrap(uri, bytes(64), context=b"test"),
    ):
        with pytest.raises(HsmError) as error:
            use()
        assert error.value.code == "hsm_key_unsupported"
