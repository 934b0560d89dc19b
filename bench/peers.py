"""The same claims through the reference implementation of SD-JWT, against the same floors."""

import json
import time
from typing import Any

from jwcrypto.jwk import JWK
from sd_jwt.common import SDObj
from sd_jwt.holder import SDJWTHolder
from sd_jwt.issuer import SDJWTIssuer
from sd_jwt.verifier import SDJWTVerifier

from bench.runner import compare
from bench.sd_cwt import AUDIENCE, ISSUER, sign_once, verify_twice

_issuer, _holder = JWK.generate(kty="EC", crv="P-256"), JWK.generate(kty="EC", crv="P-256")
_now = int(time.time())
_NONCE = "n-0S6_WzA2Mj"


def _claims() -> dict[Any, Any]:
    redacted = {SDObj(f"claim_{number}"): f"value number {number}" for number in range(10)}
    return {"iss": ISSUER, "sub": "urn:holder:1", "iat": _now, "exp": _now + 86_400, **redacted}


def _issue() -> str:
    issued: str = SDJWTIssuer(_claims(), _issuer, _holder).sd_jwt_issuance
    return issued


_issued = _issue()


def _present() -> str:
    wallet = SDJWTHolder(_issued)
    wallet.create_presentation({f"claim_{number}": True for number in range(10)}, _NONCE, AUDIENCE, _holder)
    shown: str = wallet.sd_jwt_presentation
    return shown


_shown = _present()
_issuer_public = JWK.from_json(json.dumps(_issuer.export_public(as_dict=True)))


def _verify() -> None:
    SDJWTVerifier(
        _shown, lambda _issuer_name, _header: _issuer_public, AUDIENCE, _NONCE
    ).get_verified_payload()


FIGURES = {
    "peer.sd_jwt.verify": lambda: compare(_verify, verify_twice),
    "peer.sd_jwt.issue": lambda: compare(_issue, sign_once),
    "peer.sd_jwt.present": lambda: compare(_present, sign_once),
}
