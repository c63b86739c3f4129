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
from recsys_lab.algorithms.catalogue import CATALOGUE
from recsys_lab.algorithms.layout import Layout, Maybe, Part, Several, Spec, layout_of

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


def write(value: Any, spec: Spec, place: str, arrays: Arrays) -> Any:
    """The node of ``value``, which a layout describes as ``spec``. Reading checks that it is so."""
    if isinstance(spec, Maybe):
        return None if value is None else write(value, spec.what, place, arrays)
    if isinstance(spec, Part):
        return {"is": "part", "fields": _part(value, place, arrays)}
    if isinstance(spec, Several | tuple):
        specs = spec if isinstance(spec, tuple) else (spec.what,) * len(value)
        nodes = [write(one, what, f"{place}[{n}]", arrays) for n, (one, what) in enumerate(zip(value, specs))]
        return {"is": "tuple" if isinstance(spec, tuple) else "list", "values": nodes}
    return write_node(value, place, arrays)


def write_node(value: Any, place: str, arrays: Arrays) -> Any:
    """The node of ``value``, which stands at ``place`` (for the error). TypeError for what is no plain data."""
    if value is None or type(value) in (bool, str, int):
        return value
    if type(value) is float:
        return value if math.isfinite(value) else {"is": "float", "value": repr(value)}
    for kind, fits, write_kind in KINDS:
        if fits(value):
            return {"is": kind, **write_kind(value, place, arrays)}
    raise TypeError(
        f"{place} is a {type(value).__module__}.{type(value).__name__}, which cannot be stored as plain data; learned "
        "attributes are arrays, sparse matrices, numbers, texts, tables, and dataclasses, lists and mappings of these"
    )


def class_name(value: Any) -> str:
    """ "module:Class" of a value."""
    return f"{type(value).__module__}:{type(value).__qualname__}"


def _nodes(values: Mapping[str, Any], place: str, arrays: Arrays) -> dict[str, Any]:
    return {name: write_node(part, f"{place}.{name}", arrays) for name, part in values.items()}


def _described(values: Mapping[str, Any], stored: Layout, place: str, arrays: Arrays) -> dict[str, Any]:
    if set(values) != set(stored):
        raise TypeError(f"{place} holds {sorted(values)}, and its layout (`stored`) describes {sorted(stored)}")
    return {name: write(values[name], spec, f"{place}.{name}", arrays) for name, spec in stored.items()}


def _algorithm(value: Algorithm, place: str, arrays: Arrays) -> dict[str, Any]:
    name = type(value).__name__
    ours = name in CATALOGUE and CATALOGUE[name].path == class_name(value)
    parameters = value.get_params(deep=False)
    learned = {key: part for key, part in vars(value).items() if key not in parameters}
    stored = layout_of(type(value), parameters)
    if ours and stored is None:
        raise TypeError(f"{place} is the {name}, which cannot be stored: its class declares no layout (`stored`)")
    return {
        "name": name if ours else class_name(value),
        "parameters": _nodes(parameters, place, arrays),
        "learned": _nodes(learned, place, arrays) if stored is None else _described(learned, stored, place, arrays),
    }


def _part(value: Any, place: str, arrays: Arrays) -> dict[str, Any]:
    """The fields of a dataclass, NamedTuple or network."""
    if hasattr(value, "state_dict"):
        weights = {name: arrays.keep(one.detach().cpu().numpy()) for name, one in value.state_dict().items()}
        return {"made_with": write_node(value.made_with, place, arrays), "weights": weights}
    named: dict[str, Any] | None = value._asdict() if hasattr(value, "_asdict") else None
    fields = named or {one.name: getattr(value, one.name) for one in dataclasses.fields(value) if one.init}
    stored = layout_of(type(value), fields)
    return _nodes(fields, place, arrays) if stored is None else _described(fields, stored, place, arrays)


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
    return {"labels": write_node(plain, place, arrays), "name": write_node(value.name, place, arrays)}


def _frame(value: pd.DataFrame, place: str, arrays: Arrays) -> dict[str, Any]:
    columns = [_index(value[name], f"{place}.{name}", arrays) for name in value.columns]
    return {"columns": columns, "index": write_node(value.index, f"{place}.index", arrays)}


def _own(value: Any, place: str, arrays: Arrays) -> dict[str, Any]:
    if type(value).__module__.split(".")[0] == "recsys_lab":
        raise TypeError(
            f"{place} is a {class_name(value)}, a class of the lab: an own algorithm that keeps one declares it in a "
            "layout, stored = {...} (recsys_lab.algorithms.layout)"
        )
    return {"class": class_name(value), "fields": _part(value, place, arrays)}


def _items(value: Any, place: str, arrays: Arrays) -> dict[str, Any]:
    return {"values": [write_node(part, f"{place}[{number}]", arrays) for number, part in enumerate(value)]}


def _mapping(value: Mapping[Any, Any], place: str, arrays: Arrays) -> dict[str, Any]:
    parts = [(key, part, f"{place}[{key!r}]") for key, part in value.items()]
    return {"pairs": [[write_node(key, at, arrays), write_node(part, at, arrays)] for key, part, at in parts]}


def _is_part(value: Any) -> bool:
    return (
        (hasattr(value, "state_dict") and hasattr(value, "made_with"))
        or (dataclasses.is_dataclass(value) and not isinstance(value, type))
        or (isinstance(value, tuple) and hasattr(value, "_fields"))
    )


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
    ("own", _is_part, _own),
    ("tuple", lambda value: isinstance(value, tuple), _items),
    ("list", lambda value: isinstance(value, list), _items),
    ("mapping", lambda value: isinstance(value, Mapping), _mapping),
)
