"""Form bodies (application/x-www-form-urlencoded) as OAuth reads them (RFC 6749 §3.2, Appendix B)."""

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, urlencode

from safeconduct import limits
from safeconduct.protocols.oauth.errors import InvalidRequest

MEDIA_TYPE = "application/x-www-form-urlencoded"

_REPEATABLE = frozenset({"resource"})  # RFC 8707 §2


def parse_form(body: bytes | str) -> dict[str, str]:
    """Returns the parameters of a form body or query; those without a value count as left out.

    Raises InvalidRequest: "form_too_large", "form_malformed" (not UTF-8, too many parameters),
    "parameter_repeated".
    """
    if len(body) > limits.FORM_BYTES:
        raise InvalidRequest("form_too_large", "The request body is longer than allowed here.")
    parameters: dict[str, str] = {}
    for name, value in _pairs(body):
        if name in parameters and name not in _REPEATABLE:
            raise InvalidRequest("parameter_repeated", "A parameter is given twice.", rule="RFC 6749 §3.2")
        parameters.setdefault(name, value)
    # RFC 6749 §3.2: a parameter without a value is as if it were omitted.
    return {name: value for name, value in parameters.items() if value}


def bounded(parameters: Mapping[str, str], name: str, most: int = limits.CODE_CHARS) -> str | None:
    """Returns one parameter, None without it.

    most: characters that it may have. Raises InvalidRequest "parameter_too_long".
    """
    value = parameters.get(name)
    if value is not None and len(value) > most:
        raise InvalidRequest("parameter_too_long", "A parameter is longer than allowed here.")
    return value


def client_id(parameters: Mapping[str, str]) -> str | None:
    """Returns the parameter `client_id`, None without it.

    Source: RFC 6749 Appendix A.1. Raises InvalidRequest "parameter_too_long", "client_id_malformed".
    """
    value = bounded(parameters, "client_id")
    if value is not None and not (value.isascii() and value.isprintable()):
        raise InvalidRequest("client_id_malformed", "The client_id is malformed.", rule="RFC 6749 §A.1")
    return value


def encode_form(pairs: Iterable[tuple[str, str]]) -> bytes:
    """Returns a form body with the given parameters in their order."""
    return urlencode(list(pairs)).encode("ascii")


def _pairs(body: bytes | str) -> list[tuple[str, str]]:
    try:
        text = body if isinstance(body, str) else body.decode("utf-8")
        return parse_qsl(
            text, keep_blank_values=True, errors="strict", max_num_fields=limits.FORM_FIELDS, separator="&"
        )
    except ValueError as error:  # UnicodeDecodeError is one
        raise InvalidRequest("form_malformed", "The request body is not a form.") from error
