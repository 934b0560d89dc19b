"""The verifier: nonces that are good once, presentations judged, and what is kept of them."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.flows.small_wallet import ADMIN_TOKEN, ISSUER, NOW, Clock

from safeconduct import limits
from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64, json
from safeconduct.formats import sd_cwt
from safeconduct.formats.redaction import redact
from safeconduct.net.fetch import Fetcher, HttpFetcher, Response
from safeconduct.net.in_process import InProcess
from safeconduct.services.verifier import open_verifier, opening, requests
from safeconduct.services.verifier.tables import metadata
from safeconduct.settings import Secret, SettingsError, VerifierSettings
from safeconduct.storage import Database
from safeconduct.storage.migrations import VERIFIER, differences
from safeconduct.telemetry import Telemetry

VERIFIER_URL = "https://verifier.example"
VERIFIER_ADMIN = "https://verifier-admin.example"
NAME = "Erika-who-is-only-in-claims"


@dataclass
class Desk:
    """A running verifier, and a holder with a credential of an issuer it trusts."""

    fetcher: Fetcher
    clock: Clock
    log: io.StringIO
    issuer: Key
    holder: Key

    async def manage(self, method: str, path: str, body: Any = None) -> Response:
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        return await self.fetcher.request(method, VERIFIER_ADMIN + path, headers=headers, content=content)

    async def nonce(self) -> bytes:
        answer = await self.fetcher.request("POST", f"{VERIFIER_URL}/nonces", content=b"")
        members = answer.json()
        assert (answer.status, members["audience"]) == (200, VERIFIER_URL)
        assert members["expires_in"] == 300
        return b64.decode(members["nonce"])

    def credential(self, *, issuer: Key | None = None) -> bytes:
        claims = {
            "iss": ISSUER,
            "sub": "urn:holder:1",
            "given_name": redact(NAME),
            "age": redact(44),
            "exp": self.clock() + 1000,
        }
        return sd_cwt.issue(
            claims, issuer=issuer or self.issuer, holder=self.holder.public, now=self.clock() - 10
        )

    def presentation(self, nonce: bytes | None, *, token: bytes | None = None, **bent: Any) -> bytes:
        arguments: dict[str, Any] = {
            "holder": self.holder,
            "disclose": ["given_name"],
            "audience": VERIFIER_URL,
            "nonce": nonce,
            "now": self.clock(),
        }
        return sd_cwt.present(token or self.credential(), **{**arguments, **bent})

    async def show(self, body: bytes, *, media_type: str = "application/kb+cwt") -> Response:
        headers = {"Content-Type": media_type}
        return await self.fetcher.request(
            "POST", f"{VERIFIER_URL}/presentations", headers=headers, content=body
        )


@contextlib.asynccontextmanager
async def desk(folder: Path, **settings: Any) -> AsyncIterator[Desk]:
    issuer, clock, log = Key.generate("ES256"), Clock(), io.StringIO()
    trust = folder / "trust.json"
    trust.write_bytes(
        json.dumps({ISSUER: [issuer.public.to_jwk()], "https://b.example": issuer.public.to_pem()})
    )
    chosen = VerifierSettings(
        **{
            "identifier": VERIFIER_URL,
            "database": "sqlite://",
            "trust": trust,
            "admin_token": Secret(ADMIN_TOKEN),
            **settings,
        }
    )
    telemetry = Telemetry.open("verifier", level="debug", stream=log)
    async with open_verifier(chosen, telemetry=telemetry, clock=clock) as [public, admin]:
        transport = InProcess({VERIFIER_URL: public.app, VERIFIER_ADMIN: admin.app})
        async with HttpFetcher(allow_loopback=False, transport=transport) as fetcher:
            yield Desk(fetcher, clock, log, issuer, Key.generate("ES256"))


def _refused(answer: Response, code: str, *, status: int = 400) -> None:
    assert (answer.status, answer.json()["code"]) == (status, code), answer.body
    assert answer.content_type == "application/problem+json"
    assert NAME.encode() not in answer.body


def test_a_presentation_gives_the_disclosed_claims(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as verifier:
            nonce = await verifier.nonce()
            answer = await verifier.show(verifier.presentation(nonce))
            assert answer.status == 200, answer.body
            assert answer.json()["claims"]["given_name"] == NAME
            assert "age" not in answer.json()["claims"]
            assert answer.json()["key_binding"]["aud"] == VERIFIER_URL
            assert answer.json()["key_binding"]["cnonce"] == b64.encode(nonce)
            assert NAME not in verifier.log.getvalue()

    asyncio.run(main())


def test_a_nonce_is_good_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as verifier:
            nonce = await verifier.nonce()
            presentation = verifier.presentation(nonce)
            assert (await verifier.show(presentation)).status == 200
            _refused(await verifier.show(presentation), "nonce_unknown")
            _refused(await verifier.show(verifier.presentation(nonce)), "nonce_unknown")

    asyncio.run(main())


def test_of_copies_at_once_one_is_accepted(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as verifier:
            presentation = verifier.presentation(await verifier.nonce())
            answers = await asyncio.gather(*[verifier.show(presentation) for _ in range(6)])
            assert sorted(answer.status for answer in answers) == [200, 400, 400, 400, 400, 400]

    asyncio.run(main())


@pytest.mark.parametrize(("nonce", "code"), [(None, "nonce_missing"), (b"x" * 16, "nonce_unknown")])
def test_a_nonce_must_be_there_and_ours(tmp_path: Path, nonce: bytes | None, code: str) -> None:
    async def main() -> None:
        async with desk(tmp_path) as verifier:
            _refused(await verifier.show(verifier.presentation(nonce)), code)

    asyncio.run(main())


def test_strangers_get_no_more_nonces_than_there_is_room_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STRANGERS_ROWS", 3)

    async def main() -> None:
        async with desk(tmp_path) as verifier:
            for _ in range(3):
                await verifier.nonce()
            answer = await verifier.fetcher.request("POST", f"{VERIFIER_URL}/nonces", content=b"")
            _refused(answer, "too_much_open", status=503)
            assert answer.headers["retry-after"]
            assert (await verifier.manage("POST", "/requests", {})).status == 201

    asyncio.run(main())


def test_there_is_room_again_when_nonces_have_been_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STRANGERS_ROWS", 1)
    monkeypatch.setattr(opening, "SWEEP_SECONDS", 0.01)

    async def main() -> None:
        async with desk(tmp_path) as verifier:
            await verifier.nonce()
            verifier.clock.now += 600
            for _ in range(3000):
                await asyncio.sleep(0.01)
                answer = await verifier.fetcher.request("POST", f"{VERIFIER_URL}/nonces")
                if answer.status == 200:
                    return
            pytest.fail("The room of swept nonces was not given back.")

    asyncio.run(main())


def test_an_expired_nonce_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path, nonce_lifetime=30) as verifier:
            answer = await verifier.fetcher.request("POST", f"{VERIFIER_URL}/nonces", content=b"")
            verifier.clock.now += 30
            presentation = verifier.presentation(b64.decode(answer.json()["nonce"]))
            _refused(await verifier.show(presentation), "nonce_unknown")

    asyncio.run(main())


def test_who_cannot_sign_cannot_spoil_a_nonce_and_who_can_spoils_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as verifier:
            nonce = await verifier.nonce()
            foreign = verifier.presentation(nonce, token=verifier.credential(issuer=Key.generate("ES256")))
            _refused(await verifier.show(foreign), "signature_invalid")
            broken = bytearray(verifier.presentation(nonce))
            broken[-1] ^= 1
            _refused(await verifier.show(bytes(broken)), "signature_invalid")
            misdirected = verifier.presentation(nonce, audience="https://other.example")
            _refused(await verifier.show(misdirected), "kbt_audience_mismatch")
            _refused(await verifier.show(verifier.presentation(nonce)), "nonce_unknown")

    asyncio.run(main())


@pytest.mark.parametrize("keep", ["verdict", "claims"])
def test_management_reads_the_verdict_and_claims_only_if_it_asked(tmp_path: Path, keep: str) -> None:
    file = tmp_path / "verifier.db"

    async def main() -> None:
        async with desk(tmp_path, database=f"sqlite:///{file}") as verifier:
            request = (await verifier.manage("POST", "/requests", {"keep": keep})).json()
            path = f"/requests/{request['request_id']}"
            assert (await verifier.manage("GET", path)).json() == {"state": "open"}
            await verifier.show(verifier.presentation(b64.decode(request["nonce"])))
            result = (await verifier.manage("GET", path)).json()
            assert (result["state"], result["issuer"]) == ("verified", ISSUER)
            assert result.get("claims", {}).get("given_name") == (NAME if keep == "claims" else None)
            if keep == "claims":
                assert (await verifier.manage("DELETE", path)).status == 204
                assert (await verifier.manage("GET", path)).status == 404

    asyncio.run(main())
    kept = b"".join(page.read_bytes() for page in tmp_path.glob("verifier.db*"))
    assert NAME.encode() not in kept


def test_a_refusal_is_recorded_by_its_code(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as verifier:
            request = (await verifier.manage("POST", "/requests", {})).json()
            nonce = b64.decode(request["nonce"])
            await verifier.show(verifier.presentation(nonce, audience="https://other.example"))
            result = (await verifier.manage("GET", f"/requests/{request['request_id']}")).json()
            assert result == {"state": "rejected", "code": "kbt_audience_mismatch"}

    asyncio.run(main())


def test_an_unanswered_request_expires(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as verifier:
            request = (await verifier.manage("POST", "/requests", {})).json()
            verifier.clock.now += 301
            result = (await verifier.manage("GET", f"/requests/{request['request_id']}")).json()
            assert result == {"state": "expired"}

    asyncio.run(main())


def test_bodies_of_other_kinds_are_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as verifier:
            good = verifier.presentation(await verifier.nonce())
            for media_type in ("application/json", "application/cbor", "application/sd+cwt", ""):
                _refused(
                    await verifier.show(good, media_type=media_type), "content_type_unsupported", status=415
                )
            _refused(await verifier.show(b"\xd2" * (256 * 1024 + 1)), "body_too_large", status=413)
            for body in (b"", b"\xa0", b"\xd2\x84", good[:-1], good + b"\x00", verifier.credential()):
                answer = await verifier.show(body)
                assert (answer.status, answer.content_type) == (400, "application/problem+json")
            answer = await verifier.manage("POST", "/requests", {"keep": "everything"})
            _refused(answer, "message_malformed")

    asyncio.run(main())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"a": []}',
        '{"a": [7]}',
        '{"a": "rubbish"}',
        '{"a": {"kty": "oct"}}',
        '{"a": 1, "a": 1}',
    ],
)
def test_a_faulty_trust_file_is_named_before_anything_starts(tmp_path: Path, text: str) -> None:
    (tmp_path / "faulty.json").write_text(text)

    async def main() -> None:
        async with desk(tmp_path, trust=tmp_path / "faulty.json"):
            pytest.fail("started")

    with pytest.raises(SettingsError, match=r"faulty\.json"):
        asyncio.run(main())


@pytest.mark.parametrize(
    "settings", [{"trust": None}, {"profiles": ("ietf-99",)}, {"identifier": "", "port": 0}]
)
def test_settings_that_would_accept_nothing_are_refused(tmp_path: Path, settings: dict[str, Any]) -> None:
    async def main() -> None:
        async with desk(tmp_path, **settings):
            pytest.fail("started")

    with pytest.raises(SettingsError, match=r"verifier\."):
        asyncio.run(main())


def test_the_early_profile_is_read_where_it_is_switched_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path, profiles=("ietf-08", "seed-2024")) as verifier:
            claims = {"iss": ISSUER, "sub": "1", "given_name": redact(NAME), "exp": NOW + 1000}
            token = sd_cwt.issue(
                claims,
                issuer=verifier.issuer,
                holder=verifier.holder.public,
                now=NOW - 10,
                profile=sd_cwt.SEED_2024,
            )
            presentation = verifier.presentation(
                await verifier.nonce(), token=token, profile=sd_cwt.SEED_2024
            )
            answer = await verifier.show(presentation, media_type="application/sd+cwt")
            assert answer.status == 200, answer.body
            assert answer.json()["claims"]["given_name"] == NAME
            # Its key binding covers the disclosures alone, so one without any would fit another credential.
            nothing = verifier.presentation(
                await verifier.nonce(), token=token, profile=sd_cwt.SEED_2024, disclose=[]
            )
            refused = await verifier.show(nothing, media_type="application/sd+cwt")
            assert (refused.status, refused.json()["code"]) == (400, "disclosure_required")

    asyncio.run(main())


def test_the_table_has_an_arrow_or_an_error() -> None:
    for state in requests.STATES:
        for event in requests.EVENTS:
            expected = requests.TRANSITIONS.get((state, event))
            if expected is not None:
                assert requests.advance(state, event) == expected
                continue
            with pytest.raises(requests.TransitionRefused) as error:
                requests.advance(state, event)
            assert error.value.code == "transition_refused"
    assert {"open"} | set(requests.TRANSITIONS.values()) == set(requests.STATES)


def test_the_migrated_tables_are_the_declared_ones() -> None:
    async def main() -> None:
        async with await Database.open("sqlite://", branch=VERIFIER) as database:
            assert await database.run(differences, metadata, prefix="verifier_") == []

    asyncio.run(main())
