"""From nodes back to values: the other half of ``writing``. Nothing is built before its keys were compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy import sparse

from recsys_lab.algorithms import layout
from recsys_lab.algorithms.base import Algorithm
from recsys_lab.algorithms.catalogue import CATALOGUE, make_algorithm
from recsys_lab.algorithms.layout import Layout, Maybe, Part, Several, Sizes, Spec, layout_of

if TYPE_CHECKING:
    import pandas as pd

Node = Any  # what JSON holds


class Stored(Protocol):
    """Arrays by name."""

    def __getitem__(self, name: str) -> np.ndarray[Any, Any]: ...


@dataclass(frozen=True)
class Source:
    """Where the arrays are, and which modules outside the package may be imported."""

    arrays: Stored
    own_modules: Collection[str] = ()

    def own_class(self, name: str, fits: Callable[[type], bool], what: str) -> Any:
        """The class "module:Class" of a module that was named. ValueError for anything that is not defined there."""
        module, _, own = name.partition(":")
        if module not in self.own_modules:
            raise ValueError(
                f"the saved algorithm names {name!r}; if you trust its module, pass own_modules=[{module!r}], "
                f"or to a service RECSYS_LAB_OWN_MODULES={module}"
            )
        found = vars(import_module(module)).get(own)
        if not (isinstance(found, type) and found.__module__ == module and fits(found)):
            raise ValueError(f"{name!r} is not {what} that {module} defines")
        return found


def read(node: Node, spec: Spec, sizes: Sizes, source: Source, place: str) -> Any:
    """The value of a node that a layout describes. ValueError, naming the place, for one that is not as described."""
    if isinstance(spec, Maybe):
        return None if node is None else read(node, spec.what, sizes, source, place)
    if isinstance(spec, Part):
        inner = sizes.inner(spec.sizes)
        found = _part(_dict(node, "part", {"fields"}, place)["fields"], spec.kind, inner, source, place)
        sizes.learn(spec.sizes, inner)
        return found
    if isinstance(spec, Several):
        nodes = _dict(node, "list", {"values"}, place)["values"]
        sizes.require(place, (len(nodes),), [spec.n])
        return [read(one, spec.what, sizes, source, f"{place}[{number}]") for number, one in enumerate(nodes)]
    if isinstance(spec, tuple):
        nodes = _dict(node, "tuple", {"values"}, place)["values"]
        if len(nodes) != len(spec):
            raise ValueError(f"{place} has {len(nodes)} values, expected {len(spec)}")
        pairs = enumerate(zip(nodes, spec, strict=True))
        return tuple(read(one, what, sizes, source, f"{place}[{number}]") for number, (one, what) in pairs)
    kind, *words = spec.split()
    return DESCRIBED.get(kind, _array)(node, [kind, *words], sizes, source, place)


def read_own(node: Node, source: Source, place: str = "value") -> Any:
    """The value of a node that no layout describes: plain data, and classes of the modules that may be imported."""
    if node is None or isinstance(node, bool | int | str | float):
        return node
    kind = node.get("is") if isinstance(node, dict) else None
    reader = OWN.get(kind) if isinstance(kind, str) else None
    if reader is None:
        raise ValueError(f"{place}: unknown kind {str(kind)[:50]!r} in a saved algorithm")
    return reader(node, source, place)


def _dict(node: Node, kind: str, keys: Collection[str], place: str) -> dict[str, Any]:
    """The node, of this kind and with these keys."""
    if not isinstance(node, dict) or node.get("is") != kind or set(node) != {"is", *keys}:
        found = sorted(node) if isinstance(node, dict) else type(node).__name__
        raise ValueError(f"{place}: expected a {kind} with {', '.join(sorted(keys))}, found {str(found)[:100]}")
    for key in keys:
        expected = KEYS[key]
        if not isinstance(node[key], expected):
            raise ValueError(f"{place}: {key} is {type(node[key]).__name__}, expected {expected.__name__}")
    return node


def _require_keys(place: str, found: Collection[str], expected: Collection[str]) -> None:
    if set(found) != set(expected):
        missing, others = set(expected) - set(found), set(found) - set(expected)
        raise ValueError(f"{place}: missing {sorted(missing)}, unexpected {str(sorted(others))[:100]}")


def _fields(nodes: Mapping[str, Node], stored: Layout, sizes: Sizes, source: Source, place: str) -> dict[str, Any]:
    """What a layout describes, in its order, so that sizes are bound where they are named first."""
    _require_keys(place, nodes, stored)
    return {name: read(nodes[name], spec, sizes, source, f"{place}.{name}") for name, spec in stored.items()}


def _plain_ones(nodes: Node) -> dict[str, Any]:
    if not isinstance(nodes, dict):
        raise ValueError(f"expected names and values, found {type(nodes).__name__}")
    return {name: one for name, one in nodes.items() if one is None or isinstance(one, bool | int | str | float)}


def _part(nodes: Node, kind: type, sizes: Sizes, source: Source, place: str) -> Any:
    """A dataclass, NamedTuple or network of ours."""
    plain = _plain_ones(nodes)
    if hasattr(kind, "state_dict"):
        return _network(nodes, kind, source, place)
    stored = layout_of(kind, plain)
    assert stored is not None, f"{kind.__name__} has no layout"
    return kind(**_fields(nodes, stored, sizes, source, place))


def _network(nodes: Mapping[str, Node], kind: Any, source: Source, place: str) -> Any:
    """A network in its state for scoring. It is built without memory first, so that no claim is believed."""
    import torch

    _require_keys(place, nodes, {"made_with", "weights"})
    made_with = read_own(nodes["made_with"], source, f"{place}.made_with")
    names = nodes["weights"]
    if len(names) != kind.n_weights(*made_with):
        raise ValueError(f"{place} has {len(names)} weights, expected {kind.n_weights(*made_with)}")
    weights = {name: torch.from_numpy(source.arrays[key]) for name, key in names.items()}
    with torch.device("meta"):
        expected = {name: one.shape for name, one in kind(*made_with).state_dict().items()}
    found = {name: one.shape for name, one in weights.items()}
    if found != expected:
        raise ValueError(f"{place}: weights have the shapes {found}, expected {expected}")
    for name, one in weights.items():
        layout.require_finite(f"{place}.{name}", one.numpy())
    network = kind(*made_with)
    network.load_state_dict(weights)
    return network.eval()


def read_algorithm(node: Node, source: Source, sizes: Sizes | None = None, place: str = "algorithm") -> Algorithm:
    """A fitted algorithm of the catalogue, or of a module that may be imported."""
    node = _dict(node, "algorithm", {"name", "parameters", "learned"}, place)
    name, nodes = str(node["name"]), node["learned"]
    own = name not in CATALOGUE
    kind = source.own_class(name, lambda found: issubclass(found, Algorithm), "an algorithm") if own else None
    if not own:
        _require_keys(name, node["parameters"], make_algorithm(name).get_params(deep=False))
    read_parameter = read_own if own else _read_plain
    parameters = {key: read_parameter(one, source, f"{name}.{key}") for key, one in node["parameters"].items()}
    found: Algorithm = make_algorithm(name, **parameters) if kind is None else kind(**parameters)
    _require_keys(name, parameters, found.get_params(deep=False))
    stored = layout_of(type(found), parameters)
    if stored is None and name in CATALOGUE:
        raise ValueError(f"{name} is not stored; it declares no layout")
    if stored is not None:
        sizes = sizes or Sizes()
        sizes.known |= {key: one for key, one in parameters.items() if type(one) is int and key not in sizes.known}
        learned = _fields(nodes, stored, sizes, source, name)
    else:
        taken = sorted(key for key in nodes if hasattr(type(found), key) or not key.isidentifier())
        if taken:
            raise ValueError(f"{name}: {taken} are attributes of its class, expected names of what it learns")
        learned = {key: read_own(one, source, f"{name}.{key}") for key, one in nodes.items()}
    for key, value in learned.items():
        setattr(found, key, value)
    return found


def _scalar(node: Node, source: Source, place: str) -> Any:
    found = source.arrays[_dict(node, "scalar", {"array"}, place)["array"]]
    if found.shape:
        raise ValueError(f"{place} has shape {found.shape}, expected a scalar")
    return found[()]


def _array(node: Node, words: list[str], sizes: Sizes, source: Source, place: str) -> Any:
    if len(words) == 1:
        scalar = _scalar(node, source, place)
        layout.require_array(place, np.asarray(scalar), words, sizes)
        return scalar
    found = source.arrays[_dict(node, "array", {"array"}, place)["array"]]
    layout.require_array(place, found, words, sizes)
    return found


def _own_array(node: Node, source: Source, place: str) -> Any:
    found = source.arrays[_dict(node, "array", {"array"}, place)["array"]]
    layout.require_finite(place, found)
    return found


def _labels(node: Node, source: Source, place: str) -> Any:
    """The values of an index or of a column; unlike in what a model computes with, NaN is a missing one."""
    if isinstance(node, dict) and node.get("is") == "array":
        found = source.arrays[_dict(node, "array", {"array"}, place)["array"]]
    else:
        found = read_own(node, source, place)
    if not isinstance(found, list | np.ndarray) or np.ndim(found) != 1:  # one value would be repeated for every row
        raise ValueError(f"{place} is a {type(found).__name__}, expected a column of values")
    return found


def _checked(check: Callable[..., None]) -> Callable[..., Any]:
    """A reader of arrays that must be more than their dtype and shape."""

    def reader(node: Node, words: list[str], sizes: Sizes, source: Source, place: str) -> Any:
        found = source.arrays[_dict(node, "array", {"array"}, place)["array"]]
        check(place, found, words[1:], sizes)
        return found

    return reader


def _sparse(node: Node, words: list[str], sizes: Sizes, source: Source, place: str) -> Any:
    found = _matrix(_dict(node, words[0], {"arrays", "shape"}, place), source, place)
    layout.require_sparse(place, found, words[1:], sizes)
    return found


def _matrix(node: dict[str, Any], source: Source, place: str) -> Any:
    """A sparse matrix none of whose indices leaves it."""
    kind = {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix}[node["is"]]
    data, indices, pointers = (source.arrays[name] for name in node["arrays"])
    if indices.dtype.kind != "i" or pointers.dtype.kind != "i":
        raise ValueError(f"{place} has indices of {indices.dtype} and {pointers.dtype}, expected whole numbers")
    layout.require_rising(place, pointers, min(len(data), len(indices)))  # SciPy does not look where the last one is 0
    try:
        found = kind((data, indices, pointers), shape=tuple(int(n) for n in node["shape"]))
        found.check_format(full_check=True)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error
    return layout.require_matrix(place, found)


def _ids(node: Node, words: list[str], sizes: Sizes, source: Source, place: str) -> Any:
    """External ids: an array of whole numbers, or of objects that are whole numbers or texts."""
    found = read_own(node, source, place)
    values = found.tolist() if isinstance(found, np.ndarray) else found
    if not isinstance(values, list) or not all(type(one) in (int, str) for one in values):
        raise ValueError(f"{place} are not ids, expected whole numbers or texts")
    sizes.require(place, np.shape(found) if isinstance(found, np.ndarray) else (len(values),), words[1:])
    for one in values:
        if isinstance(one, str):
            layout.require_text(place, one)
    return found


def _typed(expected: type | tuple[type, ...], words: str) -> Callable[..., Any]:
    def reader(node: Node, _: list[str], sizes: Sizes, source: Source, place: str) -> Any:
        found = read_own(node, source, place)
        finite = not isinstance(found, float) or np.isfinite(found)
        if not isinstance(found, expected) or (isinstance(found, bool) != (expected is bool)) or not finite:
            raise ValueError(f"{place} is {str(found)[:50]!r}, expected {words}")
        if isinstance(found, str):
            layout.require_text(place, found)
        return found

    return reader


def _size(node: Node, words: list[str], sizes: Sizes, source: Source, place: str) -> int:
    found = _count(node, words, sizes, source, place)
    sizes.require(place, (found,), words[1:])
    return found


def _count(node: Node, _: list[str], sizes: Sizes, source: Source, place: str) -> int:
    if type(node) is not int or node < 1:
        raise ValueError(f"{place} is {str(node)[:50]!r}, expected a whole number from 1 on")
    return node


def _read_plain(node: Node, source: Source, place: str) -> Any:
    """A plain value, and lists, tuples and mappings of such."""
    _require_plain(node, place)
    return read_own(node, source, place)


def _require_plain(node: Node, place: str) -> None:
    if isinstance(node, str):
        layout.require_text(place, node)
    elif isinstance(node, dict) and node.get("is") in ("list", "tuple", "mapping"):
        node = node.get("values", node.get("pairs"))
    elif isinstance(node, dict) and node.get("is") != "float":
        raise ValueError(f"{place} is a {str(node.get('is'))[:50]!r}, expected a plain value")
    for one in node if isinstance(node, list) else ():
        _require_plain(one, place)


def _described_algorithm(node: Node, _: list[str], sizes: Sizes, source: Source, place: str) -> Algorithm:
    known = {name: n for name, n in sizes.known.items() if name in ("users", "items")}
    return read_algorithm(node, source, Sizes(known), place)


def _objects(node: Node, source: Source, place: str) -> Any:
    node = _dict(node, "objects", {"shape", "values"}, place)
    found = np.empty(len(node["values"]), dtype=object)
    for number, one in enumerate(node["values"]):
        found[number] = read_own(one, source, f"{place}[{number}]")
    return found.reshape([int(n) for n in node["shape"]])


def _index(node: Node, source: Source, place: str) -> Any:
    import pandas as pd

    node = _dict(node, "index", {"name", "labels"}, place)
    return pd.Index(_labels(node["labels"], source, place), name=read_own(node["name"], source, place))


def _range(node: Node, source: Source, place: str) -> Any:
    import pandas as pd

    node = _dict(node, "range", {"name", "bounds"}, place)
    start, stop, step = (int(one) for one in node["bounds"])
    return pd.RangeIndex(start, stop, step, name=read_own(node["name"], source, place))


def _frame(node: Node, source: Source, place: str) -> pd.DataFrame:
    import pandas as pd

    node = _dict(node, "frame", {"columns", "index"}, place)
    index = read_own(node["index"], source, place)
    columns = {read_own(one["name"], source, place): _labels(one["labels"], source, place) for one in node["columns"]}
    return pd.DataFrame(columns, index=index)


def _own_part(node: Node, source: Source, place: str) -> Any:
    """A dataclass, NamedTuple or network of a module that may be imported."""
    node = _dict(node, "own", {"class", "fields"}, place)
    kind = source.own_class(str(node["class"]), _is_part, "a dataclass, NamedTuple or network")
    if hasattr(kind, "state_dict"):
        return _network(node["fields"], kind, source, place)
    names = getattr(kind, "_fields", None) or [one.name for one in dataclasses.fields(kind) if one.init]
    _require_keys(place, node["fields"], names)
    return kind(**{name: read_own(one, source, f"{place}.{name}") for name, one in node["fields"].items()})


def _is_part(kind: type) -> bool:
    named = issubclass(kind, tuple) and hasattr(kind, "_fields")
    return named or dataclasses.is_dataclass(kind) or (hasattr(kind, "state_dict") and hasattr(kind, "n_weights"))


def _list(node: Node, source: Source, place: str) -> list[Any]:
    nodes = _dict(node, node["is"], {"values"}, place)["values"]
    return [read_own(one, source, f"{place}[{number}]") for number, one in enumerate(nodes)]


def _mapping(node: Node, source: Source, place: str) -> dict[Any, Any]:
    pairs = _dict(node, "mapping", {"pairs"}, place)["pairs"]
    return {read_own(key, source, place): read_own(one, source, f"{place}[{key!r}]") for key, one in pairs}


# what stands under the keys of a node
KEYS: dict[str, type] = {
    **dict.fromkeys(("parameters", "learned", "fields"), dict),
    **dict.fromkeys(("values", "pairs", "columns", "arrays", "shape", "bounds"), list),
    **dict.fromkeys(("name", "index", "labels"), object),
    **dict.fromkeys(("array", "class", "value"), str),
}
DESCRIBED: dict[str, Callable[[Node, list[str], Sizes, Source, str], Any]] = {
    "plain": lambda node, words, sizes, source, place: _read_plain(node, source, place),
    "number": _typed((int, float), "a number"),
    "real": lambda *given: float(_typed((int, float), "a number")(*given)),
    "count": _count,
    "size": _size,
    "flag": _typed(bool, "true or false"),
    "text": _typed(str, "a text"),
    "ids": _ids,
    "codes": _checked(layout.require_codes),
    "pointers": _checked(layout.require_pointers),
    "csr": _sparse,
    "algorithm": _described_algorithm,
    "frame": lambda node, words, sizes, source, place: _frame(node, source, place),
}
OWN: dict[str, Callable[[Node, Source, str], Any]] = {
    "algorithm": lambda node, source, place: read_algorithm(node, source, place=place),
    "float": lambda node, source, place: float(_dict(node, "float", {"value"}, place)["value"]),
    "scalar": _scalar,
    "array": _own_array,
    "objects": _objects,
    "csr": lambda node, source, place: _matrix(_dict(node, "csr", {"arrays", "shape"}, place), source, place),
    "csc": lambda node, source, place: _matrix(_dict(node, "csc", {"arrays", "shape"}, place), source, place),
    "range": _range,
    "index": _index,
    "frame": _frame,
    "own": _own_part,
    "tuple": lambda node, source, place: tuple(_list(node, source, place)),
    "list": _list,
    "mapping": _mapping,
}
