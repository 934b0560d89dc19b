"""S1: a holder shows its credential to the issuer and gets an offer for somebody else, or why it does not."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests import pki
from tests.flows.sharing_stage import (
    CLAIMS,
    DISCLOSED,
    FORMATS,
    Holder,
    change,
    offered,
    owner,
    parent_id,
    play,
    receiver,
    refused,
    sharing_house,
    tampered,
    thumbprint,
)
from tests.flows.small_wallet import ISSUER, NOW, House, SmallWallet

from safeconduct import limits
from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64, json
from safeconduct.formats import sd_jwt
from safeconduct.protocols.openid4vci.sharing import share_id_of
from safeconduct.services import signing_keys

DAY = 86400
NAME = "a-request-of-the-test-0001"


@pytest.mark.parametrize("kind", FORMATS)
def test_a_holder_gets_an_offer_for_somebody_else(tmp_path: Path, kind: str) -> None:
    async def story(house: House) -> None:
        holder = await owner(house, kind)
        answer = await holder.ask(entitlements=["open", "trunk"])
        share = answer.json()
        assert answer.status == 201
        assert answer.headers["cache-control"] == "no-store"
        assert share.keys() == {"share_id", "credential_offer", "expires_at", "level", "mode"}
        assert (share["level"], share["mode"], share["expires_at"]) == ("link", "share", NOW + DAY)
        offer = offered(share)
        assert (offer.credential_issuer, offer.credential_configuration_ids[0]) == (ISSUER, kind)
        assert offer.pre_authorized is not None
        assert offer.pre_authorized.tx_code is None
        (listed,) = await holder.listed()
        assert listed == {
            "share_id": share["share_id"],
            "state": "pending",
            "mode": "share",
            "level": "link",
            "created_at": NOW,
            "expires_at": NOW + DAY,
            "pinned": False,
            "entitlements": ["open", "trunk"],
            "credential_expires": (NOW + 30 * DAY) // DAY * DAY,
        }

    play(tmp_path, story)


def test_the_challenge_is_for_this_issuer_and_nothing_is_kept_of_it(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        holder = await owner(house)
        first, second = await holder.challenge(), await holder.challenge()
        assert first.keys() == {"nonce", "audience", "expires_in"}
        assert (first["audience"], first["expires_in"]) == (ISSUER, 300)
        assert first["nonce"] != second["nonce"]
        answer = await house.fetcher.request("POST", f"{ISSUER}/share-challenge", content=b"x")
        assert answer.status == 413

    play(tmp_path, story)


def test_the_transaction_code_is_beside_the_offer_and_never_in_it(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        share = await (await owner(house)).share(level="pin")
        grant = offered(share).pre_authorized
        assert grant is not None
        assert grant.tx_code is not None
        assert grant.tx_code.length == len(share["tx_code"]) == 6
        assert share["tx_code"] not in str(share["credential_offer"])

    play(tmp_path, story)


# The order of verification: message, signatures, nonce, place, policy.


def test_what_is_no_request_is_refused(tmp_path: Path) -> None:
    bodies = (
        (b"", "invalid_share_request", 400),
        (b"rubbish", "invalid_share_request", 400),
        (b"[" * 10_000, "invalid_share_request", 400),
        (b"{}", "invalid_share_request", 400),
        (b'{"format":"dc+sd-jwt","format":"dc+sd-jwt"}', "invalid_share_request", 400),
        (b" " * (limits.SHARE_REQUEST_BYTES + 1), "invalid_request", 413),
    )

    async def story(house: House) -> None:
        holder = await owner(house)
        for body, error, status in bodies:
            refused(await holder.post("/shares", body), error, status=status)
            refused(await holder.post("/shares/access", body), error, status=status)
        answer = await house.fetcher.request(
            "POST", f"{ISSUER}/shares", headers={"Content-Type": "text/plain"}, content=b"{}"
        )
        assert answer.status == 415

    play(tmp_path, story)


SENSELESS: tuple[dict[str, Any], ...] = (
    {"mode": "steal"},
    {"binding": {"level": "friendship"}},
    {"binding": {}},
    {"binding": {"level": "key"}},
    {"binding": {"level": "key", "jkt": "short"}},
    {"binding": {"level": "key", "jkt": "A" * 44}},
    {"binding": {"level": "approve", "jkt": "A" * 43}},
    {"binding": {"level": "pin", "jkt": "A" * 43}},
    {"entitlements": []},
    {"entitlements": ["open", "open"]},
    {"entitlements": "open"},
    {"entitlements": [1]},
    {"expires": NOW},
    {"expires": NOW - 1},
    {"expires": -1},
    {"expires": "2030"},
    {"expires": True},
    {"not_before": NOW + 2 * DAY, "expires": NOW + DAY},
    {"lifetime": 0},
    {"lifetime": limits.OFFER_SECONDS + 1},
    {"request_id": "short"},
    {"request_id": "with space and more characters"},
    {"format": "mso_mdoc"},
)


def test_a_request_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        holder = await owner(house)
        for members in SENSELESS:
            body = {**await holder.shown(), "mode": "share", "binding": {"level": "link"}, **members}
            refused(await holder.post("/shares", body), "invalid_share_request")
        assert await holder.listed() == []

    play(tmp_path, story)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_presentation_that_is_not_good_is_refused(tmp_path: Path, kind: str) -> None:
    async def story(house: House) -> None:
        holder = await owner(house, kind)
        for path in ("/shares", "/shares/access"):
            for bad in (
                await holder.shown(audience="https://elsewhere.example"),
                await holder.shown(now=NOW + 3600),
                tampered(await holder.shown()),
            ):
                body = {**bad, "mode": "share", "binding": {"level": "link"}}
                refused(await holder.post(path, body), "invalid_presentation")
        assert await holder.listed() == []

    play(tmp_path, story)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_credential_of_another_key_or_issuer_is_refused(tmp_path: Path, kind: str) -> None:
    """Signed by one who is not this issuer, in its name: nobody shares what it never issued."""

    async def story(house: House) -> None:
        holder = await owner(house, kind)
        (other := tmp_path / "other").mkdir()
        async with sharing_house(other) as elsewhere:
            forged = await owner(elsewhere, kind)
        forged.house = house
        refused(await forged.ask(), "invalid_presentation")
        assert await holder.listed() == []

    play(tmp_path, story)


def test_rubbish_for_a_presentation_is_refused(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        holder = await owner(house)
        for format_ in FORMATS.values():
            for text in ("~", "a.b.c~", "AAAA", "A" * 380_000, "é"):
                answer = await holder.ask(shown={"presentation": text, "format": format_})
                refused(answer, "invalid_presentation")
            answer = await holder.ask(shown={"presentation": "", "format": format_})
            refused(answer, "invalid_share_request")

    play(tmp_path, story)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_nonce_is_good_once_and_only_ours(tmp_path: Path, kind: str) -> None:
    async def story(house: House) -> None:
        holder = await owner(house, kind)
        shown = await holder.shown()
        assert (await holder.ask(shown=shown)).status == 201
        refused(await holder.ask(shown=shown), "invalid_nonce")
        refused(await holder.post("/shares/access", shown), "invalid_nonce")
        access = await holder.shown(())
        assert (await holder.post("/shares/access", access)).status == 200
        refused(await holder.ask(shown=access), "invalid_nonce")
        foreign = await holder.shown(nonce=b64.encode(bytes(56)))
        refused(await holder.ask(shown=foreign), "invalid_nonce")
        for_proofs = await holder.shown(nonce=await holder.wallet.nonces())
        refused(await holder.ask(shown=for_proofs), "invalid_nonce")
        old = await holder.shown()
        house.clock.now += 301
        refused(await holder.ask(shown=old), "invalid_nonce")
        assert len(await holder.states()) == 1

    play(tmp_path, story)


def test_of_two_copies_of_a_presentation_at_once_one_makes_a_share(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        holder = await owner(house)
        shown = await holder.shown()
        answers = await asyncio.gather(*(holder.ask(shown=shown) for _ in range(4)))
        assert sorted(answer.status for answer in answers) == [201, 400, 400, 400]
        assert len(await holder.states()) == 1

    play(tmp_path, story, database=f"sqlite:///{tmp_path}/issuer.db")


def test_a_nonce_is_not_spoilt_by_who_cannot_sign(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        holder = await owner(house)
        challenge = await holder.challenge()
        stolen = await holder.shown(nonce=challenge["nonce"])
        refused(await holder.ask(shown=tampered(stolen)), "invalid_presentation")
        assert (await holder.ask(shown=stolen)).status == 201

    play(tmp_path, story)


def test_who_has_no_valid_credential_shares_nothing(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        holder = await owner(house)
        (issued,) = (await house.manage("GET", "/issued")).json()["issued"]
        await change(house, issued["issued_id"], "suspend")
        refused(await holder.ask(), "parent_invalid", status=403)
        assert await holder.listed() == []  # but it may look
        await change(house, issued["issued_id"], "reinstate")
        assert (await holder.ask()).status == 201
        await change(house, issued["issued_id"], "revoke")
        refused(await holder.ask(), "parent_invalid", status=403)
        await holder.open_access()
        assert await holder.states() == ["cancelled"]

    play(tmp_path, story)


def test_who_holds_an_expired_credential_shares_nothing_and_sees_nothing(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        holder = await owner(house)
        house.clock.now += 31 * DAY
        for path in ("/shares", "/shares/access"):
            shown = await holder.shown(now=NOW)
            body = {**shown, "mode": "share", "binding": {"level": "link"}}
            refused(await holder.post(path, body), "parent_invalid", status=403)

    play(tmp_path, story)


def test_what_the_issuer_does_not_remember_is_not_shared(tmp_path: Path) -> None:
    """Its own signature, but no row: a credential of a database that was lost, or of another tenant."""

    async def story(house: House) -> None:
        holder = await owner(house)
        async with sharing_house(tmp_path) as anew:
            holder.house = anew
            refused(await holder.ask(), "parent_invalid", status=403)

    play(tmp_path, story)


def test_a_kind_says_whether_and_how_it_is_shared(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        holder = await owner(house)
        for wanted in ({"mode": "move"}, {"level": "link"}, {"level": "approve"}):
            refused(await holder.ask(**wanted), "sharing_not_allowed", status=403)
        assert (await holder.ask(level="pin")).status == 201

    play(tmp_path, story, sharing=f'{_with_depth(1)}\nlevels = ["pin"]')


def test_a_kind_that_does_not_speak_of_sharing_is_not_shared(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        refused(await (await owner(house)).ask(), "sharing_not_allowed", status=403)
        answer = await house.fetcher.request("GET", f"{ISSUER}/.well-known/openid-credential-issuer")
        assert b"sharing" not in answer.body

    play(tmp_path, story, sharing="")


def test_a34_what_was_received_is_not_shared_on(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender = await owner(house)
        friend = await receiver(house, await sender.share())
        refused(await friend.ask(), "sharing_not_allowed", status=403)
        assert await friend.listed() == []

    play(tmp_path, story)


def test_a34_as_deep_as_the_kind_allows_and_no_deeper(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        sender = await owner(house)
        friend = await receiver(house, await sender.share(entitlements=["open", "start"]))
        friends_friend = await receiver(
            house, await friend.share(entitlements=["open"], disclose=DISCLOSED[:2])
        )
        assert (await friends_friend.claims())["access_rights"] == ["open"]
        refused(await friends_friend.ask(disclose=DISCLOSED[:2]), "sharing_not_allowed", status=403)

    play(tmp_path, story, sharing=_with_depth(2))


def _with_depth(depth: int) -> str:
    return f"""
[configurations.sharing]
rights = "access_rights"
claims = ["vehicle", "access_rights"]
max_depth = {depth}
"""


# Rights, claims and times: never more than was shown.


@pytest.mark.parametrize("kind", FORMATS)
def test_a35_more_rights_than_were_shown_are_refused(tmp_path: Path, kind: str) -> None:
    cases = (
        (DISCLOSED, ["open", "sell"]),
        (DISCLOSED[:2], ["open", "start"]),  # held, but not shown
        (DISCLOSED[:1], ["open"]),
    )

    async def story(house: House) -> None:
        holder = await owner(house, kind)
        for disclose, wanted in cases:
            refused(await holder.ask(disclose=disclose, entitlements=wanted), "entitlement_exceeds_parent")
        assert await holder.listed() == []

    play(tmp_path, story)


def test_a35_a_kind_without_rights_gives_none(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        holder = await owner(house)
        disclose = [*DISCLOSED, "owner"]
        refused(await holder.ask(disclose=disclose, entitlements=["open"]), "entitlement_exceeds_parent")
        share = await holder.share(disclose=disclose)
        (listed,) = await holder.listed()
        assert "entitlements" not in listed
        assert (await (await receiver(house, share)).claims())["access_rights"] == CLAIMS["access_rights"]

    play(tmp_path, story, sharing="[configurations.sharing]")


def test_a_claim_that_the_new_credential_must_have_is_shown(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        holder = await owner(house)
        refused(await holder.ask(disclose=DISCLOSED[1:]), "invalid_share_request")
        assert (await holder.ask()).status == 201  # the owner is mandatory, but not passed on

    play(tmp_path, story)


@pytest.mark.parametrize("kind", FORMATS)
def test_the_new_credential_is_valid_no_longer_than_the_old_one(tmp_path: Path, kind: str) -> None:
    async def story(house: House) -> None:
        holder = await owner(house, kind)
        held = await holder.claims()
        refused(await holder.ask(expires=held["exp"] + 1), "validity_exceeds_parent")
        refused(await holder.ask(not_before=held["nbf"] - 1), "validity_exceeds_parent")
        share = await holder.share(expires=held["exp"], not_before=held["nbf"])
        assert share["expires_at"] == NOW + DAY

    play(tmp_path, story)


def test_an_offer_lives_as_long_as_asked_and_allowed(tmp_path: Path) -> None:
    cases = (
        ({"lifetime": 600}, NOW + 600),
        ({"lifetime": 2 * DAY}, NOW + DAY),  # no more than the setting
        ({"expires": NOW + 300}, NOW + 300),  # an offer that outlives its credential is of no use
    )

    async def story(house: House) -> None:
        holder = await owner(house)
        for members, expires_at in cases:
            assert (await holder.share(**members))["expires_at"] == expires_at

    play(tmp_path, story)


def test_there_is_room_for_so_many_shares(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        holder = await owner(house)
        shares = [await holder.share() for _ in range(3)]
        refused(await holder.ask(), "too_many_shares", status=429)
        assert await holder.end(shares[0]) == {"outcome": "cancelled", "state": "cancelled"}
        assert (await holder.ask()).status == 201

    play(tmp_path, story)


def test_of_many_at_once_no_more_than_there_is_room_for_are_made(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        holder = await owner(house)
        answers = await asyncio.gather(*(holder.ask() for _ in range(8)))
        assert sorted(answer.status for answer in answers) == [201] * 3 + [429] * 5
        assert len(await holder.states()) == 3

    play(tmp_path, story, database=f"sqlite:///{tmp_path}/issuer.db")


def test_a_request_that_is_repeated_makes_no_second_share_and_its_name_is_known(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        holder = await owner(house)
        share = await holder.share(request_id=NAME)
        assert share["share_id"] == share_id_of(ISSUER, NAME)
        refused(await holder.ask(request_id=NAME), "share_exists", status=409)
        assert len(await holder.states()) == 1
        # The answer was lost: its sender can take back what may have been made.
        assert await holder.end({"share_id": share_id_of(ISSUER, NAME)}) == {
            "outcome": "cancelled",
            "state": "cancelled",
        }
        stranger = await owner(house)
        refused(await stranger.ask(request_id=NAME), "share_exists", status=409)

    play(tmp_path, story)


def test_the_metadata_say_where_and_how(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        wallet = SmallWallet(house.fetcher, house.clock)
        metadata = await wallet.metadata()
        assert metadata.sharing is not None
        assert metadata.sharing.challenge_endpoint == f"{ISSUER}/share-challenge"
        assert metadata.sharing.shares_endpoint == f"{ISSUER}/shares"
        assert metadata.sharing.access_endpoint == f"{ISSUER}/shares/access"
        for kind in FORMATS:
            terms = metadata.configuration(kind).sharing
            assert terms is not None
            assert terms.modes == ("share", "move")
            assert terms.levels == ("link", "pin", "key", "approve")
            assert (terms.rights, terms.claims) == ("access_rights", ("vehicle", "access_rights", "garage"))

    play(tmp_path, story)


def test_a_batch_is_one_credential_to_share(tmp_path: Path) -> None:
    """Any instance may be shown; they count together, so that a batch is no way to more shares."""

    async def story(house: House) -> None:
        wallet = await house.holder(await house.offer(configuration_id="car_jwt", claims=dict(CLAIMS)))
        keys = [Key.generate("ES256") for _ in range(2)]
        given = wallet.given(await wallet.ask(holders=keys), keys=2).credentials
        instances = []
        for key, credential in zip(keys, given, strict=True):
            own = house.wallet()
            own.holder = key
            instances.append(Holder(house, own, "car_jwt", credential, None))
        for instance in (*instances, instances[0]):
            await instance.share()
        refused(await instances[1].ask(), "too_many_shares", status=429)
        assert len(await instances[1].states()) == 3

    play(tmp_path, story)


def test_a_share_with_a_key_is_pinned_from_the_start(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        holder, friend = await owner(house), Key.generate("ES256")
        share = await holder.share(level="key", jkt=thumbprint(friend))
        (listed,) = await holder.listed()
        assert (share["level"], listed["pinned"]) == ("key", True)
        assert thumbprint(friend) not in str(listed)

    play(tmp_path, story)


def test_a_credential_without_its_place_in_a_list_is_not_shared(tmp_path: Path) -> None:
    """A look-alike of a verified one: the place is what the row is found by, so another's is of no use."""

    async def story(house: House) -> None:
        holder = await owner(house, "car_jwt")
        jwt, *rest = holder.credential.split("~")
        header, payload, signature = jwt.split(".")
        claims = json.loads_object(b64.decode(payload))
        claims["status"]["status_list"]["idx"] += 1
        moved = ".".join([header, b64.encode(json.dumps(claims)), signature])
        shown = await holder.shown(credential="~".join([moved, *rest]))
        refused(await holder.ask(shown=shown), "invalid_presentation")

    play(tmp_path, story)


def test_the_presentation_is_of_the_credential_alone_and_not_delegated(tmp_path: Path) -> None:
    """A presentation without key binding is a copy, not a holder."""

    async def story(house: House) -> None:
        holder = await owner(house, "car_jwt")
        shown = await holder.shown()
        bare = shown["presentation"].rpartition("~")[0] + "~"
        assert sd_jwt.parse(bare, profiles=(sd_jwt.SD_JWT_VC,)).binding is None
        refused(await holder.ask(shown={"presentation": bare, "format": "dc+sd-jwt"}), "invalid_presentation")

    play(tmp_path, story)


def test_the_parent_of_a_share_is_found_by_management(tmp_path: Path) -> None:
    async def story(house: House) -> None:
        share = await (await owner(house)).share()
        (issued,) = (await house.manage("GET", "/issued")).json()["issued"]
        assert await parent_id(house, share) == issued["issued_id"]

    play(tmp_path, story)


def test_a_credential_of_a_key_that_was_replaced_or_certified_is_shared(tmp_path: Path) -> None:
    """Any key counts that the issuer publishes, and its own chain needs no anchor."""
    key = Key.generate("ES256")
    (tmp_path / "issuer.pem").write_text(key.to_pem(private=True))
    chain = pki.Authority.root().authority("CA").chain(key, uris=[ISSUER])
    (tmp_path / "chain.pem").write_text(pki.pem(*chain))
    (tmp_path / "plain").mkdir()

    async def certified(house: House) -> None:
        holder = await owner(house, "car_jwt")
        assert b"x5c" in b64.decode(holder.credential.split(".")[0])
        assert (await holder.ask()).status == 201

    async def replaced(house: House) -> None:
        holder = await owner(house)
        signing_keys.rotate(tmp_path / "plain" / "issuer.pem", overlap=600, now=NOW)
        assert (await holder.ask()).status == 201
        friend = await receiver(house, await holder.share())
        await friend.claims()

    play(tmp_path, certified, signing_certificate=tmp_path / "chain.pem")
    play(tmp_path / "plain", replaced)
