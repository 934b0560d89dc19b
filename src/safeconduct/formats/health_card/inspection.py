"""Looking into a card, however it is carried, or into what is to become one, without verifying it.

Everything here is a claim of whoever sent it. Nothing in it may be relied on; that is what `verify` is for.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from safeconduct import limits
from safeconduct.encoding import b64, json
from safeconduct.errors import SafeconductError
from safeconduct.formats.health_card import carriers, fhir, findings
from safeconduct.formats.health_card.carriers import Carried
from safeconduct.formats.health_card.finding import Finding
from safeconduct.formats.health_card.parsing import ParsedCard, parse
from safeconduct.formats.inspected import Inspection, Node, date, escaped

_KINDS = {
    "jws": "health card",
    "qr": "QR code of a health card",
    "image": "picture of a health card's QR code",
    "file": "health card file",
    "link": "link with health cards",
}
_DATES = frozenset({"nbf", "exp"})


def inspect(*data: bytes, now: float) -> Inspection:
    """Describe a card in any form, several parts of one, the payload of a card, or a FHIR bundle.

    data: as for `carriers.unwrap`. now: seconds since 1970, for findings about times.
    Raises what `carriers.unwrap` raises; json_*.
    """
    if len(data) == 1 and data[0].lstrip()[:1] == b"{":
        members = json.loads_object(data[0], max_bytes=limits.CARD_FILE_BYTES)
        if "verifiableCredential" not in members:
            return _of_json(data[0], members, now)
    return describe(carriers.unwrap(*data), size=sum(map(len, data)), now=now)


def describe(carried: Carried, *, size: int, now: float) -> Inspection:
    """Describe cards that are unwrapped already. size: bytes of what carried them."""
    remarks = list(carried.findings)
    parts = []
    for number, card in enumerate(carried.cards, 1):
        name = "card" if len(carried.cards) == 1 else f"card {number}"
        children, said = _of_card(card, now)
        parts.append(Node(name, size=len(card), children=tuple(children)))
        remarks += said
    return _inspection(_KINDS[carried.kind], size, parts, remarks)


def _of_json(data: bytes, members: dict[str, Any], now: float) -> Inspection:
    """What stands in a file that holds no cards."""
    if members.get("resourceType") == "Bundle":
        node = Node("bundle", children=tuple(_members(members, 1)))
        said = fhir.examine(members)
        return _inspection("FHIR bundle", len(data), [node], [*_of_space(data), *said])
    if "vc" in members or "iss" in members:
        node = Node("claims", children=tuple(_members(members, 1)))
        said = findings.of_payload(members, now=now)
        return _inspection("payload of a health card", len(data), [node], [*_of_space(data), *said])
    node = Node("members", children=tuple(_members(members, 1)))
    return _inspection("JSON that is no health card", len(data), [node], [])


def _of_space(data: bytes) -> list[Finding]:
    return [finding for finding in findings.of_payload_text(data) if finding.code == "card_trailing_space"]


def _inspection(kind: str, size: int, parts: list[Node], remarks: Iterable[Finding]) -> Inspection:
    said = list(remarks)
    counts: dict[str, int] = {}
    for finding in said:
        counts[finding.severity] = counts.get(finding.severity, 0) + 1
    if said:
        parts = [*parts, Node("findings", children=tuple(map(_finding, said)))]
    return Inspection(kind, "", size, tuple(parts), counts)


def _finding(finding: Finding) -> Node:
    where = f" ({finding.path})" if finding.path else ""
    return Node(finding.code, text=f"{finding.text}{where}", note=finding.severity)


def _of_card(card: str, now: float) -> tuple[list[Node], list[Finding]]:
    """Describe one JWS as far as it can be taken apart."""
    try:
        parsed = parse(card)
    except SafeconductError as error:
        return [_fault("card", error)], [_refused(error)]
    nodes = [Node("header", children=tuple(_members(parsed.header, 1)))]
    said: list[Finding] = []
    try:
        payload = parsed.unverified_payload()
        claims = json.loads_object(payload, max_bytes=limits.CARD_PAYLOAD_BYTES)
    except SafeconductError as error:
        nodes.append(_fault("claims", error))
        said.append(_refused(error))
    else:
        nodes.append(Node("claims", size=len(payload), children=tuple(_members(claims, 1))))
        said += findings.of_card(parsed, claims, now=now)
        said += _refusals(parsed)
    nodes.append(Node("signature", text=b64.encode(parsed.signature)[:32], size=len(parsed.signature)))
    return nodes, said


def _refusals(parsed: ParsedCard) -> list[Finding]:
    """Why the claims would be refused whoever signed them."""
    try:
        parsed.unverified_claims()
    except SafeconductError as error:
        return [_refused(error)]
    return []


def _refused(error: SafeconductError) -> Finding:
    return Finding(error.code, "error", error.reason)


def _fault(name: str, error: SafeconductError) -> Node:
    return Node(name, note=f"cannot be read: {error.reason}")


def _members(members: Mapping[str, Any], depth: int) -> Iterator[Node]:
    for name, value in members.items():
        node = _node(escaped(name), value, depth)
        yield msgspec.structs.replace(node, note=date(value)) if name in _DATES and depth == 1 else node


def _node(name: str, value: Any, depth: int) -> Node:
    if isinstance(value, dict) and value:
        return Node(name, children=tuple(_members(value, depth + 1)))
    if isinstance(value, list) and value:
        inner = [_node(f"[{place}]", item, depth + 1) for place, item in enumerate(value)]
        return Node(name, children=tuple(inner))
    return Node(name, text=escaped(json.dumps(value).decode()))
