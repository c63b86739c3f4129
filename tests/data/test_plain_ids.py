"""Messages show ids as a person wrote them, not as NumPy prints them."""

from __future__ import annotations

import pandas as pd
import pytest

from recsys_lab.data.interactions import Interactions


@pytest.mark.parametrize("ids", [[7, 9], ["a", "b"]])
def test_an_external_id_is_a_plain_value(ids: list[object]) -> None:
    frame = pd.DataFrame({"user_id": ids, "item_id": ids})
    catalogue = Interactions.from_frame(frame, rating=None, timestamp=None).catalogue
    assert repr(catalogue.user_id(1)) == repr(ids[1])
    assert repr(catalogue.item_id(0)) == repr(ids[0])
