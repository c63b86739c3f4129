"""An experiment as strict frozen models: every key is declared, an unknown one is an error."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from recsys_lab.experiment.datasets import Dataset, FileDataset, FixedDataset, Parameters, Strict
from recsys_lab.experiment.split_spec import SplitSpec
from recsys_lab.experiment.tuning import SEEDS, TuningSpec, places

FAMILIES = ("collaborative_filtering", "content_based", "factorization", "neural")
METRIC_NAME = re.compile(r"[a-z_]+(@\d+)?(\[.*\])?")


class EvaluationSpec(Strict):
    """The protocol: what is measured and how."""

    task: Literal["ranking", "rating"] = "ranking"
    cutoffs: tuple[int, ...] = (5, 10, 20)
    primary: str = ""  # "" = ndcg@10 (ranking; the middle cut-off when 10 is none) or rmse (rating)
    relevance_threshold: float | None = None  # test ratings from here on are relevant; null = every test row
    exclude_seen: bool = True
    rating_fallback: Literal["global_mean", "drop"] | None = None  # for pairs that cannot be predicted; null = an error
    metrics: tuple[str, ...] | None = None  # null = the default set
    candidates: Literal["known", "catalogue"] | None = None  # null = the split's own, else the items known to train
    tie_policy: Literal["hash", "pessimistic"] = "hash"
    tie_seed: int = Field(default=0, ge=0)  # of the hash that orders items of equal score

    @field_validator("cutoffs")
    @classmethod
    def _positive_cutoffs(cls, cutoffs: tuple[int, ...]) -> tuple[int, ...]:
        if not cutoffs or min(cutoffs) < 1:
            raise ValueError(f"cutoffs are list lengths of at least 1, such as [5, 10, 20]; found {list(cutoffs)}")
        return tuple(sorted(set(cutoffs)))

    @field_validator("primary")
    @classmethod
    def _plain_metric_name(cls, primary: str) -> str:
        if primary and not METRIC_NAME.fullmatch(primary):
            raise ValueError(f"{primary!r} is no metric name; right would be 'ndcg@10' or 'rmse'")
        return primary

    @model_validator(mode="before")
    @classmethod
    def _default_primary(cls, values: Any) -> Any:
        if not isinstance(values, dict) or values.get("primary"):
            return values
        if values.get("task") == "rating":
            return {**values, "primary": "rmse"}
        cutoffs = values.get("cutoffs") or (5, 10, 20)
        if not isinstance(cutoffs, (list, tuple)) or not all(isinstance(cutoff, int) for cutoff in cutoffs):
            return values
        cutoff = 10 if 10 in cutoffs else sorted(cutoffs)[len(cutoffs) // 2]
        return {**values, "primary": f"ndcg@{cutoff}"}

    @model_validator(mode="after")
    def _primary_is_measured(self) -> EvaluationSpec:
        name, _, cutoff = self.primary.partition("@")
        if self.task == "ranking" and cutoff and int(cutoff.partition("[")[0]) not in self.cutoffs:
            raise ValueError(
                f"primary is {self.primary!r} but cutoffs are {list(self.cutoffs)}; add {cutoff} to cutoffs"
            )
        if self.task == "rating" and cutoff:
            raise ValueError(f"primary of a rating task is rmse or mae; found {self.primary!r}")
        if self.task == "ranking" and name in {"rmse", "mae"}:
            raise ValueError(f"primary {self.primary!r} needs task: rating")
        return self


class AlgorithmSpec(Strict):
    """An algorithm and its hyper-parameters; a list where one value is expected is a grid.

    In an experiment with ``tuning``, ``tune`` among the hyper-parameters says what is searched (``tuning.places``).
    """

    name: str
    hyper_parameters: Parameters = Field(default_factory=dict)
    tune: bool | dict[str, Any] = True

    @model_validator(mode="before")
    @classmethod
    def _from_yaml(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"name": value}
        if isinstance(value, dict) and len(value) == 1:
            name, hyper_parameters = next(iter(value.items()))
            if isinstance(name, str) and isinstance(hyper_parameters, (dict, type(None))):
                written = dict(hyper_parameters or {})
                search = {"tune": written.pop("tune")} if "tune" in written else {}
                return {"name": name, "hyper_parameters": written, **search}
        if isinstance(value, dict) and set(value) <= {"name", "hyper_parameters", "tune"} and "name" in value:
            return value
        raise ValueError(
            f"an algorithm is a name (UserKNN) or one name with hyper-parameters "
            f"({{ItemKNN: {{n_neighbors: 100}}}}); found {value!r}"
        )

    @field_validator("tune", mode="before")
    @classmethod
    def _places_are_sound(cls, tune: Any) -> Any:
        places(tune)
        return tune


class ChecksSpec(Strict):
    """Checks that cost a fit of their own (docs/checks.md); all others always run."""

    canary: bool = False  # L05 for every algorithm; own ones (package.module:Class) always have it
    permuted: bool = False  # L12: fitted on shuffled users, does a model fall to Popularity?


class Expected(Strict):
    """A published number and how near we must come."""

    algorithm: str  # the label of the trial
    metric: str
    value: float
    tolerance: float = Field(gt=0)  # absolute
    source: str
    split: int = 0
    one_sided: bool = False  # to be better than published is no fault

    @model_validator(mode="after")
    def _tolerance_is_tight(self) -> Expected:
        if self.value and self.tolerance > abs(self.value) / 10:
            raise ValueError(
                f"tolerance {self.tolerance} is above a tenth of the value {self.value}; it proves nothing"
            )
        return self


class Experiment(Strict):
    """One question, the data, the protocol and the models that are compared."""

    question: str
    name: str = Field(default="", pattern=r"^[A-Za-z0-9_.-]*$")  # the file's stem when empty
    dataset: Dataset
    split: tuple[SplitSpec, ...] = (SplitSpec(strategy="temporal_global"),)
    evaluation: EvaluationSpec = EvaluationSpec(primary="ndcg@10")
    tuning: TuningSpec | None = None  # null = nothing is searched
    seeds: tuple[int, ...] = (42,)  # of the fits; five with tuning when none are given
    baselines: tuple[AlgorithmSpec, ...] = ()
    families: dict[str, tuple[AlgorithmSpec, ...]]
    expected: tuple[Expected, ...] = ()
    checks: ChecksSpec = ChecksSpec()
    path: Path | None = Field(default=None, exclude=True)  # the file it was read from; not a key of the file

    @model_validator(mode="before")
    @classmethod
    def _five_seeds_with_tuning(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("tuning") is not None and "seeds" not in values:
            return {**values, "seeds": SEEDS}
        return values

    @model_validator(mode="after")
    def _searches_have_a_validation_part(self) -> Experiment:
        if self.tuning is not None and not all(spec.validation for spec in self.split):
            specs = [one if one.validation else one.model_copy(update={"validation": one.test}) for one in self.split]
            object.__setattr__(self, "split", tuple(specs))
        return self

    @field_validator("split", mode="before")
    @classmethod
    def _one_split_or_a_list(cls, value: Any) -> Any:
        if isinstance(value, (list, tuple)) and not value:
            raise ValueError("split is empty; leave it out for temporal_global, or name a strategy")
        return value if isinstance(value, (list, tuple)) else [value]

    @field_validator("families")
    @classmethod
    def _known_families(cls, families: dict[str, Any]) -> dict[str, Any]:
        if not families or not any(families.values()):
            raise ValueError(f"families has no algorithm; known families: {', '.join(FAMILIES)}")
        return families

    @field_validator("seeds")
    @classmethod
    def _seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds or min(seeds) < 0 or len(set(seeds)) < len(seeds):
            raise ValueError(f"seeds are different whole numbers from 0 on, at least one; found {list(seeds)}")
        return seeds

    @property
    def dataset_name(self) -> str:
        """The name of the data in tables and runs."""
        if self.dataset.name:
            return self.dataset.name
        if isinstance(self.dataset, FileDataset):
            return self.dataset.path.stem
        return self.dataset.train.parent.name if isinstance(self.dataset, FixedDataset) else ""
