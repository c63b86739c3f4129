"""What is known of the installed packages without a network, and then, with one, what advisories say of the pins.

``make audit`` runs ``python -m tests.audit``; the part that needs no network is tests/test_audit.py.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PIP_AUDIT = "pip-audit==2.10.1"  # in an environment of its own: it pins much that the lab uses too
# licences that let the lab be used, changed and passed on with its packages; LGPL: linked, not copied in
ALLOWED = re.compile(
    r"\b(MIT|BSD|0BSD|Apache|ISC|PSF|Python Software Foundation|MPL|Mozilla|LGPL|Lesser|HPND|Unlicense|Zlib|zlib|CC0"
    r"|Public Domain)\b"
)
FORBIDDEN = re.compile(
    r"\b(AGPL|Affero|SSPL|BUSL|Commons Clause|proprietary)\b|(?<!L)GPL|(?<!Lesser )General Public", re.I
)


def pins() -> dict[str, str]:
    """constraints.txt: canonical name -> version."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def wanted(*extras: str) -> list[str]:
    """What pyproject.toml asks for, with these extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = list(project["dependencies"])
    for extra in extras:
        for text in project["optional-dependencies"][extra]:
            inner = re.fullmatch(r"recsys_lab\[(.+)\]", text)
            found += wanted(*inner[1].split(",")) if inner else [text]
    return found


def closure(requirements: Iterable[str]) -> dict[str, Distribution]:
    """The installed packages that these requirements need, and those that they need, and so on."""
    found: dict[str, Distribution] = {}
    asked: set[tuple[str, str]] = set()
    left = [Requirement(text) for text in requirements]
    while left:
        one = left.pop()
        name = canonicalize_name(one.name)
        for extra in ("", *one.extras):
            if (name, extra) in asked:
                continue
            asked.add((name, extra))
            found[name] = found.get(name) or distribution(name)
            for text in found[name].requires or ():
                needed = Requirement(text)
                given = needed.marker is None or needed.marker.evaluate({"extra": extra})
                if given and (extra == "" or "extra" in str(needed.marker)):
                    left.append(needed)
    return found


def unmet(found: dict[str, Distribution]) -> list[str]:
    """Requirements among these packages that the installed versions do not meet, as pip check says them."""
    wrong = []
    for name, one in found.items():
        for text in one.requires or ():
            needed = Requirement(text)
            if needed.marker is not None and not needed.marker.evaluate({"extra": ""}):
                continue
            there = found[canonicalize_name(needed.name)].version
            if not needed.specifier.contains(there, prereleases=True):
                wrong.append(f"{name} needs {needed}, installed is {there}")
    return wrong


def changed_files(one: Distribution) -> Iterator[str]:
    """Files that are missing or are not those that were installed, by the hashes in RECORD."""
    for file in one.files or ():
        if file.hash is None or file.suffix == ".pyc":
            continue
        path = Path(str(file.locate()))
        if not path.is_file():
            yield f"{file} is missing"
            continue
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, file.hash.mode).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
            yield f"{file} was changed"


def may_be_used(text: str) -> bool:
    """Whether a licence is among those that let the lab be passed on with its packages."""
    return bool(ALLOWED.search(text)) and not FORBIDDEN.search(text)


def licence(one: Distribution) -> str:
    """What a package says of its licence: the expression, else classifiers and field, else the text of its file."""
    about = one.metadata
    said = [text.rpartition("::")[2].strip() for text in about.get_all("Classifier") or () if "License ::" in text]
    said = [text for text in said if text != "OSI Approved"] + [(about.get("License") or "").strip().split("\n")[0]]
    found = about.get("License-Expression") or "; ".join(text for text in said if text)
    return found or next((_text(one, file) for file in about.get_all("License-File") or ()), "says nothing")


def _text(one: Distribution, name: str) -> str:
    text = " ".join((one.read_text(f"licenses/{name}") or one.read_text(name) or "").split())
    return "MIT" if "Permission is hereby granted, free of charge, to any person" in text else text[:200]


def advisories() -> int:
    """Ask for known vulnerabilities of the pins, by pip-audit in an environment of its own.

    The number found; -1 when nobody answered: pip-audit itself calls that "no known vulnerabilities".
    """
    place = ROOT / ".venv-audit"
    python = place / "bin" / "python"
    if not python.is_file():
        subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", PIP_AUDIT]
        if subprocess.run(pip, check=False).returncode:
            return -1
    name, version = next(iter(pins().items()))
    with tempfile.TemporaryDirectory() as folder:
        first = Path(folder) / "first.txt"
        first.write_text(f"{name}=={version}\n")
        if report(_answers(python, first)) < 0:  # one question, not hundreds, where nobody answers
            return -1
    return report(_answers(python, ROOT / "constraints.txt"))


def _answers(python: Path, requirements: Path) -> list[dict[str, Any]]:
    options = ["--requirement", str(requirements), "--no-deps", "--disable-pip", "--progress-spinner", "off"]
    command = [str(python), "-m", "pip_audit", *options, "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(done.stderr.strip()[-600:])
        return []
    return found


def report(answers: list[dict[str, Any]]) -> int:
    """Print what pip-audit answered; the number of vulnerabilities, -1 when it got no answer for any package."""
    asked = [one for one in answers if "skip_reason" not in one]
    for one in asked:
        for found in one["vulns"]:
            fixed = ", ".join(found["fix_versions"]) or "no version"
            print(
                f"{one['name']} {one['version']}: {found['id']} {' '.join(found.get('aliases', []))}; mended in {fixed}"
            )
    left_out = sorted(one["name"] for one in answers if "skip_reason" in one)
    if asked and left_out:
        print(f"not known to the index, not looked up: {', '.join(left_out)}")
    return sum(len(one["vulns"]) for one in asked) if asked else -1


def main() -> int:
    """The exit code: 1 for a vulnerability, 0 for none and where nobody could be asked, which is said."""
    number = advisories()
    if number < 0:
        print("No advisory was looked up: the package index did not answer. Run this where it can be reached.")
        return 0
    print(f"{number} known vulnerabilities in {len(pins())} pinned packages")
    return 1 if number else 0


if __name__ == "__main__":
    sys.exit(main())
