"""The seal of a ribbon: whose it is, of which bytes, and how long."""

import msgspec
import pytest
from tests.unit.status.compact.test_ribbon import ISSUER, KID, made, rids

from safeconduct import Key
from safeconduct.encoding import json
from safeconduct.envelope import jws
from safeconduct.errors import SafeconductError
from safeconduct.status.card_revocation.heads import key_id
from safeconduct.status.compact import ribbon_file
from safeconduct.status.compact.ribbon_seal import TYP, read_unverified, seal, verify
from safeconduct.status.states import REVOKED

NOW = 1_800_000_000
KEY, OTHER = Key.generate("ES256"), Key.generate("EdDSA")
EVERY = rids(500)
FILE = ribbon_file.encode(made(dict.fromkeys(EVERY[:5]), EVERY))
SEALED = seal(FILE, signer=KEY, now=NOW, lifetime=100)


def refusal(data: bytes, *, key: Key = KEY, now: int = NOW) -> str:
    with pytest.raises(SafeconductError) as refused:
        verify(data, keys=[key.public], now=now)
    return refused.value.code


def with_seal(*, header: dict[str, str] | None = None, **changes: object) -> bytes:
    """The ribbon with a seal that says something else."""
    claims = {**msgspec.to_builtins(read_unverified(SEALED)[1]), **changes}
    given = {name: value for name, value in claims.items() if value is not None}
    protected = {"typ": TYP, "kid": key_id(KEY.public), **(header or {})}
    return FILE + jws.sign(json.dumps(given), signer=KEY, header=protected).encode()


def test_a_sealed_ribbon_says_the_same_as_before() -> None:
    ribbon = verify(SEALED, keys=[OTHER.public, KEY.public], now=NOW + 100)

    assert ribbon.status(EVERY[0], 1) == REVOKED
    assert SEALED.startswith(FILE)
    assert read_unverified(SEALED)[1].iss == ISSUER
    assert verify(seal(FILE, signer=OTHER, now=NOW, lifetime=1), keys=[OTHER.public], now=NOW).kid == KID


def test_a_new_seal_takes_the_place_of_the_old_one() -> None:
    anew = seal(SEALED, signer=KEY, now=NOW + 50, lifetime=100)

    assert anew.startswith(FILE)
    assert len(anew) == len(SEALED)
    verify(anew, keys=[KEY.public], now=NOW + 150)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (FILE, "ribbon_not_sealed"),
        (FILE + b"\xff", "ribbon_seal_malformed"),
        (FILE + b"a.b.c", "ribbon_seal_malformed"),
        (SEALED + b"\n", "ribbon_seal_malformed"),
        (with_seal(iss=None), "ribbon_seal_malformed"),
        (with_seal(exp="1"), "ribbon_seal_malformed"),
        (with_seal(header={"typ": "safeconduct-crl-head+jwt"}), "jws_type"),
        (with_seal(iss="https://other.example"), "ribbon_seal_mismatch"),
        (with_seal(kid="B" * 43), "ribbon_seal_mismatch"),
        (with_seal(ctr=8), "ribbon_seal_mismatch"),
        (with_seal(digest="sha-256:" + "A" * 43), "ribbon_seal_mismatch"),
        (with_seal(exp=NOW - 1), "ribbon_expired"),
        (with_seal(iat=NOW + 61), "ribbon_from_the_future"),
        (SEALED[:-10] + b"AAAAAAAAAA", "signature_invalid"),
        (SEALED[:100], "ribbon_malformed"),
    ],
)
def test_another_seal_is_refused(data: bytes, code: str) -> None:
    assert refusal(data) == code


def test_a_key_that_is_not_known_seals_nothing() -> None:
    assert refusal(SEALED, key=OTHER) == "ribbon_key_unknown"
    named = with_seal(header={"kid": key_id(OTHER.public)})
    assert refusal(named, key=OTHER) in {"signature_invalid", "algorithm_unsupported"}


def test_the_seal_of_one_ribbon_is_not_that_of_another() -> None:
    other = ribbon_file.encode(made(dict.fromkeys(EVERY[:4]), EVERY))

    assert refusal(other + SEALED[len(FILE) :]) == "ribbon_seal_mismatch"
