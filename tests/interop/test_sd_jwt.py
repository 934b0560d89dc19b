"""Foreign SD-JWT implementations (npm: @sd-jwt/core, @sd-jwt/sd-jwt-vc) and ours read each other's tokens."""

from typing import Any

import pytest
from tests.interop.peer import Peer, Refused

from safeconduct import Key, Policy, Trust, redact, sd_jwt
from safeconduct.errors import SafeconductError

pytestmark = pytest.mark.interop

NOW = 1_800_000_000
ISSUER = "https://issuer.example"
VERIFIER = "https://verifier.example"
NONCE = "nonce-of-the-verifier"
VCT = "https://issuer.example/identity"
CLAIMS = {
    "given_name": "Erika",
    "address": {"locality": "Köln", "region": "NW"},
    "nationalities": ["DE", "FR"],
}
FRAME = {
    "_sd": ["given_name", "address"],
    "_sd_decoy": 1,
    "address": {"_sd": ["locality", "region"]},
    "nationalities": {"_sd": [0, 1]},
}
SHOWN = {"address": {"region": "NW"}, "nationalities": ["FR"]}


@pytest.fixture(scope="module")
def keys() -> dict[str, Key]:
    return {"issuer": Key.generate("ES256"), "holder": Key.generate("ES256")}


def marked() -> dict[str, Any]:
    return {
        "given_name": redact("Erika"),
        "address": redact({"locality": redact("Köln"), "region": redact("NW")}),
        "nationalities": [redact("DE"), redact("FR")],
    }


def registered(credential: bool) -> dict[str, Any]:
    return {"iss": ISSUER, "iat": NOW, "exp": NOW + 600, **({"vct": VCT} if credential else {})}


def own_verdict(token: str, keys: dict[str, Key]) -> dict[str, Any]:
    trust = Trust.of({ISSUER: keys["issuer"].public})
    policy = Policy(audience=VERIFIER, nonce=NONCE, profiles=("sd-jwt-vc", "sd-jwt"))
    return sd_jwt.verify(token, trust=trust, policy=policy, now=NOW).claims.to_json()


@pytest.mark.parametrize("credential", [True, False], ids=["VC", "any"])
def test_they_verify_what_we_issue_and_present(
    sd_jwt_peer: Peer, keys: dict[str, Key], credential: bool
) -> None:
    token = sd_jwt.issue(
        registered(credential) | marked(),
        issuer=keys["issuer"],
        holder=keys["holder"].public,
        now=NOW,
        profile=sd_jwt.SD_JWT_VC if credential else sd_jwt.SD_JWT,
    )
    shown = sd_jwt.present(
        token,
        holder=keys["holder"],
        disclose=["address.region", "nationalities[1]"],
        audience=VERIFIER,
        nonce=NONCE,
        now=NOW,
    )

    read = sd_jwt_peer.ask(
        "verify", credential=credential, token=shown, key=keys["issuer"].public.to_jwk(), nonce=NONCE, now=NOW
    )

    assert {name: read["claims"][name] for name in SHOWN} == SHOWN
    assert "given_name" not in read["claims"]
    assert read["keyBinding"]["aud"] == VERIFIER


@pytest.mark.parametrize("credential", [True, False], ids=["VC", "any"])
def test_we_verify_what_they_issue_and_present(
    sd_jwt_peer: Peer, keys: dict[str, Key], credential: bool
) -> None:
    claims = {**registered(credential), **CLAIMS, "cnf": {"jwk": keys["holder"].public.to_jwk()}}
    token = sd_jwt_peer.ask(
        "issue", credential=credential, key=keys["issuer"].to_jwk(private=True), claims=claims, frame=FRAME
    )
    shown = sd_jwt_peer.ask(
        "present",
        credential=credential,
        token=token,
        frame={"address": {"region": True}, "nationalities": {"1": True}},
        holder=keys["holder"].to_jwk(private=True),
        audience=VERIFIER,
        nonce=NONCE,
        now=NOW,
    )

    read = own_verdict(shown, keys)

    assert {name: read[name] for name in SHOWN} == SHOWN
    assert "given_name" not in read


def test_neither_takes_a_changed_disclosure(sd_jwt_peer: Peer, keys: dict[str, Key]) -> None:
    token = sd_jwt.issue(
        registered(True) | marked(), issuer=keys["issuer"], holder=keys["holder"].public, now=NOW
    )
    shown = sd_jwt.present(
        token, holder=keys["holder"], disclose=["given_name"], audience=VERIFIER, nonce=NONCE, now=NOW
    )
    head, disclosure, binding = shown.split("~")
    changed = "~".join((head, disclosure[:-2] + ("AA" if disclosure[-2:] != "AA" else "BB"), binding))

    with pytest.raises(Refused):
        sd_jwt_peer.ask(
            "verify", credential=True, token=changed, key=keys["issuer"].public.to_jwk(), nonce=NONCE, now=NOW
        )
    with pytest.raises(SafeconductError):
        own_verdict(changed, keys)
