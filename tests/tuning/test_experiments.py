"""Experiments with the key ``tuning``: what is searched, trial ids, final fits, MLflow, the leaderboard, the plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recsys_lab import tracking
from recsys_lab.algorithms.catalogue import Range, make_algorithm
from recsys_lab.data.datasets import load_dataset
from recsys_lab.evaluation import evaluate
from recsys_lab.experiment import Experiment, ExperimentError, expand, experiment_from_text, load_experiment
from recsys_lab.leaderboard import Entry, build, build_table, from_work
from recsys_lab.leaderboard.html import figures
from recsys_lab.runner.plan import describe, plan_jobs, write_resolved
from recsys_lab.splits import split, validation_split
from recsys_lab.trials import FamilyWork, make_splits, open_family
from recsys_lab.trials.prepare import search_splits
from recsys_lab.tuning import SealedTest, tune

BASE = """
question: Who is best when tuned alike?
name: tuned
dataset: {name: synthetic-small}
split: {strategy: temporal_user, test: 0.2}
"""
TUNED = f"""{BASE}
tuning: {{n_trials: 3, seed: 1}}
seeds: [7, 8]
baselines: [Random, Popularity, Oracle]
families:
  collaborative_filtering:
    - ItemKNN:
        similarity: cosine
        tune: {{n_neighbors: {{low: 5, high: 60}}, weighting: [none, tfidf], alpha: null}}
    - UserKNN: {{tune: false}}
    - P3alpha: {{tune: false, n_neighbors: 20}}
  factorization:
    - PureSVD: {{tune: {{n_factors: {{low: 2, high: 30, log: true}}}}}}
"""


def read(text: str = TUNED, *overrides: str) -> Experiment:
    return experiment_from_text(text, overrides=list(overrides))


def one(families: str, tuning: str = "tuning: {n_trials: 3}") -> Experiment:
    return read(f"{BASE}\n{tuning}\nfamilies: {{collaborative_filtering: [{families}]}}")


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[FamilyWork]]:
    """The experiment run at both seeds, logged in a store that stays for this module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECSYS_LAB_HOME", str(tmp_path_factory.mktemp("home")))
        for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "RECSYS_LAB_NOTEBOOK", "RECSYS_LAB_PROGRESS"):
            patch.delenv(name, raising=False)
        made = [open_family(read(), family=None, seed=seed, log=True) for seed in (7, 8)]
        for work in made:
            work.run(progress=False)
        yield made


def test_what_is_given_is_fixed_and_the_rest_is_searched() -> None:
    trials = {trial.label: trial for trial in expand(read()) if trial.seed == 7}
    searched = trials["ItemKNN"].space
    assert searched["n_neighbors"] == Range(5, 60)
    assert searched["weighting"] == ("none", "tfidf")
    assert searched["shrinkage"] == Range(0.0, 1000.0)
    assert not {"similarity", "alpha"} & set(searched)
    origins = {"Random": "tuned", "Popularity": "tuned", "ItemKNN": "tuned", "UserKNN": "default", "P3alpha": "fixed"}
    assert {label: trials[label].origin for label in origins} == origins
    assert not trials["UserKNN"].space
    assert not trials["Random"].space


def test_one_algorithm_tuned_and_not_is_two_rows() -> None:
    labels = [trial.label for trial in expand(one("ItemKNN, {ItemKNN: {tune: false}}"))]
    assert labels == ["ItemKNN (tuned)", "ItemKNN (default)"]


def test_a_validation_part_and_five_seeds_come_by_default() -> None:
    experiment = one("ItemKNN")
    assert experiment.split[0].validation == experiment.split[0].test
    assert experiment.seeds == (42, 43, 44, 45, 46)
    assert read().seeds == (7, 8)
    assert load_experiment("").seeds == (42,)
    assert load_experiment("").split[0].validation == 0
    assert read(TUNED, "tuning.n_trials=9").tuning.n_trials == 9  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "change", ["tuning.n_trials=4", "tuning.seed=2", "tuning.n_parallel=2", "split.validation=0.1", "tuning.n_random=2"]
)
def test_a_search_is_part_of_a_trials_identity(change: str) -> None:
    assert not {trial.trial_id for trial in expand(read())} & {trial.trial_id for trial in expand(read(TUNED, change))}


def test_another_space_is_another_trial_and_without_tuning_the_identity_is_as_before() -> None:
    narrow, wide = (one(f"EASE: {{tune: {{regularization: {{low: 1, high: {high}}}}}}}") for high in (9, 99))
    assert expand(narrow)[0].trial_id != expand(wide)[0].trial_id
    plain = expand(one("EASE", tuning=""))[0]
    assert (plain.origin, dict(plain.space)) == ("default", {})
    assert plain.trial_id != expand(one("EASE"))[0].trial_id


@pytest.mark.parametrize(
    ("families", "tuning", "message"),
    [
        ("ItemKNN", "tuning: {n_trial: 3}", "tuning.n_trial: unknown key; did you mean 'n_trials'"),
        ("ItemKNN", "tuning: {n_trials: 3, n_random: 4}", "n_random is 4, more than the 3 trials"),
        ("ItemKNN", "tuning: {n_trials: 0}", "tuning.n_trials: Input should be greater than or equal to 1"),
        ("{ItemKNN: {tune: {n_neighbor: [3]}}}", "tuning: {}", "tune: ItemKNN has no .* did you mean 'n_neighbors'"),
        ("{ItemKNN: {tune: {alpha: {lo: 3}}}}", "tuning: {}", "tune.alpha.lo: unknown key; did you mean 'low'"),
        ("{ItemKNN: {tune: {alpha: {low: 3}}}}", "tuning: {}", "tune.alpha.high: this key is needed"),
        ("{ItemKNN: {tune: {alpha: {low: 3, high: 2}}}}", "tuning: {}", "from low to a higher high"),
        ("{ItemKNN: {tune: {alpha: 3}}}", "tuning: {}", "tune.alpha is a list of values"),
        ("{ItemKNN: {tune: {n_neighbors: [many]}}}", "tuning: {}", "n_neighbors must be a whole number"),
        ("{ItemKNN: {alpha: 1.0, tune: {alpha: [1.0]}}}", "tuning: {}", "fixed value and a place to search"),
        ("{ItemKNN: {tune: maybe}}", "tuning: {}", "tune is false .* found 'maybe'"),
        ("{ItemKNN: {tune: false}}", "", "tune: nothing is searched in this experiment; add the key tuning"),
    ],
)
def test_mistakes_are_named(families: str, tuning: str, message: str) -> None:
    with pytest.raises(ExperimentError, match=message):
        one(families, tuning)


def test_given_parts_need_a_validation_part(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("0 1 2\n1 0 2\n2 0 1\n", encoding="utf-8")
    (tmp_path / "test.txt").write_text("0 0\n1 1\n2 2\n", encoding="utf-8")
    parts = "question: q?\ndataset: {train: train.txt, test: test.txt, format: lists}\ntuning: {}\n"
    with pytest.raises(ExperimentError, match=r"no validation part to search on; name one: dataset\.validation"):
        experiment_from_text(parts + "families: {factorization: [EASE]}\n", tmp_path / "parts.yaml")


def test_a_search_sees_no_test_part_and_the_final_fit_sees_both_others() -> None:
    experiment = read()
    (inner,), (final,) = search_splits(experiment, 0), make_splits(experiment, 0)
    assert isinstance(inner.test, SealedTest)
    assert inner.validation is not None
    assert len(final.train) == len(inner.train) + len(inner.validation)
    assert final.card.fingerprint == split(load_dataset("synthetic-small"), "temporal_user", test=0.2).card.fingerprint


def test_the_final_fit_is_the_one_by_hand(works: list[FamilyWork]) -> None:
    data = load_dataset("synthetic-small")
    outer = split(data, "temporal_user", test=0.2, validation=0.2)
    trial = next(trial for trial in works[0].trials if trial.label == "ItemKNN")
    record = tune("ItemKNN", outer, trial.space, fixed={"similarity": "cosine"}, n_trials=3, seed=1)
    assert works[0].tunings["ItemKNN"].best_parameters == record.best_parameters
    assert works[0].tunings["ItemKNN"].validation_hash == validation_split(outer).card.fingerprint
    by_hand = evaluate(
        make_algorithm("ItemKNN", similarity="cosine", **record.best_parameters),
        split(data, "temporal_user", test=0.2),
    )
    found = works[0].evaluations["ItemKNN"]
    assert found.summary == by_hand.summary
    assert found.parameters == by_hand.parameters
    assert found.split_hash == by_hand.split_hash


def test_seeds_share_a_search_and_fit_each_for_itself(works: list[FamilyWork]) -> None:
    first, second = works
    assert first.tunings["PureSVD"].trials.equals(second.tunings["PureSVD"].trials)  # seconds too: it was read
    random = [work.evaluations["PureSVD"].parameters["random_state"] for work in works]
    assert len(set(random)) == 2
    assert sorted(first.tunings) == ["ItemKNN", "PureSVD"]
    assert {record.n_trials for record in first.tunings.values()} == {3}
    assert len({record.n_users for record in first.tunings.values()}) == 1
    model = second.algorithm("ItemKNN")  # read back, so fitted again at what was found
    assert model.get_params()["n_neighbors"] == second.tunings["ItemKNN"].best_parameters["n_neighbors"]


def test_a_search_is_recorded_in_mlflow(works: list[FamilyWork]) -> None:
    runs = {run.tags["label"]: run for run in tracking.find_runs("tuned") if run.tags["seed"] == "7"}
    origins = {label: run.tags["hyper_parameters"] for label, run in runs.items()}
    assert {origins[label] for label in ("ItemKNN", "PureSVD", "Popularity")} == {"tuned"}
    assert (origins["UserKNN"], origins["P3alpha"]) == ("default", "fixed")
    record, run = works[0].tunings["ItemKNN"], runs["ItemKNN"]
    assert run.metrics["tuning/n_trials"] == 3
    assert run.metrics["tuning/best"] == record.best_value
    assert run.params["n_neighbors"] == str(record.best_parameters["n_neighbors"])
    assert (tracking.files_of(run, "tuning") / "trials.csv").is_file()
    assert tracking.load_tuning(run).summary() == record.summary()
    with pytest.raises(FileNotFoundError):
        tracking.load_tuning(runs["UserKNN"])


def test_the_leaderboard_ranks_tuned_models_only(works: list[FamilyWork]) -> None:
    (table,) = build(read()).tables
    frame = table.frame
    assert frame.index[0] == "Oracle"
    assert set(frame.index[-2:]) == {"UserKNN", "P3alpha"}
    assert frame["rank_group"].notna().to_dict() == {
        label: label not in ("Oracle", "UserKNN", "P3alpha") for label in frame.index
    }
    assert frame.loc["UserKNN", ["status", "verdict"]].tolist() == ["default", "not ranked"]
    assert frame.loc["P3alpha", "status"] == "fixed"
    assert frame.loc["ItemKNN", ["status", "n_trials", "n_seeds"]].tolist() == ["tuned", 3, 1]
    assert frame.loc["PureSVD", "n_seeds"] == 2
    assert frame.loc["PureSVD", "search_s"] == pytest.approx(works[0].tunings["PureSVD"].seconds)
    assert np.isnan(frame.loc["UserKNN", ["difference", "p_holm", "search_s"]].astype(float)).all()
    shown = "\n".join(table.notes)
    assert "Tuned with 3 trials a model (1 at random, search seed 1) by ndcg@10" in shown
    assert "Without a rank, below the others, as they were not tuned: UserKNN, P3alpha." in shown
    assert "A true difference of" in shown
    heads = [column.head for column in table.columns]
    assert heads.index("trials") + 1 == heads.index("search s")
    assert "baseline, tuned" in build(read()).to_markdown()
    assert any(caption.startswith("The searches") for caption in figures(table))
    assert list(table.searches) == [label for label in frame.index if label in ("ItemKNN", "PureSVD")]


def test_a_family_alone_is_ranked_likewise(works: list[FamilyWork]) -> None:
    frame = from_work(works[0]).tables[0].frame
    assert list(frame.index[frame["rank_group"].isna()]) == ["Oracle", *frame.index[-2:]]


def test_unlike_searches_are_refused_and_their_warnings_told(works: list[FamilyWork]) -> None:
    work = works[0]

    def entry(label: str, **changes: Any) -> Entry:
        record = replace(work.tunings[label], **changes)
        return Entry(label, "factorization", work.evaluations[label], origin="tuned", tuning=record)

    table = build_table([entry("ItemKNN", warnings=("the best is at the edge",)), entry("PureSVD")], primary="ndcg@10")
    assert "ItemKNN: the best is at the edge." in table.notes
    for change, name in (
        ({"n_trials": 9}, "n_trials"),
        ({"validation_hash": "x"}, "validation part"),
        ({"n_users": 9}, "users"),
    ):
        with pytest.raises(ValueError, match=f"{name} differs: ItemKNN .*, PureSVD"):
            build_table([entry("ItemKNN"), entry("PureSVD", **change)], primary="ndcg@10")


def test_the_plan_tells_the_budget_and_searches_first(tmp_path: Path) -> None:
    splits = "split=[{strategy: temporal_user}, {strategy: temporal_global}]"
    experiment = read(TUNED, splits)
    jobs = plan_jobs(experiment, tmp_path / "x.yaml", outputs=tmp_path, notebooks=tmp_path)
    assert [(job.parameters["split"], job.parameters["seed"]) for job in jobs] == [
        (0, 7), (0, 7), (1, 7), (1, 7), (0, 8), (1, 8)
    ]  # fmt: skip
    assert "tuning    3 trials a model and split: 4 searches, 12 trials" in describe(experiment, jobs)
    assert [job.n_steps for job in jobs] == [len(job.trials) + 3 for job in jobs]
    file = write_resolved(experiment, tmp_path)
    again = load_experiment(file)
    assert [trial.trial_id for trial in expand(again)] == [trial.trial_id for trial in expand(experiment)]
