"""The commands that list what there is."""

from __future__ import annotations

import dataclasses
import inspect
import textwrap
from argparse import Namespace
from collections.abc import Sequence
from typing import Any, cast


def do_datasets(given: Namespace) -> int:
    """Names, sizes, licences, and which data sets are on this machine."""
    from recsys_lab.data.datasets import SYNTHETIC
    from recsys_lab.data.published import DATASETS
    from recsys_lab.data.sources import find_files

    rows = [("name", "rows", "users", "items", "on this machine", "licence")]
    rows += [
        (name, "generated", "", "", "always", "none needed: made by a formula, with a known truth")
        for name in SYNTHETIC
    ]
    for name, dataset in DATASETS.items():
        n_rows, n_users, n_items = (f"{count:,}" for count in dataset.counts)
        there = "yes" if find_files(dataset.source) else "downloadable" if dataset.source.url else "no download"
        rows.append((name, n_rows, n_users, n_items, there, dataset.licence))
    _print_table(rows)
    print("\nFiles are looked for in the folder named by RECSYS_LAB_DATA, then in the user's cache, then downloaded.")
    return 0


def do_algorithms(given: Namespace) -> int:
    """The catalogue, or the hyper-parameters of one algorithm."""
    from recsys_lab.algorithms.catalogue import CATALOGUE, algorithm_class, needs_of, space_of

    if given.name:
        algorithm = algorithm_class(given.name)
        print(f"{given.name}\n\n{inspect.getdoc(algorithm)}\n")
        entry = CATALOGUE.get(given.name)
        if entry:
            _print_table(
                [
                    ("family", entry.family),
                    ("task", entry.task),
                    ("needs", needs_of(entry)),
                    ("learns", entry.learns),
                    ("serves new users", "yes" if entry.serves_new_users else "no"),
                    ("serves cold items", "yes" if entry.serves_cold_items else "no"),
                    ("repeatable", f"{entry.repeatable}{', by its seed' if entry.stochastic else ''}"),
                    ("cost of fit", entry.complexity),
                    ("memory", entry.memory),
                    ("search space", space_of(entry) or "-"),
                    ("source", entry.paper),
                ]
            )
            print()
        rows = [("hyper-parameter", "type", "default")]
        rows += [
            (field.name, str(field.type), repr(field.default)) for field in dataclasses.fields(cast(Any, algorithm))
        ]
        _print_table(rows)
        return 0
    table: list[tuple[str, ...]] = [
        ("name", "family", "task", "needs", "learns", "new users", "repeatable", "what it does")
    ]
    table += [
        (
            name,
            entry.family,
            entry.task,
            needs_of(entry),
            entry.learns,
            "yes" if entry.serves_new_users else "no",
            entry.repeatable,
            entry.description,
        )
        for name, entry in CATALOGUE.items()
    ]
    _print_table(table)
    print("\nrecsys-lab algorithms NAME shows the rest of an entry. An own algorithm is named package.module:Class.")
    return 0


def do_metrics(given: Namespace) -> int:
    """The metric table, or what the names of another library mean."""
    from recsys_lab.metrics.conventions import MEANS, convention
    from recsys_lab.metrics.definitions import METRICS, parse_metric

    if given.conventions:
        table = convention(given.conventions)
        print(f"{table.library}, as of {table.version}. {table.notes}".rstrip() + "\n")
        rows = [("name there", "ours", "mean over", "definition")]
        for theirs in table.metrics:
            ours = METRICS[theirs.equals].column("k") if theirs.equals else "none"
            rows.append((theirs.name.format(k="k"), ours, MEANS[theirs.mean], theirs.formula))
        _print_table(rows)
        return 0
    wanted = None if given.name is None else parse_metric(given.name)[0].name
    for card in METRICS.values():
        if wanted in (None, card.name):
            print(f"{card.column('k')}  [{card.range}; better: {card.better}; default: {card.default}]")
            for text in (card.formula, f"Edge cases: {card.edge_cases}.", f"Source: {card.source}."):
                print(textwrap.fill(text, 110, initial_indent="    ", subsequent_indent="    "))
    return 0


def _print_table(rows: Sequence[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
