"""Parameters are got, set, shown and cloned as scikit-learn does it, whose base class is the oracle here."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from sklearn.base import BaseEstimator, clone

from recsys_lab import make_algorithm
from recsys_lab.algorithms.parameters import Parameters


class _Own:
    def __init__(self, *, width: int = 3, part: Any = None, alpha: float = 0.5) -> None:
        self.width, self.part, self.alpha = width, part, alpha


class Ours(_Own, Parameters):
    """Parameters by our own base class."""


class Theirs(_Own, BaseEstimator):
    """The same parameters by scikit-learn's base class."""


class Nothing(Parameters):
    """No constructor."""


class Many(Parameters):
    """A constructor whose parameters have no names."""

    def __init__(self, *values: int) -> None:
        self.values = values


@pytest.mark.parametrize("deep", [False, True])
def test_the_same_parameters_come_out(deep: bool) -> None:
    ours, theirs = Ours(part=Ours(width=1)), Theirs(part=Theirs(width=1))
    found, expected = ours.get_params(deep=deep), theirs.get_params(deep=deep)
    assert list(found) == list(expected)
    plain = {name: value for name, value in found.items() if name != "part"}
    assert plain == {name: value for name, value in expected.items() if name != "part"}
    assert ours.get_params()["part"] is ours.part


@pytest.mark.parametrize(
    "changes",
    [{}, {"width": 7}, {"part__alpha": 2.0, "width": 1}, {"part__part": None}, {"part__part__width": 9}],
)
def test_the_same_changes_take(changes: dict[str, Any]) -> None:
    ours, theirs = (kind(part=kind(part=kind())) for kind in (Ours, Theirs))
    assert ours.set_params(**changes) is ours
    theirs.set_params(**changes)
    assert repr(ours).replace("Ours", "Theirs") == repr(theirs).replace("\n", "").replace("  ", "")


@pytest.mark.parametrize("changes", [{"widht": 7}, {"part__widht": 7}, {"widht__alpha": 1}])
def test_a_wrong_name_gets_the_same_words(changes: dict[str, Any]) -> None:
    said = []
    for kind in (Ours, Theirs):
        with pytest.raises(ValueError, match="Invalid parameter 'widht'") as error:
            kind(part=kind()).set_params(**changes)
        said.append(str(error.value).replace("Theirs", "Ours"))
    assert said[0] == said[1]


def test_a_constructor_has_named_parameters_or_none() -> None:
    assert Nothing().get_params() == {}
    with pytest.raises(RuntimeError, match="Many takes"):
        Many(1).get_params()


def test_clone_keeps_parameters_and_forgets_what_was_learnt() -> None:
    made = Ours(width=8, part=Ours(alpha=0.25))
    made.weights_ = [1.0]  # type: ignore[attr-defined]
    copy = clone(made)
    assert not hasattr(copy, "weights_")
    assert copy.width == 8
    assert copy.part is not made.part
    assert copy.part.alpha == 0.25
    assert pickle.loads(pickle.dumps(made)).get_params(deep=False)["width"] == 8


def test_scikit_learn_clones_an_algorithm() -> None:
    model = make_algorithm("EASE", regularization=3.0)
    copy = clone(model)
    assert copy is not model
    assert copy.get_params() == model.get_params()
    assert repr(copy) == repr(model)
