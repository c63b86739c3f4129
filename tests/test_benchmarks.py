"""The harness of `make bench`: turns, medians, checks, verdicts. No test looks at how long something took."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from benchmarks import __main__ as command
from benchmarks.checks import check, other_share, recall
from benchmarks.peers import HERE, environment
from benchmarks.report import misses, rows_of, table, target
from benchmarks.session import Failed, Process, medians, take_turns
from benchmarks.table import BENCHES, Bench, Contender, Row
from benchmarks.worker import run_once
from recsys_lab.docs import block, replace_block

OURS, PEER = Contender("recsys_lab", "toy", "work"), Contender("peer", "toy", "work", "toy")
TEST = sparse.csr_matrix(np.array([[1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]))


class Toy:
    """A runner that notes when it ran."""

    def __init__(self, label: str, diary: list[str], seconds: list[float], fails_at: int = -1) -> None:
        self.label, self.diary, self.seconds, self.fails_at = label, diary, seconds, fails_at

    def run(self) -> dict[str, dict[str, float]]:
        turn = self.diary.count(self.label)
        self.diary.append(self.label)
        if turn == self.fails_at:
            raise Failed("no memory")
        return {"fit": {"s": self.seconds[turn], "cpu": self.seconds[turn], "mb": turn}}

    def result(self, path: Path) -> dict[str, np.ndarray]:
        return {}

    def close(self) -> None:
        """Nothing to end."""


def test_contenders_take_turns_and_the_cold_round_does_not_count() -> None:
    diary: list[str] = []
    found, failures = take_turns({"a": Toy("a", diary, [9, 1, 3, 2]), "b": Toy("b", diary, [9, 4, 4, 4])}, rounds=3)
    assert diary == ["a", "b"] * 4
    assert not failures
    assert medians(found["a"]) == {"fit": {"s": 2, "s_min": 1, "cpu": 2, "mb": 3}}


def test_a_contender_that_fails_is_named_and_the_others_go_on() -> None:
    diary: list[str] = []
    found, failures = take_turns({"a": Toy("a", diary, [1] * 3), "b": Toy("b", diary, [1] * 3, fails_at=1)}, rounds=2)
    assert failures == {"b": "no memory"}
    assert len(found["a"]) == 2
    assert "b" not in found


def test_phases_run_in_order_and_may_bring_their_own_numbers() -> None:
    order: list[str] = []
    phases = {"fit": lambda: order.append("fit"), "rank": lambda: order.append("rank") or {"s": 7.0}}
    found = run_once(phases)
    assert order == ["fit", "rank"]
    assert found["rank"]["s"] == 7.0
    assert math.isnan(found["rank"]["cpu"])
    assert found["fit"]["s"] >= 0
    assert found["fit"]["mb"] >= 0


def test_a_worker_process_measures_and_hands_its_result_over(tmp_path: Path) -> None:
    import sys

    users, items = np.eye(3, 2, dtype=np.float32), np.ones((25, 2), np.float32) * np.arange(25)[:, None]
    np.savez(tmp_path / "factors.npz", users=users, items=items.astype(np.float32))
    sparse.save_npz(tmp_path / "train.npz", sparse.csr_matrix(([1.0], [24], [0, 1, 1, 1]), shape=(3, 25)))
    process = Process(Contender("plain", "plain", "top20"), sys.executable, tmp_path, threads=1)
    try:
        assert set(process.run()) == {"rank"}
        lists = process.result(tmp_path / "result.npz")["lists"]
    finally:
        process.close()
    assert lists[0].tolist() == list(range(23, 3, -1))
    assert lists[1].tolist() == list(range(24, 4, -1))
    with pytest.raises(Failed, match="nonsense"):
        Process(Contender("plain", "plain", "nonsense"), sys.executable, tmp_path, threads=1)


def test_recall_and_differing_items_by_hand() -> None:
    lists = np.array([[0, 2], [3, -1], [1, 2]])
    assert recall(lists, TEST) == pytest.approx((0.5 + 1) / 2)
    assert other_share(np.array([[0, 1]]), np.array([[1, 2]])) == 0.5
    assert other_share(np.array([[0, 1]]), np.array([[1, 0]])) == 0


@pytest.mark.parametrize(
    ("kind", "ours", "theirs", "passed"),
    [
        ("recall", [[0, 1], [3, -1], [0, 1]], [[0, 2], [3, 1], [0, 1]], True),
        ("recall", [[0, 2], [3, 1], [0, 1]], [[0, 1], [3, -1], [0, 1]], False),
        ("lists", [[0, 1]], [[1, 0]], True),
        ("lists", [[0, 1]], [[1, 2]], False),
        ("values", [1.0, 2.0], [1.0, 2.0 + 1e-9], True),
        ("values", [1.0, 2.0], [1.0, 2.1], False),
        ("values", [1.0], [1.0, 2.0], False),
        ("values", [1.0], [math.nan], False),
    ],
)
def test_equal_work_is_checked(kind: str, ours: list, theirs: list, passed: bool) -> None:
    bench = Bench("toy", (Row("toy", "fit"),), (OURS, PEER), kind, tolerance=0.01)
    name = "values" if kind == "values" else "lists"
    results = {"recsys_lab": {name: np.array(ours)}, "peer": {name: np.array(theirs)}}
    assert check(bench, results, TEST)["passed"] is passed


def test_targets_met_and_missed() -> None:
    row = Row("toy", "fit", ratio=2, seconds=1, megabytes=10)
    fine, bad = {"passed": True}, {"passed": False}
    assert target(row) == "≥ 2 ×, ≤ 1 s, ≤ 10 MB"
    assert misses(row, {"s": 1, "mb": 10}, 2.0, fine) == []
    assert len(misses(row, {"s": 2, "mb": 11}, 1.9, bad)) == 4
    assert misses(Row("toy", "fit", ratio=2), {"s": 1, "mb": 0}, None, fine) == ["no peer to compare with"]


def test_the_table_names_the_best_peer_and_those_missing() -> None:
    contenders = (OURS, PEER, Contender("slow", "toy", "work", "slow"), Contender("gone", "toy", "work", "gone"))
    bench = Bench("toy", (Row("toy work", "fit", ratio=1.5),), contenders)
    seconds = {"recsys_lab": 2.0, "peer": 4.0, "slow": 9.0}
    found = {label: {"fit": {"s": s, "cpu": s, "mb": 1.0}} for label, s in seconds.items()}
    checked = {"kind": "recall", "passed": True, "found": {"recsys_lab": 0.25, "peer": 0.25}}
    rows = rows_of(bench, found, checked, {"gone": "no wheel"})
    assert (rows[0]["best"], rows[0]["ratio"], rows[0]["misses"]) == ("peer", 2.0, [])
    report = {
        "machine": {"cpu": "a processor", "cores": 2, "python": "3.11"},
        "threads": 2,
        "data": {"ranking": "synthetic-1m", "ratings": "synthetic-100k"},
        "peers": {"peer": "1.0"},
        "rows": [{**row, "date": "2030-01-01", "load": [0.5, 0.25]} for row in rows],
    }
    text = table(report)
    assert "| toy work | 2 | 1 | peer | 4 | 2.00 | 2.00 |" in text
    assert "gone missing" in text
    assert "2030-01-01; a processor, 2 cores, 2 threads a side; load average 0.25 to 0.5" in text
    assert "Missing peers: gone (no wheel)." in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1
    failed = rows_of(bench, {}, checked, {"recsys_lab": "broken"})
    line = table({**report, "rows": [{**failed[0], "date": "2030-01-01", "load": [1, 1]}]}).splitlines()[5]
    assert "failed: broken" in line
    assert line.count("|") == lines[0].count("|")


def test_a_peer_that_cannot_be_installed_is_reported(tmp_path: Path) -> None:
    (tmp_path / "peers").mkdir()
    found = environment("nobody", tmp_path)  # there is no requirements file
    assert found.python is None
    assert "nobody.txt" in found.missing


def test_the_table_of_benches_is_sound() -> None:
    names = [bench.name for bench in BENCHES]
    assert len(set(names)) == len(names)
    for bench in BENCHES:
        assert bench.contenders[0].label == "recsys_lab"
        assert bench.contenders[0].peer is None
        for contender in bench.contenders:
            assert (HERE / "sides" / f"{contender.side}.py").is_file()
            assert contender.peer is None or (HERE / "peers" / f"{contender.peer}.txt").is_file()
    assert [bench.name for bench in command.select("ials, ease")] == ["ials", "ease"]
    with pytest.raises(ValueError, match="nonsense"):
        command.select("nonsense")


def test_the_page_has_a_place_for_the_table() -> None:
    text = command.PAGE.read_text(encoding="utf-8")
    assert block(replace_block(text, "performance", "| a |"), "performance").strip() == "| a |"


def test_rows_measured_again_replace_the_stored_ones_and_others_stay(tmp_path: Path) -> None:
    conditions = {"machine": {"cores": 2}, "threads": 2, "data": {}}
    stored = tmp_path / "full.json"
    assert command.merged(stored, conditions, [])["rows"] == []
    stored.write_text(json.dumps({**conditions, "peers": {"a": "1"}, "rows": [{"bench": "ials"}, {"bench": "ease"}]}))
    chosen = command.select("ials")
    assert command.merged(stored, conditions, chosen)["rows"] == [{"bench": "ease"}]
    assert command.merged(stored, {**conditions, "threads": 1}, chosen)["rows"] == []
