"""Windows in time: rolling back-tests, and the optional window of temporal_global."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_lab.data.interactions import Interactions
from recsys_lab.splits import split, windows

few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
seeds = st.integers(0, 2**32 - 1)


@given(seed=seeds, n_windows=st.integers(1, 4), expanding=st.booleans(), days=st.sampled_from([None, 3, 5.5]))
@few
def test_windows_follow_one_another_and_train_lies_before_each(seed, n_windows, expanding, days, frame_of, rows_of):
    frame = frame_of(seed)
    frame["timestamp"] *= 86_400  # 30 days, about 2.5 rows each
    data = Interactions.from_frame(frame)
    made = windows(data, n_windows, test=0.5, expanding=expanding, window_days=days)
    assert [one.card.fold for one in made] == list(range(n_windows))
    assert len({one.card.group for one in made}) == 1
    for one in made:
        begin, end = one.test.timestamps.min(), one.test.timestamps.max()
        assert one.train.timestamps.max() < begin
        tested = (data.timestamps >= begin) & (data.timestamps <= end)
        assert rows_of(one.test) == rows_of(data.select(tested))  # no timestamp is on both sides
        assert one.card.future_leak_share == 0
        assert len(one.train) + len(one.test) + one.card.counts.get("n_left_out", 0) == len(data)
        if expanding:
            assert rows_of(one.train) == rows_of(data.select(data.timestamps < begin))
    for one, following in pairwise(made):
        assert one.test.timestamps.max() < following.test.timestamps.min()
    tested = sum((rows_of(one.test) for one in made), rows_of(None))
    first = made[0].test.timestamps.min()
    assert tested == rows_of(data.select(data.timestamps >= first))  # every later row is tested once
    if days is not None:
        assert data.timestamps.max() + 1 - first <= n_windows * days * 86_400


def test_windows_worked_by_hand():
    frame = pd.DataFrame({"user_id": np.arange(10) % 3, "item_id": np.arange(10), "timestamp": np.arange(10) * 10})
    data = Interactions.from_frame(frame.assign(rating=1.0))
    growing = windows(data, 3, test=0.6)
    assert [one.train.timestamps.tolist() for one in growing] == [
        [0, 10, 20, 30],
        [*range(0, 60, 10)],
        [*range(0, 80, 10)],
    ]
    assert [one.test.timestamps.tolist() for one in growing] == [[40, 50], [60, 70], [80, 90]]
    sliding = windows(data, 3, test=0.6, expanding=False)
    assert [one.train.timestamps.tolist() for one in sliding] == [[0, 10, 20, 30], [20, 30, 40, 50], [40, 50, 60, 70]]
    assert growing[0].card.counts["n_left_out"] == 4
    assert "4 rows lie before or after the window of this split and are in no part" in growing[0].card.warnings
    assert "n_left_out" not in growing[2].card.counts
    nested = windows(data, 3, test=0.6, validation=0.25)
    assert [one.validation.timestamps.tolist() for one in nested] == [[30], [40, 50], [60, 70]]
    assert [one.test.timestamps.tolist() for one in nested] == [one.test.timestamps.tolist() for one in growing]


@given(seed=seeds)
@few
def test_rows_outside_the_window_play_no_part(seed, frame_of, rows_of):
    frame = frame_of(seed)
    data = Interactions.from_frame(frame)
    cut = split(data, "temporal_global", test=0.3, validation=0.2, train_from=5, test_until=25)
    inside = (data.timestamps >= 5) & (data.timestamps < 25)
    assert sum((rows_of(part) for part in cut.parts.values()), rows_of(None)) == rows_of(data.select(inside))
    assert cut.card.counts["n_left_out"] == (~inside).sum() > 0
    assert cut.train.timestamps.max() < cut.validation.timestamps.min()
    assert cut.validation.timestamps.max() < cut.test.timestamps.min()
    alone = split(data.select(inside), "temporal_global", test=0.3, validation=0.2)
    assert alone.card.fingerprint == cut.card.fingerprint  # the same rows in the same parts
    assert split(data, "temporal_global", test=0.3, train_from=6).card.fingerprint != cut.card.fingerprint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window_day": 3}, "did you mean 'window_days'"),
        ({"window": 5}, "window must lie between 0 and 4; found 5"),
        ({"n_windows": 0}, "n_windows must lie between 1"),
        ({"window_days": -1}, "a number of days above 0; found -1"),
        ({"window_days": 40}, "5 windows of 40 days leave no train rows: the rows span"),
        ({"n_windows": 60}, "too few for the begin of 60 windows"),
    ],
)
def test_what_is_wrong_with_windows_is_said(options, message, frame_of):
    data = Interactions.from_frame(frame_of(0))
    with pytest.raises(ValueError, match=message):
        split(data, "rolling", **options)


def test_what_is_wrong_with_a_window_of_a_global_cut_is_said(frame_of):
    data = Interactions.from_frame(frame_of(0))
    with pytest.raises(ValueError, match="train_from must be earlier than at; found 9 and 4"):
        split(data, "temporal_global", train_from=9, at=4)
    with pytest.raises(ValueError, match="no row lies in"):
        split(data, "temporal_global", test_until="1960-01-01")
    with pytest.raises(TypeError, match="expanding must be true or false; found 'no'"):
        split(data, "rolling", expanding="no")
