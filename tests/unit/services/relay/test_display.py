"""Display text and pictures as they are stored (holes 5, 7; A18, A19): nothing unseen, nothing from afar."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeconduct import limits
from safeconduct.errors import Malformed
from safeconduct.services.relay.display import Display, clean_display, display_members, picture_of

BASE = "https://relay.example"
HOSTS = ("pictures.example", "Other.Example")


def titled(title: str) -> str:
    return clean_display(title, "", "", image_hosts=()).title


def pictured(image_url: str) -> str:
    return clean_display("", "", image_url, image_hosts=HOSTS).image_url


@pytest.mark.parametrize(
    ("title", "shown"),
    [
        ("Car key of Erika", "Car key of Erika"),
        ("a\u0000b\u0007c\u007fd\u009be", "abcde"),
        ("two\r\nlines\tand\u00a0\u2003more\u2028and\u2029more", "two lines and more and more"),
        ("  around \n", "around"),
        # Trojan Source: overrides, embeddings, isolates and marks
        ("key\u202egnp.exe\u202c", "keygnp.exe"),
        ("\u202a\u202b\u202d\u2066\u2067\u2068\u2069\u200e\u200f\u061cx", "x"),
        ("\ufeffx\u2060y\u00adz", "xyz"),
        ("\U000e0041\U000e0042tags", "tags"),
        ("\ud800half", "half"),
        ("\ue000own\U000f0000", "own"),
        ("\ufffe\ufdd0\U0010ffffno", "no"),
        ("\u0041\u030a", "\u00c5"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
        ("\u200d\u200c", ""),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),  # escaped where it is shown
    ],
)
def test_a_title_is_left_what_can_be_seen(title: str, shown: str) -> None:
    assert titled(title) == shown


@given(st.text(max_size=limits.DISPLAY_DESCRIPTION_CHARS))
def test_cleaning_leaves_nothing_that_it_would_take_away(text: str) -> None:
    once = clean_display("", text, "", image_hosts=()).description
    assert {unicodedata.category(c) for c in once if c not in "\u200c\u200d"} & {
        "Cc",
        "Cf",
        "Cs",
        "Co",
    } == set()
    assert unicodedata.is_normalized("NFC", once)
    assert once.encode("utf-8").decode() == once
    if len(once) <= limits.DISPLAY_DESCRIPTION_CHARS:  # composed text may have become longer
        assert clean_display("", once, "", image_hosts=()).description == once


@pytest.mark.parametrize(
    ("most", "texts"),
    [
        (limits.DISPLAY_TITLE_CHARS, lambda size: ("x" * size, "", "")),
        (limits.DISPLAY_DESCRIPTION_CHARS, lambda size: ("", "x" * size, "")),
        (limits.URL_CHARS, lambda size: ("", "", "https://pictures.example/".ljust(size, "x"))),
    ],
)
def test_each_text_has_its_longest(most: int, texts) -> None:  # type: ignore[no-untyped-def]
    assert clean_display(*texts(most), image_hosts=HOSTS)
    with pytest.raises(Malformed) as error:
        clean_display(*texts(most + 1), image_hosts=HOSTS)
    assert error.value.code == "message_malformed"
    assert "xxx" not in str(error.value)


def test_a_text_is_measured_as_it_came() -> None:
    """What is left out of it does not make it shorter."""
    with pytest.raises(Malformed):
        titled("\u200e" * (limits.DISPLAY_TITLE_CHARS + 1))


@pytest.mark.parametrize(
    "url", ["https://pictures.example/a.png", "https://PICTURES.example:443/a?b=c", "https://other.example"]
)
def test_a_picture_on_a_listed_host_goes_on(url: str) -> None:
    assert pictured(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://tracker.example/pixel.png",
        "http://pictures.example/a.png",  # mixed content, and readable on the way
        "https://pictures.example.tracker.example/a.png",
        "https://tracker.example/pictures.example",
        "https://x.pictures.example/a.png",
        "https://pictures.example@tracker.example/a.png",
        "https://tracker.example\\@pictures.example/a.png",
        "https://pictures.example:8443/a.png",
        "https://pictures.example/a.png#fragment",
        "https://pictures.example/a\r\nSet-Cookie: x=y",
        'https://pictures.example/"><script>alert(1)</script>',
        "//pictures.example/a.png",
        "javascript:alert(1)",
        "data:image/svg+xml,<svg onload=alert(1)>",
        "https://127.0.0.1/a.png",
        "https://[::1]/a.png",
        "https://pictures.example\u2024tracker.example/",
        "not a URL at all",
    ],
)
def test_every_other_picture_is_left_out_and_the_relay_s_own_stands_there(url: str) -> None:
    """A19 and hole 5: the host of a picture learns who looks at a mailbox."""
    display = clean_display("a", "b", url, image_hosts=HOSTS)
    assert display.image_url == ""
    assert picture_of(display, base=BASE) == "https://relay.example/v1/picture.png"
    members = display_members(display, base=BASE)
    assert members == {"title": "a", "description": "b", "imageURL": "https://relay.example/v1/picture.png"}


def test_no_host_is_listed_unless_the_operator_does() -> None:
    assert clean_display("", "", "https://pictures.example/a", image_hosts=()) == Display("", "", "")
