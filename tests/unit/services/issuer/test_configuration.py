"""Descriptions of credentials: those in the documentation can be used as they stand."""

import re
from pathlib import Path

import pytest

from safeconduct.protocols.openid4vci.configuration import SD_CWT, SD_JWT
from safeconduct.services.issuer import configuration
from safeconduct.services.issuer.configuration import Catalogue, load_catalogue, load_display

ISSUER = "https://issuer.example"
GUIDE = Path(__file__).parents[4] / "docs/how-to/describe-credentials.md"


def _load(folder: Path, text: str) -> Catalogue:
    file = folder / "kinds.toml"
    file.write_text(text, encoding="utf-8")
    return load_catalogue(
        file,
        issuer=ISSUER,
        signing_algorithm=-7,
        credential_lifetime=3600,
        status_list_uri="https://status.example",
        key_attesters=True,
    )


def test_the_example_in_the_module_says_what_there_is(tmp_path: Path) -> None:
    text = (configuration.__doc__ or "").partition("[[configurations]]")
    kinds = _load(tmp_path, text[1] + text[2].partition("\n\nSD-CWT is the default")[0])
    assert {name: kind.configuration.format for name, kind in kinds.items()} == {
        "identity": SD_CWT,
        "identity_sd_jwt": SD_JWT,
    }
    kind = kinds["identity"]
    assert [entry.locale for entry in kind.configuration.display] == ["en", "de"]
    assert kind.configuration.key_attestations["jwt"].key_storage == ("iso_18045_high",)
    assert len(load_display(tmp_path / "kinds.toml")) == 1


def test_the_example_in_the_guide_can_be_used(tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    kinds = _load(tmp_path, blocks[0])
    assert set(kinds) == {"residence", "residence_sd_jwt"}
    attested = _load(
        tmp_path, blocks[0].replace("[configurations.claims]", f"{blocks[1]}\n[configurations.claims]", 1)
    )
    assert set(attested["residence"].configuration.proof_algorithms) == {"jwt", "attestation"}


@pytest.mark.parametrize(
    ("number", "name"), [(-7, "ES256"), (-9, "ES256"), (-35, "ES384"), (-19, "Ed25519"), (-8, "EdDSA")]
)
def test_algorithms_have_the_name_that_the_format_gives_them(tmp_path: Path, number: int, name: str) -> None:
    text = f'''
[[configurations]]
id = "a"
also = {{ b = "{SD_JWT}" }}
vct = "v"
[configurations.claims]
x = {{}}
'''
    (tmp_path / "kinds.toml").write_text(text)
    kinds = load_catalogue(
        tmp_path / "kinds.toml", issuer=ISSUER, signing_algorithm=number, credential_lifetime=3600
    )
    assert kinds["a"].configuration.signing_algorithms == (number,)
    assert kinds["b"].configuration.signing_algorithms == (name,)
