"""Pictures of served lists and of judgements."""

from __future__ import annotations

import pandas as pd
import pytest

from recsys_lab import plots


def test_rank_changes_join_what_both_lists_hold() -> None:
    figure = plots.rank_changes(["a", "b", "c"], ["b", "a", "d"], ("old", "new"))
    axes = figure.axes[0]
    joined = {tuple(line.get_ydata()) for line in axes.lines if len(line.get_xdata()) == 2}
    assert joined == {(1, 2), (2, 1)}
    said = [text.get_text() for text in axes.texts]
    assert {"a  1", "c  3", "1  b", "3  d  · new", "old", "new"} <= set(said)
    for wrong in (([], ["a"]), (["a"], ["b", "b"])):
        with pytest.raises(ValueError, match="needs lists of different items"):
            plots.rank_changes(*wrong)


def test_differences_are_shares_of_the_champion() -> None:
    columns = {"champion": [0.5, 0.0], "difference": [0.05, 0.1], "difference_low": [-0.05, 0.0]}
    table = pd.DataFrame({**columns, "difference_high": [0.15, 0.2], "verdict": "inconclusive"}, index=["a_b", "c"])
    axes = plots.difference_dots(table).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a b"]
    interval, point = axes.lines[1:]
    assert list(interval.get_xdata()) == pytest.approx([-10, 30])
    assert list(point.get_xdata()) == pytest.approx([10])
    with pytest.raises(ValueError, match="mean is not 0"):
        plots.difference_dots(table.loc[["c"]])
