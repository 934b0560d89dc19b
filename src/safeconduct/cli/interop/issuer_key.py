"""The issuer's key as the interop contract finds it: a file, the kid's URL, or not at all."""

import asyncio
from urllib.parse import urlsplit

from safeconduct.cli import keyfiles
from safeconduct.cli.faults import WrongUse
from safeconduct.cli.interop.options import IssuerKeySource
from safeconduct.crypto.keys import PublicKey
from safeconduct.encoding import cbor
from safeconduct.envelope import cose
from safeconduct.envelope.cose import Sign1
from safeconduct.errors import Malformed, Rejected
from safeconduct.formats.sd_cwt.labels import ISS
from safeconduct.trust import Trust


def trust_in_file(issuer_file: str | None) -> Trust | None:
    """Return the trust in the key of a file, None if no file is given. Raises WrongUse."""
    return None if issuer_file is None else Trust.key(keyfiles.read_public(issuer_file).with_kid(None))


def trust_for(message: Sign1, source: IssuerKeySource | None) -> Trust:
    """Return whom to trust for one SD-CWT where no file says so.

    message: the SD-CWT, not verified yet. Raises WrongUse; Rejected: issuer_unknown, kid_not_url,
    kid_foreign, fetch_status; and as `HttpFetcher.request`.
    """
    if source is IssuerKeySource.IGNORE:
        return Trust.issuer_not_checked()
    if source is IssuerKeySource.CACHE:
        key = keyfiles.read_public(f"./{_file_name(_url_in_kid(message))}")
    elif source is IssuerKeySource.FETCH:
        key = _fetched(_url_in_kid(message))
    else:
        raise Rejected("issuer_unknown", "Neither --issuer nor --issuer-key says whose signature to accept.")
    return Trust.key(key.with_kid(None))


def _url_in_kid(message: Sign1) -> str:
    """Return the https URL in the kid, which must be one of the issuer that the token names.

    Anyone can sign a token that names an issuer and put a URL of their own there.
    """
    kid = message.protected.get(cose.KID)
    try:
        url = kid.decode("ascii") if type(kid) is bytes else ""
        parts = urlsplit(url)
    except ValueError:
        url, parts = "", urlsplit("")
    if parts.scheme != "https" or not parts.hostname:
        raise Rejected("kid_not_url", "The kid of the token is no https URL: give --issuer FILE.")
    if parts.netloc != _issuer_host(message):
        raise Rejected("kid_foreign", "The kid of the token leads away from the issuer that it names.")
    return url


def _issuer_host(message: Sign1) -> str:
    claims = cbor.loads(message.payload)
    named = claims.get(ISS) if type(claims) is dict else None
    if type(named) is not str:
        raise Malformed("claim_type", "The claim iss has the wrong type.")
    try:
        return urlsplit(named).netloc
    except ValueError:
        return ""


def _file_name(url: str) -> str:
    name = urlsplit(url).path.rpartition("/")[2]
    if name in ("", ".", "..") or not name.isprintable() or "\\" in name:
        raise Rejected("kid_not_url", "The kid of the token names no file.")
    return name


def _fetched(url: str) -> PublicKey:
    from safeconduct.net.fetch import HttpFetcher

    async def fetch() -> bytes:
        async with HttpFetcher(allow_loopback=False) as fetcher:
            response = await fetcher.request("GET", url, max_bytes=keyfiles.MAX_BYTES)
        if response.status != 200:
            raise Rejected("fetch_status", "The issuer's key is not at the URL in the kid.")
        return response.body

    try:
        return keyfiles.public_in(asyncio.run(fetch()), "what the issuer's URL answers")
    except WrongUse as error:
        raise Rejected("issuer_key_unusable", f"The issuer's key is unusable: {error}") from None
