"""A verifier's status lists: when they are fetched, kept, asked for again, and given up."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from tests.negative.sd_jwt_builder import ISSUER, ISSUER_KEY, OTHER_KEY
from tests.negative.status_list_builder import EXP, GONE, IAT, URI, ListToken

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.evidence.token_lists import Freshness, TokenListCache
from safeconduct.net.fetch import Response, Unreachable
from safeconduct.status.token_list import Owner, StatusList, StatusReference
from safeconduct.trust import WAIVED, Policy, Trust

TRUST = Trust.of({ISSUER: ISSUER_KEY.public, "https://other.example": OTHER_KEY.public})
OWNER = Owner(ISSUER)
POLICY = Policy(audience=WAIVED, nonce=WAIVED)
REFERENCE = StatusReference(5, URI)
GOOD = ListToken(key=ISSUER_KEY)


class Host:
    """Answers what a test puts there, and notes what it was asked."""

    def __init__(self, **answers: ListToken) -> None:
        self.tokens: dict[str, ListToken] = {URI: GOOD, **answers}
        self.status = 200
        self.etag = ""
        self.kind = "application/statuslist+jwt"
        self.asked: list[Mapping[str, str]] = []

    async def request(self, method: str, url: str, **asked: Any) -> Response:
        assert method == "GET"
        assert asked["max_bytes"] == limits.STATUS_TOKEN_BYTES
        self.asked.append(asked["headers"])
        await asyncio.sleep(0)
        if self.status == 0:
            raise Unreachable("fetch_failed", "down")
        headers = {"content-type": self.kind, "etag": self.etag} if self.etag else {}
        if self.status == 200 and self.etag and asked["headers"].get("If-None-Match") == self.etag:
            return Response(304, headers, b"")
        return Response(self.status, headers, self.tokens[url].encoded())

    async def get_json(self, *_: Any, **__: Any) -> dict[str, Any]:
        raise NotImplementedError

    async def close(self) -> None:
        pass


class Desk:
    """A cache, its host and its clock."""

    def __init__(self, **options: Any) -> None:
        self.now = IAT + 10
        self.host = Host()
        self.told: list[str] = []
        self.cache = TokenListCache(
            self.host, trust=TRUST, clock=lambda: self.now, told=self.told.append, **options
        )

    async def value(self, uri: str = URI, owner: Owner = OWNER) -> int | str:
        """The status, or the code of why there is none."""
        reference = StatusReference(5, uri)
        lists = await self.cache.lists_for(reference, owner)
        try:
            return lists.value(reference, owner=owner, trust=TRUST, policy=POLICY, now=self.now)
        except SafeconductError as error:
            return error.code


def with_status(value: int, **claims: Any) -> ListToken:
    return GOOD.but(data=StatusList.of({5: value}, size=64, bits=2).data, claims=claims)


def test_a_list_is_asked_for_again_when_its_ttl_is_over_within_bounds() -> None:
    async def main() -> None:
        for ttl, wait in ((3600, 3600), (1, 60), (10**9, 7200), (GONE, 7200)):
            desk = Desk(freshness=Freshness(least=60, most=7200))
            desk.host.tokens[URI] = with_status(0, ttl=ttl)
            assert await desk.value() == 0
            desk.now += wait - 1
            desk.host.tokens[URI] = with_status(1, ttl=ttl)
            assert await desk.value() == 0
            desk.now += 1
            assert await desk.value() == 1
            assert len(desk.host.asked) == 2
            assert desk.host.asked[0]["Accept"] == "application/statuslist+jwt, application/statuslist+cwt"

    asyncio.run(main())


def test_a_list_is_asked_for_when_it_expires_before_its_ttl() -> None:
    async def main() -> None:
        desk = Desk()
        desk.host.tokens[URI] = with_status(0, exp=IAT + 100)
        assert await desk.value() == 0
        desk.now = IAT + 100
        desk.host.tokens[URI] = with_status(1, iat=IAT + 90)
        assert await desk.value() == 1

    asyncio.run(main())


def test_the_last_good_list_is_used_until_it_expires_while_the_host_fails() -> None:
    async def main() -> None:
        for status, code in ((0, "fetch_failed"), (500, "fetch_status"), (404, "fetch_status")):
            desk = Desk()
            assert await desk.value() == 0
            desk.host.status = status
            desk.now = EXP - 1
            assert [await desk.value() for _ in range(3)] == [0, 0, 0]
            assert len(desk.host.asked) == 2  # a failed fetch is not repeated at once
            desk.now = EXP
            assert await desk.value() == "status_list_expired"
            assert desk.told == ["fetched", code]
            desk.now += 10
            assert await desk.value() == "status_list_expired"
            assert len(desk.host.asked) == 3

    asyncio.run(main())


def test_a_list_without_exp_is_not_used_for_ever() -> None:
    async def main() -> None:
        desk = Desk(freshness=Freshness(most=1000))
        desk.host.tokens[URI] = with_status(0, exp=GONE)
        assert await desk.value() == 0
        desk.host.status = 0
        desk.now += 1999
        assert await desk.value() == 0
        desk.now += 1
        assert await desk.value() == "fetch_failed"

    asyncio.run(main())


def test_a_first_fetch_that_fails_says_why() -> None:
    async def main() -> None:
        for changes, code in (
            ({"status": 0}, "fetch_failed"),
            ({"status": 404}, "fetch_status"),
            ({"token": GOOD.but(key=OTHER_KEY)}, "signature_invalid"),
            ({"token": with_status(0, sub=URI + "x")}, "status_list_mismatch"),
            ({"token": with_status(0, iat=IAT - 900, exp=IAT - 90)}, "status_list_expired"),
            ({"token": with_status(0, iat=IAT + 1000)}, "status_list_from_future"),
        ):
            desk = Desk()
            desk.host.status = changes.get("status", 200)
            desk.host.tokens[URI] = changes.get("token", GOOD)
            found = await desk.value()
            assert found == code
            assert desk.told[0] == found

    asyncio.run(main())


def test_a_list_that_goes_back_in_time_is_not_taken() -> None:
    async def main() -> None:
        desk = Desk()
        desk.now = IAT + 5000
        desk.host.tokens[URI] = with_status(1, iat=IAT + 4000)
        assert await desk.value() == 1
        desk.now += 3600
        desk.host.tokens[URI] = with_status(0, iat=IAT + 3999)
        assert await desk.value() == 1
        assert desk.told == ["fetched", "status_list_rolled_back"]

    asyncio.run(main())


def test_the_etag_spares_a_download() -> None:
    async def main() -> None:
        desk = Desk()
        desk.host.etag = '"one"'
        assert await desk.value() == 0
        desk.now += 3600
        assert await desk.value() == 0
        assert "If-None-Match" not in desk.host.asked[0]
        assert desk.host.asked[1]["If-None-Match"] == '"one"'
        assert desk.told == ["fetched", "unchanged"]
        desk.now += 3599
        assert await desk.value() == 0
        assert len(desk.host.asked) == 2

    asyncio.run(main())


def test_many_who_ask_at_once_cause_one_fetch() -> None:
    async def main() -> None:
        desk = Desk()
        assert await asyncio.gather(*[desk.value() for _ in range(20)]) == [0] * 20
        assert len(desk.host.asked) == 1

    asyncio.run(main())


def test_a_list_is_kept_for_the_issuer_for_whom_it_was_verified() -> None:
    async def main() -> None:
        desk = Desk()
        assert await desk.value() == 0
        assert await desk.value(owner=Owner("https://other.example")) == "signature_invalid"
        assert await desk.value() == 0

    asyncio.run(main())


def test_the_list_that_was_not_asked_for_longest_makes_room() -> None:
    async def main() -> None:
        desk = Desk(max_bytes=40)  # two lists of 16 bytes
        uris = [f"{URI}{number}" for number in range(3)]
        for uri in uris:
            desk.host.tokens[uri] = with_status(0, sub=uri)
        assert [await desk.value(uri) for uri in (*uris[:2], uris[0], uris[2], uris[0])] == [0] * 5
        assert len(desk.host.asked) == 3
        assert await desk.value(uris[1]) == 0
        assert len(desk.host.asked) == 4

    asyncio.run(main())


def test_the_bound_for_all_lists_holds_some_of_the_largest() -> None:
    assert limits.STATUS_CACHE_BYTES >= 8 * limits.STATUS_LIST_BYTES


def test_nothing_is_told_of_a_list_but_how_its_fetch_ended() -> None:
    async def main() -> None:
        desk = Desk()
        desk.host.tokens[URI] = GOOD.but(key=OTHER_KEY)
        await desk.value()
        assert not any("status.example" in text for text in desk.told)

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["jwt", "cwt"])
def test_either_form_is_taken(kind: str) -> None:
    async def main() -> None:
        desk = Desk()
        desk.host.tokens[URI] = with_status(2).but(kind=kind)
        assert await desk.value() == 2

    asyncio.run(main())


def test_a_list_is_renewed_before_a_presentation_would_ask_for_it() -> None:
    """Else its host learns when somebody shows a credential to the verifier: without `renew`, it does."""

    async def main(*, renewing: bool) -> int:
        desk = Desk()
        assert await desk.value() == 0
        desk.host.tokens[URI] = with_status(1)
        for _ in range(119):
            desk.now += 60
            if renewing:
                await desk.cache.renew(ahead=60)
        before = len(desk.host.asked)
        assert await desk.value() == 1
        return len(desk.host.asked) - before

    assert asyncio.run(main(renewing=True)) == 0
    assert asyncio.run(main(renewing=False)) == 1


def test_lists_are_not_renewed_for_ever_nor_before_they_are_due() -> None:
    async def main() -> None:
        desk = Desk(freshness=Freshness(most=7200))
        desk.host.tokens[URI] = with_status(0, exp=GONE)
        assert await desk.value() == 0
        await desk.cache.renew(ahead=3599)
        assert len(desk.host.asked) == 1
        for _ in range(100):
            desk.now += 600
            await desk.cache.renew()
        assert len(desk.host.asked) == 2  # one at 3600 seconds; at 7200 nobody has asked for too long

    asyncio.run(main())


def test_renewing_bears_with_a_host_that_fails_and_asks_for_nothing_it_never_had() -> None:
    async def main() -> None:
        desk = Desk()
        desk.host.status = 0
        assert await desk.value() == "fetch_failed"
        desk.now += 3600
        await desk.cache.renew()
        assert len(desk.host.asked) == 1
        desk.host.status = 200
        assert await desk.value() == 0
        desk.host.status = 0
        desk.now += 3600
        await desk.cache.renew()
        assert await desk.value() == 0
        assert desk.told == ["fetch_failed", "fetched", "fetch_failed"]

    asyncio.run(main())
