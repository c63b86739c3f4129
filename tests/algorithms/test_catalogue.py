"""The catalogue: its entries exist and tell the truth, and wrong names are answered with the right ones."""

from __future__ import annotations

import inspect
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from recsys_lab import docs
from recsys_lab.algorithms import catalogue
from recsys_lab.algorithms.base import Algorithm, RatingPredictor
from recsys_lab.algorithms.catalogue import CATALOGUE, Entry, algorithm_class, make_algorithm, markdown_table
from recsys_lab.algorithms.linear import EASE


def class_or_skip(name: str) -> type[Algorithm]:
    """The class; skips, with the command that installs what is missing, where an extra is not installed."""
    try:
        return algorithm_class(name)
    except ImportError as error:
        if not CATALOGUE[name].extra:
            raise
        pytest.skip(str(error))


PAGE = Path(__file__).resolve().parents[2] / "docs" / "algorithms.md"


@pytest.mark.parametrize("name", CATALOGUE)
def test_an_entry_says_what_its_class_is(name: str) -> None:
    entry, found = CATALOGUE[name], class_or_skip(name)
    assert found.__name__ == name
    assert entry.serves_new_users == found.serves_new_users
    assert entry.learns == found.learns
    assert entry.serves_cold_items or not getattr(found, "serves_cold_items", False)
    assert entry.stochastic == ("random_state" in inspect.signature(found).parameters)
    assert (entry.task != "ranking") == issubclass(found, RatingPredictor)


@pytest.mark.parametrize("name", CATALOGUE)
def test_hyper_parameters_are_keyword_only_and_have_defaults(name: str) -> None:
    for parameter in inspect.signature(class_or_skip(name)).parameters.values():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY, parameter
        assert parameter.default is not inspect.Parameter.empty, parameter


@pytest.mark.parametrize("name", [name for name, entry in CATALOGUE.items() if entry.space])
def test_a_search_space_is_of_hyper_parameters_and_holds_values_they_may_have(name: str) -> None:
    parameters = inspect.signature(class_or_skip(name)).parameters
    for hyper_parameter, values in CATALOGUE[name].space.items():
        default = parameters[hyper_parameter].default
        if isinstance(values, tuple):
            assert len(set(values)) == len(values) > 1
            assert default in values
        else:
            assert values.low < values.high
            assert values.low > 0 or not values.log
            assert values.whole == isinstance(default, int), f"{hyper_parameter}: write both ends as {type(default)}"


def test_the_catalogue_imports_no_algorithm() -> None:
    code = (
        "import sys, recsys_lab.algorithms.catalogue as c; "
        "print([m for m in sys.modules if m in {e.path.split(':')[0] for e in c.CATALOGUE.values()}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_docs_show_the_table() -> None:
    shown = docs.block(PAGE.read_text(encoding="utf-8"), "algorithms").strip()
    assert shown == markdown_table().strip(), "run: make docs, or python -m recsys_lab.algorithms.catalogue"


def test_the_module_prints_the_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "recsys_lab.algorithms.catalogue")
    runpy.run_module("recsys_lab.algorithms.catalogue", run_name="__main__")
    printed = capsys.readouterr().out
    assert printed == markdown_table()
    assert all(f"| {name} |" in printed for name in CATALOGUE)


def test_make_algorithm_sets_the_hyper_parameters() -> None:
    model = make_algorithm("EASE", regularization=3.0)
    assert isinstance(model, EASE)
    assert model.regularization == 3.0


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("esae", r"unknown algorithm 'esae'; did you mean 'EASE'\? Known: BPR, .*package\.module:Class"),
        ("itemknn", "did you mean 'ItemKNN'"),
        ("qqq", r"unknown algorithm 'qqq'\. Known: "),
        ("recsys_lab.algorithms.linear:EASEE", r"has no class 'EASEE'; did you mean 'EASE'\?"),
    ],
)
def test_an_unknown_name_is_answered(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_algorithm(name)


def test_an_unknown_hyper_parameter_is_answered() -> None:
    with pytest.raises(
        ValueError, match=r"EASE has no hyper-parameter 'regularisation'; did you mean 'regularization'"
    ):
        make_algorithm("EASE", regularisation=1.0)
    with pytest.raises(ValueError, match=r"Popularity has no hyper-parameter 'k'\. It has: none"):
        make_algorithm("Popularity", k=1)


def test_an_own_class_is_found_by_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_models_of_this_test.py").write_text(
        "from recsys_lab.algorithms.baselines import Popularity\nclass Mine(Popularity): ...\nvalue = 3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    model = make_algorithm("own_models_of_this_test:Mine")
    assert isinstance(model, Algorithm)
    assert type(model).__name__ == "Mine"
    with pytest.raises(TypeError, match=r"must be a subclass of recsys_lab\.Algorithm; found 3"):
        make_algorithm("own_models_of_this_test:value")


def test_a_missing_module_is_explained() -> None:
    with pytest.raises(ImportError, match=r"no module 'nowhere_to_be_found' on the import path; start in the folder"):
        make_algorithm("nowhere_to_be_found:Mine")


def test_a_module_that_fails_to_import_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_broken_models.py").write_text("import a_library_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=r"cannot be imported from own_broken_models: .*a_library_nobody_has"):
        make_algorithm("own_broken_models:Mine")


def test_a_missing_extra_is_answered_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needs_an_extra.py").write_text("import a_library_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    entry = Entry("needs_an_extra:X", "factorization", "ranking", "d", "p", "c", extra="torch")
    monkeypatch.setitem(catalogue.CATALOGUE, "NeuMF", entry)
    with pytest.raises(ImportError, match=r'NeuMF needs a_library_nobody_has: pip install "recsys_lab\[torch\]"'):
        make_algorithm("NeuMF")
