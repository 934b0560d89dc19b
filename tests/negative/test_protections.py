"""The tests can fail: with one protection patched away, the attack that it stops succeeds."""

from collections.abc import Callable
from typing import Any

import cbor2
import pytest
from tests.negative.builder import (
    CLAIMS,
    EARLY,
    EXP,
    GOOD,
    ISSUED,
    OTHER_KEY,
    OVER_18,
    REDACTED,
    STATE,
    VERSION,
    Presentation,
    check_issued,
    code_of,
    digest,
    disclosure,
    issued_code_of,
    salt,
    verify,
)

from safeconduct.crypto.keys import PublicKey
from safeconduct.formats import redaction
from safeconduct.formats.sd_cwt import holding, token, values, verification

Patch = pytest.MonkeyPatch


def passed_over(*_: Any, **__: Any) -> None:
    """A check that finds nothing wrong."""


def test_forged_claims_pass_without_the_issuers_signature(monkeypatch: Patch) -> None:
    forged = GOOD.claiming({500: "forged"}).but(issuer_key=OTHER_KEY)
    assert code_of(forged) == "signature_invalid"
    monkeypatch.setattr(token, "check_signature", passed_over)
    assert verify(forged).claims[500] == "forged"


def test_a_stolen_token_passes_without_the_signature_of_the_key_binding(monkeypatch: Patch) -> None:
    stolen = GOOD.but(holder_key=OTHER_KEY)
    assert code_of(stolen) == "signature_invalid"
    monkeypatch.setattr(verification.cose, "verify", only_for_the_issuer(verification.cose.verify))
    assert verify(stolen).holder != OTHER_KEY.public


def only_for_the_issuer(check: Callable[..., None]) -> Callable[..., None]:
    def verify_some(message: Any, *, key: PublicKey, accept: Any) -> None:
        if 13 not in message.protected:
            check(message, key=key, accept=accept)

    return verify_some


def test_an_invented_disclosure_passes_without_the_digests(monkeypatch: Patch) -> None:
    invented = disclosure(salt(9), "admiral", "rank")
    forged = GOOD.showing(*GOOD.disclosures, invented)
    assert code_of(forged) == "disclosure_unreferenced"

    def trusting(self: Any, digests: Any, result: dict[Any, Any], depth: int, path: Any) -> None:
        entries(self, digests, result, depth, path)
        if not path:
            result |= {item.key: item.value for item in self.by_digest.values()}
            self.by_digest = {}

    entries = redaction._Revealer.entries
    monkeypatch.setattr(redaction._Revealer, "entries", trusting)
    assert verify(forged.claiming({502: []})).claims["rank"] == "admiral"


def test_an_altered_disclosure_passes_without_the_digests(monkeypatch: Patch) -> None:
    altered = disclosure(salt(1), "ZZZZ-999999", 501)
    forged = GOOD.claiming({502: [], 503: {}, REDACTED: [digest(GOOD.disclosures[0])]}).showing(altered)
    assert code_of(forged) == "disclosure_unreferenced"
    wanted = digest(GOOD.disclosures[0])
    monkeypatch.setattr(token.codec.CborCodec, "index", lambda _self, shown: dict.fromkeys([wanted], *shown))
    assert verify(forged).claims[501] == "ZZZZ-999999"


def test_a_replay_passes_without_the_nonce(monkeypatch: Patch) -> None:
    assert code_of(GOOD, nonce=b"of today") == "nonce_mismatch"
    monkeypatch.setattr(verification, "_check_nonce", passed_over)
    assert verify(GOOD, nonce=b"of today")


def test_a_presentation_to_somebody_else_passes_without_the_audience(monkeypatch: Patch) -> None:
    assert code_of(GOOD, audience="https://shop.example") == "kbt_audience_mismatch"
    monkeypatch.setattr(verification, "_check_audiences", passed_over)
    assert verify(GOOD, audience="https://shop.example")


def test_an_expired_token_passes_without_the_clock(monkeypatch: Patch) -> None:
    assert code_of(GOOD, now=EXP) == "expired"
    monkeypatch.setattr(values, "check_clock", passed_over)
    assert verify(GOOD, now=EXP)


def test_a_key_binding_after_expiry_passes_without_the_order_of_times(monkeypatch: Patch) -> None:
    late = GOOD.claiming({4: CLAIMS[6] + 50})
    assert code_of(late, now=CLAIMS[6] + 40, leeway=200) == "kbt_times"
    monkeypatch.setattr(values, "check_binding_order", passed_over)
    assert verify(late, now=CLAIMS[6] + 40, leeway=200)


def test_added_disclosures_pass_in_the_early_profile_without_sd_hash(monkeypatch: Patch) -> None:
    made = cbor2.dumps(EARLY.showing(STATE, VERSION).key_binding())
    added = EARLY.showing(OVER_18, STATE, VERSION).but(kbt=lambda _: made)
    assert code_of(added, profiles=("seed-2024",)) == "sd_hash_mismatch"

    def unbound(claims: dict[Any, Any], _presented: Any) -> None:
        claims.pop(11)

    monkeypatch.setattr(verification, "_take_sd_hash", unbound)
    assert verify(added, profiles=("seed-2024",)).claims["age_over_18"] is True


def test_a_hidden_mark_passes_the_holder_without_the_one_to_one_rule(monkeypatch: Patch) -> None:
    """A digest that the holder cannot open may carry a mark that identifies it to verifiers."""
    marked = ISSUED.claiming({700: {REDACTED: [digest(disclosure(salt(99), "tracked", "id"))]}})
    assert issued_code_of(marked) == "disclosure_missing"
    reveal_token = token.reveal_token

    def forgetful(*args: Any, **options: Any) -> redaction.Revealed:
        revealed = reveal_token(*args, **options)
        return redaction.Revealed(revealed.trees, 0, revealed.located)

    monkeypatch.setattr(holding.token, "reveal_token", forgetful)
    assert check_issued(marked).claims[700] == {}


def test_a_token_for_another_key_passes_without_the_confirmed_key(monkeypatch: Patch) -> None:
    impostor: Presentation = GOOD.but(holder_key=OTHER_KEY)
    assert code_of(impostor) == "signature_invalid"
    monkeypatch.setattr(verification, "confirmed_key", lambda *_: OTHER_KEY.public)
    assert verify(impostor).holder == OTHER_KEY.public
