"""The installed packages: pinned, at their pins, fitting each other, unchanged, under licences that may be used.

Whether an advisory names one of them takes a network: make audit.
"""

from __future__ import annotations

import shutil
import sys
from functools import cache
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest

from tests import audit


@cache
def _installed() -> dict[str, Distribution]:
    return audit.closure(audit.wanted("dev"))


@pytest.mark.skipif(sys.platform != "linux", reason="constraints.txt is made on Linux; other systems need a few more")
def test_every_package_that_is_needed_is_pinned_and_at_its_pin() -> None:
    pins = audit.pins()
    found = {name: (one.version, pins.get(name, "no pin")) for name, one in _installed().items()}
    assert len(found) > 150  # the whole tree, not the names in pyproject.toml only
    assert {name: pair for name, pair in found.items() if pair[0] != pair[1]} == {}


def test_the_packages_fit_each_other() -> None:
    assert audit.unmet(_installed()) == []


def test_no_installed_file_was_changed() -> None:
    """Against the hashes that came with each package: a hand-mended or half-removed one is noticed."""
    assert [f"{name}: {text}" for name, one in _installed().items() for text in audit.changed_files(one)] == []


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    one = distribution("iniconfig")
    for file in one.files or ():
        if ".." not in str(file):
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(str(file.locate()), tmp_path / file)
    info = next(tmp_path.glob("*.dist-info"))
    copy = Distribution.at(info)
    assert list(audit.changed_files(copy)) == []
    (tmp_path / "iniconfig" / "__init__.py").write_text("import os")
    (tmp_path / "iniconfig" / "py.typed").unlink()
    assert set(audit.changed_files(copy)) == {"iniconfig/__init__.py was changed", "iniconfig/py.typed is missing"}


def test_the_licences_may_be_used() -> None:
    said = {name: audit.licence(one) for name, one in _installed().items()}
    assert {name: text for name, text in said.items() if not audit.may_be_used(text)} == {}


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("MIT", True),
        ("BSD-3-Clause AND MIT", True),
        ("GNU Lesser General Public License v3 (LGPLv3)", True),
        ("LGPL-3.0-only", True),
        ("GPL-3.0-or-later", False),
        ("GNU General Public License v3 (GPLv3)", False),
        ("AGPL-3.0", False),
        ("MIT; Proprietary", False),
        ("says nothing", False),
    ],
)
def test_which_licences_those_are(text: str, right: bool) -> None:
    assert audit.may_be_used(text) == right


def test_what_advisories_say(capsys: pytest.CaptureFixture[str]) -> None:
    fine = {"name": "a", "version": "1", "vulns": []}
    bad = {"name": "b", "version": "2", "vulns": [{"id": "X-1", "aliases": ["CVE-1"], "fix_versions": ["3"]}]}
    unknown = {"name": "c", "skip_reason": "Dependency not found"}
    assert audit.report([fine, unknown]) == 0
    assert "not looked up: c" in capsys.readouterr().out
    assert audit.report([fine, bad]) == 1
    assert "b 2: X-1 CVE-1; mended in 3" in capsys.readouterr().out
    assert audit.report([unknown]) == -1  # nobody answered, which is no good news
