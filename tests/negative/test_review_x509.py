"""Certificates and names made to be misread: odd names, URLs like another's, anchors that were renewed."""

import pytest
from tests import pki
from tests.pki import BEGIN, END, Authority

from safeconduct.crypto import x509
from safeconduct.crypto.keys import Key
from safeconduct.errors import Malformed, Rejected, SafeconductError
from safeconduct.trust import Anchors, Trust

NOW = 1_800_000_000
KEY = Key.generate("ES256")
ROOT = Authority.root()


@pytest.mark.parametrize("tag", [0x03, 0x05, 0x1E, 0x1C, 0x30], ids=hex)
def test_a_name_of_an_odd_type_is_an_error_like_any_other(tag: int) -> None:
    der = ROOT.chain(KEY, "An odd name")[0].der
    odd = der.replace(b"\x0c\x0bAn odd name", bytes((tag,)) + b"\x0bAn odd name")
    assert odd != der
    with pytest.raises(SafeconductError) as error:
        x509.verify_chain([x509.from_der(odd)], anchors=[ROOT.certificate], now=NOW)
    assert error.value.code in ("certificate_malformed", "x5c_untrusted")


def test_a_name_that_is_a_bit_string_is_malformed() -> None:
    der = ROOT.chain(KEY, "An odd name")[0].der
    with pytest.raises(Malformed) as error:
        x509.from_der(der.replace(b"\x0c\x0bAn odd name", b"\x03\x0bAn odd name"))
    assert error.value.code == "certificate_malformed"


MISREAD = [
    "https://bank.example@evil.example",
    "https://bank.example:443@evil.example/",
    "https://bank.example\\@evil.example",
    "https://evil.example\n",
    "https://evil\t.example",
    " https://evil.example",
    "https://evil.example:port",
    "https://evil.example:",
    "https://evil.example./",
    "https:evil.example",
    "HTTPS://evil.example",
    "http://evil.example",
    "https://evil.example?of=bank.example",
    "https://evil.example#bank.example",
    "https://[evil.example]",
    "https://",
]


@pytest.mark.parametrize("issuer", MISREAD)
def test_a_host_vouches_for_plain_urls_of_its_own_alone(issuer: str) -> None:
    chain = ROOT.chain(KEY, dns=["evil.example"])
    with pytest.raises(Rejected) as error:
        Trust.certified(ROOT.certificate).keys_for(issuer, x5c=x509.to_x5c(chain), now=NOW)
    assert error.value.code == "x5c_name_mismatch"


@pytest.mark.parametrize("issuer", ["https://*.example", "https://a.example", "https://example"])
def test_a_wildcard_names_no_issuer(issuer: str) -> None:
    chain = ROOT.chain(KEY, dns=["*.example"])
    with pytest.raises(Rejected) as error:
        Trust.certified(ROOT.certificate).keys_for(issuer, x5c=x509.to_x5c(chain), now=NOW)
    assert error.value.code == "x5c_name_mismatch"


@pytest.mark.parametrize(
    "issuer",
    ["https://Good.example", "https://good.example:8443/path", "https://good.example/a%20b;c=d"],
)
def test_a_host_vouches_for_its_ports_and_paths(issuer: str) -> None:
    chain = ROOT.chain(KEY, dns=["good.EXAMPLE"])
    trust = Trust.certified(ROOT.certificate)
    assert trust.keys_for(issuer, x5c=x509.to_x5c(chain), now=NOW) == (KEY.public,)


def test_any_name_is_only_for_the_authorities_of_one_issuer() -> None:
    with pytest.raises(ValueError, match="any"):
        Trust(shared=Anchors((ROOT.certificate,), names="any"))


@pytest.mark.parametrize("old_first", [True, False])
def test_an_anchor_that_was_renewed_does_not_hide_the_new_one(old_first: bool) -> None:
    old = pki.renewed(ROOT, begin=BEGIN, end=NOW - 1)
    new = pki.renewed(ROOT, begin=NOW - 1000, end=END)
    anchors = (old, new) if old_first else (new, old)
    chain = ROOT.chain(KEY)
    assert x509.verify_chain(chain, anchors=anchors, now=NOW).key == KEY.public
    with pytest.raises(Rejected) as error:
        x509.verify_chain(chain, anchors=(old,), now=NOW)
    assert error.value.code == "x5c_expired"
