"""A key of a JWKS that breaks a rule for health cards is not used, and does not spoil the others."""

import json
from typing import Any

import pytest
from tests.pki import BEGIN, END, Authority, usage

from safeconduct import limits
from safeconduct.crypto import x509
from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64
from safeconduct.errors import Malformed, SafeconductError, Unsupported
from safeconduct.status.card_keys import (
    ANY_ISSUER,
    CardKey,
    CardTrust,
    KeySet,
    certified,
    read_key,
    read_key_set,
    read_keys,
    thumbprint,
)

ISSUER = "https://issuer.example/cards"
KEY = Key.generate("ES256")
KID = thumbprint(KEY.public)
ROOT = Authority.root()
CHAIN = x509.to_x5c(ROOT.chain(KEY, uris=[ISSUER]))


def entry(**changes: Any) -> dict[str, Any]:
    """A good entry with changes; a member changed to ... is left out."""
    members = {**CardKey.of(KEY.public).entries()[0], **changes}
    return {name: value for name, value in members.items() if value is not ...}


def refused(value: Any) -> str:
    with pytest.raises(SafeconductError) as error:
        read_key(value)
    good = CardKey.of(Key.generate("ES256").public)
    both = read_keys([value, *good.entries()])
    assert both.keys == (good,)
    assert [(key.place, key.code) for key in both.refused] == [(1, error.value.code)]
    return error.value.code


def test_the_members_of_a_key_stand_as_the_framework_wants_them() -> None:
    assert [*entry()] == ["kty", "use", "alg", "kid", "crv", "x", "y"]
    key = CardKey.of(KEY.public, crl_version=3, chains=(tuple(CHAIN),))
    assert [*key.entries()[0]] == ["kty", "use", "alg", "kid", "crv", "x", "y", "x5c", "crlVersion"]
    assert (len(KID), key.kid) == (43, KID)
    keys = KeySet((key, CardKey.of(Key.generate("ES256").public)))
    assert read_key_set(keys.encode()) == keys
    assert keys.get(KID) == key
    assert keys.get("x") is None
    assert b" " not in keys.encode()
    assert b'"d"' not in keys.encode()


@pytest.mark.parametrize(
    "change",
    [
        {"kty": ...},
        {"kty": "OKP"},
        {"kty": "ec"},
        {"crv": ...},
        {"crv": "P-384"},
        {"crv": 7},
        {"alg": ...},
        {"alg": "ES384"},
        {"alg": "ESP256"},
        {"alg": "none"},
        {"alg": None},
    ],
)
def test_a_key_for_another_algorithm_is_refused(change: dict[str, Any]) -> None:
    assert refused(entry(**change)) == "card_key_algorithm"


@pytest.mark.parametrize("use", [..., "enc", "SIG", None, ["sig"]])
def test_a_key_that_is_not_for_signing_is_refused(use: Any) -> None:
    assert refused(entry(use=use)) == "card_key_use"


def test_a_key_whose_operations_do_not_fit_is_refused() -> None:
    assert refused(entry(key_ops=["encrypt"])) == "key_use_mismatch"


def test_a_private_key_is_refused() -> None:
    assert refused(entry(d=KEY.to_jwk(private=True)["d"])) == "private_key_where_public_expected"
    assert refused(entry(d="")) == "private_key_where_public_expected"


@pytest.mark.parametrize(
    "kid",
    [..., "", "1", KID[:-1], KID + "=", KID.swapcase(), KID[:-1] + chr(ord(KID[-1]) + 1)],
    ids=lambda _: "kid",
)
def test_a_key_that_is_not_named_by_its_thumbprint_is_refused(kid: Any) -> None:
    assert refused(entry(kid=kid)) == "card_key_thumbprint"


@pytest.mark.parametrize(
    "change",
    [
        {"x": ...},
        {"y": ...},
        {"x": 7},
        {"x": ""},
        {"x": b64.encode(bytes(31))},
        {"x": b64.encode(bytes(33))},
        {"x": b64.encode(bytes(32))},
        {"x": entry()["y"]},
        {"x": entry()["x"] + "="},
        {"kid": 7},
    ],
)
def test_a_key_that_is_none_is_refused(change: dict[str, Any]) -> None:
    assert refused(entry(**change)) == "key_malformed"


@pytest.mark.parametrize("value", [None, 7, "key", [], [entry()]])
def test_an_entry_that_is_no_object_is_refused(value: Any) -> None:
    assert refused(value) == "key_malformed"


@pytest.mark.parametrize(
    "version", [0, -1, 1.0, True, None, "", "-1", "1.0", " 1", "١", "1" * 17, 1 << 53, [1], {}]
)
def test_a_counter_that_is_none_is_refused(version: Any) -> None:
    assert refused(entry(crlVersion=version)) == "card_key_crl_version"


@pytest.mark.parametrize(("version", "read"), [(1, 1), ("1", 1), ("007", 7), ((1 << 53) - 1, (1 << 53) - 1)])
def test_a_counter_is_read_also_in_quotes_and_written_as_a_number(version: Any, read: int) -> None:
    key = read_key(entry(crlVersion=version))
    assert key.crl_version == read
    assert key.entries()[0]["crlVersion"] == read


def test_a_certificate_of_another_key_is_refused() -> None:
    other = x509.to_x5c(ROOT.chain(Key.generate("ES256"), uris=[ISSUER]))
    assert refused(entry(x5c=other)) == "card_key_x5c"
    assert read_key(entry(x5c=CHAIN)).chains == (tuple(CHAIN),)


@pytest.mark.parametrize(
    "x5c",
    [None, [], "AA==", ["AA=="], [7], [CHAIN[0] + "="], [CHAIN[0] + "\n"]],
    ids=lambda _: "x5c",
)
def test_a_chain_that_is_none_is_refused(x5c: Any) -> None:
    assert refused(entry(x5c=x5c)) == "x5c_malformed"


def test_several_certificates_of_a_key_are_several_entries_that_differ_in_nothing_else() -> None:
    other = x509.to_x5c(Authority.root("Other").chain(KEY, uris=[ISSUER]))
    both = read_keys([entry(x5c=CHAIN), entry(x5c=other)])
    assert both.refused == ()
    assert both.keys[0].chains == (tuple(CHAIN), tuple(other))
    assert len(both.keys[0].entries()) == 2
    assert read_keys(both.keys[0].entries()) == both
    torn = read_keys([entry(x5c=CHAIN, crlVersion=2), entry(x5c=other, crlVersion=3)])
    assert [key.code for key in torn.refused] == ["card_key_twice"]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "json_malformed"),
        (b"[]", "json_not_object"),
        (b"{}", "card_keys_malformed"),
        (b'{"keys":{}}', "card_keys_malformed"),
        (b'{"keys":[],"keys":[]}', "json_duplicate_member"),
        (b"\xef\xbb\xbf" + b'{"keys":[]}', "json_malformed"),
        (json.dumps({"keys": [{}] * (limits.LIST_ITEMS + 1)}).encode(), "card_keys_malformed"),
        (b'{"keys":["' + b"a" * limits.JSON_BYTES + b'"]}', "json_too_large"),
    ],
)
def test_what_is_no_jwks_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(Malformed) as error:
        read_key_set(data)
    assert error.value.code == code


def test_a_jwks_may_hold_other_members_and_no_key() -> None:
    assert read_key_set(b'{"keys":[],"x":1}') == KeySet(())
    extra = entry(hasPrivateKey=False, ctr=3, date="2021")
    assert read_keys([extra]).keys[0].entries() == [entry()]


def test_a_key_of_another_kind_signs_no_cards() -> None:
    with pytest.raises(Unsupported) as error:
        CardKey.of(Key.generate("ES384").public)
    assert error.value.code == "card_key_algorithm"


# Trust by certificates.


def certified_by(
    chain: Any, *, issuer: str = ISSUER, now: int = BEGIN, anchors: Any = (ROOT.certificate,)
) -> str:
    keys = read_keys([entry(x5c=x509.to_x5c(chain))])
    assert keys.refused == ()
    found = certified(keys, issuer=issuer, anchors=anchors, now=now)
    assert len(found.keys) + len(found.refused) == 1
    return found.refused[0].code if found.refused else ""


def test_a_certified_key_is_believed_for_its_issuer_alone() -> None:
    chain = ROOT.authority("Middle").chain(KEY, uris=[ISSUER])
    assert certified_by(chain) == ""
    assert certified_by((*chain, ROOT.certificate)) == ""
    for other in (ISSUER + "/", "https://issuer.example", ISSUER.upper()):
        assert certified_by(chain, issuer=other) == "x5c_name_mismatch"
    assert certified_by(ROOT.chain(KEY, dns=["issuer.example"])) == "x5c_name_mismatch"


def test_a_chain_that_does_not_hold_certifies_nothing() -> None:
    chain = ROOT.chain(KEY, uris=[ISSUER])
    assert certified_by(chain, anchors=()) == "x5c_untrusted"
    assert certified_by(chain, anchors=(Authority.root().certificate,)) == "x5c_untrusted"
    assert certified_by(chain, now=END + 1) == "x5c_expired"
    assert certified_by(chain, now=BEGIN - 1) == "x5c_not_yet_valid"
    ca_only = [(usage("key_cert_sign"), True)]
    assert certified_by(ROOT.chain(KEY, uris=[ISSUER], extensions=ca_only)) == "x5c_usage"


def test_one_good_chain_of_several_is_enough_and_none_is_not() -> None:
    strange = x509.to_x5c(Authority.root("Other").chain(KEY, uris=[ISSUER]))
    both = read_keys([entry(x5c=strange), entry(x5c=CHAIN)])
    assert len(certified(both, issuer=ISSUER, anchors=[ROOT.certificate], now=BEGIN).keys) == 1
    bare = certified(read_keys([entry()]), issuer=ISSUER, anchors=[ROOT.certificate], now=BEGIN)
    assert [key.code for key in bare.refused] == ["card_key_uncertified"]


def test_keys_are_found_by_name_and_issuer() -> None:
    one, two = CardKey.of(KEY.public, crl_version=1), CardKey.of(KEY.public, crl_version=2)
    shared = CardTrust({ISSUER: KeySet((one,)), "https://other.example": KeySet((two,))})
    assert shared.keys_named(KID) == {ISSUER: one, "https://other.example": two}
    assert shared.keys_named("x") == {}
    pinned = CardTrust(pinned=KeySet((one,)), directories=[shared])
    assert pinned.keys_named(KID) == {ANY_ISSUER: one, ISSUER: one, "https://other.example": two}


OLD, NEW, SILENT = (KeySet((CardKey.of(KEY.public, crl_version=version),)) for version in (4, 7, None))


@pytest.mark.parametrize(
    "trust",
    [
        CardTrust(directories=[CardTrust({ISSUER: OLD}), CardTrust({ISSUER: NEW})]),
        CardTrust(directories=[CardTrust({ISSUER: NEW}), CardTrust({ISSUER: SILENT})]),
        CardTrust(directories=[CardTrust({ISSUER: SILENT}), CardTrust({ISSUER: NEW})]),
        CardTrust({ISSUER: OLD}, directories=[CardTrust({ISSUER: NEW})]),
        CardTrust(pinned=NEW, directories=[CardTrust({ISSUER: OLD})]),
        CardTrust(pinned=OLD, directories=[CardTrust({ISSUER: NEW})]),
        CardTrust({ISSUER: SILENT}, pinned=OLD, directories=[CardTrust({ISSUER: NEW})]),
        CardTrust({ISSUER: OLD}, pinned=NEW),
    ],
)
def test_an_old_directory_does_not_hide_what_a_newer_one_announces(trust: CardTrust) -> None:
    """Else a verifier with a fresh JWKS would take an outdated list in a pack for a current one."""
    assert trust.keys_named(KID)[ISSUER].crl_version == 7


def test_what_a_directory_announces_is_of_one_issuer_alone() -> None:
    trust = CardTrust(directories=[CardTrust({ISSUER: OLD}), CardTrust({"https://other.example": NEW})])
    assert trust.keys_named(KID)[ISSUER].crl_version == 4
