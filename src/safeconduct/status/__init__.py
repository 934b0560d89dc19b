"""Credential status as bytes and typed evidence: lists, deltas, logs, compact sets; nothing is fetched."""
