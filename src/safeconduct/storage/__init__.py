"""Databases: one function is one transaction, the same on SQLite and PostgreSQL."""

from safeconduct.storage.database import Database, StorageUnavailable

__all__ = ["Database", "StorageUnavailable"]
