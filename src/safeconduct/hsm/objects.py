"""How objects are found in a token."""

from typing import Any

from pkcs11 import Attribute, ObjectClass, Session
from pkcs11.exceptions import NoSuchKey

from safeconduct.hsm.errors import HsmError
from safeconduct.hsm.uri import Pkcs11Uri


def only(session: Session, place: Pkcs11Uri, kind: ObjectClass) -> Any:
    """Returns the one key of that place and kind; raises NoSuchKey, HsmError "hsm_key_ambiguous"."""
    found = all_of(session, place, kind)
    if not found:
        raise NoSuchKey
    if len(found) > 1:
        raise HsmError("hsm_key_ambiguous", "The token has several keys of that name.")
    return found[0]


def usable(key: Any, use: type) -> Any:
    """Returns the key if the token allows that use of it, else raises HsmError "hsm_key_unsupported".

    use: a mixin of python-pkcs11; a key whose attributes forbid the use lacks its methods.
    """
    if not isinstance(key, use):
        raise HsmError("hsm_key_unsupported", "The token does not let the key be used for this.")
    return key


def all_of(session: Session, place: Pkcs11Uri, kind: ObjectClass) -> list[Any]:
    """Returns every key of that place and kind."""
    wanted: dict[Attribute, Any] = {Attribute.CLASS: kind}
    if place.label is not None:
        wanted[Attribute.LABEL] = place.label
    if place.id is not None:
        wanted[Attribute.ID] = place.id
    return list(session.get_objects(wanted))
