"""The demonstrations: a credential's life, and a transfer, on this machine, over real HTTP, with attacks."""

from safeconduct.demo.story import run
from safeconduct.demo.transfer_story import run_transfer

__all__ = ["run", "run_transfer"]
