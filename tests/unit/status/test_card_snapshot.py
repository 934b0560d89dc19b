"""A directory's snapshot, with faults that the real one does not have."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from tests import packs, pki
from tests.packs import KEY
from tests.snapshots import TIME, der, snapshot

from safeconduct import limits
from safeconduct.crypto.keys import Key
from safeconduct.crypto.x509 import Certificate
from safeconduct.errors import Malformed, Rejected, SafeconductError
from safeconduct.status import card_snapshot
from safeconduct.status.card_revocation.crl import RevocationList

NOW = packs.NOW
JWK = KEY.entries()[0]
CRL = {"kid": KEY.kid, "method": "rid", "ctr": 3, "rids": ["a", "b.5"]}
ISSUER = {"issuer": {"iss": packs.ISSUER, "name": "One"}, "keys": [JWK], "crls": [CRL], "lastRetrieved": TIME}


def test_issuers_come_with_their_keys_and_lists() -> None:
    (issuer,) = card_snapshot.parse(snapshot(ISSUER)).issuers

    assert (issuer.url, issuer.name, issuer.retrieved) == (packs.ISSUER, "One", NOW)
    assert issuer.keys.get(KEY.kid) == KEY
    (listed,) = issuer.lists
    assert listed.found == RevocationList(kid=KEY.kid, ctr=3, entries={"a": None, "b": 5})


@pytest.mark.parametrize(
    ("entry", "keys", "lists"),
    [
        ({**ISSUER, "keys": [JWK, {"kty": "RSA"}, 5]}, 1, [True]),
        ({**ISSUER, "crls": [{**CRL, "ctr": 0}]}, 1, [False]),
        ({**ISSUER, "crls": [{**CRL, "rids": ["a", "a"]}, 5, {}]}, 1, [False]),
        ({**ISSUER, "crls": None}, 1, []),
        ({**ISSUER, "crls": "x"}, 1, []),
    ],
)
def test_what_is_wrong_with_one_key_or_list_does_not_harm_the_others(
    entry: dict[str, Any], keys: int, lists: list[bool]
) -> None:
    (issuer,) = card_snapshot.parse(snapshot(entry)).issuers

    assert len(issuer.keys.keys) == keys
    assert [listed.found is not None for listed in issuer.lists] == lists


@pytest.mark.parametrize(
    "entry",
    [5, {}, {"issuer": 5, "keys": []}, {"issuer": {"iss": 5}, "keys": []}, {"issuer": {"iss": packs.ISSUER}}]
    + [{"issuer": {"iss": url}, "keys": []} for url in ("", "http://x.example", "https://x.example/")],
)
def test_what_is_no_issuer_is_left_out_and_counted(entry: Any) -> None:
    found = card_snapshot.parse(snapshot(entry, ISSUER))

    assert [issuer.url for issuer in found.issuers] == [packs.ISSUER]
    assert found.refused == 1


def test_of_an_issuer_that_stands_twice_the_first_counts() -> None:
    found = card_snapshot.parse(snapshot(ISSUER, {**ISSUER, "keys": []}))

    assert len(found.issuers) == 1
    assert found.issuers[0].keys.get(KEY.kid) is not None


@pytest.mark.parametrize("when", ["2031-01-01T00:00:00Z", "soon", None, "2023-11-14T22:13:20", 5])
def test_keys_are_never_newer_than_thesnapshot(when: Any) -> None:
    (issuer,) = card_snapshot.parse(snapshot({**ISSUER, "lastRetrieved": when})).issuers

    assert issuer.retrieved == NOW


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        snapshot(time="soon"),
        snapshot(issuerInfo=5),
        snapshot(time=None),
        b'{"a":1,"a":1}',
    ],
)
def test_what_is_no_snapshot_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed) as refused:
        card_snapshot.parse(data)
    assert refused.value.code == "snapshot_malformed"


def test_a_snapshot_is_measured_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, signer = _certified("ES512")
    data = snapshot(ISSUER)
    monkeypatch.setattr(limits, "SNAPSHOT_BYTES", len(data) - 1)
    for read in (
        lambda: card_snapshot.parse(data),
        lambda: card_snapshot.verify(
            data, signature=der(signer.sign(data)), certificate=certificate, now=NOW
        ),
    ):
        with pytest.raises(Malformed) as refused:
            read()
        assert refused.value.code == "snapshot_too_large"
    monkeypatch.undo()
    monkeypatch.setattr(limits, "SNAPSHOT_ISSUERS", 1)
    with pytest.raises(Malformed) as refused:
        card_snapshot.parse(snapshot(ISSUER, ISSUER))
    assert refused.value.code == "snapshot_too_large"


@pytest.mark.parametrize("algorithm", ["ES256", "ES384", "ES512"])
def test_a_signature_by_the_pinned_certificate_is_believed_and_no_other(algorithm: str) -> None:
    certificate, signer = _certified(algorithm)
    data = snapshot(ISSUER)
    good = der(signer.sign(data))

    assert len(card_snapshot.verify(data, signature=good, certificate=certificate, now=NOW).issuers) == 1
    other, _ = _certified(algorithm)
    for wrong in ((data + b" ", certificate), (data, other)):
        with pytest.raises(Rejected) as refused:
            card_snapshot.verify(wrong[0], signature=good, certificate=wrong[1], now=NOW)
        assert refused.value.code == "signature_invalid"


@pytest.mark.parametrize("signature", [b"", b"\x30\x00", bytes(64), encode_dss_signature(1, 2**600)])
def test_what_is_no_signature_of_the_curve_is_malformed(signature: bytes) -> None:
    certificate, _ = _certified("ES256")

    with pytest.raises(Malformed) as refused:
        card_snapshot.verify(snapshot(), signature=signature, certificate=certificate, now=NOW)
    assert refused.value.code == "snapshot_signature"


def test_a_certificate_for_another_kind_of_signature_is_not_used() -> None:
    certificate, signer = _certified("Ed25519")
    data = snapshot(ISSUER)

    with pytest.raises(SafeconductError) as refused:
        card_snapshot.verify(data, signature=signer.sign(data), certificate=certificate, now=NOW)
    assert refused.value.code == "snapshot_key"


def _certified(algorithm: str) -> tuple[Certificate, Key]:
    key = Key.generate(algorithm)
    return pki.Authority.root("Directory").chain(key)[0], key
