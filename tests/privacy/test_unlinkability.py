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


def shared(first: bytes, second: bytes, *, public: bytes) -> set[bytes]:
    """What two have in common for `BYTES` bytes, none of it beside what is in `public` as well.

    A piece that only touches something public, and goes on by chance for a byte or two, does not count.
    """
    known = windows(public, BYTES // 2)
    both = windows(first, BYTES) & windows(second, BYTES)
    return {piece for piece in both if not windows(piece, BYTES // 2) & known}


def windows(content: bytes, size: int) -> set[bytes]:
    return {content[start : start + size] for start in range(len(content) - size + 1)}


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
    assert shared(first, second, public=other) == set()
    # A credential that is shown twice can be recognised by the same comparison, so it can fail.
    assert shared(first, again, public=other) != set()


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
    assert shared(first, second, public=twin) == set()


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
    assert shared(first, second, public=other) == set()


def test_the_comparison_finds_a_salt_and_ignores_what_touches_public_bytes() -> None:
    public = b"https://issuer.example/identity"
    salt = bytes(range(200, 216))
    first, second = b"1" + public + b"\x01\x02" + salt + b"3", b"2" + public + b"\x01\x05" + salt + b"4"
    assert shared(first, second, public=b"?" + public) == {salt}
    assert shared(public + b"\x01\x02\x03", public + b"\x01\x02\x04", public=public) == set()
