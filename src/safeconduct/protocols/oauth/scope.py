"""The `scope` parameter (RFC 6749 §3.3)."""

import re

from safeconduct import limits
from safeconduct.protocols.oauth.errors import InvalidScope

_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


def parse_scope(text: str) -> tuple[str, ...]:
    """Returns the scope tokens of a request, each once, in their order.

    Raises InvalidScope "scope_malformed".
    """
    tokens = tuple(dict.fromkeys(text.split(" ")))
    if len(tokens) > limits.LIST_ITEMS or not all(_TOKEN.fullmatch(token) for token in tokens):
        raise InvalidScope("scope_malformed", "The scope is malformed.", rule="RFC 6749 §3.3")
    return tokens


def scope_text(tokens: tuple[str, ...]) -> str:
    """Returns the value of a `scope` parameter."""
    return " ".join(tokens)
