"""FHIR content of a card: the rules for bundles in QR codes as findings, and a bundle made to keep them.

No schema of FHIR is carried here: what type an element has is told from its name and its members. So this
sees what the framework asks for, and not whether a resource is valid FHIR.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from safeconduct import limits
from safeconduct.errors import Malformed, Rejected
from safeconduct.formats.health_card.finding import Finding

_RULE = "SHC-1.4.0, Health Cards are Small"
_SHORT_URL = re.compile(r"resource:(0|[1-9][0-9]*)", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)

_CODING = frozenset({"id", "extension", "system", "version", "code", "display", "userSelected"})
_CONCEPT = frozenset({"id", "extension", "coding", "text"})

# Elements that may consist of a text alone and are no CodeableConcept: HumanName, Address, Annotation, Dosage
# and the like.
_TEXT_ALONE = frozenset(
    {"name", "address", "note", "comment", "item", "dosage", "dosageInstruction", "referenceRange", "section"}
    | {"valueHumanName", "valueAddress", "valueAnnotation", "valueDosage"}
)
_TERMINOLOGY = frozenset({"CodeSystem", "ValueSet", "ConceptMap", "NamingSystem"})
_NOT_DOMAIN = frozenset({"Bundle", "Binary", "Parameters"})


def minimise(bundle: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a bundle as small as the framework wants it in QR codes, everything else as it was.

    Ids, metadata but security labels, narratives, texts of concepts and displays of codes are left out; URLs
    of entries and references to them become `resource:N`. Empty elements, which FHIR does not allow, go too.

    Raises Malformed "card_fhir_malformed" (no bundle of resources, or nested too deep); Rejected
    "card_fhir_text_alone" (a concept without a code would lose its only meaning), "card_fhir_url_duplicate".
    Source: SHC-1.4.0, Health Cards are Small.
    """
    entries = bundle.get("entry")
    if bundle.get("resourceType") != "Bundle" or not isinstance(entries, list) or not entries:
        raise _no_bundle()
    if not all(isinstance(entry, Mapping) and _is_resource(entry.get("resource")) for entry in entries):
        raise _no_bundle()
    urls = _short_urls(entries)
    small = {}
    for name, value in bundle.items():
        if name == "entry":
            small[name] = [
                _small_entry(entry, f"resource:{place}", urls) for place, entry in enumerate(entries)
            ]
        elif name == "meta":
            small.update(_security_of(value, urls))
        elif name != "id":
            small.update(_small_member(name, value, urls, 1))
    return small


def examine(bundle: object, *, path: str = "") -> tuple[Finding, ...]:
    """Returns what is to be said of a bundle: FHIR_FINDINGS things at most, of which the last then says so.

    path: the place of the bundle in what it came from.
    """
    found: list[Finding] = []
    for finding in _of_bundle(bundle, path):
        if len(found) == limits.FHIR_FINDINGS - 1:
            found.append(Finding("card_findings_many", "note", "There is more to be said than is listed."))
            break
        found.append(finding)
    return tuple(found)


def _is_resource(value: object) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("resourceType"), str)


def _is_concept(name: str, value: Mapping[str, Any]) -> bool:
    return value.keys() <= _CONCEPT and ("coding" in value or ("text" in value and name not in _TEXT_ALONE))


def _is_coding(name: str, value: Mapping[str, Any]) -> bool:
    return name == "coding" or (value.keys() <= _CODING and ("code" in value or "system" in value))


def _is_empty(value: object) -> bool:
    return value is None or (isinstance(value, (str, Mapping, list)) and len(value) == 0)


# Making a bundle small.


def _short_urls(entries: list[Mapping[str, Any]]) -> dict[str, str]:
    """What other entries may call each entry, and its short URL."""
    urls: dict[str, str] = {}
    relative: dict[str, str | None] = {}
    for place, entry in enumerate(entries):
        short, full, resource = f"resource:{place}", entry.get("fullUrl"), entry["resource"]
        if isinstance(full, str) and urls.setdefault(full, short) != short:
            raise Rejected(
                "card_fhir_url_duplicate", "Two entries of the bundle have one URL.", rule="FHIR bdl-7"
            )
        if isinstance(resource.get("id"), str):
            name = f"{resource['resourceType']}/{resource['id']}"
            # Resources of two servers may have one id: then it names neither.
            relative[name] = None if name in relative else short
    return {**{name: short for name, short in relative.items() if short is not None}, **urls}


def _small_entry(entry: Mapping[str, Any], short: str, urls: dict[str, str]) -> dict[str, Any]:
    small: dict[str, Any] = {"fullUrl": short}
    for name, value in entry.items():
        if name == "resource":
            small[name] = _small_resource(value, urls, 3)
        elif name != "fullUrl":
            small.update(_small_member(name, value, urls, 3))
    return small


def _small_resource(
    resource: Mapping[str, Any], urls: dict[str, str], depth: int, *, contained: bool = False
) -> dict[str, Any]:
    if depth > limits.JSON_DEPTH:
        raise _no_bundle()
    domain = resource["resourceType"] not in _NOT_DOMAIN
    if resource["resourceType"] in _TERMINOLOGY:
        return {name: value for name, value in resource.items() if name not in ("id", "meta", "text")}
    small: dict[str, Any] = {}
    for name, value in resource.items():
        if name == "meta":
            small.update(_security_of(value, urls))
        elif name == "contained" and isinstance(value, list) and all(map(_is_resource, value)):
            small[name] = [_small_resource(inner, urls, depth + 2, contained=True) for inner in value]
        elif not (name == "text" and domain) and (name != "id" or contained):
            # References within a resource name what it contains by its id.
            small.update(_small_member(name, value, urls, depth + 1))
    return small


def _security_of(meta: object, urls: dict[str, str]) -> dict[str, Any]:
    labels = meta.get("security") if isinstance(meta, Mapping) else None
    kept = _small(labels, "security", urls, 2)
    return {} if _is_empty(kept) else {"meta": {"security": kept}}


def _small_member(name: str, value: object, urls: dict[str, str], depth: int) -> dict[str, Any]:
    """The member made small; nothing if it holds nothing."""
    if name == "reference" and isinstance(value, str):
        return {name: urls.get(value, value)}
    small = _small(value, name, urls, depth)
    return {} if _is_empty(small) else {name: small}


def _small(value: object, name: str, urls: dict[str, str], depth: int) -> object:
    if depth > limits.JSON_DEPTH:
        raise _no_bundle()
    if isinstance(value, list):
        items = [_small(item, name, urls, depth + 1) for item in value]
        # Positions count in lists of primitives: their extensions stand in a list beside them.
        return [item for item in items if not (isinstance(item, (dict, list)) and not item)]
    if not isinstance(value, Mapping):
        return value
    if _is_resource(value):
        return _small_resource(value, urls, depth)
    left_out = _left_out(name, value)
    small: dict[str, Any] = {}
    for inner, member in value.items():
        if inner != left_out:
            small.update(_small_member(inner, member, urls, depth + 1))
    return small


def _left_out(name: str, value: Mapping[str, Any]) -> str | None:
    """The member that says in words what codes say."""
    if _is_concept(name, value):
        if not _is_empty(value.get("text")) and _is_empty(value.get("coding")):
            raise _only_meaning()
        return "text"
    if _is_coding(name, value):
        if not _is_empty(value.get("display")) and _is_empty(value.get("code")):
            raise _only_meaning()
        return "display"
    return None


def _only_meaning() -> Rejected:
    return Rejected(
        "card_fhir_text_alone",
        "A concept says what it means in words alone, which a QR code may not hold: give it a code.",
        rule=_RULE,
    )


def _no_bundle() -> Malformed:
    return Malformed("card_fhir_malformed", "This is no FHIR bundle of resources.", rule=_RULE)


# What is to be said of a bundle.


def _of_bundle(bundle: object, path: str) -> Iterator[Finding]:
    if not isinstance(bundle, Mapping) or bundle.get("resourceType") != "Bundle":
        yield Finding("card_fhir_malformed", "error", "This is no FHIR bundle.", path)
        return
    yield from _of_own(bundle, path, top=True)
    entries = bundle.get("entry")
    if not isinstance(entries, list) or not entries:
        yield Finding("card_fhir_malformed", "error", "The bundle has no entries.", _join(path, "entry"))
        return
    known = [entry.get("fullUrl") for entry in entries if isinstance(entry, Mapping)]
    urls = {url for url in known if isinstance(url, str)}
    seen: set[str] = set()
    for place, entry in enumerate(entries):
        yield from _of_entry(entry, f"{_join(path, 'entry')}[{place}]", urls, seen)
    for name, value in bundle.items():
        if name not in ("entry", "meta"):
            yield from _of_value(value, name, _join(path, name), urls, 1)


def _of_entry(entry: object, path: str, urls: set[str], seen: set[str]) -> Iterator[Finding]:
    if not isinstance(entry, Mapping) or not _is_resource(entry.get("resource")):
        yield Finding("card_fhir_malformed", "error", "The entry holds no resource.", path)
        return
    url = entry.get("fullUrl")
    if not isinstance(url, str) or not _SHORT_URL.fullmatch(url):
        text = "In a QR code the URL of an entry is resource: and a number."
        yield Finding("card_fhir_url", "warning", text, _join(path, "fullUrl"))
    elif url in seen:
        text = "Another entry has the same URL."
        yield Finding("card_fhir_url_duplicate", "error", text, _join(path, "fullUrl"))
    if isinstance(url, str):
        seen.add(url)
    for name, value in entry.items():
        if name == "resource":
            yield from _of_resource(value, _join(path, name), urls, 3)
        elif name != "fullUrl":
            yield from _of_value(value, name, _join(path, name), urls, 3)


def _of_resource(
    resource: Mapping[str, Any], path: str, urls: set[str], depth: int, *, contained: bool = False
) -> Iterator[Finding]:
    if depth > limits.JSON_DEPTH:
        yield _too_deep(path)
        return
    yield from _of_own(resource, path, top=not contained)
    if resource["resourceType"] in _TERMINOLOGY:
        return
    for name, value in resource.items():
        inner = _join(path, name)
        if name == "contained" and isinstance(value, list) and all(map(_is_resource, value)):
            for place, item in enumerate(value):
                yield from _of_resource(item, f"{inner}[{place}]", urls, depth + 2, contained=True)
        elif name not in ("id", "meta", "text"):
            yield from _of_value(value, name, inner, urls, depth + 1)


def _of_own(resource: Mapping[str, Any], path: str, *, top: bool) -> Iterator[Finding]:
    """What every resource has: id, metadata and narrative."""
    if "id" in resource and top:
        text = "In a QR code no resource has an id."
        yield Finding("card_fhir_id", "warning", text, _join(path, "id"))
    if "text" in resource and resource["resourceType"] not in _NOT_DOMAIN:
        text = "In a QR code no resource has a narrative."
        yield Finding("card_fhir_narrative", "warning", text, _join(path, "text"))
    if "meta" in resource:
        yield from _of_meta(resource["meta"], _join(path, "meta"))


def _of_meta(meta: object, path: str) -> Iterator[Finding]:
    if not isinstance(meta, Mapping) or meta.keys() != {"security"}:
        text = "In a QR code metadata are security labels alone."
        yield Finding("card_fhir_meta", "warning", text, path)
    labels = meta.get("security", []) if isinstance(meta, Mapping) else []
    place = _join(path, "security")
    if not isinstance(labels, list) or not all(map(_is_label, labels)):
        yield Finding("card_fhir_coding", "error", "A security label is no Coding.", place)
    elif any("display" in label for label in labels):
        yield Finding("card_fhir_display", "warning", _DISPLAY, place)


def _is_label(value: object) -> bool:
    if not isinstance(value, Mapping) or not value:
        return False
    names = {name.removeprefix("_") for name in value}
    return names <= _CODING and all(
        isinstance(value.get(name, ""), str) for name in ("system", "version", "code", "display")
    )


def _of_value(value: object, name: str, path: str, urls: set[str], depth: int) -> Iterator[Finding]:
    if depth > limits.JSON_DEPTH:
        yield _too_deep(path)
    elif _is_empty(value) and value is not None:
        yield Finding("card_fhir_empty", "error", "FHIR has no empty elements.", path)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _of_value(item, name, f"{path}[{place}]", urls, depth + 1)
    elif isinstance(value, Mapping):
        if _is_resource(value):
            yield from _of_resource(value, path, urls, depth)
            return
        yield from _of_element(value, name, path, urls)
        for inner, member in value.items():
            yield from _of_value(member, inner, _join(path, inner), urls, depth + 1)


def _of_element(value: Mapping[str, Any], name: str, path: str, urls: set[str]) -> Iterator[Finding]:
    if _is_concept(name, value) and "text" in value:
        text = "In a QR code a concept has codes and no text."
        yield Finding("card_fhir_concept_text", "warning", text, _join(path, "text"))
    elif _is_coding(name, value) and "display" in value:
        yield Finding("card_fhir_display", "warning", _DISPLAY, _join(path, "display"))
    reference = value.get("reference")
    if isinstance(reference, str) and not reference.startswith("#"):
        place = _join(path, "reference")
        if not _SHORT_URL.fullmatch(reference):
            text = "In a QR code a reference is resource: and a number."
            yield Finding("card_fhir_reference", "warning", text, place)
        elif reference not in urls:
            text = "The reference leads to no entry of the bundle."
            yield Finding("card_fhir_reference", "warning", text, place)


def _too_deep(path: str) -> Finding:
    return Finding("card_fhir_malformed", "error", "The bundle is nested too deep.", path)


_DISPLAY = "In a QR code a code has no display text."


def _join(path: str, name: str) -> str:
    """Names that FHIR cannot have are not repeated: they may hold anything."""
    shown = name if _NAME.fullmatch(name) else "?"
    return f"{path}.{shown}" if path else shown
