"""How an experiment asks for a split, or for the folds or windows of one."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from recsys_lab.experiment.datasets import Parameters
from recsys_lab.splits import STRATEGIES
from recsys_lab.splits.strategies import Folds


class SplitSpec(BaseModel):
    """One way to split; the options of a strategy stand beside the keys below and are checked against it."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)

    strategy: str
    test: float = Field(default=0.2, gt=0)
    validation: float = Field(default=0.0, ge=0)
    seed: int = Field(default=42, ge=0)
    n_folds: int | None = Field(default=None, ge=2)  # k_fold only
    folds: tuple[int, ...] | None = None  # k_fold only; null = all
    n_windows: int | None = Field(default=None, ge=1)  # rolling only
    windows: tuple[int, ...] | None = None  # rolling only; null = all

    @model_validator(mode="after")
    def _check_folds(self) -> SplitSpec:
        for name, strategy in STRATEGIES.items():
            keys = strategy.folds
            for key in (keys.count, keys.chosen) if keys is not None and self.strategy != name else ():
                if getattr(self, key) is not None:
                    raise ValueError(f"{key} belongs to strategy {name}; found strategy {self.strategy!r}")
        keys = self.fold_keys
        if keys is None:
            return self
        wrong = [fold for fold in getattr(self, keys.chosen) or () if not 0 <= fold < self.fold_count]
        if wrong:
            raise ValueError(f"{keys.chosen} are 0 ... {self.fold_count - 1}; found {wrong}")
        return self

    @property
    def fold_keys(self) -> Folds | None:
        """The keys of a strategy that makes several splits; None for one that makes one."""
        strategy = STRATEGIES.get(self.strategy)
        return None if strategy is None else strategy.folds

    @property
    def options(self) -> Parameters:
        """What the strategy takes beside test, validation, seed and the folds."""
        return dict(self.model_extra or {})

    @property
    def fold_count(self) -> int:
        """How many folds or windows the strategy makes; 1 for a strategy without."""
        keys = self.fold_keys
        return 1 if keys is None else int(getattr(self, keys.count) or STRATEGIES[self.strategy].options[keys.count])

    @property
    def chosen_folds(self) -> tuple[int | None, ...]:
        """The folds or windows to run; (None,) for a strategy without."""
        keys = self.fold_keys
        if keys is None:
            return (None,)
        chosen: tuple[int, ...] | None = getattr(self, keys.chosen)
        return chosen if chosen is not None else tuple(range(self.fold_count))
