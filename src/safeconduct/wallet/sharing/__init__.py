"""Giving a credential, or a part of its rights, to somebody else; and receiving one."""
