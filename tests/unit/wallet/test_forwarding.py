"""What a wallet server may answer: the wallet sends it no second proof, and does not wait for ever."""

from typing import Any

import pytest

from safeconduct.encoding import json
from safeconduct.net.fetch import Response

VIA = {"via": "https://wallet-server.example"}
FORWARD = "POST wallet-server.example/forward/credential"
DELIVERY = "GET wallet-server.example/deliveries/d-1"


def answering(status: int, body: Any, **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda *_: Response(status, {"content-type": "application/json", **named}, json.dumps(body))


PENDING = answering(202, {"delivery": "d-1", "state": "pending"})


def accept(bench: Any) -> Any:
    return bench.run(lambda wallet: wallet.accept(bench.world.offer_uri, **VIA))


def codes(bench: Any) -> list[str]:
    return [notice.code for notice in bench.notices]


def proofs(bench: Any) -> set[str]:
    """The proofs that the server saw."""
    return {sent.headers["DPoP"] for sent in bench.world.to("/forward/")}


@pytest.fixture(autouse=True)
def hurried(bench: Any) -> None:
    """Nobody sleeps."""
    bench.hurry()


def test_an_answer_that_takes_time_is_collected_and_dropped(bench: Any) -> None:
    looks: list[str] = []
    world = bench.world

    def deliver(_world: Any, url: str, *_: Any) -> Response:
        looks.append(url)
        if len(looks) < 3:
            return Response(
                202, {"content-type": "application/json"}, b'{"delivery":"d-1","state":"pending"}'
            )
        [asked] = world.to("/forward/credential")
        return world.issue(asked.headers, asked.body)

    world.handlers[FORWARD] = PENDING
    world.handlers[DELIVERY] = deliver
    world.handlers["DELETE wallet-server.example/deliveries/d-1"] = answering(204, None)
    accept(bench)
    assert codes(bench) == []
    assert len(proofs(bench)) == 1
    assert [sent.method for sent in world.to("/deliveries/d-1")] == ["GET", "GET", "GET", "DELETE"]


def test_a_server_that_never_has_the_answer_is_given_up(bench: Any) -> None:
    bench.world.handlers[FORWARD] = PENDING
    bench.world.handlers[DELIVERY] = PENDING
    accept(bench)
    assert codes(bench) == ["forwarding_failed"]
    assert len(proofs(bench)) == 1
    assert len(bench.world.to("/deliveries/")) < 20


@pytest.mark.parametrize(
    ("delivery", "code"),
    [({}, "message_malformed"), ({"delivery": "../../admin"}, "message_malformed"), ([], "json_not_object")],
)
def test_a_delivery_without_a_name_is_not_looked_for(bench: Any, delivery: Any, code: str) -> None:
    bench.world.handlers[FORWARD] = answering(202, delivery)
    accept(bench)
    assert codes(bench) == [code]
    assert bench.world.to("/deliveries/") == []


def test_a_server_that_asks_for_a_fresh_proof_gets_none(bench: Any) -> None:
    bench.world.handlers[FORWARD] = answering(409, {"code": "needs_fresh_proof"})
    accept(bench)
    assert codes(bench) == ["forwarding_failed"]
    assert len(proofs(bench)) == 1


def test_each_request_has_an_idempotency_key_of_its_own(bench: Any) -> None:
    accept(bench)
    bench.world.spent = False
    accept(bench)
    keys = [sent.headers["Idempotency-Key"] for sent in bench.world.to("/forward/credential")]
    assert len(set(keys)) == len(keys) == 2
    assert all(len(key) >= 22 for key in keys)


def test_a_plain_202_that_names_the_issuer_is_no_delivery(bench: Any) -> None:
    made_up = {"transaction_id": "later", "interval": 1}
    bench.world.handlers[FORWARD] = answering(202, made_up, safeconduct_from="issuer")
    accept(bench)
    assert codes(bench) == ["response_not_encrypted"]
    assert bench.run(lambda wallet: wallet.pending()) == ()
