"""Offers as pictures: what does not fit into one."""

import pytest

from safeconduct.errors import Rejected
from safeconduct.services.issuer import qr


def test_an_offer_that_fits_into_no_picture_is_refused() -> None:
    assert qr.draw("a" * 2000, "svg").data
    with pytest.raises(Rejected) as error:
        qr.draw("a" * 3000, "svg")
    assert error.value.code == "qr_too_long"
