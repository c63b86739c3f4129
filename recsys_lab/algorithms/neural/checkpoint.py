"""Checkpoints of a training: written after every epoch where RECSYS_LAB_CHECKPOINTS names a folder."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from recsys_lab.algorithms.base import Algorithm
from recsys_lab.data.interactions import Interactions

FOLDER = "RECSYS_LAB_CHECKPOINTS"


@dataclass(frozen=True)
class Checkpoint:
    """The file of one training; without a path nothing is written and nothing found."""

    path: Path | None

    @classmethod
    def of(cls, algorithm: Algorithm, rows: Interactions) -> Checkpoint:
        """The checkpoint of this class, these hyper-parameters and these training rows and item features."""
        folder = os.environ.get(FOLDER, "").strip()
        if not folder:
            return cls(None)
        features = rows.catalogue.item_features
        digest = hashlib.sha256(rows.fingerprint.encode())
        digest.update(repr((sorted(algorithm.get_params().items()), rows.file_order, torch.__version__)).encode())
        if features is not None:
            digest.update(features.data.tobytes() + features.indices.tobytes() + features.indptr.tobytes())
        return cls(Path(folder).expanduser() / f"{type(algorithm).__name__}-{digest.hexdigest()[:16]}.pt")

    def write(self, state: dict[str, Any]) -> None:
        """Replace the file in one step: a reader, or a crash, sees the old or the new one, never a half."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_name(f"{self.path.name}.{os.getpid()}.partial")
        try:
            torch.save(state, partial)
            os.replace(partial, self.path)
        finally:
            partial.unlink(missing_ok=True)

    def read(self) -> dict[str, Any] | None:
        """What was last written, or None. Only tensors and plain values are read, no code.

        Raises ValueError for a file that is no checkpoint.
        """
        if self.path is None or not self.path.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:
            raise ValueError(
                f"{self.path} cannot be read as a checkpoint ({error}); delete it to start anew"
            ) from error
        return state

    def remove(self) -> None:
        """The training has ended."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
