"""What two credentials of one holder have in common, a stranger's credential has in common with them, too."""

from typing import Any

from safeconduct.demo.holder import Holder, open_holder
from safeconduct.demo.parties import Parties
from safeconduct.demo.story import CLAIMS

BYTES = 16
STRANGER = {
    "given_name": "Bartholomew",
    "family_name": "Quillington-Smythe",
    "birthdate": "1951-11-02",
    "email": "bart@post.example",
    "phone_number": "+44 20 7946 0958",
    "address": {
        "street_address": "2 Harbour Row",
        "locality": "Whitby",
        "postal_code": "YO21 3PU",
        "country": "England",
    },
    "nationalities": ["GB", "IE"],
    "age_over_18": True,
    "document_number": "ZZ1102-55501-K",
}


def shared(first: bytes, second: bytes) -> set[bytes]:
    return windows(first) & windows(second)


def windows(content: bytes) -> set[bytes]:
    return {content[start : start + BYTES] for start in range(len(content) - BYTES + 1)}


async def present(holder: Holder, held: Any) -> bytes:
    return await holder.wallet.present(
        held.id, disclose=["age_over_18"], audience="https://verifier.example", nonce=b"n" * 16
    )


async def accept(stage: Any, parties: Parties, holder: Holder, claims: Any) -> Any:
    stage.now += 3607
    offer = await parties.offer(claims, tx_code=False)
    return await holder.wallet.accept(offer.uri, via=parties.wallet_server.url)


def test_presentations_of_two_credentials_share_what_a_stranger_s_shares(stage: Any) -> None:
    async def scene(parties: Parties) -> tuple[bytes, ...]:
        async with (
            open_holder(parties, stage.directory / "one") as one,
            open_holder(parties, stage.directory / "two") as stranger,
        ):
            held = [await accept(stage, parties, one, CLAIMS) for _ in range(2)]
            other = await accept(stage, parties, stranger, STRANGER)
            return (
                await present(one, held[0]),
                await present(one, held[1]),
                await present(stranger, other),
                await present(one, held[0]),
            )

    first, second, other, again = stage.play(scene)
    assert shared(first, second) <= windows(other)
    # A credential that is shown twice can be recognised by the same comparison, so it can fail.
    assert not shared(first, again) <= windows(other)


def test_issued_tokens_share_no_key_salt_subject_or_signature(stage: Any) -> None:
    async def scene(parties: Parties) -> tuple[bytes, ...]:
        async with (
            open_holder(parties, stage.directory / "one") as one,
            open_holder(parties, stage.directory / "two") as twin,
        ):
            held = [await accept(stage, parties, one, CLAIMS) for _ in range(2)]
            other = await accept(stage, parties, twin, CLAIMS)
            mine = [(await one.credential(each)).token for each in held]
            return (*mine, (await twin.credential(other)).token)

    first, second, twin = stage.play(scene)
    # The twin is another holder with the same claims: so only the claims and what is public remain in common.
    assert shared(first, second) <= windows(twin)


def test_times_are_rounded_so_that_they_do_not_tell_the_issuance(stage: Any) -> None:
    async def scene(parties: Parties) -> list[dict[str, Any]]:
        async with open_holder(parties, stage.directory / "one") as one:
            held = [await accept(stage, parties, one, CLAIMS) for _ in range(2)]
            return [(await one.wallet.show(each.id)).claims for each in held]

    first, second = stage.play(scene)
    for name in ("iat", "nbf", "exp"):
        assert first[name] == second[name]
    assert first["sub"] != second["sub"]


def test_forwarded_requests_share_what_a_stranger_s_shares(stage: Any) -> None:
    async def scene(parties: Parties) -> list[bytes]:
        async with (
            open_holder(parties, stage.directory / "one") as one,
            open_holder(parties, stage.directory / "two") as stranger,
        ):
            for holder, claims in ((one, CLAIMS), (one, CLAIMS), (stranger, STRANGER)):
                await accept(stage, parties, holder, claims)
        return [
            exchange.request_body + exchange.response_body
            for exchange in parties.wallet_server.tape
            if exchange.direction == "received" and exchange.url == "/forward/credential"
        ]

    first, second, other = stage.play(scene)
    assert shared(first, second) <= windows(other)
