"""The base of our networks."""

from __future__ import annotations

from typing import Any, Self

from torch import nn


class Network(nn.Module):
    """A network that remembers what it was made with (positional values), so that it can be stored as plain data."""

    made_with: tuple[Any, ...]

    @staticmethod
    def n_weights(*made_with: Any) -> int:
        """How many weights and buffers a network made with these values has, without making it."""
        raise NotImplementedError

    def __new__(cls, *values: Any) -> Self:
        made: Self = super().__new__(cls)
        object.__setattr__(made, "made_with", values)  # nn.Module's own needs __init__ first
        return made
