"""Where and how PyTorch computes: one CPU thread, deterministic, half precision on a GPU only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

THREADS = "RECSYS_LAB_TORCH_THREADS"


@contextmanager
def repeatable() -> Iterator[None]:
    """PyTorch with one CPU thread (or RECSYS_LAB_TORCH_THREADS), deterministic, its generators left as they were.

    With one thread sums are taken in one order, so a seed gives the same bits whatever the number of cores.
    """
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    with torch.random.fork_rng():
        torch.set_num_threads(int(os.environ.get(THREADS, "1")))
        torch.set_flush_denormal(True)  # numbers below 1e-38 are slow and mean nothing
        torch.use_deterministic_algorithms(True, warn_only=True)  # a few GPU kernels have no such form
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_flush_denormal(False)
            torch.use_deterministic_algorithms(strict, warn_only=warn_only)


def choose_device(name: str) -> torch.device:
    """The device of a name: "auto" is the GPU where there is one. ValueError for a GPU that is not there."""
    there = torch.cuda.is_available()
    if name == "cuda" and not there:
        raise ValueError("device is 'cuda' but PyTorch finds no GPU; right would be 'auto' or 'cpu'")
    return torch.device("cuda" if there and name != "cpu" else "cpu")


def precision(device: torch.device) -> AbstractContextManager[Any]:
    """Bfloat16 products on a GPU that has them; float32 everywhere else."""
    if device.type == "cuda" and torch.cuda.is_bf16_supported():
        half: AbstractContextManager[Any] = torch.autocast("cuda", dtype=torch.bfloat16)
        return half
    return nullcontext()
