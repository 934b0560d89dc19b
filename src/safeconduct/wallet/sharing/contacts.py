"""Receiving cards: the wallet's own, which it hands out, and those of others, to whom it may share.

A card names two keys: one that offers are sealed for, and one that the credential will be bound to. Who gives
it away lets others address a share to these keys alone. A card whose key got a credential is not shown again:
a second credential for the same key could be linked to the first.
"""

import hmac

import msgspec
from sqlalchemy import Connection

from safeconduct.crypto.agreement import AgreementKey
from safeconduct.encoding import json
from safeconduct.errors import Rejected
from safeconduct.protocols.transfer.contact import ContactCard, check_name, issue_contact, parse_contact
from safeconduct.wallet import rows
from safeconduct.wallet.context import Context
from safeconduct.wallet.holder_keys import signer_of
from safeconduct.wallet.records import key_text
from safeconduct.wallet.vault import Vault

CARD, CONTACT = "card", "contact"
"""Kinds of records."""

ALGORITHM = "ES256"
"""Of the key that a credential will be bound to: the one that every issuer takes."""

_ID_BYTES = 4


class OwnCard(msgspec.Struct, frozen=True, kw_only=True):
    """A card of the wallet's own.

    text: as it is handed out. receiving_key: a private JWK as text; proof_key: likewise, or a PKCS#11 URI.
    number: the later made, the higher. since: when, seconds. used: how many offers came for it.
    """

    id: str
    text: str
    name: str
    receiving_key: str
    proof_key: str
    number: int
    since: int
    used: int = 0

    @property
    def opener(self) -> AgreementKey:
        """The key that opens what is sealed for the card."""
        return AgreementKey.from_jwk(json.loads_object(self.receiving_key))

    def __repr__(self) -> str:
        return f"<OwnCard {self.id}>"


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's card. name: by which the holder finds it. text: the card. added: seconds."""

    id: str
    name: str
    text: str
    added: int

    def __repr__(self) -> str:
        return f"<Contact {self.id}>"


async def own_card(
    context: Context, *, name: str | None, new: bool, key: str | None
) -> tuple[OwnCard, ContactCard]:
    """Return the card to hand out, with what others read on it: the newest unused, or a new one.

    name: to stand on a new card; None for that of the last one. new: make one in any case.
    key: URI of a key in a PKCS#11 token that credentials shall be bound to; None for a key of the wallet's.
    Raises Rejected: contact_name_needed; Malformed: contact_name_unacceptable; HsmError.
    """
    before = await cards(context)
    fitting = [
        card
        for card in before
        if not card.used and name in (None, card.name) and (key is None or key == card.proof_key)
    ]
    if fitting and not new:
        return fitting[0], _read_own(fitting[0])
    if name is None and not before:
        raise Rejected("contact_name_needed", "Say what shall stand on the card as your name: --name NAME.")
    card = _new_card(
        context,
        name=before[0].name if name is None else check_name(name),
        place=key,
        number=before[0].number + 1 if before else 1,
    )
    await context.safe.run(rows.put, CARD, card.id, card)
    return card, _read_own(card)


async def cards(context: Context) -> tuple[OwnCard, ...]:
    """Return the wallet's own cards, the newest first."""
    found = await context.safe.run(rows.every, CARD, OwnCard)
    return tuple(sorted(found, key=lambda card: (-card.number, card.id)))


async def count_use(context: Context, card: OwnCard) -> None:
    """Keep that an offer came for a card."""
    await context.safe.run(_count_use, card.id)


async def add(context: Context, text: str, *, name: str | None) -> tuple[Contact, ContactCard]:
    """Keep somebody's card, whose signature is checked.

    name: by which to find it; None for the one on the card. A card that is there already is given the name.
    Raises Malformed: contact_malformed, contact_name_unacceptable; Rejected: signature_invalid,
    contact_exists, and as `parse_contact`.
    """
    card = parse_contact(text, now=context.clock())
    contact = Contact(
        id=context.random(_ID_BYTES).hex(),
        name=check_name(card.name if name is None else name),
        text=text.strip(),
        added=context.clock(),
    )
    return await context.safe.run(_add, contact, card.jkt), card


async def list_all(context: Context) -> tuple[tuple[Contact, ContactCard], ...]:
    """Return the contacts by name, with what their cards say."""
    found = await context.safe.run(rows.every, CONTACT, Contact)
    ordered = sorted(found, key=lambda contact: (contact.name, contact.id))
    return tuple((contact, card_of(contact)) for contact in ordered)


async def remove(context: Context, name: str) -> Contact:
    """Forget the contact of that name, or whose id begins so. Raises as `find`."""
    contact = await context.safe.run(_find, name)
    await context.safe.run(_remove, contact.id)
    await context.safe.erase_traces()
    return contact


async def find(context: Context, name: str) -> tuple[Contact, ContactCard]:
    """Return the contact of that name, or whose id begins so, with what its card says.

    Raises Rejected: contact_unknown, contact_ambiguous.
    """
    contact = await context.safe.run(_find, name)
    return contact, card_of(contact)


def card_of(contact: Contact) -> ContactCard:
    """Return what a contact's card says; it was checked when it came, and is again."""
    return parse_contact(contact.text, now=contact.added)


def _new_card(context: Context, *, name: str, place: str | None, number: int) -> OwnCard:
    receiving = AgreementKey.generate("X25519")
    kept = key_text(context.new_key(ALGORITHM)) if place is None else place
    now = context.clock()
    return OwnCard(
        id=context.random(_ID_BYTES).hex(),
        text=issue_contact(receiving_key=receiving.public, signer=signer_of(kept), name=name, now=now),
        name=name,
        receiving_key=json.dumps(receiving.to_jwk(private=True)).decode(),
        proof_key=kept,
        number=number,
        since=now,
    )


def _read_own(card: OwnCard) -> ContactCard:
    return parse_contact(card.text, now=card.since)


def _add(connection: Connection, vault: Vault, contact: Contact, jkt: str) -> Contact:
    for other in rows.every(connection, vault, CONTACT, Contact):
        if hmac.compare_digest(card_of(other).jkt, jkt):
            contact = msgspec.structs.replace(contact, id=other.id)
        elif other.name == contact.name:
            raise Rejected(
                "contact_exists",
                "Another contact has this name, with other keys. Ask whether the card is new; then remove "
                "the old one, or use another name.",
            )
    rows.put(connection, vault, CONTACT, contact.id, contact)
    return contact


def _find(connection: Connection, vault: Vault, name: str) -> Contact:
    for contact in rows.every(connection, vault, CONTACT, Contact):
        if contact.name == name:
            return contact
    try:
        row = rows.find(connection, CONTACT, name, what="contact")
    except Rejected as error:
        if error.code != "contact_unknown":
            raise
        raise Rejected(
            "contact_unknown", "No contact has this name or id; `wallet contact list` lists them."
        ) from None
    return rows.read(vault, row, Contact)


def _remove(connection: Connection, _vault: Vault, contact: str) -> None:
    rows.remove(connection, CONTACT, contact)


def _count_use(connection: Connection, vault: Vault, card: str) -> None:
    found = rows.get(connection, vault, CARD, card, OwnCard)
    if found is not None:
        rows.put(connection, vault, CARD, card, msgspec.structs.replace(found, used=found.used + 1))
