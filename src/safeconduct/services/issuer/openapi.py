"""The OpenAPI 3.1 description of the management API."""

from typing import Any


def management(*, tenants: bool) -> dict[str, Any]:
    """Returns the description. tenants: whether there are several issuers."""
    del tenants
    return {}
