"""From values to nodes: None, booleans, whole numbers, texts and finite floats are themselves; the rest is a dict."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from scipy import sparse

from recsys_lab.algorithms.base import Algorithm

Write: TypeAlias = "Callable[[Any, str, Arrays], dict[str, Any]]"


@dataclass
class Arrays:
    """The arrays of a tree, by the names that its nodes use."""

    kept: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)

    def keep(self, array: np.ndarray[Any, Any]) -> str:
        """Keep ``array`` and say its name."""
        name = f"a{len(self.kept)}"
        self.kept[name] = array
        return name


def write_node(value: Any, place: str, arrays: Arrays) -> Any:
    """The node of ``value``, which stands at ``place`` (for the error). TypeError for what is no plain data."""
    if value is None or type(value) in (bool, str, int):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"is": "float", "value": repr(value)}
    for kind, fits, write in KINDS:
        if fits(value):
            return {"is": kind, **write(value, place, arrays)}
    raise TypeError(
        f"{place} is a {type(value).__module__}.{type(value).__name__}, which cannot be stored as plain data; learnt "
        "attributes are arrays, sparse matrices, numbers, texts, tables, and dataclasses, lists and mappings of these"
    )


def class_name(value: Any) -> str:
    """ "module:Class" of a value."""
    return f"{type(value).__module__}:{type(value).__qualname__}"


def _nodes(values: Mapping[str, Any], place: str, arrays: Arrays) -> dict[str, Any]:
    return {name: write_node(part, f"{place}.{name}", arrays) for name, part in values.items()}


def _algorithm(value: Algorithm, place: str, arrays: Arrays) -> dict[str, Any]:
    parameters = value.get_params(deep=False)
    learnt = {name: part for name, part in vars(value).items() if name not in parameters}
    return {
        "class": class_name(value),
        "parameters": _nodes(parameters, place, arrays),
        "learnt": _nodes(learnt, place, arrays),
    }


def _array(value: Any, place: str, arrays: Arrays) -> dict[str, Any]:
    return {"array": arrays.keep(np.asarray(value))}


def _objects(value: np.ndarray[Any, Any], place: str, arrays: Arrays) -> dict[str, Any]:
    nodes = [write_node(part, f"{place}[{number}]", arrays) for number, part in enumerate(value.ravel().tolist())]
    return {"shape": list(value.shape), "values": nodes}


def _sparse(value: Any, place: str, arrays: Arrays) -> dict[str, Any]:
    names = [arrays.keep(part) for part in (value.data, value.indices, value.indptr)]
    return {"arrays": names, "shape": [int(n) for n in value.shape]}


def _range(value: pd.RangeIndex, place: str, arrays: Arrays) -> dict[str, Any]:
    return {"bounds": [value.start, value.stop, value.step], "name": write_node(value.name, place, arrays)}


def _index(value: pd.Index | pd.Series, place: str, arrays: Arrays) -> dict[str, Any]:
    values = value.to_numpy()
    plain = values if values.dtype.kind in "biuf" else np.asarray(values, dtype=object)
    return {"values": write_node(plain, place, arrays), "name": write_node(value.name, place, arrays)}


def _frame(value: pd.DataFrame, place: str, arrays: Arrays) -> dict[str, Any]:
    columns = [_index(value[name], f"{place}.{name}", arrays) for name in value.columns]
    return {"columns": columns, "index": write_node(value.index, f"{place}.index", arrays)}


def _network(value: Any, place: str, arrays: Arrays) -> dict[str, Any]:
    """A network of ours: what it was made with, and its weights and buffers."""
    weights = {name: arrays.keep(part.detach().cpu().numpy()) for name, part in value.state_dict().items()}
    return {
        "class": class_name(value),
        "made_with": write_node(value.made_with, place, arrays),
        "weights": weights,
        "training": bool(value.training),
    }


def _dataclass(value: Any, place: str, arrays: Arrays) -> dict[str, Any]:
    fields = {one.name: getattr(value, one.name) for one in dataclasses.fields(value) if one.init}
    return {"class": class_name(value), "fields": _nodes(fields, place, arrays)}


def _named(value: Any, place: str, arrays: Arrays) -> dict[str, Any]:
    return {"class": class_name(value), "fields": _nodes(value._asdict(), place, arrays)}


def _items(value: Any, place: str, arrays: Arrays) -> dict[str, Any]:
    return {"values": [write_node(part, f"{place}[{number}]", arrays) for number, part in enumerate(value)]}


def _mapping(value: Mapping[Any, Any], place: str, arrays: Arrays) -> dict[str, Any]:
    parts = [(key, part, f"{place}[{key!r}]") for key, part in value.items()]
    return {"pairs": [[write_node(key, at, arrays), write_node(part, at, arrays)] for key, part, at in parts]}


# kind, what it is for, how it is written; the first that fits
KINDS: tuple[tuple[str, Callable[[Any], bool], Write], ...] = (
    ("algorithm", lambda value: isinstance(value, Algorithm), _algorithm),
    ("scalar", lambda value: isinstance(value, np.generic), _array),
    ("array", lambda value: isinstance(value, np.ndarray) and value.dtype != object, _array),
    ("objects", lambda value: isinstance(value, np.ndarray), _objects),
    ("csr", lambda value: sparse.issparse(value) and value.format == "csr", _sparse),
    ("csc", lambda value: sparse.issparse(value) and value.format == "csc", _sparse),
    ("range", lambda value: isinstance(value, pd.RangeIndex), _range),
    ("index", lambda value: isinstance(value, pd.Index), _index),
    ("frame", lambda value: isinstance(value, pd.DataFrame), _frame),
    ("network", lambda value: hasattr(value, "state_dict") and hasattr(value, "made_with"), _network),
    ("dataclass", lambda value: dataclasses.is_dataclass(value) and not isinstance(value, type), _dataclass),
    ("named", lambda value: isinstance(value, tuple) and hasattr(value, "_fields"), _named),
    ("tuple", lambda value: isinstance(value, tuple), _items),
    ("list", lambda value: isinstance(value, list), _items),
    ("mapping", lambda value: isinstance(value, Mapping), _mapping),
)
