"""The relay: mailboxes through which two wallets pass each other what the relay cannot read."""

from safeconduct.services.relay.opening import open_relay

__all__ = ["open_relay"]
