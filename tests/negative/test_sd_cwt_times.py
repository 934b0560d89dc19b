"""Every relation of times: SD-CWT-08 §9 steps 3 and 7, and the clock (RFC 8392 §3.1.4, §3.1.5, §7.2)."""

from typing import Any

import pytest
from tests.negative.builder import GOOD, ISSUED, Presentation, check_issued, code_of, issued_code_of, verify

LABELS = {"exp": 4, "nbf": 5, "iat": 6, "cti": 7}
T = 1_700_000_000


def timed(cwt: dict[str, Any], kbt: dict[str, Any]) -> Presentation:
    """Exactly these times, as distances from T, in each token."""
    bare: dict[int, Any] = dict.fromkeys(LABELS.values(), ...)

    def entries(times: dict[str, Any]) -> dict[int, Any]:
        at = {LABELS[name]: T + value for name, value in times.items() if name != "cti"}
        return {**bare, **at, **({7: times["cti"]} if "cti" in times else {})}

    return GOOD.claiming(entries(cwt)).binding(entries(kbt))


# (relation, SD-CWT, key binding, now, code or None). The clock stands at T where nothing else is said.
STEP_3: list[tuple[str, dict[str, int], str | None]] = [
    ("nbf = iat", {"nbf": -10, "iat": -10}, None),
    ("nbf < iat", {"nbf": -11, "iat": -10}, None),
    ("nbf > iat", {"nbf": -9, "iat": -10}, "cwt_times"),
    ("nbf < exp", {"nbf": -10, "exp": 10}, None),
    ("nbf = exp", {"nbf": 10, "exp": 10}, "cwt_times"),
    ("nbf > exp", {"nbf": 11, "exp": 10}, "cwt_times"),
    ("iat < exp", {"iat": -10, "exp": 10}, None),
    ("iat = exp", {"iat": 10, "exp": 10}, "cwt_times"),
    ("iat > exp", {"iat": 11, "exp": 10}, "cwt_times"),
    ("no times", {}, None),
]


@pytest.mark.parametrize(("cwt", "code"), [row[1:] for row in STEP_3], ids=[row[0] for row in STEP_3])
def test_step_3_the_times_of_the_SD_CWT_agree(cwt: dict[str, int], code: str | None) -> None:
    presentation = timed(cwt, {"iat": 0})
    issued = presentation.but(disclosures=ISSUED.disclosures)
    if code is None:
        verify(presentation, now=T)
        check_issued(issued, now=T)
    else:
        assert code_of(presentation, now=T) == code
        assert issued_code_of(issued, now=T) == code


STEP_7: list[tuple[str, dict[str, Any], dict[str, Any], str | None]] = [
    ("neither iat nor cti", {}, {}, "kbt_iat_or_cti_missing"),
    ("cti alone", {}, {"cti": b"id"}, None),
    ("iat alone", {}, {"iat": 0}, None),
    ("iat and cti", {}, {"iat": 0, "cti": b"id"}, None),
    ("exp without iat", {}, {"cti": b"id", "exp": 10}, "kbt_times"),
    ("nbf without iat", {}, {"cti": b"id", "nbf": -10}, "kbt_times"),
    ("exp and nbf without iat or cti", {}, {"exp": 10, "nbf": -10}, "kbt_iat_or_cti_missing"),
    ("k.nbf = k.iat", {}, {"nbf": 0, "iat": 0}, None),
    ("k.nbf > k.iat", {}, {"nbf": 0, "iat": -1}, "kbt_times"),
    ("k.iat < k.exp", {}, {"iat": 0, "exp": 1}, None),
    ("k.iat = k.exp", {}, {"iat": 1, "exp": 1}, "kbt_times"),
    ("k.iat > k.exp", {}, {"iat": 2, "exp": 1}, "kbt_times"),
    ("k.exp < c.exp", {"exp": 10}, {"iat": 0, "exp": 9}, None),
    ("k.exp = c.exp", {"exp": 10}, {"iat": 0, "exp": 10}, None),
    ("k.exp > c.exp", {"exp": 10}, {"iat": 0, "exp": 11}, "kbt_times"),
    ("k.nbf = c.nbf", {"nbf": -10}, {"iat": 0, "nbf": -10}, None),
    ("k.nbf > c.nbf", {"nbf": -10}, {"iat": 0, "nbf": -9}, None),
    ("k.nbf < c.nbf", {"nbf": -10}, {"iat": 0, "nbf": -11}, "kbt_times"),
    ("k.iat = c.iat", {"iat": 0}, {"iat": 0}, None),
    ("k.iat > c.iat", {"iat": -1}, {"iat": 0}, None),
    ("k.iat < c.iat", {"iat": 0}, {"iat": -1}, "kbt_times"),
    ("k.nbf < c.exp", {"exp": 10}, {"iat": 0, "nbf": 0}, None),
    ("k.nbf = c.exp", {"exp": 10}, {"iat": 20, "nbf": 10}, "kbt_times"),
    ("k.nbf > c.exp", {"exp": 10}, {"iat": 20, "nbf": 11}, "kbt_times"),
    ("k.iat < c.exp", {"exp": 10}, {"iat": 0}, None),
    ("k.iat = c.exp", {"exp": 10}, {"iat": 10}, "kbt_times"),
    ("k.iat > c.exp", {"exp": 10}, {"iat": 11}, "kbt_times"),
    ("k.iat = c.nbf", {"nbf": 0}, {"iat": 0}, None),
    ("k.iat > c.nbf", {"nbf": -1}, {"iat": 0}, None),
    ("k.iat < c.nbf", {"nbf": 0}, {"iat": -1}, "kbt_times"),
    ("cti alone, SD-CWT with all times", {"exp": 10, "nbf": -10, "iat": -5}, {"cti": b"id"}, None),
]


@pytest.mark.parametrize(("cwt", "kbt", "code"), [row[1:] for row in STEP_7], ids=[row[0] for row in STEP_7])
def test_step_7_the_times_of_the_key_binding_agree(
    cwt: dict[str, Any], kbt: dict[str, Any], code: str | None
) -> None:
    if code is None:
        verify(timed(cwt, kbt), now=T)
    else:
        assert code_of(timed(cwt, kbt), now=T) == code


def test_each_relation_of_step_7_is_refused_by_itself() -> None:
    """The message says which one, so a case above cannot pass for the reason of another."""
    reasons = {
        ("k.nbf > k.iat",): "nbf of the key binding is later than its iat",
        ("k.iat = k.exp",): "iat of the key binding is not before its exp",
        ("k.exp > c.exp",): "outlives",
        ("k.nbf < c.nbf",): "nbf of the key binding is before the SD-CWT's",
        ("k.iat < c.iat",): "iat of the key binding is before the SD-CWT's",
        ("k.nbf = c.exp", "k.nbf > c.exp"): "nbf of the key binding is not before the SD-CWT's exp",
        ("k.iat = c.exp", "k.iat > c.exp"): "iat of the key binding is not before the SD-CWT's exp",
        ("k.iat < c.nbf",): "iat of the key binding is before the SD-CWT's nbf",
    }
    rows = {row[0]: row for row in STEP_7}
    for names, reason in reasons.items():
        for name in names:
            _, cwt, kbt, _ = rows[name]
            with pytest.raises(Exception, match=reason):
                verify(timed(cwt, kbt), now=T)


def test_times_of_the_CWT_Claims_header_count_like_those_of_the_payload() -> None:
    in_header = timed({}, {"iat": 0}).headed({15: {4: T + 10, 5: T - 10, 6: T - 5}})
    verify(in_header, now=T)
    assert code_of(in_header, now=T + 10) == "expired"
    assert code_of(timed({}, {"iat": 0}).headed({15: {4: T + 10, 5: T + 10}}), now=T) == "cwt_times"
    assert code_of(timed({"exp": 10}, {"iat": 0}).headed({15: {6: T + 10}}), now=T) == "cwt_times"


def test_an_integer_and_a_float_compare_exactly() -> None:
    assert code_of(timed({"nbf": 0.5, "iat": 0}, {"iat": 1}), now=T + 1) == "cwt_times"
    verify(timed({"nbf": 0.5, "iat": 0.5}, {"iat": 1}), now=T + 1)


# The clock

CLOCK: list[tuple[str, dict[str, int], dict[str, int], int, int, str | None]] = [
    ("one second before exp", {"exp": 10}, {"iat": 0}, 9, 0, None),
    ("at exp", {"exp": 10}, {"iat": 0}, 10, 0, "expired"),
    ("after exp", {"exp": 10}, {"iat": 0}, 11, 0, "expired"),
    ("after exp within the leeway", {"exp": 10}, {"iat": 0}, 14, 5, None),
    ("after exp at the end of the leeway", {"exp": 10}, {"iat": 0}, 15, 5, "expired"),
    ("at nbf", {"nbf": 0}, {"iat": 0}, 0, 0, None),
    ("before nbf", {"nbf": 0}, {"iat": 0}, -1, 0, "not_yet_valid"),
    ("before nbf within the leeway", {"nbf": 0}, {"iat": 0}, -5, 5, None),
    ("before nbf beyond the leeway", {"nbf": 0}, {"iat": 0}, -6, 5, "not_yet_valid"),
    ("before exp of the key binding", {}, {"iat": 0, "exp": 10}, 9, 0, None),
    ("at exp of the key binding", {}, {"iat": 0, "exp": 10}, 10, 0, "expired"),
    ("at exp of the key binding within the leeway", {}, {"iat": 0, "exp": 10}, 12, 5, None),
    ("at nbf of the key binding", {}, {"iat": 0, "nbf": 0}, 0, 0, None),
    ("before nbf of the key binding", {}, {"iat": 0, "nbf": 0}, -1, 0, "not_yet_valid"),
    ("at iat of the key binding", {}, {"iat": 0}, 0, 0, None),
    ("before iat of the key binding", {}, {"iat": 0}, -1, 0, "kbt_from_future"),
    ("before iat of the key binding within the leeway", {}, {"iat": 0}, -5, 5, None),
    ("before iat of the key binding beyond the leeway", {}, {"iat": 0}, -6, 5, "kbt_from_future"),
]


@pytest.mark.parametrize(
    ("cwt", "kbt", "now", "leeway", "code"), [row[1:] for row in CLOCK], ids=[row[0] for row in CLOCK]
)
def test_the_clock_lies_within_the_times(
    cwt: dict[str, int], kbt: dict[str, int], now: int, leeway: int, code: str | None
) -> None:
    if code is None:
        verify(timed(cwt, kbt), now=T + now, leeway=leeway)
    else:
        assert code_of(timed(cwt, kbt), now=T + now, leeway=leeway) == code


@pytest.mark.parametrize(
    ("cwt", "now", "leeway", "code"),
    [(row[1], *row[3:]) for row in CLOCK[:9]],
    ids=[row[0] for row in CLOCK[:9]],
)
def test_the_holders_check_compares_with_the_clock_too(
    cwt: dict[str, int], now: int, leeway: int, code: str | None
) -> None:
    issued = timed(cwt, {"iat": 0}).but(disclosures=ISSUED.disclosures)
    if code is None:
        check_issued(issued, now=T + now, leeway=leeway)
    else:
        assert issued_code_of(issued, now=T + now, leeway=leeway) == code


@pytest.mark.parametrize(
    ("kbt", "now", "code"),
    [
        ({"iat": 0}, 60, None),
        ({"iat": 0}, 61, "kbt_too_old"),
        ({"cti": b"id"}, 0, "kbt_too_old"),
    ],
)
def test_a_policy_may_bound_the_age_of_the_key_binding(
    kbt: dict[str, Any], now: int, code: str | None
) -> None:
    if code is None:
        verify(timed({}, kbt), now=T + now, max_age=60)
    else:
        assert code_of(timed({}, kbt), now=T + now, max_age=60) == code
    verify(timed({}, {"iat": 0}), now=T + 65, max_age=60, leeway=5)
