"""Targets: what a relay answers a wallet, and the page that it shows of a mailbox."""

from fuzz import json_trees
from fuzz.judgement import Target
from safeconduct import limits
from safeconduct.wallet.sharing.relay_line import read_mail, read_preview

_MAIL = {
    "payload": {"type": "SCT2_AES_256_GCM", "data": "AgAAAAE="},
    "displayInformation": {"title": "t", "description": "d", "imageURL": "https://relay.example/p.png"},
    "expiration": "2030-01-01T00:00:00Z",
    "sequence": 3,
    "state": "claimed",
}
_PAGE = b'<!doctype html><meta property="og:title" content="A &amp; &#8238;B">'


def _preview(received: bytes) -> None:
    shown = read_preview(received)
    for text, most in (
        (shown.title, limits.DISPLAY_TITLE_CHARS),
        (shown.description, limits.DISPLAY_DESCRIPTION_CHARS),
    ):
        assert len(text) <= most
        assert text.isprintable()


TARGETS = (
    Target(
        name="relay.mail",
        read=read_mail,
        prepare=json_trees.preparing(_MAIL),
        seeds=json_trees.seeding(_MAIL),
    ),
    Target(
        name="relay.preview",
        read=_preview,
        seeds=lambda: [_PAGE],
        large=lambda: [
            b'<meta property="og:title" content="' * (limits.PREVIEW_BYTES // 35),
            b'<meta property="og:title" content="' + b"&#9" * 1300 + b'">',
            b'<meta property="og:title" content="&#' + b"9" * 4000 + b'">',
            b'<meta property="og:title" content="' + b"x" * limits.PREVIEW_BYTES,
        ],
    ),
)
