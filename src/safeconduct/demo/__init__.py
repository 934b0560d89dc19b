"""The demonstration: the life of a credential on this machine, over real HTTP, with attacks on every step."""

from safeconduct.demo.story import run

__all__ = ["run"]
