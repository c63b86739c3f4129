"""A card for people."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_WORDS = {"valid": "VALID", "warn": "WARN: read the limitations", "invalid": "INVALID as a claim"}


def to_markdown(card: Mapping[str, Any]) -> str:
    """The card as a page: the result first, then what limits it, then how it came about."""
    model, protocol = card["model"], card["protocol"]
    primary = card["results"].get(protocol["primary"], {})
    lines = [
        f"# {model['name']} on {card['data']['name']}",
        "",
        f"**{protocol['primary']} {_value(primary)}** · {_WORDS[card['status']]}",
        "",
        card["experiment"]["question"],
    ]
    sections: list[tuple[str, Iterable[str]]] = [
        ("What limits it", [f"- {sentence}" for sentence in card["limitations"]] or ["- Nothing that the facts show."]),
        ("Results", _results(card)),
        ("In its table", _comparison(card)),
        ("Checks", _checks(card)),
        ("Model", _table(_model(card))),
        ("Data and split", _table(_data(card))),
        ("Protocol", _table((name, value) for name, value in protocol.items())),
        ("Made by", _table(_made(card))),
    ]
    for title, body in sections:
        text = list(body)
        if text:
            lines += ["", f"## {title}", "", *text]
    return "\n".join(lines) + "\n"


def _results(card: Mapping[str, Any]) -> Iterator[str]:
    several = any(one["sd_over_seeds"] is not None for one in card["results"].values())
    yield "| metric | mean | 95 % interval | users |" + (" sd over seeds |" if several else "")
    yield "|---|---:|---|---:|" + ("---:|" if several else "")
    for name, one in card["results"].items():
        interval = "–" if one["interval"] is None else f"{_digits(one['interval'][0])} to {_digits(one['interval'][1])}"
        row = f"| {name} | {_digits(one['mean'])} | {interval} | {'–' if one['n'] is None else one['n']} |"
        yield row + (f" {_digits(one['sd_over_seeds'])} |" if several else "")


def _comparison(card: Mapping[str, Any]) -> Iterator[str]:
    found = card["comparison"]
    if found is None:
        return
    yield f"{found['n_models']} models: {found['table']}."
    if found["difference"] is not None:
        low, high = found["interval"] or (None, None)
        yield (
            f"Against {found['best_baseline']}: {found['verdict']}, difference {_digits(found['difference'])} "
            f"[{_digits(low)}, {_digits(high)}], p (Holm) {_digits(found['p_holm'])}, dz {_digits(found['dz'])}, "
            f"win/tie/loss {found['wins']}/{found['ties']}/{found['losses']}."
        )
    if found["rank_group"]:
        yield f"Rank group {found['rank_group']}."


def _checks(card: Mapping[str, Any]) -> Iterator[str]:
    if not card["checks"]:
        return
    yield "| check | level | outcome | |"
    yield "|---|---|---|---|"
    for check in card["checks"]:
        outcome = "passed" if check["passed"] else "**failed**"
        yield f"| {check['id']} | {check['level']} | {outcome} | {_cell(check['message'])} |"


def _model(card: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    model, tuning = card["model"], card["tuning"]
    for name in ("algorithm", "family", "class", "hyper_parameters", "parameters", "n_parameters", "seeds"):
        yield name.replace("_", " "), model[name]
    yield "epochs", model["epochs"]
    yield "stopped by", model["stop_reason"]
    if tuning is not None:
        yield (
            "tuned",
            f"{tuning['n_trials']} trials ({tuning['n_failed']} failed) in {tuning['seconds']:.0f} s "
            f"on {tuning['metric']} of {tuning['n_users']} validation users",
        )
    cost = card["cost"]
    yield (
        "fit",
        f"{_digits(cost['fit_s'])} s, {_digits(cost['ms_per_user'])} ms a user, {_digits(cost['peak_rss_mb'])} MB",
    )
    level = card["determinism"]
    yield "repeatable", f"{level['declared']} (declared); {level['verified'] or 'not yet verified'}"


def _data(card: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    data, split = card["data"], card["split"]
    for name in ("version", "url", "licence", "raw_sha256", "dataset_hash", "counts"):
        yield name.replace("_", " "), data[name]
    if data["time_range"]:
        yield "time range", " to ".join(_day(moment) for moment in data["time_range"])
    for one in data["filters"]:
        yield f"filter {one.get('name', '')}", f"{one.get('rows_before')} rows, {one.get('rows_after')} left"
    for name in ("strategy", "parameters", "seed", "fold", "hash", "counts", "future_leak_share"):
        yield f"split {name.replace('_', ' ')}", split[name]


def _made(card: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield "runs", ", ".join(card["runs"])
    yield "created", card["created"]
    code = card["code"]
    changed = f" with changes in {', '.join(code.get('dirty_files', ()))}" if code["dirty"] else ""
    yield "code", f"{code['version']}, commit {code['commit'][:12]}{changed}"
    for name, value in card["environment"].items():
        yield name.replace("_", " "), value
    yield "looks at the test part", card["test_looks"]


def _table(rows: Iterable[tuple[str, Any]]) -> Iterator[str]:
    yield "| | |"
    yield "|---|---|"
    for name, value in rows:
        if value not in (None, "", [], {}):
            yield f"| {name} | {_cell(_text(value))} |"


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(inner)}" for name, inner in value.items() if inner is not None)
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(inner) for inner in value)
    return _digits(value) if isinstance(value, float) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


def _value(result: Mapping[str, Any]) -> str:
    if not result or result["mean"] is None:
        return "not measured"
    if result["interval"] is None:
        return _digits(result["mean"])
    return f"{_digits(result['mean'])} [{_digits(result['interval'][0])}, {_digits(result['interval'][1])}]"


def _digits(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _day(moment: int) -> str:
    try:
        return datetime.datetime.fromtimestamp(moment, datetime.UTC).date().isoformat()
    except (OverflowError, OSError, ValueError):
        return str(moment)
