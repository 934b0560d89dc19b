"""What a server receives and answers, kept byte for byte: for the demonstration and tests of privacy only."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safeconduct.net.recording import Exchange


def record(app: ASGIApp, *, party: str, tape: list[Exchange]) -> ASGIApp:
    """Wrap an application so that each of its exchanges is added to the tape."""

    async def recorded(scope: Scope, receive: Receive, send: Send) -> None:
        asked: list[bytes] = []
        answered: list[bytes] = []
        head: Message = {"status": 0, "headers": []}

        async def recorded_receive() -> Message:
            message = await receive()
            asked.append(message.get("body", b""))
            return message

        async def recorded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                head.update(message)
            answered.append(message.get("body", b""))
            await send(message)

        await app(scope, recorded_receive, recorded_send)
        tape.append(
            Exchange(
                party=party,
                direction="received",
                method=scope["method"],
                url=_url(scope),
                request_headers=_headers(scope["headers"]),
                request_body=b"".join(asked),
                status=head["status"],
                response_headers=_headers(head["headers"]),
                response_body=b"".join(answered),
            )
        )

    return recorded


def _url(scope: Scope) -> str:
    query = scope["query_string"].decode("latin-1")
    return str(scope["path"]) + (f"?{query}" if query else "")


def _headers(headers: list[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers)
