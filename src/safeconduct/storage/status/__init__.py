"""Status in the issuer's database: places in status lists, and the revocation of health cards."""

from safeconduct.storage.status import card_tables

__all__ = ["card_tables"]
