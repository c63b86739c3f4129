"""The one training loop of all neural models: epochs, early stopping, checkpoints, seeds."""

from __future__ import annotations

import copy
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from tqdm import tqdm

from recsys_lab.algorithms.neural.checkpoint import Checkpoint
from recsys_lab.algorithms.neural.devices import precision
from recsys_lab.algorithms.neural.sampling import Validation
from recsys_lab.data.interactions import Float32, Int32, Interactions

Phase = Literal["search", "final"]


class Scorer(ABC):
    """What is kept of a trained model: it can be pickled and knows nothing of training."""

    @abstractmethod
    def __call__(self, users: Int32, histories: sparse.csr_matrix) -> Float32:
        """Scores (b, n_items) float32 of ``users`` (b,) with ``histories`` (b, n_items)."""


class Learner(ABC):
    """A network, its training rows and its loss. One is made for each training."""

    network: nn.Module
    weight_decay: float = 0.0  # of Adam

    @abstractmethod
    def losses(self, rng: np.random.Generator) -> Iterator[Tensor]:
        """The loss of each batch of one epoch, a mean; the loop takes a step after each."""

    @abstractmethod
    def scorer(self) -> Scorer:
        """The model as it is now. It may share memory with the network."""


@dataclass(frozen=True)
class Plan:
    """How to train. ``search`` holds the validation rows out, ``final`` is the whole training part."""

    name: str
    n_epochs: int
    learning_rate: float
    patience: int
    refits: bool
    seed: int
    device: torch.device


@dataclass
class _Progress:
    """Where a phase is. What a checkpoint holds beside the state of network, optimiser and generators."""

    phase: Phase
    epoch: int = 0
    best_epoch: int = 0
    best_gain: float = -1.0
    best_state: dict[str, Any] | None = None
    history: list[dict[str, Any]] = field(default_factory=list)  # of all phases so far


def train(
    build: Callable[[Interactions], Learner],
    rows: Interactions,
    parts: tuple[Interactions, Validation] | None,
    plan: Plan,
    checkpoint: Checkpoint,
) -> tuple[Scorer, list[dict[str, Any]]]:
    """A trained model and its curve: one dict an epoch with phase, epoch, loss, validation (or NaN), seconds.

    With ``parts`` (the kept rows and the question that the others ask) training stops when ``validation`` has not
    risen for ``patience`` epochs. Then the network of the best epoch is kept, or with ``refits`` a new one is trained
    on all rows for that number of epochs. Raises ValueError when a loss is not finite.
    """
    saved = checkpoint.read()
    n_epochs, history = plan.n_epochs, list(saved["history"]) if saved else []
    if parts is not None:
        kept, question = parts
        if saved is None or saved["phase"] == "search":
            search = _Run(build, kept, plan, checkpoint, _Progress("search", history=history))
            search.restore(saved)
            search.to_the_best(question)
            if not plan.refits:
                checkpoint.remove()
                return search.finished(), search.progress.history
            saved, history, n_epochs = None, search.progress.history, search.progress.best_epoch
        else:
            n_epochs = int(saved["n_epochs"])
    final = _Run(build, rows, plan, checkpoint, _Progress("final", history=history))
    final.restore(saved)
    final.to_epoch(n_epochs)
    checkpoint.remove()
    return final.finished(), final.progress.history


class _Run:
    """One network on its way through the epochs."""

    def __init__(
        self,
        build: Callable[[Interactions], Learner],
        rows: Interactions,
        plan: Plan,
        checkpoint: Checkpoint,
        progress: _Progress,
    ) -> None:
        torch.manual_seed(plan.seed)  # inside repeatable(), which restores the generator
        self.rng = np.random.default_rng([plan.seed, progress.phase == "final"])
        self.plan, self.checkpoint, self.progress = plan, checkpoint, progress
        self.learner = build(rows)
        self.network = self.learner.network.to(plan.device)
        self.optimizer = torch.optim.Adam(
            self.network.parameters(), lr=plan.learning_rate, weight_decay=self.learner.weight_decay, fused=True
        )

    def to_the_best(self, question: Validation) -> None:
        """Train until the validation stops rising, at most ``n_epochs`` epochs."""
        progress, plan = self.progress, self.plan
        with _bar(plan, progress) as bar:
            while progress.epoch < plan.n_epochs and progress.epoch - progress.best_epoch < plan.patience:
                row = self._epoch()
                self.network.eval()
                with torch.no_grad():
                    row["validation"] = question.gain(self.learner.scorer())
                if row["validation"] > progress.best_gain:
                    progress.best_epoch, progress.best_gain = progress.epoch, row["validation"]
                    if not plan.refits:
                        progress.best_state = copy.deepcopy(self.network.state_dict())
                self._note(row, plan.n_epochs)
                bar.set_postfix(loss=f"{row['loss']:.4f}", validation=f"{row['validation']:.4f}")
                bar.update()
        if progress.best_state is not None:
            self.network.load_state_dict(progress.best_state)

    def to_epoch(self, n_epochs: int) -> None:
        """Train for a fixed number of epochs."""
        with _bar(self.plan, self.progress, n_epochs) as bar:
            while self.progress.epoch < n_epochs:
                row = self._epoch()
                self._note(row, n_epochs)
                bar.set_postfix(loss=f"{row['loss']:.4f}")
                bar.update()

    def finished(self) -> Scorer:
        """The scorer, on the CPU."""
        self.network.to("cpu").eval()
        with torch.no_grad():
            return self.learner.scorer()

    def restore(self, saved: dict[str, Any] | None) -> None:
        """Go on where a checkpoint stopped."""
        if saved is None:
            return
        self.network.load_state_dict(saved["network"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.rng.bit_generator.state = saved["numpy"]
        torch.set_rng_state(saved["torch"])
        if saved["cuda"] is not None:
            torch.cuda.set_rng_state(saved["cuda"])
        self.progress = _Progress(
            saved["phase"], saved["epoch"], saved["best_epoch"], saved["best_gain"], saved["best_state"],
            list(saved["history"]),
        )  # fmt: skip

    def _epoch(self) -> dict[str, Any]:
        started, total, n_batches = time.perf_counter(), 0.0, 0
        self.network.train()
        losses = self.learner.losses(self.rng)
        while True:
            self.optimizer.zero_grad(set_to_none=True)
            with precision(self.plan.device):
                loss = next(losses, None)
            if loss is None:
                break
            loss.backward()
            self.optimizer.step()
            total, n_batches = total + float(loss.detach()), n_batches + 1
        mean = total / max(n_batches, 1)
        if not np.isfinite(mean):
            raise ValueError(
                f"{self.plan.name}: the loss is {mean} in epoch {self.progress.epoch + 1}; "
                f"learning_rate={self.plan.learning_rate} is too large, choose a smaller one"
            )
        self.progress.epoch += 1
        seconds = time.perf_counter() - started
        row = {"phase": self.progress.phase, "epoch": self.progress.epoch, "loss": mean}
        return {**row, "validation": float("nan"), "seconds": seconds}

    def _note(self, row: dict[str, Any], n_epochs: int) -> None:
        progress = self.progress
        progress.history.append(row)
        if self.checkpoint.path is None:
            return
        cuda = torch.cuda.get_rng_state() if self.plan.device.type == "cuda" else None
        self.checkpoint.write(
            {
                **vars(progress),
                "n_epochs": n_epochs,
                "network": self.network.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "numpy": self.rng.bit_generator.state,
                "torch": torch.get_rng_state(),
                "cuda": cuda,
            }
        )


def _bar(plan: Plan, progress: _Progress, n_epochs: int | None = None) -> Any:
    total = plan.n_epochs if n_epochs is None else n_epochs
    words = f"{plan.name}, {progress.phase}"
    # disable=None: only where someone watches a terminal
    return tqdm(total=total, initial=progress.epoch, desc=words, unit="epoch", leave=False, disable=None)
