"""The trust file as operators write it."""

import json
from typing import Any

import pytest
from tests import pki
from tests.pki import Authority

from safeconduct import limits
from safeconduct.crypto import x509
from safeconduct.crypto.keys import Key
from safeconduct.errors import Malformed
from safeconduct.trust import Anchors
from safeconduct.trust.file import read_trust

FIRST, SECOND = Key.generate("ES256", kid="one"), Key.generate("Ed25519")
ISSUER = "https://issuer.example"


@pytest.mark.parametrize(
    "listed",
    [
        [FIRST.public.to_jwk(), SECOND.public.to_pem()],
        {"keys": [FIRST.public.to_jwk(), SECOND.public.to_jwk()]},
        [{"pem": FIRST.public.to_pem(), "kid": "one"}, {"pem": SECOND.public.to_pem()}],
    ],
)
def test_keys_may_be_a_jwk_set_or_an_array_of_jwks_and_pems(listed: Any) -> None:
    trust = read_trust(json.dumps({ISSUER: listed, "https://other.example": FIRST.public.to_jwk()}).encode())
    assert trust.issuers[ISSUER] == (FIRST.public, SECOND.public)
    assert trust.keys_for(ISSUER, b"one") == (FIRST.public,)
    assert trust.keys_for("https://other.example", None) == (FIRST.public,)
    assert trust.keys_for("https://stranger.example", None) == ()


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b"", "json_malformed"),
        (b"[]", "json_not_object"),
        (b"\x00\xff", "json_malformed"),
        (b'{"https://i.example": [], "https://i.example": []}', "json_duplicate_member"),
        (b"{}", "trust_file_malformed"),
        (b'{"https://i.example": []}', "trust_file_malformed"),
        (b'{"https://i.example": {"keys": []}}', "trust_file_malformed"),
        (b'{"https://i.example": {"keys": 1}}', "trust_file_malformed"),
        (b'{"https://i.example": [1]}', "trust_file_malformed"),
        (b'{"https://i.example": null}', "trust_file_malformed"),
        (b'{"https://i.example": ["not a key"]}', "trust_file_malformed"),
        (b'{"https://i.example": [{"kty": "oct", "k": "AA"}]}', "trust_file_malformed"),
        (b'{"https://i.example": [{"pem": 1}]}', "trust_file_malformed"),
        (b'{"https://i.example": [{"pem": "", "kid": 1}]}', "trust_file_malformed"),
    ],
)
def test_what_is_no_trust_file_is_malformed(document: bytes, code: str) -> None:
    with pytest.raises(Malformed) as error:
        read_trust(document)
    assert error.value.code == code


def test_a_private_key_is_not_trusted_and_its_place_is_named() -> None:
    listed = [FIRST.public.to_jwk(), SECOND.to_jwk(private=True)]
    with pytest.raises(Malformed, match="Issuer 1, key 2") as error:
        read_trust(json.dumps({ISSUER: listed}).encode())
    assert error.value.code == "trust_file_malformed"


def test_a_bare_jwk_set_does_not_say_whose_keys_it_holds() -> None:
    with pytest.raises(Malformed) as error:
        read_trust(json.dumps({"keys": [FIRST.public.to_jwk()]}).encode())
    assert error.value.code == "trust_file_malformed"
    assert "bare JWK Set" in error.value.reason


ROOT, OTHER = Authority.root(), Authority.root("Other")
PEM = pki.pem(ROOT.certificate)


def test_an_issuer_may_have_authorities_beside_keys_or_alone() -> None:
    document = {
        ISSUER: {"keys": [FIRST.public.to_jwk()], "certificates": [PEM]},
        "https://two.example": {
            "certificates": [pki.pem(ROOT.certificate, OTHER.certificate)],
            "names": "any",
            "accept": ["anchor-in-chain", "self-signed-leaf"],
        },
    }
    trust = read_trust(json.dumps(document).encode())

    assert trust.issuers == {ISSUER: (FIRST.public,)}
    assert trust.anchors == {
        ISSUER: Anchors((ROOT.certificate,)),
        "https://two.example": Anchors((ROOT.certificate, OTHER.certificate), "any", x509.LENIENCIES),
    }
    assert trust.shared is None


def test_authorities_under_a_star_are_shared() -> None:
    trust = read_trust(json.dumps({"*": {"certificates": [PEM]}}).encode())

    assert trust.shared == Anchors((ROOT.certificate,))
    assert (trust.issuers, trust.anchors) == ({}, {})
    assert trust.keys_for(None, None, x509.to_x5c(ROOT.chain(FIRST)), now=1_800_000_000) == (FIRST.public,)


@pytest.mark.parametrize(
    ("issuer", "listed"),
    [
        (ISSUER, {"certificates": []}),
        (ISSUER, {"certificates": PEM}),
        (ISSUER, {"certificates": [1]}),
        (ISSUER, {"certificates": ["no certificate"]}),
        (ISSUER, {"certificates": [FIRST.to_pem(private=True)]}),
        (ISSUER, {"certificates": [PEM] * (limits.TRUST_CERTIFICATES + 1)}),
        (ISSUER, {"certificates": [PEM], "names": "all"}),
        (ISSUER, {"certificates": [PEM], "names": ["any"]}),
        (ISSUER, {"certificates": [PEM], "accept": "anchor-in-chain"}),
        (ISSUER, {"certificates": [PEM], "accept": [[]]}),
        (ISSUER, {"certificates": [PEM], "accept": ["everything"]}),
        (ISSUER, {"certificates": [PEM], "keys": []}),
        (ISSUER, {"certificates": [PEM], "kid": "a"}),
        ("*", {"certificates": [PEM], "names": "any"}),
        ("*", {"certificates": [PEM], "keys": [FIRST.public.to_jwk()]}),
        ("*", [FIRST.public.to_jwk()]),
    ],
)
def test_what_does_not_say_which_authorities_is_malformed(issuer: str, listed: Any) -> None:
    with pytest.raises(Malformed) as error:
        read_trust(json.dumps({issuer: listed}).encode())
    assert error.value.code == "trust_file_malformed"
