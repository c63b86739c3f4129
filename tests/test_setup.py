"""The files that set an environment up agree with each other and name no machine."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {_canonical(name): version for name, version in pins}


def _requirement_name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match
    return _canonical(match.group())


def _wanted(*extras: str) -> list[str]:
    """What the package and these extras ask for; an extra that is asked for by another one is in it."""
    found = list(PROJECT["dependencies"])
    for name in extras:
        for text in PROJECT["optional-dependencies"][name]:
            inner = re.fullmatch(r"recsys_lab\[(.+)\]", text)
            found += PROJECT["optional-dependencies"][inner[1]] if inner else [text]
    return found


def _committed_files() -> list[Path]:
    try:
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs git and a checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_what_commands_leave_in_the_checkout_is_ignored_and_the_sources_are_not() -> None:
    """An untracked file would make every later run one of changed code."""
    left = ["feedback.db", "feedback.db-wal", "serving/champion/1-2/manifest.json", "tuning.db", "tuning.db-journal"]
    left += ["mlflow.db", "outputs/x/leaderboard.html", "mlartifacts/x"]
    sources = [path.relative_to(ROOT).as_posix() for path in _committed_files()]
    sources += ["recsys_lab/serving/new.py", "tests/serving/new.py", "benchmarks/serving/new.py"]
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        input="\n".join([*left, *sources]),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == left


def test_extras_bring_what_something_imports() -> None:
    for extra in PROJECT["optional-dependencies"]:
        for requirement in [] if extra in ("dev", "all", "serve") else _wanted(extra)[len(PROJECT["dependencies"]) :]:
            name = _requirement_name(requirement)
            importing = re.compile(rf"^\s*(?:import|from) {name}\b", re.MULTILINE)
            assert any(importing.search(path.read_text()) for path in (ROOT / "recsys_lab").rglob("*.py")), name


def test_constraints_are_names_and_exact_versions_only() -> None:
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert line.startswith("#") or re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", line), line


def test_every_dependency_is_pinned() -> None:
    missing = [
        name for name in map(_requirement_name, _wanted("dev", "torch", "implicit")) if name not in _constraints()
    ]
    assert not missing, f"run `.venv/bin/pip freeze --exclude-editable` and add to constraints.txt: {missing}"


def test_the_pins_satisfy_pyproject() -> None:
    packaging = pytest.importorskip("packaging.requirements")
    for text in _wanted("dev"):
        requirement = packaging.Requirement(text)
        assert requirement.specifier.contains(_constraints()[_canonical(requirement.name)]), text


def test_every_pin_installs_on_the_oldest_python() -> None:
    """Debian 12 has Python 3.11.2: a pin that asks for 3.11.5 ends ``make compare`` there before it begins."""
    oldest = PROJECT["requires-python"].removeprefix(">=") + ".0"
    refused = {
        one.name: wanted
        for one in distributions()
        if (wanted := one.metadata.get("Requires-Python")) and not SpecifierSet(wanted).contains(oldest)
        if _canonical(one.name) in _constraints()
    }
    assert not refused, f"take versions for Python {oldest}: {refused}"


def test_conda_environment_is_the_same() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert environment["name"] == PROJECT["name"]
    assert f"python{PROJECT['requires-python']}" in environment["dependencies"]
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    # the packages come from pyproject.toml itself, under the same constraints: there is no second list to keep
    assert pip == ["--constraint constraints.txt", "--editable .[dev]"]


def test_mlproject_uses_the_environment_and_the_cli() -> None:
    project = yaml.safe_load((ROOT / "MLproject").read_text(encoding="utf-8"))
    assert project["name"] == PROJECT["name"]
    assert project["conda_env"] == "environment.yml"
    assert set(project["entry_points"]) >= {"main", "notebook", "leaderboard", "test"}
    for name, entry in project["entry_points"].items():
        assert entry["command"].startswith("python -m "), name
        for parameter, declared in entry["parameters"].items():
            assert set(declared) == {"type", "default"}, (
                f"{name}.{parameter}: a bare value declares a type, not a default"
            )
            assert "{" + parameter + "}" in entry["command"]


def test_the_all_extra_names_every_extra() -> None:
    extras = PROJECT["optional-dependencies"]
    named = set(re.findall(r"\w+", extras["all"][0].split("[")[1]))
    assert named == set(extras) - {"all"}


def test_versions_agree() -> None:
    from recsys_lab import __version__

    assert PROJECT["version"] == __version__
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_no_path_of_a_machine_is_committed() -> None:
    pattern = re.compile(r"(^|[^A-Za-z0-9_.~])/(work|root|home|Users|opt|mnt)/[A-Za-z.]")
    found = []
    for path in _committed_files():
        if path.suffix in {".png", ".parquet", ".npz"}:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            if pattern.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}")
    assert not found, found


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, recsys_lab\n"
        "heavy = {'mlflow', 'torch', 'surprise', 'papermill', 'pyspark', 'sklearn', 'pandas', 'numba'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert 'evaluate' in dir(recsys_lab)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names_are_there_and_a_wrong_one_says_so() -> None:
    import recsys_lab

    for name in recsys_lab.__all__:
        assert getattr(recsys_lab, name) is not None
    with pytest.raises(AttributeError, match="public names"):
        _ = recsys_lab.evalute
