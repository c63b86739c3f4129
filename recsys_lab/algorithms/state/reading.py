"""From nodes back to values: the other half of ``writing``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    import pandas as pd

PACKAGE = "recsys_lab"


@dataclass(frozen=True)
class Source:
    """Where the arrays are, and which modules outside the package may be imported."""

    arrays: Mapping[str, np.ndarray[Any, Any]]
    own_modules: frozenset[str]

    def class_of(self, name: str) -> Any:
        """The class "module:Class"; ValueError for a module that may not be imported."""
        module, _, qualified = name.partition(":")
        if module.split(".")[0] != PACKAGE and module not in self.own_modules:
            raise ValueError(
                f"the saved algorithm wants {name!r}; if you trust its module, give own_modules=[{module!r}], "
                f"or to a service RECSYS_LAB_OWN_MODULES={module}"
            )
        found: Any = import_module(module)
        for part in qualified.split("."):
            found = getattr(found, part)
        return found


def read_node(node: Any, source: Source) -> Any:
    """The value of a node. ValueError for an unknown kind, KeyError where a part is missing."""
    if isinstance(node, dict):
        read = KINDS.get(node.get("is", ""))
        if read is None:
            raise ValueError(f"unknown kind {node.get('is')!r} in a saved algorithm")
        return read(node, source)
    if isinstance(node, list):
        raise ValueError("a saved algorithm has a bare list; lists are written as {'is': 'list', 'values': [...]}")
    return node


def _values(nodes: Mapping[str, Any], source: Source) -> dict[str, Any]:
    return {name: read_node(part, source) for name, part in nodes.items()}


def _algorithm(node: dict[str, Any], source: Source) -> Any:
    found = source.class_of(node["class"])(**_values(node["parameters"], source))
    for name, value in _values(node["learnt"], source).items():
        setattr(found, name, value)
    return found


def _objects(node: dict[str, Any], source: Source) -> Any:
    found = np.empty(len(node["values"]), dtype=object)
    for number, part in enumerate(node["values"]):
        found[number] = read_node(part, source)
    return found.reshape(node["shape"])


def _sparse(kind: Callable[..., Any]) -> Callable[[dict[str, Any], Source], Any]:
    def read(node: dict[str, Any], source: Source) -> Any:
        return kind(tuple(source.arrays[name] for name in node["arrays"]), shape=tuple(node["shape"]))

    return read


def _index(node: dict[str, Any], source: Source) -> Any:
    import pandas as pd

    return pd.Index(read_node(node["values"], source), name=read_node(node["name"], source))


def _range(node: dict[str, Any], source: Source) -> Any:
    import pandas as pd

    start, stop, step = node["bounds"]
    return pd.RangeIndex(start, stop, step, name=read_node(node["name"], source))


def _frame(node: dict[str, Any], source: Source) -> pd.DataFrame:
    import pandas as pd

    index = read_node(node["index"], source)
    columns = [(read_node(one["name"], source), read_node(one["values"], source)) for one in node["columns"]]
    return pd.DataFrame(dict(columns), index=index)


def _network(node: dict[str, Any], source: Source) -> Any:
    import torch

    network = source.class_of(node["class"])(*read_node(node["made_with"], source))
    weights = {name: torch.from_numpy(np.array(source.arrays[key])) for name, key in node["weights"].items()}
    network.load_state_dict(weights)
    return network.train(node["training"])


def _made(node: dict[str, Any], source: Source) -> Any:
    return source.class_of(node["class"])(**_values(node["fields"], source))


def _list(node: dict[str, Any], source: Source) -> list[Any]:
    return [read_node(part, source) for part in node["values"]]


KINDS: dict[str, Callable[[dict[str, Any], Source], Any]] = {
    "algorithm": _algorithm,
    "float": lambda node, source: float(node["value"]),
    "scalar": lambda node, source: source.arrays[node["array"]][()],
    "array": lambda node, source: source.arrays[node["array"]],
    "objects": _objects,
    "csr": _sparse(sparse.csr_matrix),
    "csc": _sparse(sparse.csc_matrix),
    "range": _range,
    "index": _index,
    "frame": _frame,
    "network": _network,
    "dataclass": _made,
    "named": _made,
    "tuple": lambda node, source: tuple(_list(node, source)),
    "list": _list,
    "mapping": lambda node, source: {read_node(key, source): read_node(part, source) for key, part in node["pairs"]},
}
