"""URLs as identifiers and endpoints: which are acceptable, well-known places, and RFC 3986 normal form."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from safeconduct import limits
from safeconduct.errors import Malformed, Rejected

_LEGAL = re.compile(r"(?:[!$&'()*+,;=:@/?#\[\]A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})+")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_DEFAULT_PORTS = {"https": 443, "http": 80}


def check_url(url: str, *, what: str, allow_http_loopback: bool = False) -> str:
    """Returns `url` if it is an absolute https URL of a host, without user information and fragment.

    what: names the URL in the error, such as "credential_endpoint".
    allow_http_loopback: takes http as well if the host is the local machine.

    Raises Malformed "url_malformed", Rejected "url_not_https".
    """
    parts = _split(url, what)
    if parts.scheme == "https":
        return url
    if parts.scheme == "http" and allow_http_loopback and is_loopback(url):
        return url
    raise Rejected("url_not_https", f"The URL {what} is not an https URL.")


def check_identifier(identifier: str, *, what: str, allow_http_loopback: bool = False) -> str:
    """As `check_url`, for the identifier of an issuer or server, which has no query either.

    Source: OpenID4VCI 1.0 §12.2.1, RFC 8414 §2. Raises Rejected "identifier_has_query" as well.
    """
    check_url(identifier, what=what, allow_http_loopback=allow_http_loopback)
    if "?" in identifier:
        raise Rejected("identifier_has_query", f"The identifier {what} has a query component.")
    return identifier


def is_loopback(url: str) -> bool:
    """Returns whether the host of `url` is the local machine: `localhost`, 127.0.0.0/8 or ::1."""
    host = _split(url, "host").hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_not_inward(url: str, *, named_by: str) -> None:
    """Checks that a server elsewhere, `named_by`, does not send its peers to their own machine.

    Raises Rejected "url_points_inward".
    """
    if is_loopback(url) and not is_loopback(named_by):
        raise Rejected("url_points_inward", "A server elsewhere names a place on this machine.")


def well_known(identifier: str, name: str) -> str:
    """Returns `identifier` with `/.well-known/name` between its host and its path.

    Source: OpenID4VCI 1.0 §12.2.2, RFC 8414 §3. Raises Malformed "url_malformed".
    """
    parts = _split(identifier, "identifier")
    return f"{parts.scheme}://{parts.netloc}/.well-known/{name}{parts.path}"


def normalise(url: str) -> str:
    """Returns scheme, host, port and path of `url` in normal form; query and fragment are dropped.

    Source: RFC 3986 §6.2.2 and §6.2.3, as RFC 9449 §4.3 step 9 asks. Raises Malformed "url_malformed".
    """
    parts = _split(url.partition("#")[0], "to compare")
    host = (parts.hostname or "").lower()
    host = f"[{host}]" if ":" in host else host
    port = "" if parts.port in (None, _DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    path = _without_dot_segments(_ESCAPE.sub(_normal_escape, parts.path)) or "/"
    return f"{parts.scheme}://{host}{port}{path}"


def _split(url: str, what: str) -> SplitResult:
    if len(url) > limits.URL_CHARS or not _LEGAL.fullmatch(url) or "#" in url:
        raise _malformed(what)
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises if it is not a number in range
    except ValueError as error:
        raise _malformed(what) from error
    if not parts.scheme or not parts.hostname or "@" in parts.netloc or parts.netloc.endswith(":"):
        raise _malformed(what)
    return parts


def _malformed(what: str) -> Malformed:
    return Malformed("url_malformed", f"The URL {what} is not an absolute URL of a host.", rule="RFC 3986")


def _normal_escape(escape: re.Match[str]) -> str:
    character = chr(int(escape[1], 16))
    return character if character in _UNRESERVED else escape[0].upper()


def _without_dot_segments(path: str) -> str:
    """RFC 3986 §5.2.4 for an absolute path."""
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    if segments and segments[-1] in (".", ".."):
        kept.append("")
    return "".join(f"/{segment}" for segment in kept)
