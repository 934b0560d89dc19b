"""`[configurations.sharing]`: what it may say, and what of claims it lets pass."""

import re
from pathlib import Path
from typing import Any

import pytest

from safeconduct import limits
from safeconduct.protocols.openid4vci.configuration import (
    SD_CWT,
    SD_JWT,
    ClaimDescription,
    CredentialConfiguration,
)
from safeconduct.protocols.openid4vci.sharing import ShareBinding, ShareRequest
from safeconduct.protocols.openid4vci.sharing_errors import InvalidShareRequest
from safeconduct.protocols.openid4vci.sharing_terms import SharingTerms
from safeconduct.services.issuer import sharing, sharing_rules
from safeconduct.services.issuer.configuration import Catalogue, Kind, load_catalogue
from safeconduct.services.issuer.share_store import Parent
from safeconduct.services.issuer.sharing_rules import SharingRules
from safeconduct.services.issuer.shown_parents import ShownParent
from safeconduct.settings import SettingsError

KIND = """
[[configurations]]
id = "car"
also = { car_jwt = "dc+sd-jwt" }
vct = "v"
status = STATUS
[configurations.claims]
vehicle = { mandatory = true }
owner = { mandatory = true }
"access_rights[]" = {}
"garage.door" = {}
notes = {}
"""
DESCRIBED = (
    ClaimDescription(("vehicle",), mandatory=True),
    ClaimDescription(("owner",), mandatory=True),
    ClaimDescription(("access_rights", None)),
    ClaimDescription(("garage", "door")),
    ClaimDescription(("notes",)),
)
HELD = {
    "vehicle": "A 1",
    "owner": "Erika",
    "access_rights": ["open", "start"],
    "garage": {"door": 4},
    "iss": "https://issuer.example",
    "cnf": {},
}


def _load(folder: Path, sharing: str, *, status: bool = True, bits: int = 2) -> Catalogue:
    (folder / "kinds.toml").write_text(KIND.replace("STATUS", str(status).lower()) + sharing)
    return load_catalogue(
        folder / "kinds.toml",
        issuer="https://issuer.example",
        signing_algorithm=-7,
        credential_lifetime=3600,
        status_list_uri="https://status.example",
        status_list_bits=bits,
    )


def test_the_example_in_the_module_says_what_there_is(tmp_path: Path) -> None:
    text = (sharing_rules.__doc__ or "").partition("\n\n")[2]
    kinds = _load(tmp_path, text)
    for name, format_ in (("car", SD_CWT), ("car_jwt", SD_JWT)):
        assert kinds[name].configuration.format == format_
        assert kinds[name].sharing == SharingRules(
            modes=("share", "move"), rights="access_rights", claims=("vehicle", "access_rights")
        )
        assert kinds[name].configuration.sharing == SharingTerms(
            modes=("share", "move"),
            levels=("link", "pin", "key", "approve"),
            rights="access_rights",
            claims=("vehicle", "access_rights"),
        )


def test_the_example_in_the_guide_can_be_used(tmp_path: Path) -> None:
    guide = Path(__file__).parents[4] / "docs/how-to/describe-credentials.md"
    *_, block = re.findall(r"```toml\n(.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)
    rules = _load(tmp_path, block.partition("\n\n")[2])["car"].sharing
    assert rules is not None
    assert rules.levels == ("pin", "key", "approve")


def test_what_is_not_said_is_careful(tmp_path: Path) -> None:
    assert _load(tmp_path, "")["car"].sharing is None
    rules = _load(tmp_path, "[configurations.sharing]")["car"].sharing
    assert rules is not None
    assert (rules.modes, rules.max_depth, rules.max_receivers) == (("share",), 1, 5)


@pytest.mark.parametrize(
    ("sharing", "message"),
    [
        ('modes = ["copy"]', "Invalid enum value"),
        ("modes = []", "length"),
        ("levels = []", "length"),
        ('levels = ["pin", "pin"]', "twice"),
        ('claims = ["colour"]', "not described"),
        ("claims = []", "length"),
        ('rights = "colour"', "names no claim"),
        ('rights = "garage"', "names no claim"),
        ('rights = "access_rights"\nclaims = ["vehicle"]', "not among"),
        ("max_depth = 0", ">= 1"),
        ("max_depth = 9", "<= 8"),
        ("max_receivers = 0", ">= 1"),
        ("max_receivers = 101", "<= 100"),
        ("colour = 1", "colour"),
    ],
)
def test_a_mistake_is_told_at_the_start(tmp_path: Path, sharing: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        _load(tmp_path, f"[configurations.sharing]\n{sharing}")


def test_what_cannot_be_revoked_is_not_shared_and_what_cannot_be_suspended_not_moved(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="needs status = true"):
        _load(tmp_path, "[configurations.sharing]", status=False)
    with pytest.raises(SettingsError, match="status_list_bits = 2"):
        _load(tmp_path, '[configurations.sharing]\nmodes = ["move"]', bits=1)
    assert _load(tmp_path, "[configurations.sharing]", bits=1)["car"].sharing is not None


def test_the_claims_that_are_named_pass_and_no_registered_one_does() -> None:
    some = SharingRules(claims=("vehicle", "access_rights"))
    assert some.passes(HELD, DESCRIBED) == {"vehicle": "A 1", "access_rights": ["open", "start"]}
    everything = SharingRules().passes(HELD, DESCRIBED)
    assert everything.keys() == {"vehicle", "owner", "access_rights", "garage"}


@pytest.mark.parametrize(
    ("claims", "passed"),
    [
        ({"garage": {}}, {}),
        ({"access_rights": []}, {}),
        ({"garage": {"door": 4, "more": {}}}, {"garage": {"door": 4, "more": {}}}),
        ({"notes": []}, {"notes": []}),  # described as a whole: empty is what it says
        ({"notes": {}}, {"notes": {}}),
        ({"vehicle": ""}, {"vehicle": ""}),
    ],
)
def test_what_only_held_others_is_left_out(claims: dict[str, Any], passed: dict[str, Any]) -> None:
    assert SharingRules().passes(claims, DESCRIBED) == passed


def test_mandatory_claims_are_missed_only_where_they_are_passed_on() -> None:
    without_owner = {"vehicle": "A 1"}
    assert SharingRules().lacks(without_owner, DESCRIBED)
    assert not SharingRules(claims=("vehicle",)).lacks(without_owner, DESCRIBED)
    assert SharingRules(claims=("vehicle",)).lacks({"owner": "Erika"}, DESCRIBED)


@pytest.mark.parametrize(
    ("held", "rights"),
    [
        (["open", "start"], ("open", "start")),
        ([], ()),
        ("open", ()),
        ({"open": True}, ()),
        ([1, None, ["open"], "open"], ("open",)),
    ],
)
def test_rights_are_texts_in_an_array_and_nothing_else(held: Any, rights: tuple[str, ...]) -> None:
    rules = SharingRules(rights="access_rights")
    assert rules.rights_in({"access_rights": held}) == rights
    assert rules.rights_in({}) == ()
    assert SharingRules().rights_in({"access_rights": held}) is None


def test_a35_rights_are_narrowed_and_never_added() -> None:
    rules = SharingRules(rights="access_rights")
    assert rules.narrowed(HELD, ("start",))["access_rights"] == ["start"]
    assert rules.narrowed(HELD, ("start", "sell"))["access_rights"] == ["start"]
    assert "access_rights" not in rules.narrowed(HELD, ("sell",))
    assert "access_rights" not in rules.narrowed(HELD, None)
    assert rules.narrowed({"access_rights": [1, "open"]}, ("open",))["access_rights"] == ["open"]
    assert SharingRules().narrowed(HELD, None) == HELD


def test_more_claims_than_an_offer_can_keep_are_refused() -> None:
    """In JSON, control characters take six times the room that they have in a credential."""
    configuration = CredentialConfiguration(id="car", format=SD_CWT, vct="v", claims=DESCRIBED[:1])
    kind = Kind(configuration=configuration, validity=1, rounding=1, decoys=0, sharing=SharingRules())
    parent = Parent(
        issued_id="p",
        configuration_id="car",
        own_reference=None,
        standing="valid",
        depth=0,
        entitlements=None,
    )
    request = ShareRequest(presentation=b"", format=SD_CWT, mode="share", binding=ShareBinding(level="link"))
    for length, fits in ((40_000, True), (50_000, False)):
        shown = ShownParent(parent=parent, claims={"vehicle": "\1" * length}, not_before=0, expires=1)
        if fits:
            kept, rights = sharing._given_claims(shown, request, kind, SharingRules())
            assert (len(kept) <= limits.JSON_BYTES, rights) == (True, None)
            continue
        with pytest.raises(InvalidShareRequest) as error:
            sharing._given_claims(shown, request, kind, SharingRules())
        assert error.value.code == "share_claims_too_large"
