"""What all neural models share: the hyper-parameters of the training, fit and score."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

import numpy as np
import pandas as pd
import torch
from scipy import sparse

from recsys_lab.algorithms.base import Algorithm, require
from recsys_lab.algorithms.hyper_parameters import require_choice
from recsys_lab.algorithms.layout import Layout, Part
from recsys_lab.algorithms.neural.checkpoint import Checkpoint
from recsys_lab.algorithms.neural.devices import choose_device, repeatable
from recsys_lab.algorithms.neural.sampling import Validation, hold_out
from recsys_lab.algorithms.neural.training import Learner, Plan, Scorer, train
from recsys_lab.data.interactions import Float32, Int32, Interactions
from recsys_lab.seeds import child_rng, child_seed

Device = Literal["auto", "cpu", "cuda"]


@dataclass(kw_only=True, eq=False)
class NeuralAlgorithm(Algorithm):
    """A model trained by gradient steps (Adam). What is stored in the training part counts, whatever its rating.

    ``fit`` holds ``validation_share`` of the training rows out, trains until the discounted hits among the first 10
    have not risen for ``patience`` epochs, and with ``refits`` trains again on all rows for the best number of epochs.
    ``history_`` is the curve: phase, epoch, loss, validation, seconds. On the CPU a seed gives the same bits; a GPU
    may differ in the last digits. RECSYS_LAB_CHECKPOINTS=folder keeps a checkpoint an epoch, from which an interrupted
    ``fit`` goes on.
    """

    n_epochs: int = 50  # at most, when there is a validation part
    batch_size: int = 1024
    learning_rate: float = 0.001  # of Adam
    validation_share: float = 0.1  # of each user's training rows; 0: no validation, all n_epochs are trained
    patience: int = 5  # epochs without a better validation before training stops
    refits: bool = True  # train again on all rows for the best number of epochs; False: keep the network found
    device: Device = "auto"  # auto: the GPU where there is one
    random_state: int = 42  # seed of everything drawn

    holds_out_latest: ClassVar[bool] = False  # the validation part is the end of each history, not random rows
    serves_cold_items: ClassVar[bool] = False  # scores items without training rows

    def fit(self, train: Interactions) -> Self:
        self._check()
        rows = train.canonical()
        require(len(rows) > 0, f"{type(self).__name__} needs training rows; found none")
        name = type(self).__name__
        device = choose_device(self.device)
        plan = Plan(
            name=name,
            n_epochs=self.n_epochs,
            learning_rate=self.learning_rate,
            patience=self.patience,
            refits=self.refits,
            seed=child_seed(self.random_state, f"fit/{name}/network"),
            device=device,
        )
        with repeatable():
            self.scorer_, history = train_on(self, rows, plan)
        self.history_ = pd.DataFrame(history)
        self.known_items_ = rows.item_popularity > 0  # (n_items,) bool
        return self

    def score(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """What the network says, (b, n_items) float32; -inf for items it has not met, unless it serves cold items."""
        users = np.asarray(users, dtype=np.int32)
        known = self.known_items_
        if histories.shape[1] != len(known):
            raise ValueError(f"histories have {histories.shape[1]} columns; the model was fitted on {len(known)} items")
        if not self.serves_new_users and (users < 0).any():
            raise ValueError(
                f"{type(self).__name__} knows only the users it was fitted on; found a new one (code -1). "
                "MultVAE, SASRec and the neighbourhood models serve new users"
            )
        with repeatable(), torch.no_grad():
            scores = self.scorer_(users, histories)
        if not self.serves_cold_items:
            scores[:, ~known] = -np.inf
        return scores

    @abstractmethod
    def _learner(self, rows: Interactions) -> Learner:
        """A new network with its loss over ``rows``."""

    def _check(self) -> None:
        """Raise ValueError for hyper-parameters out of range; subclasses check their own as well."""
        require_positive(self, ("n_epochs", "batch_size", "learning_rate", "patience"))
        require(
            0 <= self.validation_share < 1,
            f"validation_share must be at least 0 and below 1; found {self.validation_share}",
        )
        require_choice("device", self.device, ("auto", "cpu", "cuda"))


def train_on(algorithm: NeuralAlgorithm, rows: Interactions, plan: Plan) -> tuple[Scorer, list[dict[str, object]]]:
    """Hold out the validation part, build the learners where they belong, and train."""
    rng = child_rng(algorithm.random_state, f"fit/{plan.name}/validation")
    parts = None
    if algorithm.validation_share > 0:
        kept, held = hold_out(rows, algorithm.validation_share, rng, latest=algorithm.holds_out_latest)
        question = Validation.of(kept, held, rng)
        parts = (kept, question) if len(question.users) else None
    return train(algorithm._learner, rows, parts, plan, Checkpoint.of(algorithm, rows))


def stored_with(scorer: Part) -> Layout:
    """The layout of a neural model."""
    return {"scorer_": scorer, "history_": "frame", "known_items_": "bool items"}


def require_positive(algorithm: Algorithm, names: Iterable[str]) -> None:
    """Raise ValueError unless these hyper-parameters are finite and above 0."""
    for name in names:
        value = getattr(algorithm, name)
        require(np.isfinite(value) and value > 0, f"{name} must be a finite number above 0; found {value!r}")


def require_share(algorithm: Algorithm, names: Iterable[str]) -> None:
    """Raise ValueError unless these hyper-parameters lie in 0 ... 1, 1 excluded."""
    for name in names:
        value = getattr(algorithm, name)
        require(0 <= value < 1, f"{name} must be at least 0 and below 1; found {value!r}")


def require_layers(layers: tuple[int, ...]) -> None:
    """Raise ValueError unless there is at least one hidden layer and each has a width of at least 1."""
    sound = len(layers) > 0 and all(isinstance(width, int) and width >= 1 for width in layers)
    require(sound, f"layers are the widths of the hidden layers, such as [64, 32]; found {layers!r}")
