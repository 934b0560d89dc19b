"""Whatever a host answers, a synchronisation ends with a report, and no revoked card becomes good by it."""

import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.evidence.stage import AUTO, FULL, LOG, Stage

from safeconduct.net.fetch import Response

BODIES = st.binary(max_size=40) | st.sampled_from([b"{}", b'{"keys":[]}', b"a.b.c", b"[1]"])
ANSWERS = st.builds(
    Response,
    st.sampled_from([200, 204, 206, 304, 404, 416, 500]),
    st.dictionaries(
        st.sampled_from(["etag", "last-modified", "content-range", "content-length"]),
        st.text(max_size=30) | st.sampled_from(["bytes 16-31/32", '"a"']),
    ),
    BODIES,
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.none(), ANSWERS), min_size=1, max_size=6),
    st.sampled_from([FULL, LOG, AUTO]),
    st.booleans(),
)
def test_a_host_that_answers_anything_harms_nothing(
    answers: list[Response | None], rules: object, pinned: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(Path(folder))
        stage.publish({"bad": None})
        stage.sync(stage.pinned(FULL) if pinned else FULL)
        stage.publish({"bad": None, "worse": None})
        genuine, left = stage.host._answer, list(answers)

        def answer(url: str, headers: dict[str, str]) -> Response:
            given_now = left.pop(0) if left else None
            return genuine(url, headers) if given_now is None else given_now

        stage.host._answer = answer  # type: ignore[method-assign]
        chosen = replace(rules)  # type: ignore[type-var]
        stage.sync(chosen)
        assert stage.status("bad", version=1)[0] in ("revoked", "unknown")
        if pinned:
            assert stage.status("worse", version=2)[0] in ("revoked", "unknown")
        stage.host._answer = genuine  # type: ignore[method-assign]
        stage.sync(chosen)
        assert stage.status("bad")[0] == stage.status("worse")[0] == "revoked"
