"""What every parser owes whatever it is given: a message of its type, or a SafeconductError."""

from collections.abc import Callable

from safeconduct.errors import SafeconductError


def read_or_refused(read: Callable[[], object], kind: type | tuple[type, ...]) -> None:
    """Check that `read` returns a `kind` or raises a SafeconductError with a code, and does nothing else."""
    try:
        message = read()
    except SafeconductError as error:
        code = error.code
    else:
        assert isinstance(message, kind)
        return
    assert code
