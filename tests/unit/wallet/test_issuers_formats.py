"""Which format of a shared credential a wallet takes: the first that it can hold, never two types for one."""

import msgspec
import pytest

from safeconduct.errors import SafeconductError
from safeconduct.protocols.openid4vci.configuration import SD_CWT, SD_JWT, CredentialConfiguration
from safeconduct.protocols.openid4vci.metadata import IssuerMetadata
from safeconduct.wallet.issuers import choose_format


def metadata(**formats: str) -> IssuerMetadata:
    return IssuerMetadata(
        credential_issuer="https://issuer.example",
        credential_endpoint="https://issuer.example/credential",
        configurations=tuple(configuration(name, format_) for name, format_ in formats.items()),
    )


def configuration(name: str, format_: str) -> CredentialConfiguration:
    return CredentialConfiguration(
        id=name,
        format=format_,
        vct="https://issuer.example/car",
        proof_algorithms={"jwt": ("ES256",)},
    )


def test_the_first_that_the_wallet_can_hold_is_taken() -> None:
    known = metadata(mdoc="mso_mdoc", jwt=SD_JWT, cwt=SD_CWT)
    assert choose_format(known, ("jwt", "cwt")).id == "jwt"
    assert choose_format(known, ("cwt", "jwt")).id == "cwt"
    assert choose_format(known, ("mdoc", "cwt", "jwt")).id == "cwt"
    assert choose_format(known, ("jwt", "mdoc")).id == "jwt"


@pytest.mark.parametrize(
    ("offered", "code"),
    [
        (("mdoc",), "format_unsupported"),
        (("mdoc", "mdoc"), "format_unsupported"),
        (("other",), "configuration_unknown"),
        (("jwt", "other"), "configuration_unknown"),
        (("jwt", "house"), "configuration_ambiguous"),
    ],
)
def test_what_cannot_be_chosen_is_refused(offered: tuple[str, ...], code: str) -> None:
    known = metadata(mdoc="mso_mdoc", jwt=SD_JWT)
    house = msgspec.structs.replace(configuration("house", SD_CWT), vct="https://issuer.example/house")
    known = msgspec.structs.replace(known, configurations=(*known.configurations, house))
    with pytest.raises(SafeconductError) as refused:
        choose_format(known, offered)
    assert refused.value.code == code
