"""The line to one mailbox: the six operations, each repeated as itself while no answer comes.

A request that is sent again has the same id, so that the relay does once what was asked once. The fragment of
a link never comes here: what is sent is the mailbox's address, this party's claim, and what is sealed.

Source: draft-vinokurov-tigress-http-00 §6, and the extensions that this project's relay has.
"""

import html
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from safeconduct import limits
from safeconduct.crypto.keys import Key
from safeconduct.encoding import b64, json
from safeconduct.errors import Malformed, Rejected, SafeconductError
from safeconduct.net.fetch import Response, Unreachable
from safeconduct.protocols import wire
from safeconduct.protocols.transfer.claims import claim_message
from safeconduct.protocols.transfer.messages import ATTESTATION
from safeconduct.protocols.transfer.payload import Payload
from safeconduct.protocols.transfer.uuids import parse_uuid
from safeconduct.wallet.answers import Unavailable
from safeconduct.wallet.context import Context
from safeconduct.wallet.sharing import relays
from safeconduct.wallet.sharing.records import Box

TAKEN = "urn:safeconduct:relay:already-claimed"
"""Type of the problem that another receiver was first."""

TRIES = 3
"""How often a request is sent before the relay counts as out of reach."""

_PAUSE = 1
_SPARE = 2  # seconds between the end of a long-poll and that of the wallet's patience
_JSON = "application/json"
_LATER = frozenset({500, 502, 503, 504})
_REQUEST_ID, _CLAIM = "Mailbox-Request-ID", "Mailbox-Device-Claim"


class Display(msgspec.Struct, frozen=True):
    """What the sender wrote for everybody to see. It proves nothing."""

    title: str = ""
    description: str = ""

    def __repr__(self) -> str:
        return "<Display>"


class Mail(msgspec.Struct, frozen=True):
    """What lies in the mailbox. sequence: 0 from a relay that does not count. state: for the sender only."""

    payload: Payload
    sequence: int = 0
    state: Literal["unclaimed", "claimed", "relinquished"] | None = None


class RelayLine:
    """Speaks to a relay about one mailbox."""

    def __init__(self, context: Context, box: Box) -> None:
        self._context = context
        self._box = box

    async def create(self, body: bytes) -> str:
        """Make the mailbox with its first message, and return its id. body: the JSON of the request.

        Raises Rejected: relay_answer_foreign (the link is not this relay's), relay_token_needed,
        relay_token_malformed, and as `read`.
        """
        headers = {_REQUEST_ID: self._box.created, "Content-Type": _JSON}
        token = relays.token_for(self._context, self._box.relay)
        if token is not None:
            headers[ATTESTATION] = token
        try:
            response = await self._send("POST", f"{self._box.relay}/v1/m", headers, body)
        except Rejected as error:
            raise _not_made() if error.code == "claim_refused" else error from None
        made = wire.read_json(response.body, _Created, what="The relay's answer")
        return self._named(made.url_link)

    async def read(
        self, *, proof_key: Key | None = None, wait: int = 0, known: int | None = None
    ) -> Mail | None:
        """Read what lies in the mailbox; the first to do so who did not make it becomes its receiver.

        proof_key: shows the relay that this reader has the link's secret. known: a sequence; with it the
        answer is None if nothing has happened since, after `wait` seconds.
        Raises Rejected: mailbox_gone, share_taken (another receiver was first), claim_refused, right_missing,
        relay_refused, relay_busy; Unavailable: relay_unavailable; Malformed for what is no answer.
        """
        headers: dict[str, str] = {}
        if proof_key is not None:
            signed = proof_key.sign(claim_message(self._box.id, self._box.claim))
            headers["Mailbox-Claim-Proof"] = b64.encode(signed)
        if known is not None:
            headers["Mailbox-Known-Sequence"] = str(known)
            headers["Mailbox-Wait"] = str(self._patience(wait))
        response = await self._send("POST", self._box.url, headers, b"")
        if response.status == 204:
            return None
        return read_mail(response.body)

    async def update(self, payload: Payload, *, request_id: str) -> int:
        """Put a message in the place of the one that lies there; return the new sequence, 0 without one.

        Raises as `read`.
        """
        headers = {_REQUEST_ID: request_id, "Content-Type": _JSON}
        body = wire.encode({"payload": {"type": payload.type, "data": payload.data}})
        response = await self._send("PUT", self._box.url, headers, body)
        return wire.read_json(response.body, _Updated, what="The relay's answer").sequence

    async def relinquish(self, *, request_id: str) -> None:
        """Let another receiver have the mailbox. Raises as `read`."""
        await self._send("PATCH", self._box.url, {_REQUEST_ID: request_id}, b"")

    async def delete(self) -> Literal["deleted", "gone"]:
        """Delete the mailbox; "gone" if it was not there any more. Raises as `read`."""
        try:
            await self._send("DELETE", self._box.url, {_REQUEST_ID: self._box.created}, b"")
        except Rejected as error:
            if error.code != "mailbox_gone":
                raise
            return "gone"
        return "deleted"

    async def preview(self) -> Display:
        """Return what anybody may see, without claiming anything; the texts are a stranger's."""
        response = await self._exchange(
            "GET", self._box.url, {"Accept": "text/html"}, None, limits.PREVIEW_BYTES
        )
        if response.status != 200:
            raise self._refusal(response)
        return read_preview(response.body)

    def _named(self, url: str) -> str:
        place, _, mailbox = url.rpartition("/")
        raw = parse_uuid(mailbox)
        if raw is None or place != f"{self._box.relay}/v1/m":
            raise Rejected(
                "relay_answer_foreign",
                "The relay names a mailbox that is not one of its own; use another relay.",
            )
        return mailbox.lower()

    def _patience(self, wait: int) -> int:
        return max(0, min(wait, limits.WAIT_SECONDS, _longest_wait(self._context)))

    async def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Response:
        named = {_CLAIM: self._box.claim, "Accept": _JSON, **headers}
        response = await self._exchange(method, url, named, body, limits.MAILBOX_ANSWER_BYTES)
        if not 200 <= response.status < 300:
            raise self._refusal(response)
        if response.status != 204 and response.body and response.content_type != _JSON:
            raise Malformed("relay_answer_malformed", "What answers there is not a relay; check the link.")
        return response

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None, most: int
    ) -> Response:
        """Send until there is an answer, or it was tried often enough."""
        for left in reversed(range(TRIES)):
            try:
                response = await self._context.fetcher.request(
                    method, url, headers=headers, content=body, max_bytes=most
                )
            except Unreachable:
                response = None
            pause = _pause(response, TRIES - left)
            if response is not None and pause is None:
                return response
            if left:
                await self._context.sleep(pause or 0)
        if response is not None and response.status == 429:
            raise Rejected("relay_busy", "The relay takes no more requests from here for now; try later.")
        raise Unavailable("relay_unavailable", "The relay does not answer; try again later.")

    def _refusal(self, response: Response) -> Rejected:
        code, kind = _problem(response)
        if response.status == 401 and kind == TAKEN:
            return Rejected(
                "share_taken",
                "Somebody else has opened this link first. If that was another wallet of yours, give it back "
                "there; else tell the sender at once, who can take the share back and send a new one.",
            )
        known = _BY_STATUS.get(response.status)
        if known is not None:
            return Rejected(known.code, known.reason)
        return Rejected(
            "relay_refused", f"The relay refused the request. (HTTP status {response.status}{_shown(code)})"
        )


def read_preview(page: bytes) -> Display:
    """Return what the page of a mailbox says, as text in which nothing can turn or hide what stands by it.

    Whatever the page is, there is a result; what it does not say is "".
    """
    text = page.decode("utf-8", "replace")
    return Display(
        _property(text, "og:title")[: limits.DISPLAY_TITLE_CHARS],
        _property(text, "og:description")[: limits.DISPLAY_DESCRIPTION_CHARS],
    )


def read_mail(body: bytes) -> Mail:
    """Return what a relay says of a mailbox. Raises Malformed."""
    found = wire.read_json(body, _Read, what="The mailbox", max_bytes=limits.MAILBOX_ANSWER_BYTES)
    return Mail(found.payload, found.sequence, found.state)


def polls(context: Context) -> bool:
    """Tell whether the wallet is patient enough to let a relay keep a request."""
    return _longest_wait(context) > 0


def _longest_wait(context: Context) -> int:
    return int(context.patience) - _SPARE


def _not_made() -> Rejected:
    return Rejected(
        "relay_token_needed",
        "The relay makes mailboxes only for who has a token of its operator's: set wallet.relay_token to a "
        "good one, or use another relay (--relay).",
    )


_BY_STATUS = {
    401: Rejected("claim_refused", "The relay does not take this wallet for a party of the transfer."),
    403: Rejected("right_missing", "The mailbox was made so that this cannot be done with it."),
    404: Rejected(
        "mailbox_gone",
        "Nothing is under this link: it was used, taken back or has expired, or there never was anything.",
    ),
    409: Rejected("sequence_conflict", "The mailbox has changed meanwhile; read it and try again."),
}


class _Created(msgspec.Struct, frozen=True, rename={"url_link": "urlLink"}):
    url_link: Annotated[str, msgspec.Meta(max_length=limits.URL_CHARS)]


class _Read(msgspec.Struct, frozen=True):
    payload: Payload
    sequence: Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)] = 0
    state: Literal["unclaimed", "claimed", "relinquished"] | None = None


class _Updated(msgspec.Struct, frozen=True):
    sequence: Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)] = 0


def _pause(response: Response | None, tried: int) -> float | None:
    """Seconds to wait before another try; None if the answer is one."""
    if response is None or response.status in _LATER:
        return float(_PAUSE * tried)
    if response.status != 429:
        return None
    asked = response.headers.get("retry-after", "")
    return (
        float(min(int(asked), limits.RETRY_SECONDS)) if _DECIMAL.fullmatch(asked) else float(_PAUSE * tried)
    )


_DECIMAL = re.compile(r"[0-9]{1,9}")
_CODE = re.compile(r"[a-z0-9_]{1,64}")
_META = re.compile(r'<meta property="([a-z:]{1,32})" content="([^"<>]{0,4096})"')


def _problem(response: Response) -> tuple[str, str]:
    try:
        members: dict[str, Any] = json.loads_object(response.body, max_bytes=limits.MAILBOX_ANSWER_BYTES)
    except SafeconductError:
        return "", ""
    code, kind = members.get("code"), members.get("type")
    known = code if isinstance(code, str) and _CODE.fullmatch(code) else ""
    return known, kind if isinstance(kind, str) else ""


def _shown(code: str) -> str:
    return f", {code}" if code else ""


def _property(page: str, name: str) -> str:
    """The printable text of an Open Graph property. Its length is bounded by `_META`, whatever it escapes."""
    found = next((match[2] for match in _META.finditer(page) if match[1] == name), "")
    return "".join(character for character in html.unescape(found) if character.isprintable())
