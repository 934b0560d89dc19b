"""Signed heads: what they say, whose word counts, and that nothing else passes for one."""

from typing import Any

import msgspec
import pytest

from safeconduct import limits
from safeconduct.crypto.keys import Key
from safeconduct.encoding import json
from safeconduct.envelope import jws
from safeconduct.errors import SafeconductError
from safeconduct.status.card_revocation import heads
from safeconduct.status.card_revocation.heads import Head, LogEnd

ISSUER = "https://issuer.example/shc"
KID = "3Kfdg-XwP-7gXyywtUfUADwBumDOPKMQx-iELL11W9s"
DIGEST = "sha-256:" + "A" * 43
NOW = 1_700_000_000
SIGNER = Key.generate("ES256")
HEAD = Head(
    iss=ISSUER,
    kid=KID,
    method="rid",
    ctr=5,
    iat=NOW,
    exp=NOW + 600,
    count=2,
    digest=DIGEST,
    log=LogEnd(length=48, digest=DIGEST),
)


def signed(claims: Any = None, *, signer: Key = SIGNER, **header: Any) -> str:
    payload = json.dumps({**msgspec.to_builtins(HEAD), **(claims or {})})
    members = {"typ": heads.TYP, "kid": heads.key_id(signer.public), **header}
    return jws.sign(payload, signer=signer, header={n: v for n, v in members.items() if v is not None})


def code_of(text: str, *, now: int = NOW, keys: tuple[Key, ...] = (SIGNER,), **named: str) -> str:
    asked = {"issuer": ISSUER, "kid": KID, **named}
    with pytest.raises(SafeconductError) as caught:
        heads.verify(text, keys=[key.public for key in keys], now=now, **asked)  # type: ignore[arg-type]
    return caught.value.code


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "Ed25519", "ML-DSA-44"])
def test_a_head_is_verified_by_the_key_that_signed_it(algorithm: str) -> None:
    signer = Key.generate(algorithm)
    others = [Key.generate("ES256").public, Key.generate(algorithm).public]

    found = heads.verify(
        heads.sign(HEAD, signer=signer), keys=[*others, signer.public], issuer=ISSUER, kid=KID, now=NOW
    )

    assert found == HEAD


def test_a_head_without_a_log() -> None:
    bare = msgspec.structs.replace(HEAD, log=None)

    text = heads.sign(bare, signer=SIGNER)

    assert heads.verify(text, keys=[SIGNER.public], issuer=ISSUER, kid=KID, now=NOW) == bare
    assert b"log" not in jws.parse(text).payload


def test_a_head_holds_up_to_its_last_second() -> None:
    text = signed()

    assert heads.verify(text, keys=[SIGNER.public], issuer=ISSUER, kid=KID, now=NOW + 600) == HEAD
    assert code_of(text, now=NOW + 601) == "head_expired"


def test_a_head_from_the_future_is_refused() -> None:
    assert code_of(signed({"iat": NOW + limits.CLOCK_SKEW + 1})) == "head_from_the_future"


def test_a_head_of_another_list_is_refused() -> None:
    assert code_of(signed(), issuer="https://another.example") == "head_of_another_list"
    assert code_of(signed(), kid=KID[::-1]) == "head_of_another_list"


def test_a_head_of_another_key_is_refused() -> None:
    stranger = Key.generate("ES256")

    assert code_of(signed(signer=stranger)) == "head_key_unknown"
    assert code_of(signed(signer=stranger, kid=heads.key_id(SIGNER.public))) == "signature_invalid"
    assert code_of(signed(kid=None)) == "head_key_unknown"
    assert code_of(signed(), keys=()) == "head_key_unknown"


@pytest.mark.parametrize("typ", [None, "JWT", "statuslist+jwt", "safeconduct-crl-head"])
def test_what_is_of_another_type_is_no_head(typ: str | None) -> None:
    assert code_of(signed(typ=typ)) == "jws_type"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": None},
        {"kid": "../x"},
        {"ctr": 0},
        {"ctr": "5"},
        {"exp": "never"},
        {"exp": NOW + 0.5},
        {"count": -1},
        {"digest": "A" * 43},
        {"digest": "md5:" + "A" * 43},
        {"log": {"length": 48}},
        {"log": {"length": -1, "digest": DIGEST}},
        {"log": {"length": 48, "digest": "x"}},
    ],
)
def test_claims_of_another_kind_are_refused(claims: dict[str, Any]) -> None:
    assert code_of(signed(claims)) == "head_malformed"


def test_garbage_is_no_head() -> None:
    assert code_of("") == "head_malformed"
    assert code_of("a.b.c") == "head_malformed"
    assert code_of(signed().replace(".", ".A", 1)) in {"head_malformed", "signature_invalid"}
    assert code_of("A" * (limits.HEAD_BYTES + 1)) == "head_malformed"
    assert code_of(
        jws.sign(b"[]", signer=SIGNER, header={"typ": heads.TYP, "kid": heads.key_id(SIGNER.public)})
    ) == ("head_malformed")
