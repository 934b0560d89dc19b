"""Secure credential transfer: mailboxes at a relay, and messages that the relay cannot read.

What a message carries is opaque here: a credential offer is JSON like any other.
"""
