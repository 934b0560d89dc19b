"""Keys in a PKCS#11 token sign as keys in memory do, and never come out of it (SoftHSM)."""

import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests import pki
from tests.pki import Authority
from tests.softhsm import WRONG_PIN, SoftHsm

from safeconduct import hsm
from safeconduct.crypto import x509
from safeconduct.crypto.keys import Key, PublicKey
from safeconduct.crypto.signing import Signer
from safeconduct.envelope import cose, jws
from safeconduct.errors import Rejected
from safeconduct.hsm import HsmError

NAMES = ["ES256", "ES384", "ES512", "Ed25519"]


def refused(code: str, uri: str) -> HsmError:
    with pytest.raises(HsmError) as caught:
        hsm.open_signer(uri)
    assert caught.value.code == code
    return caught.value


def session_in(softhsm: SoftHsm, token: str = "safeconduct") -> Any:
    """A session of the test's own; it is logged in because the process is."""
    import pkcs11

    return pkcs11.lib(softhsm.module).get_token(token_label=token).open(rw=True)


@pytest.mark.parametrize("name", NAMES)
def test_a_key_made_in_the_token_signs(softhsm: SoftHsm, name: str) -> None:
    uri = softhsm.uri(f"key {name}")
    public = hsm.generate_key(uri, name)
    signer = hsm.open_signer(uri, kid="k1")

    assert isinstance(signer, Signer)
    assert (signer.algorithm.name, signer.kid, signer.public) == (name, "k1", public)
    public.verify(signer.sign(b"data"), b"data")
    with pytest.raises(Rejected):
        public.verify(signer.sign(b"data"), b"other")
    assert hsm.read_public(uri) == public
    assert PublicKey.from_pem(public.to_pem()) == public


def test_a_signer_makes_messages_and_certificates_name_it(softhsm: SoftHsm) -> None:
    uri = softhsm.uri("messages")
    public = hsm.generate_key(uri, "ES256")
    signer = hsm.open_signer(uri)

    text = jws.sign(b"{}", signer=signer, header={"typ": "test+jwt"})
    assert jws.verify(text, key=public, algorithms=["ES256"], typ="test+jwt") == b"{}"
    message = cose.sign(b"payload", signer=signer, protected={16: "test"}, unprotected={})
    cose.verify(cose.parse(message), key=public, accept=["ES256"])
    root = Authority.root()
    leaf = x509.verify_chain(root.chain(signer), anchors=[root.certificate], now=pki.BEGIN)
    assert leaf.key == public


def test_a_signer_can_be_renamed_and_not_copied_away(softhsm: SoftHsm) -> None:
    uri = softhsm.uri("renamed")
    hsm.generate_key(uri, "ES256")
    signer = hsm.open_signer(uri)

    assert signer.kid is None
    assert signer.with_kid("new").kid == "new"
    assert signer.with_kid("new").sign(b"") != b""
    with pytest.raises(TypeError):
        pickle.dumps(signer)
    assert repr(signer) == "<Pkcs11Signer ES256>"


def test_the_private_key_cannot_be_read_out(softhsm: SoftHsm) -> None:
    import pkcs11

    hsm.generate_key(softhsm.uri("secret"), "ES256")
    wanted = {pkcs11.Attribute.LABEL: "secret", pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY}
    [key] = session_in(softhsm).get_objects(wanted)

    assert key[pkcs11.Attribute.SENSITIVE] is True
    assert key[pkcs11.Attribute.EXTRACTABLE] is False
    assert key[pkcs11.Attribute.PRIVATE] is True
    with pytest.raises(pkcs11.PKCS11Error):
        key[pkcs11.Attribute.VALUE]


def test_an_id_finds_a_key_as_well(softhsm: SoftHsm) -> None:
    uri = softhsm.uri("by id").replace(";object=by%20id", ";id=%01%02")
    public = hsm.generate_key(uri, "ES256")

    assert hsm.read_public(uri) == public


def test_a_key_is_never_replaced(softhsm: SoftHsm) -> None:
    uri = softhsm.uri("once")
    public = hsm.generate_key(uri, "ES256")
    with pytest.raises(HsmError) as caught:
        hsm.generate_key(uri, "Ed25519")
    assert caught.value.code == "hsm_key_exists"
    assert hsm.read_public(uri) == public


@pytest.mark.parametrize("name", ["Ed448", "ML-DSA-44", "EdDSA", "RS256", ""])
def test_other_algorithms_are_unsupported(softhsm: SoftHsm, name: str) -> None:
    with pytest.raises(HsmError) as caught:
        hsm.generate_key(softhsm.uri("other"), name)
    assert caught.value.code == "hsm_key_unsupported"


def test_what_is_missing_is_named(softhsm: SoftHsm, tmp_path: Path) -> None:
    refused("hsm_key_missing", softhsm.uri("nothing"))
    refused("hsm_token_missing", softhsm.uri("key", token="nowhere"))
    refused("hsm_pin_source", softhsm.uri("key", pin_file=tmp_path / "missing"))
    (tmp_path / "module.so").write_bytes(b"no module")
    refused("hsm_module", softhsm.uri("key").replace(softhsm.module, str(tmp_path / "module.so")))


def test_the_driver_is_an_extra(softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pkcs11", None)
    error = refused("hsm_driver_missing", softhsm.uri("key"))
    assert "safeconduct[pkcs11]" in error.reason


def test_a_fault_of_the_token_is_an_answer_for_later(softhsm: SoftHsm) -> None:
    error = refused("hsm_key_missing", softhsm.uri("nothing"))
    assert (error.http_status, error.oauth_error) == (503, "temporarily_unavailable")


def test_two_keys_of_one_name_are_ambiguous(softhsm: SoftHsm) -> None:
    hsm.generate_key(softhsm.uri("twin").replace(";object=twin", ";object=twin;id=%01"), "ES256")
    hsm.generate_key(softhsm.uri("twin").replace(";object=twin", ";object=twin;id=%02"), "ES256")

    refused("hsm_key_ambiguous", softhsm.uri("twin"))


def test_a_key_of_another_type_is_unsupported(softhsm: SoftHsm) -> None:
    import pkcs11

    hsm.generate_key(softhsm.uri("logs in"), "ES256")
    session_in(softhsm).generate_keypair(pkcs11.KeyType.RSA, 2048, label="rsa", store=True)

    refused("hsm_key_unsupported", softhsm.uri("rsa"))


def test_halves_that_do_not_belong_together_are_noticed(softhsm: SoftHsm) -> None:
    import pkcs11
    from pkcs11.util.ec import decode_ec_public_key

    hsm.generate_key(softhsm.uri("swapped"), "ES256")
    session = session_in(softhsm)
    wanted = {pkcs11.Attribute.LABEL: "swapped", pkcs11.Attribute.CLASS: pkcs11.ObjectClass.PUBLIC_KEY}
    [public] = session.get_objects(wanted)
    public.destroy()
    other = decode_ec_public_key(Key.generate("ES256").public.to_der())
    session.create_object({**other, pkcs11.Attribute.LABEL: "swapped", pkcs11.Attribute.TOKEN: True})

    refused("hsm_key_mismatch", softhsm.uri("swapped"))


def test_a_wrong_pin_is_tried_once(softhsm: SoftHsm, tmp_path: Path) -> None:
    import pkcs11

    softhsm.make_token("strict")
    wrong = tmp_path / "pin"
    wrong.write_text(WRONG_PIN)
    uri = softhsm.uri("key", token="strict", pin_file=wrong)

    error = refused("hsm_pin_wrong", uri)
    assert WRONG_PIN not in str(error)
    wrong.unlink()
    refused("hsm_pin_wrong", uri)  # the file is not even read again
    token = pkcs11.lib(softhsm.module).get_token(token_label="strict")
    assert not token.flags & pkcs11.TokenFlag.USER_PIN_LOCKED


def test_a_lost_session_is_opened_again(softhsm: SoftHsm) -> None:
    import pkcs11

    uri = softhsm.uri("lasting")
    public = hsm.generate_key(uri, "ES256")
    signer = hsm.open_signer(uri)

    pkcs11.lib(softhsm.module).reinitialize()  # closes all sessions and logs out
    public.verify(signer.sign(b"data"), b"data")
    session_in(softhsm).close()
    public.verify(signer.sign(b"data"), b"data")


def test_a_login_that_another_has_ended_is_renewed(softhsm: SoftHsm, tmp_path: Path) -> None:
    import pkcs11

    uri = softhsm.uri("logged out")
    public = hsm.generate_key(uri, "ES256")
    signer = hsm.open_signer(uri)
    pkcs11.lib(softhsm.module).reinitialize()
    token = pkcs11.lib(softhsm.module).get_token(token_label="safeconduct")
    with token.open(user_pin=softhsm.pin_file.read_text().strip()):
        public.verify(signer.sign(b"data"), b"data")
    public.verify(signer.sign(b"data"), b"data")


def test_a_token_that_has_gone_is_unreachable(softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch) -> None:
    from pkcs11.exceptions import DeviceRemoved

    from safeconduct.hsm import token

    uri = softhsm.uri("gone")
    public = hsm.generate_key(uri, "ES256")
    signer = hsm.open_signer(uri)

    def gone(_self: object) -> Any:
        raise DeviceRemoved

    with monkeypatch.context() as patch:
        patch.setattr(token.Token, "_open", gone)
        patch.setattr(token.Token, "_find", gone)
        signer._token._drop()
        with pytest.raises(HsmError) as caught:
            signer.sign(b"data")
        assert caught.value.code == "hsm_unreachable"
    public.verify(signer.sign(b"data"), b"data")


def test_threads_share_a_signer(softhsm: SoftHsm) -> None:
    uri = softhsm.uri("shared")
    public = hsm.generate_key(uri, "ES256")
    signers = [hsm.open_signer(uri), hsm.open_signer(uri)]
    start = threading.Barrier(8)

    def sign(number: int) -> None:
        start.wait()
        for turn in range(20):
            data = f"{number} {turn}".encode()
            public.verify(signers[turn % 2].sign(data), data)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(sign, range(8)))


def test_a_forked_child_may_not_use_what_its_parent_opened(
    softhsm: SoftHsm, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = softhsm.uri("forked")
    hsm.generate_key(uri, "ES256")
    signer = hsm.open_signer(uri)

    own = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: own + 1)
    with pytest.raises(HsmError) as caught:
        signer.sign(b"data")
    assert caught.value.code == "hsm_forked"
