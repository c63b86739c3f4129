"""What a class of ours stores, declared beside it: kind, dtype and shape of every value that it learns.

A file may fill a layout and nothing else. It names no class but an algorithm of the catalogue, so what is built from it
is a closed list: the algorithms, and the parts that their layouts name.

    stored: ClassVar[Layout] = {"weights_": "csr float32 items items", "space_": Part(Vectors, n="items", m="users")}

A value is described by words: its kind, and the sizes of its axes. A size is a name (``items``, ``items+1``), a number,
or ``*`` for any; the same name is the same number all through a layout. ``users`` and ``items`` are those of the model,
and a hyper-parameter that is a whole number is a size by its name (``n_factors``).

    number           a finite float or a whole number          flag, text, plain    a bool, a str, nested plain values
    count            a whole number from 1 on                  size a               the number of a
    real             a number, as a float
    float32 a b      an array of that dtype; "nan" at the end where NaN has a meaning; no shape: a NumPy scalar
    csr float32 a b  a sparse matrix of that dtype             ids a                external ids: whole numbers or texts
    codes a b c      int32 of -1 ... a - 1, shape (b, c)       pointers a n         int64 (a + 1,), rising from 0 to n
    algorithm        a fitted algorithm                        frame                a table
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = "np.ndarray[Any, Any]"
LARGEST = 1e30  # of a number that is learned
LONGEST = 10_000  # characters of a text
MOST_EMPTY = 1_000_000  # rows or columns of a sparse matrix beyond those that its numbers could fill


class Part:
    """A dataclass, NamedTuple or network of ours with a layout of its own. ``sizes``: its names for the owner's."""

    def __init__(self, kind: type, **sizes: str) -> None:
        self.kind, self.sizes = kind, sizes


@dataclass(frozen=True)
class Maybe:
    """A value, or None."""

    what: Spec


@dataclass(frozen=True)
class Several:
    """A list; ``n`` is its size."""

    what: Spec
    n: str = "*"


Spec: TypeAlias = str | Part | Maybe | Several | tuple[Any, ...]  # of specs
Layout: TypeAlias = Mapping[str, Spec]


def layout_of(kind: type, plain: Mapping[str, Any]) -> Layout | None:
    """The layout of a class, None where it declares none; ``plain``: the plain fields, for one that depends on them."""
    found: Layout | Callable[[Mapping[str, Any]], Layout] | None = getattr(kind, "stored", None)
    return found(plain) if callable(found) else found


class Sizes:
    """The sizes of a layout by name, bound where a name is met first."""

    def __init__(self, known: Mapping[str, int] | None = None) -> None:
        self.known = dict(known or {})

    def inner(self, names: Mapping[str, str]) -> Sizes:
        """The sizes of a part, in its own names."""
        return Sizes({own: self.known[name] for own, name in names.items() if name in self.known})

    def learn(self, names: Mapping[str, str], part: Sizes) -> None:
        """Take over what a part has bound."""
        for own, name in names.items():
            if own in part.known:
                self.known.setdefault(name, part.known[own])

    def require(self, place: str, shape: tuple[int, ...], axes: list[str]) -> None:
        """ValueError unless ``shape`` is that of ``axes``."""
        sound = len(shape) == len(axes) and all(self._fits(n, axis) for n, axis in zip(shape, axes))
        if not sound:
            expected = ", ".join(f"{axis}={self.known[axis]}" if axis in self.known else axis for axis in axes)
            raise ValueError(f"{place} has shape {shape}, expected ({expected})")

    def _fits(self, n: int, axis: str) -> bool:
        name, _, more = axis.partition("+")
        if name == "*":
            return True
        if name.isdigit():
            return n == int(name)
        return n >= int(more or 0) and self.known.setdefault(name, n - int(more or 0)) == n - int(more or 0)


def require_array(place: str, found: Array, words: list[str], sizes: Sizes) -> None:
    """ValueError unless an array is as ``words`` say: dtype, axes, finite."""
    dtype, *axes = words
    may_be_nan = axes[-1:] == ["nan"]
    if found.dtype != np.dtype(dtype):
        raise ValueError(f"{place} is {found.dtype}, expected {dtype}")
    sizes.require(place, found.shape, axes[:-1] if may_be_nan else axes)
    require_finite(place, found, may_be_nan=may_be_nan)


def require_finite(place: str, found: Array, *, may_be_nan: bool = False) -> None:
    """ValueError for an infinite number, one that becomes infinite in scores (float32), and NaN without a meaning."""
    if found.dtype.kind == "f" and not ((np.abs(found) <= LARGEST) | (may_be_nan & np.isnan(found))).all():
        raise ValueError(f"{place} has numbers that are not finite, or beyond {LARGEST:g}")


def require_codes(place: str, found: Array, words: list[str], sizes: Sizes) -> None:
    """ValueError unless ``found`` holds -1 or codes of what ``words`` name first; the other words are its axes."""
    of, *axes = words
    require_array(place, found, ["int32", *axes], sizes)
    highest = sizes.known.setdefault(of, int(found.max(initial=-1)) + 1)
    if found.size and not (found.min() >= -1 and found.max() < highest):
        raise ValueError(f"{place} has codes from {found.min()} to {found.max()}, expected -1 to {highest - 1} ({of})")


def require_pointers(place: str, found: Array, words: list[str], sizes: Sizes) -> None:
    """ValueError unless ``found`` are the bounds of consecutive groups: (owners + 1,), rising from 0 to n."""
    owners, n = words
    require_array(place, found, ["int64", f"{owners}+1"], sizes)
    rising = len(found) > 0 and found[0] == 0 and bool((np.diff(found) >= 0).all())
    if not rising or sizes.known.setdefault(n, int(found[-1])) != found[-1]:
        raise ValueError(f"{place} does not rise from 0 to {sizes.known.get(n, n)}")


def require_sparse(place: str, found: Any, words: list[str], sizes: Sizes) -> None:
    """ValueError unless a sparse matrix is as ``words`` say: dtype and axes."""
    dtype, *axes = words
    if found.dtype != np.dtype(dtype):
        raise ValueError(f"{place} is {found.dtype}, expected {dtype}")
    sizes.require(place, found.shape, axes)


def require_rising(place: str, pointers: Array, n: int) -> None:
    """ValueError unless the pointers of a sparse matrix with ``n`` numbers rise from 0 to at most ``n``."""
    sound = pointers.ndim == 1 and len(pointers) > 0 and pointers[0] == 0 and pointers[-1] <= n
    if not sound or bool((pointers[1:] < pointers[:-1]).any()):
        raise ValueError(f"{place} has pointers that do not rise from 0 to {n}")


def require_matrix(place: str, found: Any) -> Any:
    """``found``. ValueError for two numbers at one place, and for one far larger than its numbers explain."""
    require_finite(place, found.data)
    if max(found.shape) > MOST_EMPTY + len(found.indptr) + found.nnz:  # a vector of this length is made for every user
        raise ValueError(f"{place} has the shape {found.shape} and {found.nnz} numbers; expected no such emptiness")
    if not found.has_canonical_format:
        rising = found.copy()
        rising.sort_indices()
        if not rising.has_canonical_format:
            raise ValueError(f"{place} has two numbers at one place")
    return found


def require_text(place: str, text: str) -> None:
    """ValueError for what no answer can hold: half of a surrogate pair, or a text without end."""
    if len(text) > LONGEST or any("\ud800" <= sign <= "\udfff" for sign in ("" if text.isascii() else text)):
        raise ValueError(f"{place} is {text[:50]!r}, expected UTF-8 of at most {LONGEST:,} characters")
