"""What a user did wrong, as opposed to what a peer sent: exit status 2, never 1."""


class WrongUse(Exception):
    """The command cannot be done as given. The message is one line and says what to do next."""


def printable(text: str) -> str:
    """Return `text` with everything escaped that a terminal would obey instead of showing."""
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    number = ord(char)
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"
