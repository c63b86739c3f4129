"""Rules and dashboard read metrics that the app has, and every alert has a test and a line in the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from recsys_lab.serving.monitoring import REASONS, Monitoring
from tests.deploy.files import MONITORING, PROXY, ROOT, dashboard, metrics_in, rules

RECORDED = {rule["record"] for rule in rules() if "record" in rule}
ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}
EXPRESSIONS = [*((rule.get("record") or rule["alert"], rule["expr"]) for rule in rules()), *dashboard()]


@pytest.fixture(scope="module")
def exposed() -> dict[str, set[str]]:
    """The metrics of a replica that answered a request, each with the names of its labels."""
    monitoring = Monitoring()
    monitoring.request("/v1/recommendations", 200, 0.01)
    monitoring.scored("champion", 0.01)
    monitoring.listed("champion", "popularity", REASONS[0])
    monitoring.model("champion", "recommender", "1", "EASE", 0.0)
    families = text_string_to_metric_families(monitoring.page()[0].decode())
    found: dict[str, set[str]] = {"up": set(), **PROXY}  # "up" is Prometheus's own
    for family in families:
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.parametrize(("name", "expression"), EXPRESSIONS)
def test_every_metric_that_is_read_is_exposed(name: str, expression: str, exposed: dict[str, set[str]]) -> None:
    read = metrics_in(expression)
    assert read, f"{name} reads no metric"
    missing = read - set(exposed) - RECORDED
    assert not missing, f"{name} reads {missing}, which nothing has"


@pytest.mark.parametrize(("name", "expression"), EXPRESSIONS)
def test_every_label_that_is_matched_is_there(name: str, expression: str, exposed: dict[str, set[str]]) -> None:
    for metric, matchers in re.findall(r"([a-z0-9_:]+)\{([^}]*)\}", expression):
        labels = set(re.findall(r"(\w+)\s*=?[=~!]", matchers)) - {"job", "instance"}
        assert labels <= exposed[metric], f"{name}: {metric} has {exposed[metric]}"


def test_names_are_found_in_expressions() -> None:
    assert metrics_in('sum by (a) (rate(b_total{c="d"}[5m])) / on (e) group_left () f:g unless h') == {
        "b_total",
        "f:g",
        "h",
    }


def test_errors_of_probes_burn_no_budget() -> None:
    shares = [rule["expr"] for rule in rules() if rule.get("record", "").startswith("v1:")]
    assert len(shares) >= 6
    for expression in shares:
        for matchers in re.findall(r"request_seconds_\w+\{([^}]*)\}", expression):
            assert 'route=~"/v1/.*"' in matchers


def test_every_alert_is_tested_both_ways() -> None:
    tests = yaml.safe_load((MONITORING / "rules_test.yml").read_text())["tests"]
    fires, rests = set(), set()
    for test in tests:
        for case in test["alert_rule_test"]:
            (fires if case["exp_alerts"] else rests).add(case["alertname"])
    assert fires == rests == set(ALERTS)


def test_every_alert_says_what_to_do() -> None:
    for name, rule in ALERTS.items():
        assert rule["labels"]["severity"] in ("page", "ticket"), name
        assert set(rule["annotations"]) == {"summary", "action"}, name


def _table() -> Iterator[tuple[str, ...]]:
    text = (ROOT / "docs" / "operations.md").read_text()
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `") and cells[0].strip("`") in ALERTS:
            yield tuple(cells)


def test_the_operations_page_says_of_every_alert_what_the_rules_say() -> None:
    assert Path(ROOT / "docs" / "operations.md").is_file()
    expected = [
        (f"`{name}`", rule["labels"]["severity"], rule.get("for", "at once"), *rule["annotations"].values())
        for name, rule in ALERTS.items()
    ]
    assert list(_table()) == expected, "copy:\n" + "\n".join(f"| {' | '.join(row)} |" for row in expected)


def test_panels_have_different_titles_and_places() -> None:
    titles = [title for title, _ in dashboard()]
    assert len(set(titles)) >= 15
