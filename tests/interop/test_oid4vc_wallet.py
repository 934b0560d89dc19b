"""An unmodified foreign wallet (npm: @openid4vc/openid4vci) takes credentials from our running issuer.

Its requests are encrypted by npm `jose`, to either kind of key that the issuer offers.
"""

import html
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.interop.peer import Peer, Refused

from safeconduct import Key, PublicKey, Trust, sd_cwt, sd_jwt
from safeconduct.encoding import b64, json
from safeconduct.web.serve import free_port

pytestmark = pytest.mark.interop

ADMIN_TOKEN = "management-token-of-the-test"
REDIRECT = "http://127.0.0.1:9/callback"
CLIENT = "foreign-wallet"
SUBJECT = "case-1"
CLAIMS = {"given_name": "Erika", "family_name": "Mustermann"}
CONFIGURATIONS = """
[[configurations]]
id = "jwt"
format = "dc+sd-jwt"
scope = "card"
vct = "https://issuer.example/card"
[configurations.claims]
given_name = { mandatory = true }
family_name = {}

[[configurations]]
id = "cwt"
format = "application/sd-cwt"
scope = "card.cwt"
vct = "https://issuer.example/card"
[configurations.claims]
given_name = { mandatory = true }
family_name = {}
"""
CLIENTS = f"""
[[clients]]
client_id = "{CLIENT}"
name = "The foreign wallet"
redirect_uris = ["{REDIRECT}"]
"""


@dataclass
class Site:
    """The running issuer and its management."""

    url: str
    admin: str
    key: PublicKey

    def manage(self, method: str, path: str, body: Any = None) -> Any:
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        answer = httpx2.request(method, self.admin + path, headers=headers, json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def offer(self, **members: Any) -> dict[str, Any]:
        return self.manage("POST", "/offers", {"configuration_id": "jwt", "claims": CLAIMS, **members})

    @property
    def trust(self) -> Trust:
        return Trust.of({self.url: self.key})


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("issuer")
    (folder / "kinds.toml").write_text(CONFIGURATIONS)
    (folder / "clients.toml").write_text(CLIENTS)
    key = Key.generate("ES256")
    (folder / "key.pem").write_text(key.to_pem(private=True))
    port, admin_port = free_port(), free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {
        "IDENTIFIER": url,
        "PORT": port,
        "ADMIN_PORT": admin_port,
        "ADMIN_TOKEN": ADMIN_TOKEN,
        "DATABASE": f"sqlite:///{folder}/issuer.db",
        "SIGNING_KEY": folder / "key.pem",
        "CONFIGURATIONS": folder / "kinds.toml",
        "CLIENTS": folder / "clients.toml",
        "REFRESH_TOKEN_LIFETIME": 3600,
        "DEFERRED_INTERVAL": 1,
    }
    variables = {f"SAFECONDUCT_ISSUER__{name}": str(value) for name, value in settings.items()}
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("safeconduct")), "serve", "issuer"],
        env={**os.environ, **variables, "SAFECONDUCT_TELEMETRY__LOG_LEVEL": "warning"},
        stdout=subprocess.PIPE,
        text=True,
        cwd=folder,
    )
    try:
        assert process.stdout is not None
        for _ in range(2):
            assert process.stdout.readline()
        yield Site(url, f"http://127.0.0.1:{admin_port}", key.public)
    finally:
        process.terminate()
        process.communicate(timeout=30)


def check(site: Site, answer: dict[str, Any], *, count: int) -> None:
    """Each credential is ours, is bound to another of the wallet's keys, and has salts of its own."""
    assert len(answer["credentials"]) == count
    keys = [PublicKey.from_jwk(jwk) for jwk in answer["holders"]]
    salts: set[str] = set()
    for entry, key in zip(answer["credentials"], keys, strict=True):
        token = entry["credential"]
        now = int(time.time())
        held = sd_jwt.check_issued(token, holder=key, trust=site.trust, now=now)
        assert {name: held.claims.to_json()[name] for name in CLAIMS} == CLAIMS
        salts.update(json.loads(b64.decode(part))[0] for part in token.split("~")[1:-1])
    assert len(salts) == count * len(CLAIMS)


@pytest.mark.parametrize("curve", ["P-256", "X25519"])
@pytest.mark.parametrize("tx_code", [False, True], ids=["bare", "tx_code"])
def test_a_pre_authorized_code(oid4vc_peer: Peer, site: Site, curve: str, tx_code: bool) -> None:
    offer = site.offer(tx_code=tx_code, by_reference=tx_code)
    oid4vc_peer.ask("begin", offer=offer["offer_uri"], curve=curve)
    oid4vc_peer.ask("tradeCode", txCode=offer.get("tx_code"))

    answer = oid4vc_peer.ask("credentials", configuration="jwt", count=1)

    check(site, answer, count=1)
    assert answer["sealed"] == 1
    assert (
        oid4vc_peer.ask("notify", notificationId=answer["notification_id"], event="credential_accepted")
        == 204
    )


def test_a_wrong_transaction_code_is_refused(oid4vc_peer: Peer, site: Site) -> None:
    offer = site.offer(tx_code=True)
    oid4vc_peer.ask("begin", offer=offer["offer_uri"])

    with pytest.raises(Refused):
        oid4vc_peer.ask("tradeCode", txCode="wrong!")

    oid4vc_peer.ask("tradeCode", txCode=offer["tx_code"])


def test_a_batch(oid4vc_peer: Peer, site: Site) -> None:
    oid4vc_peer.ask("begin", offer=site.offer()["offer_uri"])
    oid4vc_peer.ask("tradeCode", txCode=None)

    check(site, oid4vc_peer.ask("credentials", configuration="jwt", count=5), count=5)


def test_a_plain_request_is_refused(oid4vc_peer: Peer, site: Site) -> None:
    oid4vc_peer.ask("begin", offer=site.offer()["offer_uri"], encrypts=False)
    oid4vc_peer.ask("tradeCode", txCode=None)

    with pytest.raises(Refused, match="invalid_encryption_parameters"):
        oid4vc_peer.ask("credentials", configuration="jwt", count=1)


def test_an_sd_cwt(oid4vc_peer: Peer, site: Site) -> None:
    oid4vc_peer.ask("begin", offer=site.offer(configuration_id="cwt")["offer_uri"])
    oid4vc_peer.ask("tradeCode", txCode=None)

    answer = oid4vc_peer.ask("credentials", configuration="cwt", count=1)

    token = b64.decode(answer["credentials"][0]["credential"])
    now = int(time.time())
    key = PublicKey.from_jwk(answer["holders"][0])
    held = sd_cwt.check_issued(token, holder=key, trust=site.trust, now=now)
    assert held.claims.to_json()["given_name"] == "Erika"


def test_deferred_issuance(oid4vc_peer: Peer, site: Site) -> None:
    oid4vc_peer.ask("begin", offer=site.offer(deferred=True)["offer_uri"])
    oid4vc_peer.ask("tradeCode", txCode=None)
    waiting = oid4vc_peer.ask("credentials", configuration="jwt", count=2)
    assert "credentials" not in waiting
    transaction = waiting["transaction_id"]
    again = oid4vc_peer.ask("deferred", transactionId=transaction)
    assert again["transaction_id"] == transaction
    [case] = site.manage("GET", "/deferred?state=waiting")["deferred"]
    site.manage("POST", f"/deferred/{case['transaction_id']}/approve")

    answer = oid4vc_peer.ask("deferred", transactionId=transaction)

    check(site, answer, count=2)
    assert answer["sealed"] == 3


def test_an_authorization_code(oid4vc_peer: Peer, site: Site) -> None:
    offer = site.offer(grants=["authorization_code"], subject=SUBJECT)
    oid4vc_peer.ask("begin", offer=offer["offer_uri"], clientId=CLIENT)
    page = oid4vc_peer.ask("authorize", redirectUri=REDIRECT, scope="card")
    assert "request_uri=" in page  # it was pushed
    link = site.manage("POST", "/links", {"subject": SUBJECT})["url"]
    redirect = log_in_and_consent(page, link)
    oid4vc_peer.ask("redirected", url=redirect)

    check(site, oid4vc_peer.ask("credentials", configuration="jwt", count=1), count=1)

    oid4vc_peer.ask("refresh")
    check(site, oid4vc_peer.ask("credentials", configuration="jwt", count=1), count=1)


def log_in_and_consent(page: str, link: str) -> str:
    """Be the user at a browser without scripts: log in by a one-time link, consent, see where that leads."""
    with httpx2.Client() as client:
        answer = client.get(page)
        for filled in ({"link": link}, {"decision": "allow"}):
            action, fields = _form(answer, filled)
            origin = {"Origin": page.partition("/authorize")[0]}
            answer = client.post(action, data=fields, headers=origin)
            while answer.is_redirect and not answer.headers["Location"].startswith(REDIRECT):
                answer = client.get(answer.url.join(answer.headers["Location"]))
        return str(answer.headers["Location"])


def _form(page: httpx2.Response, filled: dict[str, str]) -> tuple[httpx2.URL, Any]:
    action = html.unescape(re.search(r'action="([^"]+)"', page.text)[1])  # type: ignore[index]
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text)
    fields = {name: html.unescape(value) for name, value in hidden} | filled
    return page.url.join(action), fields
