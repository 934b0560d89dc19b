"""The status service: publishes the status of what was issued as plain files, and gives them to anybody."""

from safeconduct.services.status.opening import open_status

__all__ = ["open_status"]
