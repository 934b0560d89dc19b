"""Health cards as QR codes, files and links: what is written reads back as it was, whatever it is."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from safeconduct.formats.health_card import carriers, drawing, fhir, files, images, links, qr

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
part = st.text(ALPHABET, min_size=1, max_size=350)
jws = st.tuples(part, part, part).map(".".join)


@given(jws)
def test_digits_give_the_card_back(card: str) -> None:
    text = qr.write(card)
    assert text.isascii()
    assert text[5:].isdigit()
    assert len(text) == 5 + 2 * len(card)
    assert qr.read(text) == card


@given(jws, st.integers(1, 9), st.randoms(use_true_random=False))
def test_parts_in_any_order_give_the_card_back(card: str, count: int, source: random.Random) -> None:
    size = -(-len(card) // count)
    parts = [card[at : at + size] for at in range(0, len(card), size)]
    texts = [f"shc:/{n}/{len(parts)}/{qr.jws_to_digits(part)}" for n, part in enumerate(parts, 1)]
    source.shuffle(texts)
    assert qr.read_all(texts) == card


@given(st.lists(jws, min_size=1, max_size=5))
def test_files_and_links_give_the_cards_back(cards: list[str]) -> None:
    assert carriers.unwrap(files.write(cards)).cards == tuple(cards)
    link = links.write("https://app.example/SMARTHealthCard/", cards)
    assert carriers.unwrap(link.encode()).cards == tuple(cards)


@settings(max_examples=12, deadline=None)
@given(jws, st.sampled_from(["svg", "png"]), st.sampled_from(["L", "M"]), st.integers(2, 5))
def test_every_code_that_is_drawn_is_read_and_made_as_it_should_be(
    card: str, form: drawing.Form, level: drawing.Level, scale: int
) -> None:
    card = card[: qr.MAX_JWS_CHARS[level]]
    (code,) = images.read(drawing.draw(card, form=form, level=level, scale=scale))
    assert qr.read(code.text) == card
    assert code.version <= qr.MAX_VERSION
    assert drawing.examine(code) == ()


names = st.sampled_from(["a", "name", "coding", "reference", "meta", "contained", "extension", "valueCoding"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["resource:0", "A/1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)


@given(st.lists(st.dictionaries(names, values, max_size=4), min_size=1, max_size=4))
def test_a_small_bundle_is_as_small_as_it_gets_and_breaks_no_rule_of_size(
    members: list[dict[str, object]],
) -> None:
    entries = [
        {
            "fullUrl": f"urn:{n}",
            "resource": {"resourceType": "A", "id": str(n), "text": {"div": "x"}, **inner},
        }
        for n, inner in enumerate(members)
    ]
    small = fhir.minimise({"resourceType": "Bundle", "id": "x", "entry": entries})
    assert fhir.minimise(small) == small
    assert {finding.code for finding in fhir.examine(small)} <= {
        *("card_fhir_reference", "card_fhir_empty", "card_fhir_coding"),
    }
