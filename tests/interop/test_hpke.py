"""HPKE with @hpke/core (npm) both ways, and transfers with their second writing in JavaScript."""

from itertools import product
from typing import Any

import pytest
from tests.interop.peer import Peer, Refused

from safeconduct.crypto import hpke
from safeconduct.crypto.agreement import AgreementKey
from safeconduct.encoding import b64
from safeconduct.errors import Rejected
from safeconduct.protocols.transfer import approval, sealed
from safeconduct.protocols.transfer.channel import PAYLOAD_TYPE, Channel, Role
from safeconduct.protocols.transfer.content import (
    SEALED_FORMAT,
    Content,
    Offer,
    Share,
    encode_content,
    offer_content,
    parse_content,
)
from safeconduct.protocols.transfer.payload import Payload

pytestmark = pytest.mark.interop

SUITES = [
    hpke.Suite(kem=kem, aead=aead)
    for kem, aead in product((hpke.KEM_P256, hpke.KEM_X25519), (hpke.AEAD_AES_128_GCM, hpke.AEAD_AES_256_GCM))
]
TRANSFER_SUITE = hpke.Suite(kem=hpke.KEM_X25519, aead=hpke.AEAD_AES_256_GCM)
PSK = hpke.Psk(bytes(range(32)), b"name of the key")
INFO, AAD = b"what this is for", b"and with it"
TEXTS = [b"text %d" % number for number in range(3)]
SECRETS = [bytes(range(32)), bytes(range(16))]
OFFER = Offer(
    {"credential_issuer": "https://issuer.example", "credential_configuration_ids": ["key"]},
    Share(id="s-1", issuer="https://issuer.example", expires=1_800_000_000),
)
DIRECTIONS: dict[str, tuple[Role, Role]] = {"s2r": ("sender", "receiver"), "r2s": ("receiver", "sender")}


def wired(data: bytes) -> dict[str, str]:
    return {"hex": data.hex()}


def raw(value: dict[str, str]) -> bytes:
    return bytes.fromhex(value["hex"])


def setting(suite: hpke.Suite, psk: hpke.Psk | None) -> dict[str, Any]:
    extra = {"psk": psk.secret, "pskId": psk.identifier} if psk else {}
    return {"kem": suite.kem, "aead": suite.aead, "info": INFO, "aad": AAD, **extra}


def names(suite: hpke.Suite) -> str:
    return f"{suite.curve}-{suite.aead}"


@pytest.mark.parametrize("suite", SUITES, ids=names)
@pytest.mark.parametrize("psk", [None, PSK], ids=["base", "psk"])
def test_hpke_core_opens_what_we_seal(hpke_peer: Peer, suite: hpke.Suite, psk: hpke.Psk | None) -> None:
    key = AgreementKey.generate(suite.curve)
    enc, context = hpke.setup_sender(suite, key.public, info=INFO, psk=psk)
    ciphertexts = [wired(context.seal(text, AAD)) for text in TEXTS]

    opened = hpke_peer.ask(
        "open", key=key.to_raw(private=True), enc=enc, sealed=ciphertexts, **setting(suite, psk)
    )

    assert [raw(text) for text in opened["texts"]] == TEXTS
    assert raw(opened["exported"]) == context.export(b"label", 40)


@pytest.mark.parametrize("suite", SUITES, ids=names)
@pytest.mark.parametrize("psk", [None, PSK], ids=["base", "psk"])
def test_we_open_what_hpke_core_seals(hpke_peer: Peer, suite: hpke.Suite, psk: hpke.Psk | None) -> None:
    key = AgreementKey.generate(suite.curve)
    texts = [wired(text) for text in TEXTS]

    made = hpke_peer.ask("seal", recipient=key.public.to_raw(), texts=texts, **setting(suite, psk))

    context = hpke.setup_recipient(suite, key, enc=raw(made["enc"]), info=INFO, psk=psk)
    assert [context.open(raw(text), AAD) for text in made["sealed"]] == TEXTS
    assert context.export(b"label", 40) == raw(made["exported"])


def test_each_refuses_what_the_other_sealed_with_another_psk(hpke_peer: Peer) -> None:
    key, suite = AgreementKey.generate("X25519"), TRANSFER_SUITE
    enc, context = hpke.setup_sender(suite, key.public, info=INFO, psk=PSK)
    other = hpke.Psk(bytes(32), PSK.identifier)
    with pytest.raises(Refused, match="OpenError"):
        hpke_peer.ask(
            "open",
            key=key.to_raw(private=True),
            enc=enc,
            sealed=[wired(context.seal(b"text", AAD))],
            **setting(suite, other),
        )

    made = hpke_peer.ask(
        "seal", recipient=key.public.to_raw(), texts=[wired(b"text")], **setting(suite, other)
    )
    with pytest.raises(Rejected) as caught:
        hpke.setup_recipient(suite, key, enc=raw(made["enc"]), info=INFO, psk=PSK).open(
            raw(made["sealed"][0]), AAD
        )
    assert caught.value.code == "hpke_open_failed"


@pytest.mark.parametrize("secret", SECRETS, ids=["256", "128"])
def test_both_derive_the_same_keys_of_a_transfer(hpke_peer: Peer, secret: bytes) -> None:
    keys = Channel(secret, "sender").keys

    theirs = hpke_peer.ask("keys", secret=secret)

    assert raw(theirs["claim"]) == keys.claim.public.to_raw()
    assert raw(theirs["context"]) == keys.context == keys.psk.identifier
    assert raw(theirs["psk"]) == keys.psk.secret


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("secret", SECRETS, ids=["256", "128"])
def test_messages_go_both_ways_in_both_directions(hpke_peer: Peer, secret: bytes, direction: str) -> None:
    from_role, to_role = DIRECTIONS[direction]
    ours = Channel(secret, from_role, sent=6).seal(b'{"a": 1}')
    opened = hpke_peer.ask("openMessage", secret=secret, direction=direction, data=ours.data)
    assert (opened["version"], opened["n"], opened["text"].rstrip()) == (2, 7, '{"a": 1}')

    made = hpke_peer.ask("sealMessage", secret=secret, direction=direction, n=9, text='{"b": 2}')
    channel = Channel(secret, to_role, received=8)
    assert channel.open(Payload(PAYLOAD_TYPE, made)) == b'{"b": 2}'
    assert channel.received == 9


def test_an_offer_sealed_to_a_key_goes_both_ways(hpke_peer: Peer) -> None:
    key, keys = AgreementKey.generate("X25519"), Channel(SECRETS[0], "sender").keys
    terms = {
        **setting(TRANSFER_SUITE, keys.psk),
        "info": b"sct/2 offer" + keys.context,
        "aad": b"",
    }
    ours = sealed.seal_offer(OFFER, recipient=key.public, keys=keys)
    assert (ours.content["hpke"]["kem"], ours.content["hpke"]["aead"]) == (32, 2)
    opened = hpke_peer.ask(
        "open",
        key=key.to_raw(private=True),
        enc=b64.decode(ours.content["enc"]),
        sealed=[wired(b64.decode(ours.content["ciphertext"]))],
        **terms,
    )
    assert parse_content(raw(opened["texts"][0])) == offer_content(OFFER)

    text = wired(encode_content(offer_content(OFFER)))
    made = hpke_peer.ask("seal", recipient=key.public.to_raw(), texts=[text], **terms)
    members = {
        "hpke": ours.content["hpke"],
        "enc": b64.encode(raw(made["enc"])),
        "ciphertext": b64.encode(raw(made["sealed"][0])),
    }
    assert sealed.open_offer(Content(SEALED_FORMAT, members), key=key, keys=keys) == OFFER


def test_both_show_the_same_digits_for_one_approval(hpke_peer: Peer) -> None:
    assert OFFER.share
    context = Channel(SECRETS[0], "sender").keys.context
    thumbprint = bytes(range(100, 132))
    sender, first = approval.begin_approval(OFFER.share)
    _, second = approval.answer(first, proof_key_thumbprint=thumbprint)
    sender, third = approval.take_answer(sender, second, context=context)

    compared = hpke_peer.ask(
        "compare",
        secret=SECRETS[0],
        senderKey=b64.decode(third.content["public_key"]),
        senderRandom=b64.decode(third.content["random"]),
        receiverKey=b64.decode(second.content["public_key"]),
        receiverRandom=b64.decode(second.content["random"]),
        thumbprint=thumbprint,
    )

    assert compared["digits"] == sender.digits
    assert raw(compared["commitment"]) == b64.decode(first.content["commit"])
