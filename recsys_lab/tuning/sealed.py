"""A test part that cannot be touched: it stands in a split's place of ``test`` while hyper-parameters are searched."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NoReturn, cast

from recsys_lab.data.interactions import Interactions
from recsys_lab.splits import Split


class SealedTestError(RuntimeError):
    """The test part was used before the hyper-parameters were chosen."""


class SealedTest:
    """Every use raises SealedTestError: reading an attribute, its length, its rows, a copy, a pickle."""

    __slots__ = ()

    def __getattribute__(self, name: str) -> Any:
        # isinstance() looks at the class; it tells nothing of the rows
        return SealedTest if name == "__class__" else _refuse(name)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        _refuse(name)

    def __len__(self) -> NoReturn:
        _refuse("len")

    def __iter__(self) -> NoReturn:
        _refuse("iter")

    def __getitem__(self, rows: Any) -> NoReturn:
        _refuse("rows")

    def __bool__(self) -> NoReturn:
        _refuse("bool")

    def __eq__(self, other: object) -> NoReturn:
        _refuse("==")

    __hash__ = None  # type: ignore[assignment]

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        _refuse("pickle")

    def __repr__(self) -> str:
        return "SealedTest()"


def _refuse(what: str) -> NoReturn:
    raise SealedTestError(
        f"the test part was touched ({what}) while hyper-parameters were searched; a search sees train and validation "
        "only, and the test part is opened once, by evaluate, after the search"
    )


def sealed(split: Split) -> Split:
    """The same split with a ``SealedTest`` in the place of its test part."""
    return replace(split, test=cast(Interactions, SealedTest()))
