"""The files of deploy/, parsed, for the tests that compare them."""

from __future__ import annotations

import json
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
MONITORING = DEPLOY / "monitoring"
BASE = DEPLOY / "kubernetes" / "base"
IDENTIFIER = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
PROXY = {  # what the rules read of HAProxy, with the labels; tests/service/test_prometheus.py compares a running one
    "haproxy_frontend_http_responses_total": {"proxy", "code"},
    "haproxy_backend_active_servers": {"proxy"},
}
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


def kubernetes(kind: str, name: str = "recsys-lab-api") -> dict[str, Any]:
    """The object of a kind and name in the base."""
    texts = [file.read_text() for file in sorted(BASE.glob("*.yaml"))]
    every = [one for text in texts for one in yaml.safe_load_all(text) if one["kind"] == kind]
    found = [one for one in every if one["metadata"]["name"] == name]
    assert len(found) == 1, f"{len(found)} objects of kind {kind} named {name}"
    one: dict[str, Any] = found[0]
    return one


def container(name: str = "recsys-lab-api") -> dict[str, Any]:
    """The container of a Deployment."""
    (found,) = kubernetes("Deployment", name)["spec"]["template"]["spec"]["containers"]
    one: dict[str, Any] = found
    return one


def haproxy_errors() -> dict[int, Any]:
    """The problem of each status that haproxy.cfg words."""
    found = re.findall(r"http-error status (\d+) content-type application/problem\+json .*string '(.*)'", haproxy())
    return {int(status): json.loads(text) for status, text in found}


def _module(file: Path) -> Any:
    """A program of deploy/ as a module; it is in no package."""
    spec = spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    found = module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


registry = _module(DEPLOY / "registry.py")


def haproxy() -> str:
    """haproxy.cfg without comments."""
    return re.sub(r"\s*#.*", "", (DEPLOY / "proxy" / "haproxy.cfg").read_text())


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
