"""What schemathesis cannot know from the documents; loaded by its command, see test_openapi_schemathesis.py.

Only requests that are meant to be good are changed, by what depends on the service and not on its interface:
which configurations it has, who its issuer is. Those that are meant to be bad go out as they were made.
"""

import os
import re
from typing import Any

import schemathesis
from schemathesis import GenerationMode
from tests.flows.card_stage import BUNDLE
from tests.flows.small_wallet import CLAIMS
from tests.flows.wallet_server_stage import ISSUER, JWE

from safeconduct.limits import WAIT_SECONDS

RELAYED = {
    *("payload", "type", "data", "displayInformation", "title", "description", "imageURL"),
    *("notificationToken", "tokenData", "mailboxConfiguration", "expiration", "accessRights", "claimKey"),
}
"""What a relay reads of a body."""


@schemathesis.serializer("application/jwt")
def as_it_is(_context: schemathesis.SerializationContext, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: schemathesis.Case, _kwargs: dict[str, Any]) -> None:
    if re.fullmatch("[0-9]{1,2}", str(case.query.get("wait"))) and int(case.query["wait"]) <= WAIT_SECONDS:
        case.query["wait"] = 0  # as good, and sooner over
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    case.freeze_metadata()  # what was meant to be good stays so
    case.body = _with_integers(case.body)
    if case.path.endswith("/offers") and isinstance(case.body, dict):
        case.body.pop("configuration_ids", None)
        case.body.update(configuration_id="identity", claims=dict(CLAIMS))
        if case.body.get("tx_code"):
            case.body.pop("grants", None)  # one goes with a pre-authorized code only
    if case.path.endswith("/cards") and isinstance(case.body, dict):
        # Times to come, and types that fit into a QR code, no schema can say.
        case.body = {**case.body, "bundle": BUNDLE, "types": []}
        case.body.pop("expires_at", None)
    if case.path.endswith("/$health-cards-issue"):
        case.body = {
            "resourceType": "Parameters",
            "parameter": [{"name": "credentialType", "valueUri": "Immunization"}],
        }
    if case.path.startswith("/forward/"):
        case.body = JWE
        case.headers["Safeconduct-Issuer"] = ISSUER
    if "Safeconduct-Session" in case.headers and case.path != "/sessions":
        case.headers["Safeconduct-Session"] = os.environ["SCHEMATHESIS_SESSION"]
    if case.path.startswith("/v1/m") and isinstance(case.body, dict):
        # Members that are ignored are JSON all the same, and no schema says how large a number is.
        case.body = _known(case.body, RELAYED)
        terms = case.body.get("mailboxConfiguration", {})
        if "claimKey" in terms:
            terms["claimKey"] = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
        if terms:
            terms["accessRights"], terms["expiration"] = "RWD", "2999-01-01T00:00:00Z"
    if case.path == "/metadata":
        case.query["issuer"] = ISSUER


_EXACT = 2.0**53
"""From here on, a float is written with more digits than services read, and than it has."""


def _known(value: Any, names: set[str]) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: _known(value[name], names) for name in names & value.keys()}


def _with_integers(value: Any) -> Any:
    """60.0 is an integer to JSON Schema, and none to the services."""
    if isinstance(value, dict):
        return {name: _with_integers(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_integers(item) for item in value]
    exact = isinstance(value, float) and value.is_integer() and abs(value) < _EXACT
    return int(value) if exact else value
