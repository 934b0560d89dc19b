"""Cards in a file: JSON that a person downloads, keeps and hands on."""

from collections.abc import Mapping, Sequence
from typing import Any

from safeconduct import limits
from safeconduct.encoding import json
from safeconduct.errors import Malformed

EXTENSION = ".smart-health-card"
"""The end of the file's name."""

MEDIA_TYPE = "application/smart-health-card"
"""The media type of the file."""

_RULE = "SHC-1.4.0, via File Download"


def write(cards: Sequence[str]) -> bytes:
    """Returns a file that holds cards.

    cards: at least one, each a JWS. Raises ValueError for none.
    """
    if not cards:
        raise ValueError("a file holds at least one card")
    return json.dumps({"verifiableCredential": list(cards)})


def read(data: bytes) -> tuple[str, ...]:
    """Returns the cards in a file, each the text of a JWS that is not looked at.

    Raises Malformed: json_*, "card_file_malformed" (no list of texts, or an empty one), "card_file_too_many".
    Source: SHC-1.4.0, via File Download.
    """
    return cards_in(json.loads_object(data, max_bytes=limits.CARD_FILE_BYTES))


def cards_in(members: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the cards in a file that is decoded already. Raises as `read`."""
    cards = members.get("verifiableCredential")
    if not isinstance(cards, list) or not cards or not all(isinstance(card, str) for card in cards):
        raise Malformed("card_file_malformed", "The file does not list any cards.", rule=_RULE)
    if len(cards) > limits.CARD_FILE_CARDS:
        raise Malformed("card_file_too_many", "The file lists more cards than are read here.")
    return tuple(cards)
