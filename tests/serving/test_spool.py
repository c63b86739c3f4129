"""What waits in files survives damage, a death in between, and a second process beside it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recsys_lab.serving.privacy import InFile, in_spool
from recsys_lab.serving.spool import LONGEST_LINE, Spool, pieces_of, row_of
from tests.serving.apps import Registry, Start, app_of, metric, stored, wait_until

EVENT = {"event_id": "kept", "user_id": "u", "item_id": "5", "event": "click", "list_id": None, "ts": 1.5}
LIST = {
    "list_id": "l",
    "role": "champion",
    "ts": 1.5,
    "user_id": None,
    "model": "m",
    "version": "1",
    "source": "model",
    "item_ids": ["1", "2"],
}


def _line(*said: Any) -> bytes:
    return json.dumps(said).encode() + b"\n"


GOOD = [_line("event", EVENT), _line("impression", LIST), _line("event", {**EVENT, "event_id": "second", "ts": 2})]
DAMAGED = {
    "NULs of a power cut": b"\0" * 4096 + b"\n",
    "a torn line": _line("event", EVENT)[:40] + b"\n",
    "no JSON": b"\xff\xfe nonsense\n",
    "an empty line": b"\n",
    "a bare value": b"5\n",
    "nested beyond reason": b"[" * 100_000 + b"\n",
    "an unknown kind": _line("purchase", EVENT),
    "a kind that is no text": _line(["event"], EVENT),
    "one value too many": _line("event", EVENT, 1),
    "a row that is no object": _line("event", [1]),
    "a missing column": _line("event", {k: v for k, v in EVENT.items() if k != "item_id"}),
    "a column too many": _line("event", {**EVENT, "seq": 7}),
    "an id that is a number": _line("event", {**EVENT, "user_id": 5}),
    "an id that is missing": _line("event", {**EVENT, "user_id": None}),
    "an id as long as no id is": _line("event", {**EVENT, "user_id": "x" * 201}),
    "a time that is text": _line("event", {**EVENT, "ts": "now"}),
    "a time that is a flag": _line("event", {**EVENT, "ts": True}),
    "a time without end": b'["event",' + json.dumps(EVENT).replace("1.5", "1e999").encode() + b"]\n",
    "items that are no texts": _line("impression", {**LIST, "item_ids": [1, 2]}),
    "a huge line": b'["event",{"event_id":"' + b"x" * (2 * LONGEST_LINE) + b'"}]\n',
    "a huge line that ends as a row": b" " * LONGEST_LINE + _line("event", {**EVENT, "event_id": "inside"}),
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_line_ends_no_start(
    registry: Registry, start: Start, tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    spool = tmp_path / "bundles" / "spool"
    spool.mkdir(parents=True)
    file = spool / "a.jsonl"
    file.write_bytes(GOOD[0] + damage + b"".join(GOOD[1:]))
    client = start(ready=False)
    wait_until(lambda: [row["event_id"] for row in stored(tmp_path)] == ["kept", "second"])
    wait_until(lambda: len(stored(tmp_path, "impressions")) == 1)
    wait_until(lambda: not file.exists())
    assert (spool / "a.jsonl.bad").read_bytes() == damage
    assert metric(client, "feedback_spool_damaged_total") == 1
    assert metric(client, 'feedback_written_total{kind="event"}') == 2
    said = [record.fields for record in caplog.records if getattr(record, "fields", {}).get("damaged_lines")]  # type: ignore[attr-defined]
    assert [(one["path"], one["damaged_lines"], one["rows"]) for one in said] == [(str(file), 1, 3)]


def test_a_file_without_one_good_line(registry: Registry, start: Start, tmp_path: Path) -> None:
    spool = tmp_path / "bundles" / "spool"
    spool.mkdir(parents=True)
    (spool / "a.jsonl").write_bytes(b"\0" * 4096)
    (spool / "empty.jsonl").touch()
    (spool / "folder.jsonl").mkdir()
    client = start(ready=False)
    wait_until(lambda: {file.name for file in spool.iterdir()} == {"a.jsonl.bad", "folder.jsonl"})
    assert metric(client, "feedback_spool_damaged_total") == 1


CHILD = """
import os, sys
from pathlib import Path
from recsys_lab.serving import feedback
from recsys_lab.serving.storage import Database
from recsys_lab.serving.app import create_app
from recsys_lab.serving.settings import Settings
folder = Path(sys.argv[1])
write = Database.write
def dying(self, kind, rows):
    if rows and sys.argv[2] == "before":
        os._exit(9)
    done = write(self, kind, rows)
    if rows:
        os._exit(9)
    return done
Database.write = dying
settings = Settings(registry_uri="http://registry.invalid", bundle_dir=folder / "bundles",
                    database_url=f"sqlite:///{folder / 'feedback.db'}")
create_app(settings).state.feedback.start()
import time; time.sleep(30)
"""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_death_between_reading_and_writing_loses_and_doubles_nothing(
    registry: Registry, start: Start, tmp_path: Path, when: str
) -> None:
    spool = tmp_path / "bundles" / "spool"
    spool.mkdir(parents=True)
    (spool / "a.jsonl").write_bytes(GOOD[0] + b"\0\0\0\n" + b"".join(GOOD[1:]))
    done = subprocess.run([sys.executable, "-c", CHILD, str(tmp_path), when], timeout=60, check=False)
    assert done.returncode == 9
    assert len(stored(tmp_path)) == (2 if when == "after" else 0)
    assert {file.name for file in spool.iterdir()} == {"a.jsonl", "a.jsonl.bad"}
    client = start(ready=False)
    wait_until(lambda: {file.name for file in spool.iterdir()} == {"a.jsonl.bad"})
    assert [row["event_id"] for row in stored(tmp_path)] == ["kept", "second"]
    assert len(stored(tmp_path, "impressions")) == 1
    assert (spool / "a.jsonl.bad").read_bytes() == b"\0\0\0\n"
    assert metric(client, 'feedback_repeated_total{kind="event"}') == (2 if when == "after" else 0)


HOLDER = """
import sys
from pathlib import Path
from recsys_lab.serving.spool import Spool
spool = Spool(Path(sys.argv[1]))
print(sum(len(rows) for _, rows, _ in spool.take()), flush=True)
sys.stdin.readline()
spool.done()
"""


def test_a_file_is_taken_by_one_process_only(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"".join(GOOD))
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "3\n"
        assert list(Spool(tmp_path).take()) == []
        holder.kill()  # the system frees the lock
    second = Spool(tmp_path)
    assert [len(rows) for _, rows, _ in second.take()] == [3]
    second.done()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_without_locks_gives_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    (tmp_path / "a.jsonl").write_bytes(b"".join(GOOD))
    assert [len(rows) for _, rows, _ in Spool(tmp_path).take()] == [3]


def test_four_processes_take_each_of_fifty_files_once(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / f"{number}.jsonl").write_bytes(_line("event", {**EVENT, "event_id": str(number)}))
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    several = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    try:
        found = [int(one.stdout.readline()) for one in several if one.stdout]
    finally:
        for one in several:
            one.communicate("\n", timeout=30)
    assert sum(found) == 50
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, str]] = []
    fsync, replace = os.fsync, Path.replace

    def synced(number: int) -> None:
        fsync(number)
        calls.append(("fsync", Path(os.readlink(f"/proc/self/fd/{number}")).name))

    def replaced(self: Path, target: Path) -> Path:
        calls.append(("rename", target.name))
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    file = Spool(tmp_path / "spool").keep("event", [EVENT] * 3)
    (content, partial), *others = calls
    assert (content, partial.startswith(f".partial-{file.name}")) == ("fsync", True)
    assert others == [("rename", file.name), ("fsync", "spool")]


def test_what_is_kept_is_what_is_taken(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    rows = [{**EVENT, "event_id": str(number), "user_id": "Ünï ☃\u2028"} for number in range(1000)]
    file = spool.keep("event", rows)
    assert [(kind, row) for _, found, _ in spool.take() for kind, row in found] == [("event", row) for row in rows]
    spool.release()
    assert file.exists()


def test_a_line_longer_than_memory_is_read_in_pieces(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    with file.open("wb") as stream:
        stream.truncate(300_000_000)  # one line of NULs that takes no place on the disk
    with file.open("rb") as stream:
        sizes = [(len(piece.content), piece.begins) for piece in pieces_of(stream) if piece.row is None]
    assert sum(size for size, _ in sizes) == 300_000_000
    assert max(size for size, _ in sizes) <= LONGEST_LINE
    assert sum(begins for _, begins in sizes) == 1


def test_a_disk_that_takes_no_bad_file_leaves_the_file_for_the_next_start(
    registry: Registry, start: Start, tmp_path: Path
) -> None:
    spool = tmp_path / "bundles" / "spool"
    spool.mkdir(parents=True)
    (spool / "a.jsonl").write_bytes(GOOD[0] + b"torn\n")
    (spool / "a.jsonl.bad").mkdir()  # in the way
    (spool / "b.jsonl").write_bytes(GOOD[2])
    client = start(ready=False)
    wait_until(lambda: [row["event_id"] for row in stored(tmp_path)] == ["second"])
    assert (spool / "a.jsonl").read_bytes() == GOOD[0] + b"torn\n"
    app_of(client).state.feedback.close()
    (spool / "a.jsonl.bad").rmdir()
    start(ready=False)
    wait_until(lambda: [row["event_id"] for row in stored(tmp_path)] == ["kept", "second"])


def test_rows_of_the_service_are_rows() -> None:
    assert row_of(GOOD[0]) == ("event", EVENT)
    assert row_of(GOOD[1].rstrip(b"\n")) == ("impression", LIST)


def _odd(spool: Path, aside: Path) -> None:
    """Entries with the names of files of rows that are none; ``aside`` is somebody else's file."""
    spool.mkdir(parents=True)
    aside.write_bytes(b"".join(GOOD) + b"somebody's own line\n")
    aside.chmod(0o644)
    (spool / "a.jsonl").symlink_to(aside)
    (spool / "b.jsonl").symlink_to(spool / "missing")
    (spool / "c.jsonl").mkdir()
    os.mkfifo(spool / "d.jsonl")
    (spool / "e.bad").symlink_to(aside)
    (spool / ".partial-f").mkdir()
    os.utime(spool / ".partial-f", (0, 0))
    for name in ("0.jsonl", "z.jsonl", "z.jsonl.bad"):
        (spool / name).write_bytes(_line("event", {**EVENT, "event_id": name}))
        (spool / name).chmod(0o644)


def test_what_is_no_regular_file_is_left_alone(
    registry: Registry, start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool, aside = tmp_path / "bundles" / "spool", tmp_path / "aside.txt"
    _odd(spool, aside)
    before = aside.read_bytes()
    client = start(ready=False)
    wait_until(lambda: sorted(row["event_id"] for row in stored(tmp_path)) == ["0.jsonl", "z.jsonl"])
    wait_until(lambda: not (spool / "z.jsonl").exists())
    assert (aside.read_bytes(), aside.stat().st_mode & 0o777) == (before, 0o644)
    assert not list(spool.glob("[abcd].jsonl.bad"))
    assert (spool / "z.jsonl.bad").stat().st_mode & 0o777 == 0o600
    assert metric(client, "feedback_spool_damaged_total") == 0
    left = [record for record in caplog.records if "left for the next start" in record.message]
    assert [Path(record.fields["path"]).name[0] for record in left] == ["a", "b", "c", "d"]  # type: ignore[attr-defined]
    assert all("not a regular file" in str(record.exc_info) for record in left)
    assert "another process has this file" not in caplog.text


def test_a_user_is_forgotten_beside_what_is_no_regular_file(tmp_path: Path) -> None:
    spool, aside = tmp_path / "spool", tmp_path / "aside.txt"
    _odd(spool, aside)
    before = aside.read_bytes()
    for forget in (False, True):
        found = {Path(one.path).name: one for one in in_spool(spool, "u", forget=forget)}
        odd = {name for name, one in found.items() if "not a regular file" in one.problem}
        assert odd == {"a.jsonl", "b.jsonl", "c.jsonl", "d.jsonl", "e.bad", ".partial-f"}
        assert {name for name, one in found.items() if one.rows} == {"0.jsonl", "z.jsonl", "z.jsonl.bad"}
    assert {name for name, one in _by_name(spool).items() if one.rows} == set()
    assert aside.read_bytes() == before


def _by_name(spool: Path) -> dict[str, InFile]:
    return {Path(one.path).name: one for one in in_spool(spool, "u", forget=True)}


def test_what_is_half_written_is_named(tmp_path: Path) -> None:
    partial = tmp_path / ".partial-a.jsonl.0"
    partial.write_bytes(GOOD[0])
    assert "half-written" in _by_name(tmp_path)[partial.name].problem
    assert in_spool(tmp_path, "other", forget=True) == []
    os.utime(partial, (0, 0))
    assert in_spool(tmp_path, "u", forget=True) == []
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_named_and_others_are_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_bytes(GOOD[0])
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        if target.name == "a.jsonl":
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    found = _by_name(tmp_path)
    assert "No space left on device" in found["a.jsonl"].problem
    assert not found["b.jsonl"].problem
    assert ((tmp_path / "a.jsonl").read_bytes(), (tmp_path / "b.jsonl").read_bytes()) == (GOOD[0], b"")


def test_a_folder_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "spool").touch()
    (problem,) = in_spool(tmp_path / "spool", "u", forget=True)
    assert (problem.path, "cannot be read" in problem.problem) == (str(tmp_path / "spool"), True)
    assert in_spool(tmp_path / "missing", "u", forget=True) == []
