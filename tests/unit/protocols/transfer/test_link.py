"""Links: what mail programs leave of one, what the drafts write, and what no relay can take out (A38)."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safeconduct import limits
from safeconduct.encoding import b64
from safeconduct.errors import SafeconductError
from safeconduct.protocols.transfer.link import (
    Level,
    ShareLink,
    draft_link_text,
    fragment_text,
    link_text,
    parse_link,
    with_fragment,
    without_fragment,
)

MAILBOX = "12345678-9abc-4def-8123-456789abcdef"
URL = f"https://relay.example/v1/m/{MAILBOX}"
SECRET = bytes(range(32))
# In standard base64 with both of its own characters and padding.
AWKWARD = b"\xfb\xff\xbf" * 10 + b"\xfb\xff"
LEVELS: dict[Level, str] = {"link": "l", "pin": "p", "key": "k", "approve": "a", "authority": "s"}

secrets = st.binary(min_size=32, max_size=32) | st.binary(min_size=16, max_size=16)
levels = st.sampled_from(sorted(LEVELS))


def code_of(text: str, *, allow_http_loopback: bool = False) -> str:
    with pytest.raises(SafeconductError) as caught:
        parse_link(text, allow_http_loopback=allow_http_loopback)
    return caught.value.code


def forms(secret: bytes) -> set[str]:
    standard = b64.encode_standard(secret)
    url = standard.replace("+", "-").replace("/", "_")
    return {standard, standard.rstrip("="), url, url.rstrip("="), standard.replace("==", "=")}


@pytest.mark.parametrize(("level", "letter"), LEVELS.items())
def test_a_link_of_version_2_says_its_level(level: Level, letter: str) -> None:
    link = ShareLink(url=URL, secret=SECRET, level=level)

    assert link_text(link) == f"{URL}?v=a#{b64.encode(SECRET)}.2{letter}"
    assert parse_link(link_text(link)) == link
    assert (link.mailbox_id, link.relay, link.version) == (MAILBOX, "https://relay.example", 2)


def test_a_link_of_the_drafts_has_the_secret_alone() -> None:
    """draft-vinokurov-tigress-http-00's example has padded standard base64; ours is read the same."""
    link = ShareLink(url=URL, secret=AWKWARD, version=1, vertical="c")

    assert draft_link_text(link) == f"{URL}?v=c#{b64.encode_standard(AWKWARD)}"
    assert "+" in draft_link_text(link)
    assert "/" in draft_link_text(link).partition("#")[2]
    assert draft_link_text(link).endswith("=")
    assert link_text(link) == f"{URL}?v=c#{b64.encode(AWKWARD)}"
    assert parse_link(draft_link_text(link)) == parse_link(link_text(link)) == link


@given(secrets, levels)
@settings(deadline=None)
def test_all_forms_of_base64_are_taken_in_both_versions(secret: bytes, level: Level) -> None:
    for form in forms(secret):
        assert parse_link(f"{URL}#{form}").secret == secret
        assert parse_link(f"{URL}?v=a#{form}.2{LEVELS[level]}").secret == secret


@given(secrets)
@settings(deadline=None)
def test_what_mail_programs_cut_off_is_not_missed(secret: bytes) -> None:
    """PrivateBin #377 (a last "="), CryptPad #86 (a last "-"): links made here end in neither."""
    padded = draft_link_text(ShareLink(url=URL, secret=secret, version=1))
    while padded.endswith("="):
        assert parse_link(padded).secret == secret
        padded = padded[:-1]
    assert parse_link(padded).secret == secret

    for own in (
        link_text(ShareLink(url=URL, secret=secret, version=1)),
        link_text(ShareLink(url=URL, secret=secret, level="pin")),
    ):
        assert re.search(r"[A-Za-z0-9]\Z", own)


@pytest.mark.parametrize("escaped", [("%3D", "="), ("%3d", "="), ("%2B", "+"), ("%2f", "/")])
def test_a_fragment_that_a_program_escaped_is_taken(escaped: tuple[str, str]) -> None:
    text = draft_link_text(ShareLink(url=URL, secret=AWKWARD, version=1))
    head, _, fragment = text.partition("#")
    assert parse_link(f"{head}#{fragment.replace(escaped[1], escaped[0])}").secret == AWKWARD


def test_a38_a_link_that_lost_its_end_is_refused_not_read_as_weaker() -> None:
    text = link_text(ShareLink(url=URL, secret=SECRET, level="approve"))

    assert {code_of(text[:-cut]) for cut in (1, 2)} == {"link_secret_malformed"}
    # Only one who can rewrite links can take the whole suffix; then payloads of version 2 do not open.
    assert parse_link(text[:-3]).version == 1
    assert {code_of(text[:-cut]) for cut in range(4, 20)} == {"link_secret_malformed"}


@pytest.mark.parametrize(
    ("fragment", "code"),
    [
        ("", "link_secret_malformed"),
        ("AAAA", "link_secret_malformed"),
        (b64.encode(bytes(31)), "link_secret_malformed"),
        (b64.encode(bytes(33)), "link_secret_malformed"),
        (b64.encode(SECRET)[:-1] + "9", "link_secret_malformed"),
        ("-" + "+" + "A" * 41, "link_secret_malformed"),
        (b64.encode(SECRET) + "===", "link_secret_malformed"),
        (b64.encode(SECRET) + " x", "link_secret_malformed"),
        (b64.encode(SECRET) + "%41", "link_secret_malformed"),
        ("é" * 43, "link_secret_malformed"),
        (".2p", "link_secret_malformed"),
        (b64.encode(SECRET) + ".", "link_secret_malformed"),
        (b64.encode(SECRET) + ".2", "link_secret_malformed"),
        (b64.encode(SECRET) + ".p", "link_secret_malformed"),
        (b64.encode(SECRET) + ".2pp", "link_secret_malformed"),
        (b64.encode(SECRET) + ".2p.2l", "link_secret_malformed"),
        (b64.encode(SECRET) + ".2p#", "link_secret_malformed"),
        (b64.encode(SECRET) + ".\u0662p", "link_secret_malformed"),
        (b64.encode(SECRET) + ".1p", "link_version_unsupported"),
        (b64.encode(SECRET) + ".02p", "link_version_unsupported"),
        (b64.encode(SECRET) + ".3p", "link_version_unsupported"),
        (b64.encode(SECRET) + ".2z", "link_level_unsupported"),
    ],
)
def test_what_is_no_secret_is_refused(fragment: str, code: str) -> None:
    assert code_of(f"{URL}?v=a#{fragment}") == code


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("", "link_malformed"),
        ("relay.example", "link_malformed"),
        (MAILBOX, "link_malformed"),
        ("https://relay.example/", "link_malformed"),
        (f"https://relay.example/m/{MAILBOX}", "link_malformed"),
        (f"https://relay.example/v1/m/{MAILBOX}/", "link_malformed"),
        (f"https://relay.example/v1/m/{MAILBOX[:-1]}", "link_malformed"),
        (f"https://relay.example/v1/m/{MAILBOX}0", "link_malformed"),
        (f"https://relay.example/v1/m/{{{MAILBOX}}}", "link_malformed"),
        (f"https:///v1/m/{MAILBOX}", "link_malformed"),
        (f"https://a@relay.example/v1/m/{MAILBOX}", "link_malformed"),
        (f"https://relay.example:x/v1/m/{MAILBOX}", "link_malformed"),
        (f"https://relay example/v1/m/{MAILBOX}", "link_malformed"),
        (f"https://relay.example/v1/m/{MAILBOX}?v=a&v=b", "link_malformed"),
        (f"https://relay.example/v1/m/{MAILBOX}?v=", "link_malformed"),
        (f"https://relay.example/v1/m/{MAILBOX}?v=a%20b", "link_malformed"),
        (f"https://relay.example/v1/m/{MAILBOX}?" + "&".join(f"a{n}" for n in range(17)), "link_malformed"),
        (f"https://relay.example/v2/m/{MAILBOX}", "relay_version_unsupported"),
        (f"http://relay.example/v1/m/{MAILBOX}", "url_not_https"),
        (f"http://127.0.0.1:8480/v1/m/{MAILBOX}", "url_not_https"),
        (f"javascript://relay.example/v1/m/{MAILBOX}", "url_not_https"),
    ],
)
def test_what_is_no_address_of_a_mailbox_is_refused(address: str, code: str) -> None:
    assert code_of(f"{address}#{b64.encode(SECRET)}.2p") == code


def test_a_relay_may_be_on_this_machine_where_that_is_allowed() -> None:
    text = f"http://127.0.0.1:8480/v1/m/{MAILBOX}?v=a#{b64.encode(SECRET)}.2l"

    assert parse_link(text, allow_http_loopback=True).relay == "http://127.0.0.1:8480"
    assert code_of(text.replace("127.0.0.1", "10.0.0.1"), allow_http_loopback=True) == "url_not_https"


def test_a_relay_may_lie_below_a_path_and_add_parameters() -> None:
    link = parse_link(f" https://a.example/b/c/v1/m/{MAILBOX.upper()}?x=1&v=h#{b64.encode(SECRET)}.2k\n")

    assert link.url == f"https://a.example/b/c/v1/m/{MAILBOX.upper()}"
    assert (link.relay, link.mailbox_id, link.vertical) == ("https://a.example/b/c", MAILBOX, "h")


def test_p2_what_requests_go_to_is_without_query_and_fragment() -> None:
    link = parse_link(f"{URL}?v=a#{b64.encode(SECRET)}.2p")

    assert link.url == URL
    assert b64.encode(SECRET) not in link.url + link.relay + link.mailbox_id + without_fragment(link)


def test_the_secret_may_come_by_another_way() -> None:
    link = ShareLink(url=URL, secret=SECRET, level="pin")
    bare = parse_link(without_fragment(link))

    assert bare.secret is None
    assert bare == parse_link(f"{URL}?v=a")
    for text in (fragment_text(link), "#" + fragment_text(link), f" {fragment_text(link)}\n"):
        assert with_fragment(bare, text) == link
    assert link_text(bare) == f"{URL}?v=a"
    assert fragment_text(bare) == ""


def test_a_strict_link_of_the_drafts_is_made_for_the_drafts_only() -> None:
    for link in (ShareLink(url=URL, secret=SECRET, level="pin"), ShareLink(url=URL, version=1)):
        with pytest.raises(SafeconductError) as caught:
            draft_link_text(link)
        assert caught.value.code == "link_not_draft"


@pytest.mark.parametrize(
    "fields",
    [
        {"secret": SECRET, "version": 2},
        {"secret": SECRET, "version": 1, "level": "pin"},
        {"version": 2, "level": "pin"},
        {"secret": SECRET, "level": "pin", "vertical": "a b"},
        {"secret": SECRET, "level": "pin", "vertical": "a#"},
        {"secret": SECRET, "level": "pin", "url": "https://relay.example/v1/m/x"},
    ],
)
def test_a_link_that_contradicts_itself_cannot_be_made(fields: dict[str, object]) -> None:
    with pytest.raises(SafeconductError) as caught:
        ShareLink(**{"url": URL, **fields})  # type: ignore[arg-type]
    assert caught.value.code == "link_malformed"


def test_more_than_transfer_link_chars_is_refused_unread() -> None:
    assert code_of(f"{URL}?v=a#" + "A" * limits.TRANSFER_LINK_CHARS) == "link_too_long"
    longest = f"{URL}?v=a#"
    assert code_of(longest + "A" * (limits.TRANSFER_LINK_CHARS - len(longest))) == "link_secret_malformed"


def test_nothing_of_a_link_is_in_its_representation_or_an_error() -> None:
    link = ShareLink(url=URL, secret=SECRET, level="pin")
    shown = repr(link) + str(link)
    for text in (link_text(link) + "x", link_text(link).replace("/v1/", "/v2/"), link_text(link)[:-1]):
        with pytest.raises(SafeconductError) as caught:
            parse_link(text)
        shown += repr(caught.value) + str(caught.value)
        shown += str(caught.value.__cause__)

    for part in (MAILBOX, "relay.example", b64.encode(SECRET), b64.encode(SECRET)[:8], SECRET.hex()):
        assert part not in shown


def test_a_link_fits_into_a_small_qr_code() -> None:
    text = link_text(ShareLink(url=URL, secret=SECRET, level="approve"))
    assert len(text) <= 119  # of version 8-Q, bytes; the drafts' own have 94
