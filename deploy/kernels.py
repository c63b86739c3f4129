"""Compile what a replica calls, while its image is built: one that compiles at its start needs 10 s and 110 MB more.

python kernels.py fit FOLDER       a small fitted model of each algorithm; with the lab's packages, NUMBA_DISABLE_JIT=1
python kernels.py answer FOLDER    answer with each, as a replica does; NUMBA_CACHE_DIR keeps what is compiled, and the
                                   modules that a replica imports are compiled beside their sources
"""

from __future__ import annotations

import py_compile
import sys
from importlib import import_module
from pathlib import Path

from recsys_lab.algorithms.catalogue import CATALOGUE, make_algorithm
from recsys_lab.serving.bundle import load_bundle, make_bundle, save_bundle
from recsys_lab.serving.recommender import Recommender

SMALL = {"n_factors": 2, "n_epochs": 1, "n_neighbors": 5}  # the types of arrays decide what is compiled, no size does


def fit(folder: Path) -> None:
    """A bundle of every algorithm that needs no extra."""
    from recsys_lab.data.synthetic import generate

    data = generate(60, 50, 1200, seed=1)
    for name, entry in CATALOGUE.items():
        if entry.extra is None and "truth" not in entry.needs:
            blank = make_algorithm(name)
            algorithm = make_algorithm(name, **{key: value for key, value in SMALL.items() if hasattr(blank, key)})
            save_bundle(make_bundle(algorithm.fit(data), data), folder / name, {}, [])


def answer(folder: Path) -> None:
    """Ask each bundle all that the API can ask; print those that need a package that is not here."""
    for place in sorted(folder.iterdir()):
        try:
            ask(Recommender(load_bundle(place)[0]))
        except ModuleNotFoundError as error:
            print(f"{place.name} needs {error.name} (EXTRAS)", flush=True)
    compile_imported()


def ask(served: Recommender) -> None:
    """Lists with reasons, folded-in lists, similar items."""
    bundle = served.bundle
    some = [bundle.item_ids[code] for code in bundle.candidates[:3]]
    for user in bundle.user_ids[:3]:
        served.recommend(user, 10, explain=True)
    served.fold_in(dict.fromkeys(some), 10, explain=True)
    served.similar(some[0], 10)


def compile_imported() -> None:
    """Bytecode of the modules that a replica imports; unchecked, because copies of layers change the times of files."""
    for name in (
        "recsys_lab.serving.run",
        "recsys_lab.serving.app",
        "psycopg",
        "sqlalchemy.dialects.postgresql.psycopg",
    ):
        import_module(name)
    for module in list(sys.modules.values()):
        source = getattr(module, "__file__", None) or ""
        if source.startswith(sys.prefix) and source.endswith(".py"):
            py_compile.compile(source, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


if __name__ == "__main__":
    {"fit": fit, "answer": answer}[sys.argv[1]](Path(sys.argv[2]))
