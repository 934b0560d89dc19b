"""UUIDs of mailboxes, claims and requests (RFC 4122 §3): in either case of letters, compared as bytes."""

import re

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


def parse_uuid(text: str) -> bytes | None:
    """Returns the 16 bytes of a UUID; None for what is none."""
    return bytes.fromhex(text.replace("-", "")) if _UUID.fullmatch(text) else None


def uuid_text(raw: bytes) -> str:
    """Returns the text of a UUID, in lower case. raw: its 16 bytes."""
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def new_uuid(random: bytes) -> bytes:
    """Returns a UUID of version 4 (RFC 4122 §4.4), as bytes. random: 16 unpredictable bytes."""
    version, variant = random[6] & 0x0F | 0x40, random[8] & 0x3F | 0x80
    return random[:6] + bytes([version, random[7], variant]) + random[9:]
