"""Cards in files and in links."""

import json
from urllib.parse import quote

import pytest

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.formats.health_card import files, links

APP = "https://app.example/SMARTHealthCard/"


def test_a_file_lists_cards() -> None:
    assert files.write(["a.b.c", "d.e.f"]) == b'{"verifiableCredential":["a.b.c","d.e.f"]}'
    assert files.read(b' {"verifiableCredential": ["a.b.c"], "other": 1}') == ("a.b.c",)
    assert (files.EXTENSION, files.MEDIA_TYPE) == (".smart-health-card", "application/smart-health-card")
    with pytest.raises(ValueError, match="at least one"):
        files.write([])


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"{}", "card_file_malformed"),
        (b'{"verifiableCredential": []}', "card_file_malformed"),
        (b'{"verifiableCredential": "a.b.c"}', "card_file_malformed"),
        (b'{"verifiableCredential": ["a.b.c", 1]}', "card_file_malformed"),
        (b'["a.b.c"]', "json_not_object"),
        (b'{"verifiableCredential": ["a"], "verifiableCredential": ["b"]}', "json_duplicate_member"),
        (b'{"verifiableCredential": ["a"]', "json_malformed"),
        (b'\xef\xbb\xbf{"verifiableCredential": ["a"]}', "json_malformed"),
    ],
)
def test_any_other_file_is_malformed(data: bytes, code: str) -> None:
    with pytest.raises(SafeconductError) as caught:
        files.read(data)
    assert caught.value.code == code


def test_CARD_FILE_CARDS_is_the_most_cards_of_a_file() -> None:
    assert len(files.read(files.write(["a.b.c"] * limits.CARD_FILE_CARDS))) == limits.CARD_FILE_CARDS
    with pytest.raises(SafeconductError) as caught:
        files.read(files.write(["a.b.c"] * (limits.CARD_FILE_CARDS + 1)))
    assert caught.value.code == "card_file_too_many"


def test_CARD_FILE_BYTES_is_the_longest_file_and_link() -> None:
    room = limits.CARD_FILE_BYTES - len(files.write([""]))
    assert files.read(files.write(["a" * room]))
    with pytest.raises(SafeconductError) as caught:
        files.read(files.write(["a" * (room + 1)]))
    assert caught.value.code == "json_too_large"
    with pytest.raises(SafeconductError) as caught:
        links.read(f"{APP}#{'a' * limits.CARD_FILE_BYTES}")
    assert caught.value.code == "card_link_malformed"


def test_a_link_carries_cards_where_no_server_sees_them() -> None:
    link = links.write(APP, ["a.b.c"])
    assert link == APP + "#" + quote(
        json.dumps({"verifiableCredential": ["a.b.c"]}, separators=(",", ":")), ""
    )
    assert "a.b.c" not in link.partition("#")[0]
    assert links.read(link) == ("a.b.c",)
    assert links.read(APP + '#{"verifiableCredential":["a.b.c"]}') == ("a.b.c",)


@pytest.mark.parametrize(
    "base",
    [
        "http://app.example/",
        "app.example",
        "https://",
        "https://a.example/#x",
        "javascript:x",
        "https://[",
        "",
    ],
)
def test_a_link_leads_to_an_app_over_https(base: str) -> None:
    for act in (lambda: links.write(base, ["a.b.c"]), lambda: links.read(f"{base}#%7B%7D")):
        with pytest.raises(SafeconductError) as caught:
            act()
        assert caught.value.code in {"card_link_base", "card_file_malformed", "json_malformed"}
    with pytest.raises(SafeconductError) as caught:
        links.write(base, ["a.b.c"])
    assert caught.value.code == "card_link_base"


@pytest.mark.parametrize("link", [APP, APP + "#%7", APP + "#%zz", APP + "#é"])
def test_a_link_has_its_cards_url_encoded_after_a_hash(link: str) -> None:
    with pytest.raises(SafeconductError) as caught:
        links.read(link)
    assert caught.value.code == "card_link_malformed"
