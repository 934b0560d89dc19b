"""A directory names issuers in either form, or is none."""

from pathlib import Path

import pytest

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import SafeconductError
from safeconduct.evidence.directories import read_issuers


def test_both_forms_of_the_vci_directory_name_issuers(vectors: Path) -> None:
    folder = vectors / "status/vci-directory"
    listed = read_issuers((folder / "vci-issuers.json").read_bytes())
    snapshot = read_issuers((folder / "vci_snapshot.json").read_bytes())
    assert "https://covid19.quebec.ca/PreuveVaccinaleApi/issuer" in listed
    assert "https://covid19.quebec.ca/PreuveVaccinaleApi/issuer" in snapshot
    assert len(listed) == len(set(listed)) > 600


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        {"participating_issuers": {}},
        {"participating_issuers": ["https://issuer.example"]},
        {"participating_issuers": [{"name": "x"}]},
        {"participating_issuers": [{"iss": 1}]},
        {"participating_issuers": [{"iss": "h" * (limits.URL_CHARS + 1)}]},
        {"issuerInfo": [{"iss": "https://issuer.example"}]},
        {"issuerInfo": [{"issuer": "https://issuer.example"}]},
        {"participating_issuers": [{}] * (limits.SNAPSHOT_ISSUERS + 1)},
    ],
)
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(SafeconductError) as error:
        read_issuers(json.dumps(value))
    assert error.value.code in {"card_directory_malformed", "json_not_object"}
