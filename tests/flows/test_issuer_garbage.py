"""Whatever is sent to the issuer, it answers with a client's error in JSON, and never breaks."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.flows.small_wallet import ADMIN, ADMIN_TOKEN, CLAIMS, ISSUER, issuer_house

from safeconduct.encoding import json
from safeconduct.net.fetch import Response
from safeconduct.protocols.openid4vci.request import encode_credential_request

SEED = 20261122
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS")
PATHS = (
    "/token",
    "/nonce",
    "/credential",
    "/share-challenge",
    "/shares",
    "/shares/access",
    "/shares/%00%ff",
    "/offers/x",
    "/offers/" + "x" * 3000,
    "/offers/%00%ff",
    "/.well-known/openid-credential-issuer",
    "/.well-known/openid-credential-issuer/other",
    "/",
    "/../token",
    "/" + "a" * 3000,
)
MEDIA_TYPES = (
    "application/json",
    "application/jwt",
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded; charset=latin-1",
    "multipart/form-data",
    "",
    "x",
)
AUTHORIZATIONS = ("DPoP x", "Bearer x", "DPoP", "Basic eDp4", "DPoP a b", "DPoP " + "x" * 9000, "dpop {}")
PROOFS = ("x", "a.b.c", "eyJ0eXAiOiJkcG9wK2p3dCJ9.e30.AAAA", "e30.e30.e30", "." * 100, "a, b")
BODIES = (
    b"",
    b"{}",
    b"[]",
    b"null",
    b"\x00\xff\xfe",
    b'{"a":' * 200,
    b'{"claims":{"a":1e999}}',
    b'{"a":1,"a":2}',
    b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Apre-authorized_code&pre-authorized_code=%00",
    b"grant_type=%ff",
    b"&".join(b"a%d=1" % number for number in range(100)),
    b"a.b.c.d.e",
    b"eyJhbGciOiJFQ0RILUVTIn0....",
)


def _requests(choose: random.Random, count: int) -> Iterator[tuple[str, str, dict[str, str], bytes]]:
    for _ in range(count):
        headers = {"Content-Type": choose.choice(MEDIA_TYPES)}
        if choose.random() < 0.7:
            headers["Authorization"] = choose.choice(AUTHORIZATIONS)
        if choose.random() < 0.7:
            headers["DPoP"] = choose.choice(PROOFS)
        body = choose.choice(BODIES) if choose.random() < 0.7 else choose.randbytes(choose.randrange(300))
        yield choose.choice(METHODS), choose.choice(PATHS), headers, body


def _clean(answer: Response) -> bool:
    """Whether it is a good answer, or an error that is the client's and says so in JSON."""
    if answer.status < 300:
        return True
    members = answer.json()
    return 400 <= answer.status < 500 and "json" in answer.content_type and "Traceback" not in str(members)


def test_garbage_at_the_public_endpoints_is_a_clients_error(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            for method, path, headers, body in _requests(random.Random(SEED), 500):  # noqa: S311
                answer = await house.fetcher.request(method, ISSUER + path, headers=headers, content=body)
                assert _clean(answer), (method, path, headers, body, answer)

    asyncio.run(main())


def test_garbage_at_management_is_a_clients_error(tmp_path: Path) -> None:
    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            choose = random.Random(SEED)  # noqa: S311
            for method, path, headers, body in _requests(choose, 200):
                headers = {**headers, "Authorization": f"Bearer {ADMIN_TOKEN}"}
                path = choose.choice(
                    (path, "/offers", "/shares", "/offers?state=%00", "/offers/%F0%9F%92%A9")
                )
                answer = await house.fetcher.request(method, ADMIN + path, headers=headers, content=body)
                assert _clean(answer), (method, path, headers, body, answer)

    asyncio.run(main())


ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    2**63,
    1.5,
    "",
    "x",
    "\U0001f600",
    "x" * 5000,
    [],
    {},
    [[]],
    [None],
)


def _bent(value: Any, choose: random.Random) -> Any:
    """The value with one place in it, of any depth, made odd or left out."""
    if isinstance(value, dict) and value and choose.random() < 0.8:
        name = choose.choice(sorted(value))
        if choose.random() < 0.15:
            return {key: item for key, item in value.items() if key != name}
        return {**value, name: _bent(value[name], choose)}
    if isinstance(value, list) and value and choose.random() < 0.6:
        return [_bent(value[0], choose), *value[1:]]
    return choose.choice(ODD)


def test_odd_offers_are_refused_or_made_and_nothing_else(tmp_path: Path) -> None:
    good = {
        "configuration_id": "identity",
        "claims": dict(CLAIMS),
        "tx_code": {"length": 6},
        "by_reference": True,
    }

    async def main() -> None:
        async with issuer_house(tmp_path) as house:
            choose = random.Random(SEED)  # noqa: S311
            for _ in range(200):
                body = _bent(good, choose)
                answer = await house.manage("POST", "/offers", body)
                assert answer.status in (201, 400), (body, answer)

    asyncio.run(main())


def test_odd_requests_inside_a_good_envelope_are_refused_by_name(tmp_path: Path) -> None:
    errors = {
        "invalid_credential_request",
        "invalid_proof",
        "invalid_nonce",
        "unknown_credential_identifier",
        "invalid_encryption_parameters",
    }

    async def main() -> None:
        async with issuer_house(tmp_path, credentials_per_identifier=1000) as house:
            choose = random.Random(SEED)  # noqa: S311
            wallet = house.wallet()
            await wallet.take_token((await house.offer())["offer_uri"])
            for _ in range(120):
                good = json.loads_object(encode_credential_request(await wallet.request()))
                bent = json.dumps(_bent(good, choose))
                answer = await wallet.send(await wallet.seal(bent))
                assert answer.status == 200 or answer.json()["error"] in errors, (bent, answer)
                assert answer.status in (200, 400)

    asyncio.run(main())
