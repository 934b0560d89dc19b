"""Issuing: what a caller can get wrong."""

from typing import Any

import pytest

from safeconduct import Key, sd_cwt

ISSUER, HOLDER = Key.generate("ES256"), Key.generate("ES256")


@pytest.mark.parametrize("wrong", [{"hash_name": "md5"}, {"confirmation": "kid"}])
def test_a_caller_s_mistake_is_a_value_error(wrong: dict[str, Any]) -> None:
    claims = {"iss": "https://issuer.example", "sub": "urn:1"}
    with pytest.raises(ValueError, match=r"hash_name|kid"):
        sd_cwt.issue(claims, issuer=ISSUER, holder=HOLDER.public, now=1, **wrong)
