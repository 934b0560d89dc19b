"""Status lists whose key is believed for its certificates: it must be the credential's issuer's."""

import pytest
from tests.negative.sd_jwt_builder import GOOD as CREDENTIAL
from tests.negative.sd_jwt_builder import ISSUER, ISSUER_KEY, NOW, OTHER_KEY
from tests.negative.status_list_builder import URI, ListToken
from tests.pki import Authority

from safeconduct.crypto import x509
from safeconduct.crypto.keys import Key
from safeconduct.crypto.x509 import Certificate
from safeconduct.errors import SafeconductError
from safeconduct.formats import sd_jwt
from safeconduct.status.token_list import StatusList, TokenStatusLists
from safeconduct.trust import WAIVED, Policy, Trust

ROOT, STRANGER = Authority.root(), Authority.root("Stranger")
TRUST = Trust.certified(ROOT.certificate)
CHAIN = ROOT.chain(ISSUER_KEY, "Issuer", uris=[ISSUER])
STATUS = {"status_list": {"idx": 5, "uri": URI}}
POLICY = Policy(audience=WAIVED, nonce=WAIVED, profiles=("sd-jwt-vc",))


def listed(key: Key, chain: tuple[Certificate, ...] | None, value: int = 0) -> TokenStatusLists:
    token = ListToken(key=key, data=StatusList.of({5: value}, size=64, bits=2).data)
    return TokenStatusLists.of(
        token.but(header={} if chain is None else {"x5c": x509.to_x5c(chain)}).encoded()
    )


def status(
    lists: TokenStatusLists, *, chain: tuple[Certificate, ...] = CHAIN, issuer: str | None = ISSUER
) -> str:
    """How a credential under a certificate stands, or the code of why nobody can tell."""
    token = CREDENTIAL.headed({"x5c": x509.to_x5c(chain)}).claiming({"status": STATUS})
    if issuer is None:
        token = token.claiming({"iss": ...})
        token = token.but(claims={name: value for name, value in token.claims.items() if value is not ...})
    try:
        shown = sd_jwt.verify(token.text(), trust=TRUST, policy=POLICY, now=NOW, status_lists=lists)
    except SafeconductError as error:
        return error.code
    return "none" if shown.status is None else shown.status.state


def test_a_certificate_for_the_issuer_signs_its_lists() -> None:
    renewed = ROOT.chain(OTHER_KEY, "Issuer, its status service", uris=[ISSUER])
    assert status(listed(ISSUER_KEY, CHAIN)) == "valid"
    assert status(listed(OTHER_KEY, renewed)) == "valid"
    assert status(listed(OTHER_KEY, renewed, 1)) == "status_invalid"
    assert status(listed(ISSUER_KEY, None)) == "valid"  # the very key of the credential


@pytest.mark.parametrize(
    ("chain", "code"),
    [
        (ROOT.chain(OTHER_KEY, uris=["https://other.example"]), "x5c_name_mismatch"),
        (STRANGER.chain(OTHER_KEY, uris=[ISSUER]), "x5c_untrusted"),
        (None, "signature_invalid"),
    ],
)
def test_no_other_certificate_does(chain: tuple[Certificate, ...] | None, code: str) -> None:
    assert status(listed(OTHER_KEY, chain)) == code


def test_without_a_name_the_certificate_must_be_the_credentials() -> None:
    """A credential that names no issuer is known by its certificate alone; so is who may speak for it."""
    same = ROOT.chain(OTHER_KEY, "Issuer", uris=[ISSUER])
    other = ROOT.chain(OTHER_KEY, "Another customer of the same CA", uris=["https://other.example"])
    half = ROOT.chain(OTHER_KEY, "Issuer", uris=["https://other.example"])
    assert status(listed(ISSUER_KEY, CHAIN), issuer=None) == "valid"
    assert status(listed(OTHER_KEY, same), issuer=None) == "valid"
    assert status(listed(OTHER_KEY, other), issuer=None) == "issuer_unknown"
    assert status(listed(OTHER_KEY, half), issuer=None) == "issuer_unknown"
