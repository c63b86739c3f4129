"""Get, set and show the parameters of an object: scikit-learn's protocol, which ``sklearn.base.clone`` takes as it is.

Not by its ``BaseEstimator``: importing that costs a replica 59 MB and a second.
"""

from __future__ import annotations

import inspect
from typing import Any, Self


class Parameters:
    """An object whose constructor keeps every argument under its own name."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name, sorted; ``deep`` adds those of parameters that have their own as "name__own"."""
        found: dict[str, Any] = {}
        for name in _names(type(self)):
            value = getattr(self, name)
            if deep and hasattr(value, "get_params") and not isinstance(value, type):
                found |= {f"{name}__{own}": part for own, part in value.get_params().items()}
            found[name] = value
        return found

    def set_params(self, **parameters: Any) -> Self:
        """Change parameters, as "name" or "name__own"; self. ValueError for a name that is none."""
        nested: dict[str, dict[str, Any]] = {}
        known = _names(type(self))
        for given, value in parameters.items():
            name, below, own = given.partition("__")
            if name not in known:
                raise ValueError(f"Invalid parameter {name!r} for estimator {self}. Valid parameters are: {known!r}.")
            if below:
                nested.setdefault(name, {})[own] = value
            else:
                setattr(self, name, value)
        for name, values in nested.items():
            getattr(self, name).set_params(**values)
        return self

    def __repr__(self) -> str:
        """Dataclasses write their own."""
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in _changed(self).items())})"


def _changed(one: Parameters) -> dict[str, Any]:
    """The parameters that are not the constructor's defaults."""
    usual = {name: parameter.default for name, parameter in inspect.signature(type(one)).parameters.items()}
    return {name: value for name, value in one.get_params(deep=False).items() if repr(value) != repr(usual[name])}


def _names(kind: type) -> list[str]:
    found = inspect.signature(kind).parameters.values()
    if any(one.kind is one.VAR_POSITIONAL for one in found):
        raise RuntimeError(
            f"the constructor of {kind.__name__} takes *arguments; name every parameter in its signature"
        )
    return sorted(one.name for one in found if one.kind is not one.VAR_KEYWORD)
