"""`safeconduct sd-jwt inspect`."""

from typing import Annotated

import typer

from safeconduct.cli.options import AsJson

TokenFile = Annotated[
    str,
    typer.Argument(metavar="FILE|-", help="Any SD-JWT, presentation or JWT; - for standard input."),
]


def inspect(file: TokenFile = "-", *, as_json: AsJson = False) -> None:
    """Show what is in a token, without verifying anything.

    \b
    Example:
      safeconduct sd-jwt inspect token.txt
    """
    from safeconduct.cli import files, output, tree
    from safeconduct.formats.sd_jwt.inspection import inspect as look_into
    from safeconduct.limits import TOKEN_BYTES

    seen = look_into(files.read(file, max_bytes=TOKEN_BYTES).strip())
    if as_json:
        output.write_json(tree.to_json(seen))
    else:
        tree.write(seen)
