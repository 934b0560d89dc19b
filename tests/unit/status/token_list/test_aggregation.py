"""The document that names an issuer's status lists."""

import json
from typing import Any

import pytest

from safeconduct import limits
from safeconduct.errors import Malformed
from safeconduct.status.token_list import aggregation

ONE, TWO = "https://status.example/1", "https://status.example/2"


def test_it_names_each_list_once_and_in_no_order_of_age() -> None:
    assert aggregation.write([TWO, ONE, TWO]) == aggregation.write([ONE, TWO])
    assert json.loads(aggregation.write([TWO, ONE])) == {"status_lists": [ONE, TWO]}
    assert aggregation.read(aggregation.write([TWO, ONE])) == (ONE, TWO)


def test_members_that_cannot_be_lists_do_not_spoil_the_others() -> None:
    named: list[Any] = [ONE, 7, None, "", "x" * (limits.URL_CHARS + 1), [TWO], TWO, ONE]
    assert aggregation.read(json.dumps({"status_lists": named, "more": 1}).encode()) == (ONE, TWO)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "json_malformed"),
        (b"[]", "json_not_object"),
        (b"{}", "status_aggregation_malformed"),
        (b'{"status_lists":"x"}', "status_aggregation_malformed"),
        (b'{"status_lists":[],"status_lists":[]}', "json_duplicate_member"),
        (b" " * (limits.STATUS_AGGREGATION_BYTES + 1), "json_too_large"),
        (
            json.dumps({"status_lists": ["x"] * (limits.STATUS_LISTS + 1)}).encode(),
            "status_aggregation_malformed",
        ),
    ],
)
def test_another_document_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(Malformed) as error:
        aggregation.read(data)
    assert error.value.code == code
