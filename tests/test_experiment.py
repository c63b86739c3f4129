"""Experiment files: strict keys, overrides, grids, seeds, folds and stable ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from recsys_lab import evaluate, load_dataset, make_algorithm, split
from recsys_lab.experiment import (
    ExperimentError,
    expand,
    experiment_from_text,
    labels,
    load_experiment,
    parse_yaml,
    select,
    sweep_id,
)
from recsys_lab.seeds import child_seed
from recsys_lab.splits import STRATEGIES, windows

EXPERIMENTS = Path(__file__).resolve().parents[1] / "experiments"
TEXT = """
question: Does it load?
dataset: {name: synthetic-small}
split: {strategy: temporal_user, test: 0.2}
evaluation: {cutoffs: [5, 10], primary: ndcg@10}
baselines: [Random, Popularity]
families:
  collaborative_filtering:
    - ItemKNN: {n_neighbors: [10, 20]}
    - EASE
"""


def _write(folder: Path, text: str = TEXT) -> Path:
    path = folder / "tried.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["quickstart", "movielens_100k_ranking", "movielens_100k_rating", "own_csv"])
def test_the_experiments_of_the_project_load(name: str) -> None:
    experiment = load_experiment(EXPERIMENTS / f"{name}.yaml")
    assert experiment.name == name
    assert experiment.question.endswith("?")
    trials = expand(experiment)
    assert len({trial.trial_id for trial in trials}) == len(trials)


def test_the_quickstart_compares_twelve_models_of_three_families_with_the_oracle() -> None:
    trials = expand(load_experiment(EXPERIMENTS / "quickstart.yaml"))
    assert {trial.family for trial in trials} == {
        "baseline",
        "collaborative_filtering",
        "content_based",
        "factorization",
    }
    assert len({trial.label for trial in trials}) >= 12
    assert {"Random", "Popularity", "Oracle"} <= {trial.label for trial in trials if trial.is_baseline}


@pytest.mark.parametrize(
    ("key", "wrong", "message"),
    [
        ("evaluation:", "evaluatoin:", "did you mean 'evaluation'"),
        ("cutoffs", "cutofs", "did you mean 'cutoffs'"),
        ("strategy: temporal_user", "strategy: temporal_usr", "did you mean 'temporal_user'"),
        ("test: 0.2", "tset: 0.2", "did you mean 'test'"),
        ("EASE", "ESAE", "did you mean 'EASE'"),
        ("n_neighbors", "n_neighbours", "did you mean 'n_neighbors'"),
        ("collaborative_filtering:", "colaborative_filtering:", "did you mean 'collaborative_filtering'"),
        ("primary: ndcg@10", "primary: ndgc@10", "did you mean 'ndcg'"),
        ("primary: ndcg@10", "primary: ndcg@20", "add 20 to cutoffs"),
        ("question: Does it load?", "", "question: this key is needed"),
        ("[5, 10]", "[0, 10]", "at least 1"),
        ("test: 0.2", "test: lots", "split.0.test"),
        ("baselines: [Random, Popularity]", "baselines: [[Random]]", "an algorithm is a name"),
        ("[Random, Popularity]", "[Random, Popularity]\nbaselines: [Random]", "stands twice"),
        ("{name: synthetic-small}", "{name: ml-100k}\nseeds: [1, 1]", "different whole numbers"),
        ("[Random, Popularity]", "[Random, Popularity", "not readable as YAML"),
        ("name: synthetic-small", "name: ml-100k, flter: {}", "dataset.flter: unknown key"),
        ("n_neighbors: [10, 20]", "n_neighbors: []", "empty grid"),
        ("n_neighbors: [10, 20]", "n_neighbors: [10, 2.5]", "n_neighbors must be a whole number; found 2.5"),
        ("n_neighbors: [10, 20]", "n_neighbors: many", "n_neighbors must be a whole number; found 'many'"),
        ("n_neighbors: [10, 20]", "shrinkage: true", "shrinkage must be a number; found True"),
        ("n_neighbors: [10, 20]", "similarity: cosin", "did you mean 'cosine'"),
        ("name: synthetic-small", "name: ml-100", "dataset.name: unknown data set 'ml-100'; did you mean 'ml-100k'"),
        ("synthetic-small}", "synthetic-small, filters: {minimum_ratng: 4}}", "did you mean 'minimum_rating'"),
        ("test: 0.2", "test: 1.5", "split.0.test must be a share between 0 and 1 or a whole number"),
        ("test: 0.2", "validation: 2.5", "split.0.validation must be a share"),
        ("{strategy: temporal_user, test: 0.2}", "[]", "split is empty"),
        ("{strategy: temporal_user, test: 0.2}", "temporal_user", "expected keys with values below it"),
        ("cutoffs: [5, 10]", "cutoffs: 10", "evaluation.cutoffs: expected a list"),
        ("primary: ndcg@10", "primary: item_coverage@10", "cannot decide between models"),
        ("primary: ndcg@10", "primary: 'sampled_ndcg@10[n=99]'", "stands in no leaderboard; use 'ndcg@10'"),
        ("primary: ndcg@10", "primary: arp@10", "neither high nor low is better"),
        ("primary: ndcg@10", "primary: ndcg@10, metrics: [recall]", "add 'ndcg'"),
    ],
)
def test_a_slip_is_named_with_file_key_and_remedy(tmp_path: Path, key: str, wrong: str, message: str) -> None:
    assert key in TEXT
    with pytest.raises(ExperimentError) as raised:
        load_experiment(_write(tmp_path, TEXT.replace(key, wrong, 1)))
    assert message in str(raised.value)
    assert "tried.yaml" in str(raised.value)


def test_all_slips_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    text = TEXT.replace("cutoffs", "cutofs").replace("question:", "questoin:")
    with pytest.raises(ExperimentError) as raised:
        load_experiment(_write(tmp_path, text))
    assert "cutofs" in str(raised.value)
    assert "questoin" in str(raised.value)


def test_a_folder_is_no_experiment_file(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="this is a folder; name an experiment file"):
        load_experiment(tmp_path)


def test_a_missing_file_names_the_nearest(tmp_path: Path) -> None:
    _write(tmp_path)
    with pytest.raises(ExperimentError, match=r"did you mean 'tried.yaml'"):
        load_experiment(tmp_path / "tired.yaml")


def test_overrides_are_typed_and_checked(tmp_path: Path) -> None:
    path = _write(tmp_path)
    changed = load_experiment(
        path, ["evaluation.cutoffs=[10, 20]", "evaluation.primary=ndcg@20", "split.test=0.3", "seeds=[1, 2]"]
    )
    assert changed.evaluation.cutoffs == (10, 20)
    assert changed.evaluation.primary == "ndcg@20"
    assert changed.split[0].test == pytest.approx(0.3)
    assert changed.seeds == (1, 2)
    assert load_experiment(path, ["baselines.0=Bias"]).baselines[0].name == "Bias"
    for wrong, message in (
        ("evaluation.primry=ndcg@5", "did you mean 'primary'"),
        ("evaluation", "key=value"),
        ("split.test=many", "split.0.test"),
        ("baselines.7=Bias", "a list of 2"),
        ("question.a=1", "no keys below"),
    ):
        with pytest.raises(ExperimentError, match=message.replace(".", r"\.")):
            load_experiment(path, [wrong])


def test_numbers_in_scientific_notation_are_numbers() -> None:
    assert parse_yaml("a: 1e-5\nb: 2E3\nc: -1.5e+2\nd: e5") == {"a": 1e-5, "b": 2000.0, "c": -150.0, "d": "e5"}


def test_models_are_frozen() -> None:
    with pytest.raises(Exception, match="frozen"):
        load_experiment("").name = "other"  # type: ignore[misc]


def test_a_grid_gives_a_trial_a_point_with_labels_that_tell_them_apart() -> None:
    trials = expand(experiment_from_text(TEXT + "name: grid\n"))
    assert [trial.label for trial in trials] == [
        "Random",
        "Popularity",
        "ItemKNN n_neighbors=10",
        "ItemKNN n_neighbors=20",
        "EASE",
    ]
    assert [trial.parameters for trial in trials[2:]] == [{"n_neighbors": 10}, {"n_neighbors": 20}, {}]
    assert trials[2].run_name == "ItemKNN n_neighbors=10 · synthetic-small · s42"


def test_stochastic_algorithms_run_with_every_seed_and_deterministic_ones_once() -> None:
    experiment = experiment_from_text(TEXT + "seeds: [3, 4]\n")
    trials = expand(experiment)
    by_label = {label: [trial for trial in trials if trial.label == label] for label in labels(experiment)}
    assert [trial.parameters["random_state"] for trial in by_label["Random"]] == [
        child_seed(3, "fit/Random"),
        child_seed(4, "fit/Random"),
    ]
    assert len(by_label["EASE"]) == 1
    chosen = select(trials, family="collaborative_filtering", seed=4)
    assert {trial.label for trial in chosen} == set(labels(experiment))
    assert [trial.seed for trial in chosen if trial.label == "Random"] == [4]


def test_a_seed_in_the_file_is_kept() -> None:
    text = TEXT.replace("[Random, Popularity]", "[{Random: {random_state: 0}}]") + "seeds: [3, 4]\n"
    random = [trial for trial in expand(experiment_from_text(text)) if trial.algorithm == "Random"]
    assert [trial.parameters for trial in random] == [{"random_state": 0}]


def test_several_splits_and_folds_expand() -> None:
    text = TEXT.replace(
        "split: {strategy: temporal_user, test: 0.2}",
        "split: [{strategy: temporal_user}, {strategy: k_fold, n_folds: 3, folds: [0, 2]}]",
    )
    trials = [trial for trial in expand(experiment_from_text(text)) if trial.label == "EASE"]
    assert [(trial.split, trial.fold) for trial in trials] == [(0, None), (1, 0), (1, 2)]
    with pytest.raises(ExperimentError, match=r"folds are 0 \.\.\. 2"):
        experiment_from_text(text.replace("[0, 2]", "[0, 3]"))
    with pytest.raises(ExperimentError, match="belongs to strategy k_fold"):
        experiment_from_text(TEXT.replace("test: 0.2", "n_folds: 3"))


def test_the_id_of_a_trial_depends_on_what_can_change_its_numbers_and_on_nothing_else() -> None:
    first = {trial.label: trial.trial_id for trial in expand(experiment_from_text(TEXT))}
    same = TEXT.replace("Does it load?", "Another question?").replace("[Random, Popularity]", "[Popularity]")
    assert {trial.label: trial.trial_id for trial in expand(experiment_from_text(same))}.items() <= first.items()
    other_primary = experiment_from_text(TEXT.replace("ndcg@10", "recall@10"))
    assert {trial.trial_id for trial in expand(other_primary)} == set(first.values())
    for change in (("test: 0.2", "test: 0.3"), ("[5, 10]", "[10]"), ("{name: synthetic-small}", "{name: ml-100k}")):
        changed = {trial.trial_id for trial in expand(experiment_from_text(TEXT.replace(*change)))}
        assert not changed & set(first.values()), change


def test_own_files_are_known_by_their_contents(tmp_path: Path) -> None:
    path = _write(tmp_path, TEXT.replace("{name: synthetic-small}", "{path: r.csv}"))
    with pytest.raises(FileNotFoundError, match="RECSYS_LAB_DATA"):
        expand(load_experiment(path))
    (tmp_path / "r.csv").write_text("user_id,item_id,rating,timestamp\n1,2,3,4\n", encoding="utf-8")
    experiment = load_experiment(path)
    assert experiment.dataset_name == "r"
    before, sweep = {trial.trial_id for trial in expand(experiment)}, sweep_id(experiment)
    (tmp_path / "r.csv").write_text("user_id,item_id,rating,timestamp\n1,2,5,44\n", encoding="utf-8")
    assert not before & {trial.trial_id for trial in expand(experiment)}
    assert sweep_id(experiment) != sweep


def test_an_own_algorithm_beside_the_file_is_found_and_its_source_is_part_of_its_id(tmp_path: Path) -> None:
    (tmp_path / "beside_model.py").write_text(
        "from recsys_lab.algorithms.baselines import Popularity\nclass Beside(Popularity):\n    '''Mine.'''\n",
        encoding="utf-8",
    )
    path = _write(tmp_path, TEXT.replace("- EASE", "- beside_model:Beside"))
    first = [trial for trial in expand(load_experiment(path)) if trial.label == "Beside"]
    (tmp_path / "beside_model.py").write_text(
        (tmp_path / "beside_model.py").read_text(encoding="utf-8") + "# changed\n", encoding="utf-8"
    )
    second = [trial for trial in expand(load_experiment(path)) if trial.label == "Beside"]
    assert len(first) == 1
    assert first[0].trial_id != second[0].trial_id


def test_the_oracle_needs_generated_data_and_knows_the_protocol() -> None:
    text = TEXT.replace("[Random, Popularity]", "[Oracle]")
    for strategy, kind in STRATEGIES.items():
        oracle = expand(experiment_from_text(text.replace("temporal_user", strategy)))[0]
        expected = "end" if kind.in_time else "last" if kind.needs_times else "mean"
        assert oracle.parameters == {"moment": expected}, strategy
    with pytest.raises(ExperimentError, match="Oracle knows the truth"):
        experiment_from_text(text.replace("synthetic-small", "ml-100k"))


@pytest.mark.parametrize("strategy", ["rolling", "temporal_global", "temporal_user", "random_user"])
def test_no_other_moment_gives_the_oracle_a_higher_ceiling(strategy: str) -> None:
    data = load_dataset("synthetic-small")
    parts = windows(data, 5) if strategy == "rolling" else [split(data, strategy, test=0.2, seed=1)]
    chosen = expand(
        experiment_from_text(TEXT.replace("[Random, Popularity]", "[Oracle]").replace("temporal_user", strategy))
    )[0]
    found = {
        moment: np.mean([evaluate(make_algorithm("Oracle", moment=moment), part).summary["ndcg@10"] for part in parts])
        for moment in ("last", "mean", "end")
    }
    assert max(found, key=lambda moment: found[moment]) == chosen.parameters["moment"], found


def test_a_rating_task_takes_rating_predictors_only() -> None:
    text = TEXT.replace("{cutoffs: [5, 10], primary: ndcg@10}", "{task: rating}")
    with pytest.raises(ExperimentError, match="Random does not predict ratings"):
        experiment_from_text(text)
    with pytest.raises(ExperimentError, match="needs task: rating"):
        experiment_from_text(TEXT.replace("primary: ndcg@10", "primary: rmse"))
    with pytest.raises(ExperimentError, match="rmse or mae"):
        experiment_from_text(text.replace("task: rating", "task: rating, primary: ndcg@10"))


def test_expected_numbers_name_a_trial_and_a_tight_tolerance() -> None:
    line = "expected: [{algorithm: EASE, metric: ndcg@10, value: 0.5, tolerance: 0.01, source: s}]\n"
    assert experiment_from_text(TEXT + line).expected[0].value == pytest.approx(0.5)
    with pytest.raises(ExperimentError, match="did you mean 'EASE'"):
        experiment_from_text(TEXT + line.replace("EASE", "EASY"))
    with pytest.raises(ExperimentError, match="above a tenth"):
        experiment_from_text(TEXT + line.replace("0.01", "0.1"))


def test_given_parts_need_no_split(tmp_path: Path) -> None:
    for name in ("train.txt", "test.txt"):
        (tmp_path / name).write_text("0 1\n1 0\n", encoding="utf-8")
    text = TEXT.replace("{name: synthetic-small}", "{train: train.txt, test: test.txt, format: lists}")
    with pytest.raises(ExperimentError, match="leave split out"):
        load_experiment(_write(tmp_path, text))
    without = text.replace("split: {strategy: temporal_user, test: 0.2}\n", "")
    experiment = load_experiment(_write(tmp_path, without))
    assert [split.strategy for split in experiment.split] == ["fixed"]


COMPOSED = TEXT.replace(
    "    - EASE\n",
    """    - Calibrated: {base: EASE, weight: [0.2, 0.5]}
    - Calibrated: {base: PureSVD, base_parameters: {n_factors: [5, 10]}}
    - Blend: {second: ContentKNN}
""",
)


def test_composed_algorithms_are_labelled_by_their_parts_and_a_part_has_a_grid() -> None:
    assert labels(experiment_from_text(COMPOSED))[-5:] == [
        "Calibrated(EASE) weight=0.2",
        "Calibrated(EASE) weight=0.5",
        "Calibrated(PureSVD) base.n_factors=5",
        "Calibrated(PureSVD) base.n_factors=10",
        "Blend(ContentKNN)",
    ]


def test_a_composed_algorithm_has_several_seeds_if_a_part_has() -> None:
    trials = expand(experiment_from_text(COMPOSED + "seeds: [1, 2]\n"))
    n_seeds = {label: sum(trial.label == label for trial in trials) for label in {trial.label for trial in trials}}
    assert n_seeds["Calibrated(EASE) weight=0.5"] == 1
    assert n_seeds["Calibrated(PureSVD) base.n_factors=5"] == 2


def test_mistakes_in_parts_are_found_before_anything_runs() -> None:
    with pytest.raises(ExperimentError, match=r"collaborative_filtering.1: .*did you mean 'EASE'"):
        experiment_from_text(COMPOSED.replace("base: EASE", "base: EASY"))
    with pytest.raises(ExperimentError, match=r"no hyper-parameter 'factors'; did you mean 'n_factors'"):
        experiment_from_text(COMPOSED.replace("{n_factors", "{factors"))


def test_the_experiment_on_the_page_of_rerankers_loads() -> None:
    page = (EXPERIMENTS.parent / "docs" / "rerankers.md").read_text(encoding="utf-8")
    families = page.split("```yaml\n")[1].split("```")[0]
    found = labels(experiment_from_text(TEXT.partition("families:")[0] + families))
    assert "Blend(EASE, ContentRidge) first.regularization=500" in found
    assert "ContentKNN weighting=bm25 kinds=['genre', 'tag']" in found
