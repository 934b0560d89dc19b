"""The relay: mailboxes through which two wallets pass each other what the relay cannot read."""
