"""Metadata in the form and language that a wallet asks for (OpenID4VCI 1.0 §12.2.2, RFC 9110 §12.5)."""

import pytest

from safeconduct.protocols.openid4vci import negotiation

JSON, JWT = "application/json", "application/jwt"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("application/jwt", JWT),
        ("Application/JWT", JWT),
        ("application/json", JSON),
        ("application/jwt, application/json", JSON),
        ("application/jwt, application/json;q=0.9", JWT),
        ("application/jwt ; q=0.5, application/json;q=0.8", JSON),
        ("application/jwt;q=0, */*", JSON),
        ("application/json;q=0, */*", JWT),
        ("application/jwt;v=1;q=0.8, */*;q=0.1", JWT),
        ("text/html", JSON),
        (",,;;q=1,application/jwt;q=7", JWT),
        ("application/jwt;q=nonsense, */*;q=0.1", JWT),
        ("*/*, " * 1000 + "application/jwt", JSON),
    ],
)
def test_the_form_that_is_wanted_most_is_chosen(accept: str | None, chosen: str) -> None:
    assert negotiation.choose_media_type(accept, (JSON, JWT)) == chosen


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        (None, None),
        ("*", None),
        ("fr", None),
        ("de", "de"),
        ("DE", "de"),
        ("de-AT", "de"),
        ("en", None),
        ("en-GB", "en-GB"),
        ("en-GB-oxendict", "en-GB"),
        ("fr, de;q=0.5", "de"),
        ("de;q=0.2, en-GB;q=0.9", "en-GB"),
        ("de;q=0", None),
        ("de;q=0, en-GB;q=0.1", "en-GB"),
    ],
)
def test_the_language_that_is_wanted_most_is_chosen(wanted: str | None, chosen: str | None) -> None:
    assert negotiation.choose_language(wanted, {"de", "en-GB"}) == chosen


DOCUMENT = {
    "display": [{"name": "Issuer", "locale": "en"}, {"name": "Aussteller", "locale": "de"}],
    "credential_configurations_supported": {
        "card": {
            "credential_metadata": {
                "display": ({"name": "Card", "locale": "en"},),
                "claims": ({"path": ("name",), "display": ({"locale": "de", "name": "Name"},)},),
            }
        },
    },
    "batch_credential_issuance": {"batch_size": 2},
}


def test_languages_are_those_of_all_displays() -> None:
    assert negotiation.languages(DOCUMENT) == {"de", "en"}


def test_what_is_not_in_the_language_stays_as_it_is() -> None:
    german = negotiation.in_language(DOCUMENT, "de")
    assert german["display"] == [{"name": "Aussteller", "locale": "de"}]
    shown = german["credential_configurations_supported"]["card"]["credential_metadata"]
    assert list(shown["display"]) == [{"name": "Card", "locale": "en"}]
    assert shown["claims"][0]["display"] == [{"locale": "de", "name": "Name"}]
    assert german["batch_credential_issuance"] == {"batch_size": 2}


def test_a_document_is_not_changed() -> None:
    before = repr(DOCUMENT)
    negotiation.in_language(DOCUMENT, "de")
    assert repr(DOCUMENT) == before


def test_a_configuration_that_is_called_display_is_none() -> None:
    document = {"credential_configurations_supported": {"display": {"format": "x"}}}
    assert negotiation.languages(document) == frozenset()
    assert negotiation.in_language(document, "de") == document
