"""`safeconduct interop target`."""

from safeconduct.cli.options import AsJson


def target(*, as_json: AsJson = False) -> None:
    """Print the short name of this implementation, without a newline.

    \b
    Example:
      safeconduct interop target
    """
    from safeconduct.cli import output

    if as_json:
        output.write_json({"target": "safeconduct"})
    else:
        output.write_raw(b"safeconduct")
