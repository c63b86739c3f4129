"""Figures show what the tables say, need no screen, and leave no state behind."""

from __future__ import annotations

import subprocess
import sys
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from recsys_lab import plots
from recsys_lab.data.interactions import Interactions
from recsys_lab.plots import style


@pytest.fixture(scope="module")
def data() -> Interactions:
    rng = np.random.default_rng(3)
    n = 600
    frame = pd.DataFrame(
        {
            "user_id": rng.integers(0, 30, n),
            "item_id": (rng.pareto(1.0, n) * 4).astype(int) % 60,
            "rating": rng.integers(1, 6, n),
            "timestamp": np.sort(rng.integers(900_000_000, 930_000_000, n)),
        }
    )
    return Interactions.from_frame(frame)


@dataclass
class Parts:
    train: Interactions
    validation: Interactions | None
    test: Interactions


@pytest.fixture
def board() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "mean": [0.5, 0.3, 0.29, 0.1],
            "low": [0.48, 0.28, 0.27, 0.09],
            "high": [0.52, 0.32, 0.31, 0.11],
            "rank_group": [np.nan, 1, 1, 2],
            "family": ["baseline", "factorization", "collaborative_filtering", "baseline"],
            "status": ["reference", "default", "default", "baseline"],
            "fit_s": [0.0, 2.0, 0.5, 0.0],
            "item_coverage@10": [0.9, 0.5, 0.6, 0.2],
        },
        index=["Oracle", "PureSVD", "ItemKNN n_neighbors=50", "Popularity"],
    )


def texts(figure: Figure) -> list[str]:
    found = []
    for axes in figure.axes:
        found += [text.get_text() for text in axes.texts]
        found += [label.get_text() for label in axes.get_yticklabels()]
        found += [axes.get_xlabel(), axes.get_ylabel(), axes.get_title(loc="left")]
    return found


def test_popularity_curve_states_the_share_of_the_head(data: Interactions) -> None:
    counts = np.sort(data.item_popularity[data.item_popularity > 0])[::-1]
    share = counts[: round(0.2 * len(counts))].sum() / counts.sum()
    assert any(f"hold {share:.0%} of the rows" in text for text in texts(plots.popularity_curve(data)))


def test_popularity_curve_draws_the_counts_in_falling_order(data: Interactions) -> None:
    line = plots.popularity_curve(data).axes[0].lines[0]
    y = np.asarray(line.get_ydata())
    assert (np.diff(y) <= 0).all()
    assert y.sum() == len(data)


def test_user_activity_counts_every_user_once(data: Interactions) -> None:
    bars = plots.user_activity(data).axes[0].patches
    assert sum(bar.get_height() for bar in bars) == (data.user_activity > 0).sum()


@pytest.mark.parametrize("n_rows", [1, 2])
def test_data_figures_of_hardly_any_data(data: Interactions, n_rows: int) -> None:
    little = data.select(np.arange(n_rows))
    for draw in (plots.popularity_curve, plots.user_activity, plots.rating_histogram, plots.timeline):
        assert plots.to_png(draw(little), dpi=40).startswith(b"\x89PNG")


def test_rating_histogram_shows_shares_of_all_rows(data: Interactions) -> None:
    bars = plots.rating_histogram(data).axes[0].patches
    assert [bar.get_height() for bar in bars] == pytest.approx([(data.ratings == r).mean() for r in range(1, 6)])


def test_many_different_ratings_are_binned(data: Interactions) -> None:
    frame = data.to_frame().assign(rating=np.linspace(0, 1, len(data)))
    bars = plots.rating_histogram(Interactions.from_frame(frame)).axes[0].patches
    assert len(bars) == 40
    assert sum(bar.get_height() for bar in bars) == pytest.approx(1)


def test_timeline_places_every_row_and_every_user(data: Interactions) -> None:
    rows, users = plots.timeline(data, n_bins=20).axes
    assert rows.patches[0].get_data().values.sum() == len(data)  # type: ignore[attr-defined]
    assert users.patches[0].get_data().values.sum() == (data.user_activity > 0).sum()  # type: ignore[attr-defined]


def test_figures_of_time_need_times(data: Interactions) -> None:
    untimed = Interactions(data.users, data.items, data.ratings, None, data.catalogue)
    with pytest.raises(ValueError, match="timeline needs rows with timestamps"):
        plots.timeline(untimed)
    with pytest.raises(ValueError, match="split_timeline needs rows with timestamps"):
        plots.split_timeline(Parts(untimed, None, untimed))


def test_split_timeline_shows_all_parts(data: Interactions) -> None:
    rows = np.arange(len(data))
    parts = Parts(data.select(rows[:400]), data.select(rows[400:480]), data.select(rows[480:]))
    upper, lower = plots.split_timeline(parts, n_users=10).axes
    assert [text.get_text() for text in upper.get_legend().get_texts()] == ["train", "validation", "test"]  # type: ignore[union-attr]
    shown = {int(y) for places in lower.collections for y in np.round(np.asarray(places.get_offsets())[:, 1])}
    assert shown == set(range(10))


def test_an_empty_data_set_is_an_error(data: Interactions) -> None:
    with pytest.raises(ValueError, match="at least one row"):
        plots.popularity_curve(data.select(np.arange(0)))


def test_leaderboard_dots_lists_models_and_numbers_in_order(board: pd.DataFrame) -> None:
    figure = plots.leaderboard_dots(board, "ndcg@10", best="Popularity")
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(board.index)
    assert [text.get_text() for text in axes.texts] == ["0.5000", "0.3000", "0.2900", "0.1000"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1], "the first row stands on top"


def test_leaderboard_dots_needs_its_columns(board: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="missing: low"):
        plots.leaderboard_dots(board.drop(columns="low"))


def test_trade_off_leaves_the_reference_out_and_labels_the_rest(board: pd.DataFrame) -> None:
    labels = [text.get_text() for text in plots.trade_off(board, "item_coverage@10").axes[0].texts]
    assert sorted(labels) == ["ItemKNN n_neighbors=50", "Popularity", "PureSVD"]


def test_trade_off_joins_what_no_other_beats(board: pd.DataFrame) -> None:
    line = plots.trade_off(board, "item_coverage@10").axes[0].lines[0]
    assert sorted(np.asarray(line.get_xdata())) == [0.5, 0.6]  # Popularity is worse in both
    cost = plots.trade_off(board, "fit_s", log_x=True, less_x_is_better=True).axes[0]
    assert cost.get_xscale() == "log"
    assert sorted(np.asarray(cost.lines[0].get_xdata())) == [0.25, 0.5, 2.0]  # 0 s is drawn at half of the smallest


def test_labels_of_crowded_points_do_not_overlap() -> None:
    rng = np.random.default_rng(0)
    names = [f"model number {place}" for place in range(14)]
    crowd = pd.DataFrame({"mean": 0.3 + 0.02 * rng.random(14), "cost": 1 + rng.random(14)}, index=names)
    figure = plots.trade_off(crowd, "cost")
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    covered = [(a, b) for a in range(14) for b in range(a) if boxes[a].overlaps(boxes[b])]
    assert len(boxes) == 14
    assert not covered


def test_parameter_curve_draws_a_labelled_line_for_each_model() -> None:
    table = pd.DataFrame({"n_neighbors": [5, 50, 500] * 2, "mean": range(6), "model": ["a"] * 3 + ["b"] * 3})
    axes = plots.parameter_curve(table, "n_neighbors", "ndcg@10", by="model").axes[0]
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.texts] == ["a", "b"]
    assert [list(np.asarray(line.get_ydata())) for line in axes.lines] == [[0, 1, 2], [3, 4, 5]]


def test_loss_curves_count_epochs_from_one() -> None:
    axes = plots.loss_curves({"SVD": [3.0, 2.0, 1.5]}).axes[0]
    assert list(np.asarray(axes.lines[0].get_xdata())) == [1, 2, 3]
    with pytest.raises(ValueError, match="at least one epoch"):
        plots.loss_curves({"SVD": []})


def test_named_bars_keep_order_and_refuse_nan() -> None:
    figure = plots.named_bars(["a", "b"], [0.5, -0.25], "title", "weight")
    assert [bar.get_width() for bar in figure.axes[0].patches] == [0.5, -0.25]
    with pytest.raises(ValueError, match="2 finite values"):
        plots.named_bars(["a", "b"], [0.5, np.nan], "title", "weight")


def test_weight_map_leaves_the_diagonal_blank_and_its_argument_alone() -> None:
    weights = np.arange(9.0).reshape(3, 3)
    shown = plots.weight_map(weights, ["a", "b", "c"], "weights").axes[0].images[0].get_array()
    assert np.isnan(np.asarray(np.ma.filled(shown, np.nan)).diagonal()).all()  # type: ignore[no-untyped-call]
    assert weights[1, 1] == 4
    with pytest.raises(ValueError, match=r"\(2, 2\)"):
        plots.weight_map(weights, ["a", "b"], "weights")


def test_principal_plane_keeps_distances_in_a_plane() -> None:
    rng = np.random.default_rng(5)
    plane = rng.normal(size=(40, 2))
    turned = plane @ np.linalg.qr(rng.normal(size=(6, 6)))[0][:2]  # the same plane inside six dimensions
    places = plots.principal_plane(turned)
    before = np.linalg.norm(plane[:, None] - plane[None], axis=-1)
    after = np.linalg.norm(places[:, None] - places[None], axis=-1)
    np.testing.assert_allclose(after, before, atol=1e-9)
    assert places[:, 0].var() >= places[:, 1].var()
    np.testing.assert_allclose(plots.principal_plane(turned), places)


def test_factor_map_names_the_most_popular_items() -> None:
    rng = np.random.default_rng(1)
    popularity = np.arange(30)
    figure = plots.factor_map(
        rng.normal(size=(30, 4)), ["Drama", ""] * 15, [f"item {i}" for i in range(30)], popularity, n_titles=3
    )
    assert {text.get_text() for text in figure.axes[0].texts} == {"item 29", "item 28", "item 27"}
    with pytest.raises(ValueError, match="n_factors >= 2"):
        plots.factor_map(np.ones((4, 1)), [""] * 4, [""] * 4, np.ones(4))


def test_a_figure_is_the_same_every_time(board: pd.DataFrame) -> None:
    first, second = (plots.to_svg(plots.leaderboard_dots(board)) for _ in range(2))
    assert first == second
    assert first.startswith("<svg")
    assert "ItemKNN n_neighbors=50" in first, "words are words, not outlines"


def test_notebooks_show_a_figure_as_png(board: pd.DataFrame) -> None:
    image, size = plots.leaderboard_dots(board)._repr_png_()
    assert image.startswith(b"\x89PNG")
    assert 400 < size["width"] < 1200


def test_no_settings_are_left_behind(board: pd.DataFrame) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    plots.leaderboard_dots(board)
    assert dict(matplotlib.rcParams) == before


def test_no_screen_and_no_pyplot_is_needed() -> None:
    program = (
        "import sys, recsys_lab.plots as p; p.loss_curves({'a': [1.0]}); print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "False"


def test_numbers_and_names_are_written_for_readers() -> None:
    written: list[Any] = [style.plain_number(12_000.0), style.plain_number(0.01), style.words("item_coverage@10")]
    assert written == ["12,000", "0.01", "item coverage@10"]
    assert style.short("a long name indeed", 10) == "a long na…"


def test_searches_are_panels_on_one_scale() -> None:
    good = pd.DataFrame({"number": range(4), "value": [0.1, 0.3, np.nan, 0.2], "best": [0.1, 0.3, 0.3, 0.3]})
    figure = plots.search_curves({"EASE": good, "ItemKNN": good[:2]}, "ndcg@10", n_random=1)
    assert len(figure.axes) == 2
    line, dots, crosses, border = figure.axes[0].lines
    assert line.get_ydata().tolist() == [0.1, 0.3, 0.3, 0.3]
    assert dots.get_xdata().tolist() == [1, 2, 3, 4]
    assert crosses.get_xdata().tolist() == [3]
    assert border.get_xdata()[0] == 1.5
    assert {"EASE", "ItemKNN"} <= set(texts(figure))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a layout that is given up is a warning
        plots.to_png(plots.search_curves({"EASE": good, "ItemKNN": good[:2]}, "ndcg@10"))
    with pytest.raises(ValueError, match="at least one search"):
        plots.search_curves({}, "ndcg@10")


def test_window_curves_show_every_model_in_the_order_of_time() -> None:
    dates = pd.to_datetime(["1998-03-01", "1998-01-01", "1998-02-01"])
    rows = pd.DataFrame({"window": [*dates, *dates], "model": ["EASE"] * 3 + ["Popularity"] * 3})
    rows = rows.assign(mean=[0.3, 0.1, 0.2, 0.05, 0.07, 0.06], low=0.01, high=0.4)
    axes = plots.window_curves(rows, "ndcg@10").axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1998-01-01", "1998-02-01", "1998-03-01"]
    curves = [line for line in axes.lines if len(np.asarray(line.get_xdata())) == 3]
    drawn = {str(line.get_label()): np.asarray(line.get_ydata()).tolist() for line in curves}
    assert drawn == {"EASE": [0.1, 0.2, 0.3], "Popularity": [0.07, 0.06, 0.05]}
    with pytest.raises(ValueError, match="missing: \\['low', 'high'\\]"):
        plots.window_curves(rows.drop(columns=["low", "high"]), "ndcg@10")


def test_figures_of_protocols() -> None:
    shares = pd.DataFrame({"ndcg@10": [0.91, np.nan], "recall@10": [0.5, 0.12]}, index=["random_user", "random"])
    shown = texts(plots.share_map(shares, "right"))
    assert {"91", "50", "12"} <= set(shown)
    assert "nan" not in shown
    verdicts = pd.DataFrame({"right": [0.6, 1.0], "open": [0.3, 0.0], "wrong": [0.1, 0.0]}, index=["a_b", "c"])
    assert {"60 %", "30 %", "10 %", "100 %", "a b"} <= set(texts(plots.verdict_bars(verdicts)))
    dots = plots.protocol_dots(verdicts, "covered", line=0.95)
    assert {"a b", "covered"} <= set(texts(dots))
    assert [text.get_text() for text in dots.axes[0].get_legend().get_texts()] == ["right", "open", "wrong"]
    points = pd.DataFrame({"x": [0.1, 0.2], "y": [0.3, 0.2], "low": [0.05, 0.1], "high": [0.2, 0.3]}, ["EASE", "BPR"])
    assert {"EASE", "BPR", "one", "two"} <= set(texts(plots.model_panels({"one": points, "two": points}, "x", "y")))
    with pytest.raises(ValueError, match="missing: open, wrong"):
        plots.verdict_bars(verdicts[["right"]])
    with pytest.raises(ValueError, match="at least one"):
        plots.share_map(shares.iloc[:0], "right")
