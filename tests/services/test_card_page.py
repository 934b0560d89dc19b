"""The holder's page in a real browser: under its policy it looks as meant, and its code can be scanned.

Chromium is installed by scripts/chromium.sh.
"""

import html
import io
import subprocess
from pathlib import Path
from typing import Any

from PIL import Image
from tests.flows.card_stage import BUNDLE, CARDS
from tests.services.chromium import browser
from tests.services.live import ADMIN_TOKEN, live_issuer
from tests.services.test_hostile_requests import asked

from safeconduct.encoding import json
from safeconduct.formats.health_card import carriers
from safeconduct.settings import KeyPlace

GROUND = (0xEE, 0xF1, 0xF5)
"""The page's background in its style sheet."""


def screenshot(folder: Path, url: str, *arguments: str) -> bytes:
    """What a browser shows once it has sent the form of the first page, which a script outside it does."""
    sender = folder / "send.html"
    sender.write_text(
        f'<form method="post" action="{html.escape(url)}"><input name="action" value="show"></form>'
        "<script>document.forms[0].submit()</script>"
    )
    picture = folder / "page.png"
    subprocess.run(
        [
            browser(),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={folder / 'profile'}",
            "--window-size=500,1000",
            "--virtual-time-budget=5000",
            f"--screenshot={picture}",
            *arguments,
            sender.as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return picture.read_bytes()


def test_a_browser_shows_a_card_that_can_be_scanned(tmp_path: Path) -> None:
    key = KeyPlace(tmp_path / "card.pem")
    with live_issuer(tmp_path, card_issuer=CARDS, card_signing_key=key) as site:
        made = _made(site.admin)
        # The link names the issuer; here is where it listens.
        url = site.public + made["link"]["url"].removeprefix("http://127.0.0.1:9")
        page = screenshot(tmp_path, url)
        assert carriers.unwrap(page).cards == (made["jws"],)
        with Image.open(io.BytesIO(page)) as image:
            assert image.convert("RGB").getpixel((2, 2)) == GROUND  # the policy lets the style sheet be
        assert site.failures == []


def _made(admin: str) -> dict[str, Any]:
    body = json.dumps({"bundle": BUNDLE, "subject": "a", "link": True})
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": "application/json"}
    return asked(admin, "POST", "/cards", body=body, headers=headers).members
