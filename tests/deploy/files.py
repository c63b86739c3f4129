"""The files of deploy/, parsed, for the tests that compare them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
MONITORING = DEPLOY / "monitoring"
BASE = DEPLOY / "kubernetes" / "base"
IDENTIFIER = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
PROMQL_WORDS = {  # functions and keywords that the expressions use
    *("sum", "max", "min", "count", "rate", "increase", "histogram_quantile", "absent", "vector", "time"),
    *("by", "on", "and", "or", "unless"),
}


def containerfile() -> str:
    """The Containerfile with its continued lines joined."""
    return re.sub(r"\\\n\s*", "", (DEPLOY / "Containerfile").read_text())


def stage(name: str) -> str:
    """The instructions of one stage of the Containerfile."""
    found = re.search(rf"(?ms)^FROM \S+ AS {name}$(.*?)(?=^FROM |\Z)", containerfile())
    assert found is not None, name
    return found.group(1)


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def kubernetes(kind: str) -> dict[str, Any]:
    """The one object of a kind in the base."""
    texts = [file.read_text() for file in sorted(BASE.glob("*.yaml"))]
    found = [one for text in texts for one in yaml.safe_load_all(text) if one["kind"] == kind]
    assert len(found) == 1, f"{len(found)} objects of kind {kind}"
    one: dict[str, Any] = found[0]
    return one


def container() -> dict[str, Any]:
    """The container of the Deployment."""
    (found,) = kubernetes("Deployment")["spec"]["template"]["spec"]["containers"]
    one: dict[str, Any] = found
    return one


def haproxy() -> str:
    """haproxy.cfg without comments."""
    return re.sub(r"\s*#.*", "", (DEPLOY / "haproxy.cfg").read_text())


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((MONITORING / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> list[tuple[str, str]]:
    """Title of the panel and expression, for each expression of the dashboard."""
    panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    return [(panel["title"], target["expr"]) for panel in panels for target in panel["targets"]]


def metrics_in(expression: str) -> set[str]:
    """The metrics that a PromQL expression reads; recorded ones have a colon in their names."""
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", expression)
    bare = re.sub(r"\b(by|on|ignoring|without|group_left|group_right)\s*\([^)]*\)", " ", bare)
    return {name for name in IDENTIFIER.findall(bare) if name not in PROMQL_WORDS}
