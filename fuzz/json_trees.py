"""JSON documents changed by their structure, or byte by byte: the first byte of the garbage says which."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from fuzz.choices import Choices
from fuzz.trees import Pool, mutate

POOL = Pool(
    keys=(
        *("", "a", "alg", "enc", "zip", "kid", "jwk", "crit", "b64", "typ", "iat", "nonce", "d", "x", "keys"),
        *("credential_issuer", "credential", "proofs", "jwt", "type", "locale", "path", "\ud800", "é"),
    ),
    values=(
        *(None, True, False, 0, -1, 1, 2**63, 2**64, 10**30, -0.0, 1e300, float("nan"), float("inf"), 1.7e9),
        *("", "a", "é", "\ud800", "\0", "A" * 3000, "none", "ES256", "HS256", "A128GCM", "DEF", "AA", "="),
        *(
            "https://issuer.example",
            "http://localhost",
            "https://[::1",
            "https://a@b",
            "https://a.example/%zz",
        ),
        *([], {}, [[]], {"a": {}}, ["a", "a"], ["a"] * 300, [1, None, "a"]),
    ),
)


def encode(tree: Any, choices: Choices) -> bytes:
    """Returns the JSON of a tree, also of what JSON cannot say."""
    ascii_only = choices.number(2) == 0
    return json.dumps(tree, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")


def changed(document: Any, choices: Choices) -> bytes:
    """Returns the JSON of a changed document."""
    return encode(mutate(document, choices, POOL), choices)


def preparing(*documents: Any) -> Callable[[bytes], bytes]:
    """Returns what makes a changed one of `documents` from garbage."""

    def prepare(data: bytes) -> bytes:
        choices = Choices(data)
        if choices.number(2) == 1:
            return choices.rest()
        return changed(choices.pick(documents), choices)

    return prepare


def seeding(*documents: Any) -> Callable[[], Iterable[bytes]]:
    """Returns what gives the seeds for `preparing`."""
    return lambda: [b"\0" * 8, *(b"\1" + json.dumps(document).encode() for document in documents)]
