"""The keys of a transfer are those that its description gives, and nothing of them is shown."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.protocols.transfer import reference

from safeconduct.encoding import b64
from safeconduct.errors import Malformed
from safeconduct.protocols.transfer.keys import claim_key_text, derive_keys, new_secret

SECRET = bytes(range(32))
KNOWN = {
    "claim": "e2e7afc3a1091a9c5ac3c08720fa4fb0049e880698b4363d15a6e3c28cccec9d",
    "context": "478fc23e2246a49339180d8bd64c90acce275d6a4026a54a82439c1fffa36677",
    "s2r": "86f98b911f1bdb1721ac8fa2b1894edeeb578399f41488a43abfbea8ef34849b",
    "r2s": "5cc4853037a5a4039939e03667ffe784b673295be3f92e0e392ff3ef179e7943",
    "psk": "0bf240a6cd034841b94e25f57c692c97da0653f09546f689178365d88f304bb3",
}
secrets = st.binary(min_size=32, max_size=32) | st.binary(min_size=16, max_size=16)


@given(secrets)
@settings(deadline=None)
def test_the_keys_are_those_of_the_description(secret: bytes) -> None:
    keys = derive_keys(secret)

    public = reference.claim_key(secret).public_key().public_bytes_raw()
    assert keys.claim.public.to_raw() == public
    assert claim_key_text(keys) == b64.encode(public)
    assert keys.context == reference.context(secret)
    assert keys.sender_to_receiver == reference.message_key(secret, "s2r")
    assert keys.receiver_to_sender == reference.message_key(secret, "r2s")
    assert keys.psk.secret == reference.hkdf(secret, b"", b"hpke psk")
    assert keys.psk.identifier == keys.context


def test_known_keys() -> None:
    """Checked by the JavaScript writing as well; here so that a change of both is seen."""
    keys = derive_keys(SECRET)

    assert keys.claim.public.to_raw().hex() == KNOWN["claim"]
    assert keys.context.hex() == KNOWN["context"]
    assert keys.sender_to_receiver.hex() == KNOWN["s2r"]
    assert keys.receiver_to_sender.hex() == KNOWN["r2s"]
    assert keys.psk.secret.hex() == KNOWN["psk"]


def test_all_keys_of_a_transfer_differ_and_none_is_the_secret() -> None:
    keys = derive_keys(SECRET)

    values = {keys.context, keys.sender_to_receiver, keys.receiver_to_sender, keys.psk.secret, SECRET}
    values |= {keys.claim.to_raw(private=True), keys.claim.public.to_raw()}
    assert len(values) == 7


def test_p4_each_transfer_has_a_secret_of_its_own() -> None:
    made = {new_secret() for _ in range(100)}

    assert {len(secret) for secret in made} == {32}
    assert len({derive_keys(secret).context for secret in made}) == 100


@pytest.mark.parametrize("length", [0, 1, 15, 17, 31, 33, 64])
def test_a_secret_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(Malformed) as caught:
        derive_keys(bytes(length))
    assert caught.value.code == "transfer_secret_malformed"


def test_no_key_is_in_a_representation() -> None:
    keys = derive_keys(SECRET)
    shown = repr(keys) + str(keys) + repr(keys.claim) + repr(keys.psk)

    for secret in (SECRET, keys.context, keys.sender_to_receiver, keys.psk.secret):
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown
        assert b64.encode(secret) not in shown
