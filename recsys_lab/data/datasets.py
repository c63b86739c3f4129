"""``load_dataset``: a data set by name, looked for on this machine, downloaded if need be, verified, filtered.

``python -m recsys_lab.data.datasets`` prints the table of data sets as Markdown.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

from recsys_lab.data.filters import apply_filters, known, suggestion
from recsys_lab.data.interactions import Interactions
from recsys_lab.data.prepared import load_prepared, save_prepared
from recsys_lab.data.published import DATASETS, Dataset
from recsys_lab.data.sources import Files, cache_folder, get_files, verify

LOADER_VERSION = 2  # raise it when a reader gives other data: prepared copies are then made anew
# what the content of the published data sets is made of; tags were given by the users of the data, at any time
CONTENT = {"title": "static", "year": "static", "genres": "static", "word": "static", "tag": "train_derived"}
SYNTHETIC = ("synthetic-small", "synthetic-100k", "synthetic-1m")


def load_dataset(name: str, **filters: Any) -> Interactions:
    """The data set ``name``, with its filters applied in the order given.

    ``name`` is one of DATASETS or starts with "synthetic-". Filters: ``minimum_rating=4``, ``binarise=True``,
    ``k_core=5`` or ``k_core={"users": 5, "items": 3}``, ``duplicates="keep_last"``; see ``recsys_lab.data.filters``.
    Published files are looked for in the folder named by RECSYS_LAB_DATA (unpacked or zip), then in the user's cache,
    then downloaded once over https. Hashes and the numbers of rows, users and items are checked.

    ``catalogue.info`` has name, title, version, url, licence, source (where the files were), raw_sha256, files (their
    hashes), content (what the columns of the items are made of; see check L06) and filters.
    Raises ValueError for an unknown name or altered files, FileNotFoundError which says which file to put where.
    """
    if name.startswith("synthetic-"):
        from recsys_lab.data import synthetic

        return apply_filters(synthetic.load(name), filters)
    if name not in DATASETS:
        names = (*DATASETS, *SYNTHETIC)
        raise ValueError(f"unknown data set {name!r}{suggestion(name, names)} Known: {known(names)}")
    dataset = DATASETS[name]
    files = get_files(name, dataset.source, dataset.licence)
    folder = cache_folder() / "prepared" / f"{name}-{_key(name, dataset, files)}"
    data = load_prepared(folder)
    if data is None:
        data = _read(name, dataset, files)
        save_prepared(data, folder)
    return apply_filters(_declared(data), filters)


def _declared(data: Interactions) -> Interactions:
    """The same rows; ``catalogue.info["content"]`` says what the content of the items is made of."""
    catalogue = data.catalogue
    there = {*catalogue.items.columns, *(feature.partition(":")[0] for feature in catalogue.feature_names)}
    content = {name: origin for name, origin in CONTENT.items() if name in there}
    return replace(data, catalogue=replace(catalogue, info={**catalogue.info, "content": content}))


def dataset_table() -> str:
    """A Markdown table of the published data sets, for the documentation."""
    lines = [
        "| name | what | version | rows | users | items | item content | licence | download |",
        "|---|---|---|---:|---:|---:|---|---|---|",
    ]
    for name, dataset in DATASETS.items():
        rows, users, items = (f"{count:,}" for count in dataset.counts)
        download = f"[yes]({dataset.homepage})" if dataset.source.url else f"no; see [home]({dataset.homepage})"
        about = (dataset.title, dataset.version, rows, users, items, dataset.content, dataset.licence, download)
        lines.append(f"| `{name}` | " + " | ".join(about) + " |")
    return "\n".join(lines) + "\n"


def _key(name: str, dataset: Dataset, files: Files) -> str:
    """What the prepared copy depends on: the files (path, bytes, time of change), the source and the reader."""
    made_from = [name, LOADER_VERSION, dataset.version, dataset.counts, dict(dataset.source.hashes), files.stamp()]
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:16]


def _read(name: str, dataset: Dataset, files: Files) -> Interactions:
    hashes = verify(files, dataset.source)
    data = dataset.read(files)
    found = (len(data), data.n_users, data.n_items)
    if found != dataset.counts:
        raise ValueError(
            f"{name} in {files.path}: found {_counts(found)}; expected {_counts(dataset.counts)}. "
            "This is not the published data set; replace it by the files of the publisher"
        )
    info = {
        "name": name,
        "title": dataset.title,
        "version": dataset.version,
        "url": dataset.source.url or dataset.homepage,
        "licence": dataset.licence,
        "source": str(files.path),
        "raw_sha256": _joined_hash([hashes[file] for file in dataset.source.files[: dataset.n_parts]]),
        "files": hashes,
        "filters": [],
    }
    return replace(data, catalogue=replace(data.catalogue, info=info))


def _joined_hash(hashes: list[str]) -> str:
    """The hash of the file that holds the interactions; of the list of hashes where they stand in several files."""
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def _counts(counts: tuple[int, int, int]) -> str:
    return "{:,} rows, {:,} users and {:,} items".format(*counts)


if __name__ == "__main__":
    print(dataset_table(), end="")
