"""Claim sets before issuance, with To Be Redacted and To Be Decoy tags (SD-CWT-08 §12)."""

from collections.abc import Collection
from typing import Any

from safeconduct import limits
from safeconduct.encoding import cbor
from safeconduct.encoding.cbor import Tag
from safeconduct.errors import Malformed
from safeconduct.formats.redaction import Decoys, Redacted
from safeconduct.formats.sd_cwt.labels import OLD_TO_BE_DECOY_TAG, TO_BE_DECOY_TAG, TO_BE_REDACTED_TAG
from safeconduct.formats.sd_cwt.profile import check_leniencies

_RULE = "SD-CWT-08 §12"


def read_preissued(data: bytes, *, accept: Collection[str] = frozenset()) -> dict[Any, Any]:
    """Turn a tagged claim set (CBOR) into claims for `issue`.

    accept: "decoy-tag-61" also reads the decoy tag of drafts -05 and -06, "tag-58-on-value" a To Be Redacted
    tag round the value of a map entry, which then says what one round its key would.
    Raises Malformed: claims_not_map, claim_key, claim_duplicate, decoy_malformed, decoy_duplicate,
    claim_too_deep; Unsupported: leniency_unknown.
    """
    claims = cbor.loads(data)
    if type(claims) is not dict:
        raise Malformed("claims_not_map", "The claims are not a map.", rule=_RULE)
    check_leniencies(accept)
    decoy_tags = {TO_BE_DECOY_TAG} | ({OLD_TO_BE_DECOY_TAG} if "decoy-tag-61" in accept else set())
    reader = _Reader(frozenset(decoy_tags), tagged_values="tag-58-on-value" in accept)
    return reader.map(claims, 1)


class _Reader:
    def __init__(self, decoy_tags: frozenset[int], *, tagged_values: bool) -> None:
        self.decoy_tags, self.tagged_values = decoy_tags, tagged_values
        self.numbers: set[int] = set()

    def value(self, value: Any, depth: int) -> Any:
        if depth > limits.CBOR_DEPTH:
            raise Malformed("claim_too_deep", "The claims are nested too deeply.", rule=_RULE)
        if type(value) is dict:
            return self.map(value, depth)
        if type(value) is list:
            return [self.element(item, depth) for item in value]
        if type(value) is Tag:
            return Tag(value.tag, self.value(value.value, depth + 1))
        return value

    def map(self, entries: dict[Any, Any], depth: int) -> dict[Any, Any]:
        result: dict[Any, Any] = {}
        for key, item in entries.items():
            if type(key) is Tag and key.tag in self.decoy_tags:
                if item is not None:
                    raise Malformed("decoy_malformed", "A decoy in a map has the value null.", rule=_RULE)
                result[self.decoy(key)] = None
                continue
            plain, redacted = self.key(key)
            if plain in result:
                raise Malformed("claim_duplicate", "A key stands there both plain and redacted.", rule=_RULE)
            if self.tagged_values and not redacted and type(item) is Tag and item.tag == TO_BE_REDACTED_TAG:
                item, redacted = item.value, True
            inner = self.value(item, depth + 1)
            result[plain] = Redacted(inner) if redacted else inner
        return result

    def element(self, item: Any, depth: int) -> Any:
        if type(item) is Tag and item.tag in self.decoy_tags:
            return self.decoy(item)
        if type(item) is Tag and item.tag == TO_BE_REDACTED_TAG:
            return Redacted(self.value(item.value, depth + 1))
        return self.value(item, depth + 1)

    def key(self, key: Any) -> tuple[Any, bool]:
        if type(key) is not Tag:
            return key, False
        if key.tag != TO_BE_REDACTED_TAG or type(key.value) not in (int, str):
            raise Malformed("claim_key", "A map key has a tag that is not allowed.", rule="SD-CWT-08 §5.3")
        return key.value, True

    def decoy(self, tag: Tag) -> Decoys:
        number = tag.value
        if type(number) is not int or number < 1:
            raise Malformed("decoy_malformed", "A decoy's number is a positive integer.", rule=_RULE)
        if number in self.numbers:
            raise Malformed("decoy_duplicate", "Two decoys have the same number.", rule=_RULE)
        self.numbers.add(number)
        return Decoys(1, number)
