"""Looking into SD-JWTs: what is said of each claim, and that no text whatever breaks it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.negative.sd_jwt_builder import (
    GOOD,
    ISSUED,
    NAME,
    PLAIN,
    b64,
    disclosure,
    element,
    present,
    salt,
)

from safeconduct.errors import Malformed
from safeconduct.formats.inspected import Inspection, Node
from safeconduct.formats.sd_jwt.inspection import inspect


def nodes(seen: Inspection) -> Iterator[Node]:
    def walk(node: Node) -> Iterator[Node]:
        yield node
        for child in node.children:
            yield from walk(child)

    for part in seen.parts:
        yield from walk(part)


def states(seen: Inspection) -> dict[str, str]:
    return {node.name: node.state for node in nodes(seen) if node.state}


def test_an_issued_token_shows_states_and_paths() -> None:
    seen = inspect(ISSUED.issued())
    assert (seen.kind, seen.profile, seen.verified) == ("issued SD-JWT", "sd-jwt-vc", False)
    assert seen.counts == {"clear": 7, "disclosed": 5, "redacted": 1}
    paths = {node.path for node in nodes(seen) if node.path}
    assert paths == {"given_name", "address", "address.region", "nationalities[0]", "nationalities[2]"}


def test_a_presentation_shows_no_paths_and_its_key_binding() -> None:
    seen = inspect(present(ISSUED, disclose=["given_name"]))
    assert seen.kind == "presentation"
    assert [part.name for part in seen.parts] == ["key binding JWT", "SD-JWT"]
    assert {node.path for node in nodes(seen)} == {""}
    assert states(seen)["given_name"] == "disclosed"


@pytest.mark.parametrize("more", [{}, {"x": "y"}])
def test_json_forms_are_described(more: dict[str, Any]) -> None:
    seen = inspect(json.dumps(GOOD.flattened(**more)))
    assert seen.kind == "presentation"
    assert ("unprotected header" in [node.name for node in nodes(seen)]) == bool(more)


def test_times_and_keys_are_explained() -> None:
    notes = {node.name: node.note for node in nodes(inspect(GOOD.text()))}
    assert notes["exp"] == "2023-11-15T00:43:20Z"
    assert notes["cnf"].startswith("ES256 key, thumbprint ")
    broken = GOOD.claiming({"cnf": {"jwk": {}}})
    assert {node.name: node.note for node in nodes(inspect(broken.text()))}["cnf"] == "not a usable key"


def test_what_answers_nothing_is_said() -> None:
    seen = inspect(GOOD.showing(NAME, disclosure(salt(9), "x", 1), b64("no json")).issued())
    assert seen.counts["unreferenced"] == 2


@pytest.mark.parametrize(
    "token",
    [
        GOOD.but(header="no json"),
        GOOD.but(claims="[]"),
        GOOD.claiming({"_sd": 1}),
        GOOD.claiming({"_sd": [1, None]}),
        GOOD.claiming({"_sd_alg": ["x"]}),
        GOOD.claiming({"a": [{"...": 1}, element("x")]}),
        GOOD.headed({"typ": 1, "x5c": ["a", "b"]}),
        PLAIN.redacting(disclosure(salt(9), 1, 2)),
        PLAIN.redacting(disclosure(salt(9), "a")),
    ],
)
def test_broken_tokens_are_described_too(token: Any) -> None:
    assert inspect(token.text()).kind == "presentation"
    assert inspect(token.issued().encode()).kind == "issued SD-JWT"
    assert inspect(token.jwt()).kind == "JWT"


def test_a_key_binding_that_is_none_is_said() -> None:
    assert inspect(GOOD.issued() + "x").parts[0].note == "not a JWT"


def test_nothing_that_a_terminal_would_obey_is_shown() -> None:
    seen = inspect(GOOD.claiming({"a\x1b[2J": "b\x1b[2J", "sub\x9b": 1}).text())
    shown = "".join(node.name + node.text + node.note + node.path for node in nodes(seen))
    assert shown.isprintable()


@pytest.mark.parametrize("text", ["", "a", "a.b", "a.b.c.d", "~", "a~b", "{}", "a.b.c~~"])
def test_what_is_no_token_is_malformed(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        inspect(text)
    assert caught.value.code == "sd_jwt_malformed"
