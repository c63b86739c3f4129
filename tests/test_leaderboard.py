"""The leaderboard: order, statistics, reference row, notes, and files that stand alone."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recsys_lab import leaderboard
from recsys_lab.evaluation import Cost, Evaluation
from recsys_lab.leaderboard import Entry, Leaderboard, Table, build_table, columns, files, html, text

N_USERS = 240
MEANS = {"Random": 0.05, "Popularity": 0.2, "ItemKNN": 0.3, "EASE": 0.302, "PureSVD": 0.21, "Oracle": 0.5}
FAMILIES = {"ItemKNN": "collaborative_filtering", "EASE": "collaborative_filtering", "PureSVD": "factorization"}


def evaluation(name: str, mean: float, *, seed: int = 0, split_hash: str = "s" * 64, **changes: Any) -> Evaluation:
    """Users differ from each other more than models do, as they do in life."""
    users = np.random.default_rng(99).normal(0, 0.05, N_USERS)
    own = np.random.default_rng([seed, len(name)]).normal(0, 0.01, N_USERS)
    values = mean + users - users.mean() + own - own.mean()
    per_user = pd.DataFrame({"ndcg@10": values, "n_relevant": 3, "is_cold": False}, index=pd.RangeIndex(N_USERS))
    one = Evaluation(
        summary={
            "ndcg@10": values.mean(),
            "item_coverage@10": 0.25,
            "gini@10": 0.9,
            "arp@10": 80.0,
            "n_users": N_USERS,
        },
        per_user=per_user,
        lists=None,
        cost=Cost(fit_s=0.5, ms_per_user=0.02, peak_rss_mb=12.0),
        protocol={"task": "ranking", "cutoffs": [10], "relevance_threshold": 4.0, "hash": "p" * 64},
        dataset_hash="d" * 64,
        split_hash=split_hash,
        algorithm=name,
        parameters={},
    )
    return replace(one, **changes)


def entries(names: dict[str, float] = MEANS, **changes: Any) -> list[Entry]:
    return [
        Entry(name, FAMILIES.get(name, "baseline"), evaluation(name, mean, **changes)) for name, mean in names.items()
    ]


def table(given: list[Entry] | None = None, **options: Any) -> Table:
    options = {"primary": "ndcg@10", "baselines": ["Random", "Popularity"], "dataset": "toy", **options}
    return build_table(entries() if given is None else given, **options)


@pytest.fixture(scope="module")
def toy() -> Table:
    return table()


def test_rows_are_ordered_with_the_oracle_apart(toy: Table) -> None:
    assert list(toy.frame.index) == ["Oracle", "EASE", "ItemKNN", "PureSVD", "Popularity", "Random"]
    assert toy.frame["status"].tolist() == ["reference", "default", "default", "default", "baseline", "baseline"]
    assert np.isnan(toy.frame.loc["Oracle", "rank_group"])
    assert toy.frame["rank_group"].iloc[1:].is_monotonic_increasing
    assert toy.frame["rank_group"].iloc[1] == 1


def test_differences_are_to_the_best_baseline(toy: Table) -> None:
    assert toy.comparison.best_baseline == "Popularity"
    assert toy.frame.loc["ItemKNN", "difference"] == pytest.approx(0.1)
    assert toy.frame.loc["ItemKNN", "p_holm"] < 0.001
    assert toy.frame.loc["ItemKNN", "verdict"] == "better"
    assert toy.frame.loc[["Popularity", "Oracle"], ["difference", "p_holm", "wins"]].isna().all().all()


def test_every_column_of_the_definition_is_shown(toy: Table) -> None:
    heads = [column.head for column in toy.columns]
    expected = ["#", "model", "ndcg@10", "difference to Popularity", "p (Holm)", "dz", "win/tie/loss", "users", "seeds"]
    expected += ["trials", "fit s", "ms/user", "peak MB", "coverage", "gini", "arp", "status"]
    assert [head for head in heads if head in expected] == expected


def test_seeds_of_a_model_are_one_row() -> None:
    seeds = [
        Entry("PureSVD", "factorization", evaluation("PureSVD", 0.2 + 0.02 * seed, seed=seed), seed=seed)
        for seed in range(3)
    ]
    frame = table([*entries({"Popularity": 0.2, "Random": 0.1}), *seeds]).frame
    assert frame.loc["PureSVD", "n_seeds"] == 3
    assert frame.loc["PureSVD", "mean"] == pytest.approx(0.22)
    assert frame.loc["PureSVD", "seed_sd"] == pytest.approx(0.02)


def test_folds_of_a_model_are_one_row_and_both_splits_are_named() -> None:
    folds = [replace(entry, fold=fold) for fold in (0, 1) for entry in entries(split_hash=f"{fold}" * 64)]
    found = table(folds)
    assert len(found.frame) == len(MEANS)
    assert found.hashes["split"] == f"{'0' * 16}, {'1' * 16}"


def test_configurations_of_an_algorithm_are_counted_as_trials() -> None:
    grid = [
        Entry(f"ItemKNN n_neighbors={k}", "collaborative_filtering", evaluation("ItemKNN", 0.3), origin="fixed")
        for k in (5, 50)
    ]
    frame = table([*entries({"Popularity": 0.2}), *grid]).frame
    assert frame.loc["ItemKNN n_neighbors=5", ["n_trials", "status"]].tolist() == [2, "fixed"]
    assert frame.loc["Popularity", "n_trials"] == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dataset_hash": "e" * 64}, "data"),
        ({"split_hash": "t" * 64}, "split"),
        ({"protocol": {"task": "ranking", "cutoffs": [10], "relevance_threshold": None, "hash": "q" * 64}}, "protocol"),
    ],
)
def test_data_splits_and_protocols_are_not_mixed(changes: dict[str, Any], words: str) -> None:
    odd = Entry("PureSVD", "factorization", replace(evaluation("PureSVD", 0.2), **changes))
    with pytest.raises(ValueError, match=words):
        table([*entries({"Popularity": 0.2, "EASE": 0.3}), odd])


def test_other_users_are_not_mixed() -> None:
    some = evaluation("EASE", 0.3)
    fewer = replace(some, per_user=some.per_user.iloc[:-5])
    with pytest.raises(ValueError, match="user"):
        table([*entries({"Popularity": 0.2}), Entry("EASE", "factorization", fewer)])


def test_an_oracle_alone_ranks_nothing() -> None:
    with pytest.raises(ValueError, match="nothing to rank"):
        table(entries({"Oracle": 0.5}))


def test_a_table_without_required_baselines_is_invalid_and_says_so() -> None:
    found = table(entries({"Popularity": 0.2, "PureSVD": 0.3}))
    assert not found.valid
    assert any(note.startswith("INVALID") and "Random, ItemKNN, EASE or SLIM" in note for note in found.notes)
    assert table().valid
    assert table(entries({"Popularity": 0.2, "PureSVD": 0.3}), check_baselines=False).valid


def test_failures_are_named(toy: Table) -> None:
    failed = table(failures={"SVD": "ValueError: no ratings"})
    assert "FAILED: SVD: ValueError: no ratings" in failed.notes
    assert not any("FAILED" in note for note in toy.notes)


def test_less_is_better_for_errors() -> None:
    rated = []
    for name, offset in {"Bias": 0.0, "SVD": -0.2}.items():
        one = evaluation(name, 0.0)
        errors = np.random.default_rng(4).uniform(0.5, 1.5, N_USERS) + offset
        per_user = pd.DataFrame(
            {"rmse": np.sqrt(errors), "mae": errors, "n_pairs": 2, "sse": 2 * errors, "sae": 2 * errors}
        )
        protocol = {"task": "rating", "hash": "r" * 64}
        summary = {"rmse": float(np.sqrt(errors.mean())), "mae": float(errors.mean())}
        rated.append(Entry(name, "baseline", replace(one, per_user=per_user, summary=summary, protocol=protocol)))
    found = table(rated, primary="rmse", baselines=["Bias"])
    assert found.less_is_better
    assert list(found.frame.index) == ["SVD", "Bias"]
    assert found.frame.loc["SVD", "verdict"] == "better"
    assert found.valid
    assert len(html.figures(found)) == 2  # no coverage of the catalogue in a rating task


def test_markdown_has_a_cell_for_every_column(toy: Table) -> None:
    lines = [line for line in text.to_markdown(toy).splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(MEANS)
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines} == {len(toy.columns) + 1}
    assert "| 1 | EASE |" in lines[3]
    assert "*Oracle*" in lines[2]


def test_chosen_columns(toy: Table) -> None:
    lines = text.to_markdown(toy, ["model", "p_holm"]).splitlines()
    assert "| model | p (Holm) |" in lines
    assert "| ItemKNN | &lt; .001 |" in lines


def test_latex_escapes_and_is_balanced(toy: Table) -> None:
    latex = text.to_latex(replace(toy, title="100 % of a_b & c"))
    assert r"100 \% of a\_b \& c" in latex
    assert latex.count(r"\begin") == latex.count(r"\end") == 2
    assert r"\textbf{EASE}" in latex
    rows = [line for line in latex.splitlines() if line.endswith(r"\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(toy.columns) - 1}


def test_terminal_lines_are_aligned(toy: Table) -> None:
    lines = text.to_terminal(toy).splitlines()
    rule = next(line for line in lines if line.startswith("─"))
    body = lines[lines.index(rule) + 1 : lines.index(rule) + 1 + len(MEANS)]
    assert all(len(line) <= len(rule) for line in body)
    assert len({line.index("0.") for line in body}) == 1


class _Page(HTMLParser):
    """Collects what a page would load, and whether its tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.rows = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.rows += tag == "tr"
        self.loads += [
            value for name, value in attrs if name in {"src", "href", "xlink:href"} and value and value[0] != "#"
        ]
        if tag not in {"meta", "br", "link", "img"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [
            value for name, value in attrs if name in {"src", "href", "xlink:href"} and value and value[0] != "#"
        ]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_loads_nothing(toy: Table) -> None:
    page = html.to_html([toy], "Which <one>?", "toy")
    parser = _Page()
    parser.feed(page)
    assert parser.open == []
    assert parser.loads == []
    assert parser.rows == 1 + len(MEANS) + 1 + len(toy.comparison.pairs), "the table and its appendix of all pairs"
    assert not re.search(
        r"url\((?!#)|@import|https?://(?!www\.w3\.org/)", re.sub(r'xmlns[:\w]*="[^"]*"|<!DOCTYPE[^>]*>', "", page)
    )
    assert "Which &lt;one&gt;?" in page
    assert page.count("<svg") == 3 + len(MEANS)
    assert "prefers-color-scheme: dark" in page


def test_figures_on_one_page_do_not_share_ids(toy: Table) -> None:
    page = html.to_html([toy, toy], "?", "toy")
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"url\(#([^)]+)\)", page)) <= set(ids)


def test_rows_carry_the_numbers_they_are_sorted_by(toy: Table) -> None:
    page = html.to_notebook([toy])
    assert "<script" not in page
    assert f'data-value="{toy.frame.loc["EASE", "mean"]}"' in page


def test_files_are_replaced_whole(toy: Table, tmp_path: Path) -> None:
    found = Leaderboard("toy", "Which?", (toy,))
    written = found.write(tmp_path)
    assert {file.name for file in written} == {
        "all_pairs.csv",
        *(f"leaderboard.{kind}" for kind in ("html", "md", "tex", "csv", "svg", "png")),
    }
    assert found.write(tmp_path) == written
    assert sorted(tmp_path.iterdir()) == sorted(written), "no temporary file is left"
    read = pd.read_csv(tmp_path / "leaderboard.csv", index_col="model")
    pd.testing.assert_series_equal(read["mean"], toy.frame["mean"])
    pairs = pd.read_csv(tmp_path / "all_pairs.csv")
    pd.testing.assert_frame_equal(pairs.drop(columns="table"), toy.comparison.pairs)
    assert set(pairs["table"]) == {toy.title}


def test_a_failing_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "leaderboard.md"
    target.write_text("old")

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        files.replace_file(target, b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["leaderboard.md"]
    assert target.read_text() == "old"


def test_two_splits_stand_side_by_side(toy: Table) -> None:
    turned = {name: 0.6 - mean for name, mean in MEANS.items() if name != "Oracle"}
    other = replace(table(entries(turned, split_hash="t" * 64)), title="toy · other")
    both = Leaderboard("toy", "Which?", (toy, other))
    assert set(both.frame["split"]) == {"toy", "toy · other"}
    assert both.to_markdown().count("### ") == 2
    assert "Kendall's tau -1.00" in both.to_markdown()


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.0, "0"), (0.0004, "< .001"), (0.01234, "0.0123"), (1.234, "1.23"), (1234.0, "1,230"), (np.nan, "–")],
)
def test_costs_are_written_with_three_digits(value: float, written: str) -> None:
    assert columns.significant(value) == written


def test_intervals_say_both_ends_when_they_are_uneven() -> None:
    even = pd.Series({"mean": 0.5, "low": 0.4, "high": 0.6})
    assert columns.interval(even) == "0.5000 ± 0.1000"
    assert columns.interval(even.replace(0.4, 0.45)) == "0.5000 [0.4500, 0.6000]"
    assert columns.interval(even.replace([0.4, 0.6], np.nan)) == "0.5000"


def test_the_numbers_of_a_run_and_of_mlflow_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from recsys_lab.trials import open_family

    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    monkeypatch.setenv("RECSYS_LAB_HOME", str(tmp_path))
    file = tmp_path / "tiny.yaml"
    file.write_text(
        "question: Which?\ndataset: {name: synthetic-small}\nsplit: {strategy: temporal_user}\n"
        "baselines: [Random, Popularity, Oracle]\n"
        "families: {collaborative_filtering: [{ItemKNN: {n_neighbors: [20, 50]}}, EASE]}\n"
    )
    with pytest.raises(LookupError, match="no finished trial"):
        leaderboard.build(file)
    assert not (tmp_path / "mlflow.db").exists(), "looking creates nothing"
    work = open_family(file, family=None, log=True)
    work.run(progress=False)
    here, stored = leaderboard.from_work(work), leaderboard.build(file)
    cards = ["card", "card_file"]  # only a run has a card
    pd.testing.assert_frame_equal(here.frame, stored.frame.drop(columns=cards))
    assert stored.valid
    kinds = [f"leaderboard.{kind}" for kind in ("html", "md", "tex", "csv", "svg", "png")]
    assert stored.write()[:7] == [tmp_path / "outputs" / "tiny" / name for name in (*kinds, "all_pairs.csv")]
    file.write_text(file.read_text().replace("EASE]", "EASE, UserKNN]"))
    assert any("UserKNN" in note and "not finished" in note for note in leaderboard.build(file).tables[0].notes)
