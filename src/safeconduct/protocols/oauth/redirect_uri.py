"""Redirect URIs: which ones a client may have, when two are the same, and how an answer is put on one.

A redirect URI is where the user's browser takes the authorization code. So it is compared as text, and leads
to a server with TLS, to an application on the user's machine, or to one with a scheme of its own.
Sources: RFC 6749 §3.1.2, RFC 8252 §7 and §8.4, RFC 9700 §2.1.
"""

import re
from collections.abc import Iterable
from urllib.parse import urlencode, urlsplit

from safeconduct import limits
from safeconduct.errors import SafeconductError
from safeconduct.protocols.oauth import urls
from safeconduct.protocols.oauth.errors import InvalidRequest

_LEGAL = re.compile(r"(?:[!$&'()*+,;=:@/?\[\]A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+")
_PRIVATE_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+", re.IGNORECASE)
_HOST = re.compile(r"[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]")


def check_redirect_uri(uri: str) -> str:
    """Returns `uri` if a client may have it.

    https with a host; http with a loopback host; or a private-use scheme, which is a domain name in reverse
    and so has a dot (RFC 8252 §7.1). That leaves no place for `javascript:` and its like.

    Raises InvalidRequest "redirect_uri_malformed", "redirect_uri_refused".
    """
    if len(uri) > limits.URL_CHARS or not _LEGAL.fullmatch(uri):
        raise InvalidRequest("redirect_uri_malformed", "The redirect URI is malformed.", rule="RFC 3986")
    scheme, mark, rest = uri.partition(":")
    if scheme.lower() in ("https", "http"):
        _check_web(uri)
    elif (
        not mark or not _PRIVATE_SCHEME.fullmatch(scheme) or not rest.startswith("/") or set(rest) & set("[]")
    ):
        raise _refused()
    return uri


def is_native(uri: str) -> bool:
    """Returns whether a checked redirect URI leads to the local machine by http (RFC 8252 §7.3)."""
    return uri.lower().startswith("http:")


def same_redirect_uri(registered: str, given: str) -> bool:
    """Returns whether a checked redirect URI is the registered one: the same text (RFC 9700 §2.1).

    But for the port of a loopback URI, which an application gets from its system when it starts to listen
    (RFC 8252 §7.3).
    """
    if is_native(registered) and is_native(given):
        return _without_port(registered) == _without_port(given)
    return registered == given


def with_parameters(uri: str, parameters: Iterable[tuple[str, str]]) -> str:
    """Returns the URI with parameters added to its query (RFC 6749 §4.1.2)."""
    joint = "&" if "?" in uri else "?"
    return f"{uri}{joint}{urlencode(list(parameters))}"


def form_action_source(uri: str) -> str:
    """Returns the source by which a Content Security Policy permits that a form leads to a checked URI.

    Browsers apply `form-action` to the redirects that follow a form, too.
    """
    parts = urlsplit(uri)
    if parts.scheme not in ("https", "http") or "[" in parts.netloc:  # a policy cannot name an IPv6 address
        return f"{parts.scheme}:"
    return f"{parts.scheme}://{parts.netloc}"


def _check_web(uri: str) -> None:
    try:
        urls.check_url(uri, what="redirect_uri", allow_http_loopback=True)
        host = _HOST.fullmatch(_host_of(uri))
    except SafeconductError as error:
        raise _refused() from error
    if not host:
        raise _refused()


def _host_of(uri: str) -> str:
    netloc = urlsplit(uri).netloc
    return netloc if netloc.endswith("]") else re.sub(r":[0-9]+\Z", "", netloc)


def _without_port(uri: str) -> str:
    return uri.replace(urlsplit(uri).netloc, _host_of(uri), 1)


def _refused() -> InvalidRequest:
    return InvalidRequest(
        "redirect_uri_refused",
        "The redirect URI is neither https, nor on a loopback address, nor of a private-use scheme.",
        rule="RFC 8252 §7",
    )
