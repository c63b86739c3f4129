"""Where files are found, how they are fetched and verified. The only network is a server on the loopback."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from recsys_lab.data.sources import (
    FolderFiles,
    Source,
    ZipFiles,
    cache_folder,
    data_folder,
    find_files,
    find_path,
    get_files,
    verify,
)


def packed(files: dict[str, bytes], folder: str = "") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(folder + name, content)
    return buffer.getvalue()


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


TOY = packed({"a.dat": b"1 2\n", "b.dat": b"3 4\n"}, "toy/")


@dataclass
class Server:
    """What the publisher's server answers: path -> (announced length, body); and what was asked for."""

    url: str
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            if self.path not in state.answers:
                self.send_error(404)
                return
            length, body = state.answers[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield state
    http.shutdown()
    http.server_close()
    thread.join()


def toy(server: Server, **changes: object) -> Source:
    server.answers["/toy.zip"] = (len(TOY), TOY)
    known = {"url": f"{server.url}/toy.zip", "hashes": {"zip": sha256(TOY)}, **changes}
    return Source(("toy",), ("a.dat", "b.dat"), **known)  # type: ignore[arg-type]


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "downloads").iterdir() if path.suffix != ".lock")


def test_a_zip_is_downloaded_once_verified_and_read_in_place(data_home: Path, own_cache: Path, server: Server) -> None:
    source = toy(server)
    files = get_files("toy", source)
    assert isinstance(files, ZipFiles)
    assert files.path == own_cache / "downloads" / "toy.zip"
    assert files.open("b.dat").read() == b"3 4\n"
    get_files("toy", source)
    assert server.asked == ["/toy.zip"]
    assert left_behind(own_cache) == ["toy.zip"]


def test_single_files_are_downloaded_into_one_folder(data_home: Path, own_cache: Path, server: Server) -> None:
    server.answers |= {"/d/a.dat": (2, b"aa"), "/d/b.dat": (2, b"bb")}
    hashes = {"a.dat": sha256(b"aa"), "b.dat": sha256(b"bb")}
    files = get_files("toy", toy(server, url=server.url + "/d/{file}", hashes=hashes))
    assert isinstance(files, FolderFiles)
    assert files.open("b.dat").read() == b"bb"
    assert left_behind(own_cache) == ["toy"]


@pytest.mark.parametrize("case", ["checksum", "md5", "broken off", "not found", "no zip", "lacks a file", "one of two"])
def test_a_bad_download_leaves_nothing_behind(case: str, data_home: Path, own_cache: Path, server: Server) -> None:
    source = toy(server)
    message = ""
    if case == "checksum":
        server.answers["/toy.zip"] = (len(TOY), TOY[:-1] + b"x")
        source, message = toy(server, hashes={"zip": sha256(b"else")}), "is not the published file.*expected sha256:"
    elif case == "md5":
        source, message = toy(server, hashes={"a.dat": "md5:00"}), "a.dat is not the published file.*expected md5:00"
    elif case == "broken off":
        server.answers["/toy.zip"] = (len(TOY) + 10, TOY)
        message = f"broke off after {len(TOY)} of {len(TOY) + 10} bytes|cannot be reached"
    elif case == "not found":
        server.answers.clear()
        message = "answers 404"
    elif case == "no zip":
        server.answers["/toy.zip"] = (9, b"<html>hi!")
        message = "not a complete zip file"
    elif case == "lacks a file":
        body = packed({"a.dat": b"1"})
        server.answers["/toy.zip"] = (len(body), body)
        message = "has no file b.dat"
    else:
        server.answers["/d/a.dat"] = (2, b"aa")
        source, message = toy(server, url=server.url + "/d/{file}", hashes={}), "b.dat answers 404"
    with pytest.raises(FileNotFoundError, match=message) as caught:
        get_files("toy", source)
    assert "Put the folder toy (with a.dat, b.dat)" in str(caught.value)
    assert left_behind(own_cache) == []


def test_without_a_network_the_error_says_what_to_put_where(data_home: Path, own_cache: Path) -> None:
    source = Source(("toy",), ("a.dat",), "http://127.0.0.1:9/toy.zip")  # the discard port: nobody answers
    with pytest.raises(FileNotFoundError) as caught:
        get_files("toy", source)
    message = str(caught.value)
    for part in (
        "'toy' is not on this machine",
        "http://127.0.0.1:9/toy.zip cannot be reached",
        "Put the folder toy (with a.dat) or toy.zip",
        f"{data_home} (RECSYS_LAB_DATA)",
        str(own_cache / "downloads"),
        "synthetic-small, synthetic-100k and synthetic-1m need no files",
    ):
        assert part in message


def test_data_without_a_download_say_so(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECSYS_LAB_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=r"it has no download\. Put the folder toy .*RECSYS_LAB_DATA \(not set"):
        get_files("toy", Source(("toy",), ("a.dat",)))


def test_two_at_once_download_once(data_home: Path, own_cache: Path, server: Server) -> None:
    source = toy(server)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: get_files("toy", source).open("a.dat").read(), range(4)))
    assert found == [b"1 2\n"] * 4
    assert server.asked == ["/toy.zip"]


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, data_home: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RECSYS_LAB_CACHE", str(tmp_path / "file"))
    with pytest.raises(FileNotFoundError, match="cannot write to"):
        get_files("toy", toy(server))


def test_a_folder_comes_before_a_zip_and_the_named_folder_before_the_cache(data_home: Path, own_cache: Path) -> None:
    source = Source(("toy", "toy-old"), ("a.dat",))
    assert find_files(source) is None
    downloads = own_cache / "downloads"
    downloads.mkdir(parents=True)
    (downloads / "toy.zip").write_bytes(TOY)
    assert find_files(source).path == downloads / "toy.zip"  # type: ignore[union-attr]
    (data_home / "toy.zip").write_bytes(packed({"a.dat": b"root"}))
    found = find_files(source)
    assert found is not None
    assert (found.path, found.open("a.dat").read()) == (data_home / "toy.zip", b"root")
    (data_home / "toy-old").mkdir()
    assert find_files(source).path == data_home / "toy.zip"  # type: ignore[union-attr]  # the folder lacks a.dat
    (data_home / "toy-old" / "a.dat").write_bytes(b"folder")
    assert find_files(source).path == data_home / "toy-old"  # type: ignore[union-attr]


def test_the_folder_of_one_data_set_may_be_named_itself(data_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (data_home / "toy").mkdir()
    (data_home / "toy" / "a.dat").write_bytes(b"1")
    monkeypatch.setenv("RECSYS_LAB_DATA", str(data_home / "toy"))
    assert find_files(Source(("toy",), ("a.dat",))).path == data_home / "toy"  # type: ignore[union-attr]


def test_a_zip_that_lacks_files_or_is_cut_is_an_error(data_home: Path) -> None:
    (data_home / "toy.zip").write_bytes(TOY)
    with pytest.raises(FileNotFoundError, match=r"toy\.zip has no file c\.dat"):
        find_files(Source(("toy",), ("c.dat",)))
    (data_home / "toy.zip").write_bytes(TOY[:40])
    with pytest.raises(ValueError, match="not a complete zip file"):
        find_files(Source(("toy",), ("a.dat",)))


def test_a_wrong_data_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECSYS_LAB_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(NotADirectoryError, match=r"nowhere.*not a folder"):
        data_folder()


def test_altered_files_in_a_folder_are_refused(data_home: Path) -> None:
    (data_home / "toy").mkdir()
    (data_home / "toy" / "a.dat").write_bytes(b"1 2\n")
    files = FolderFiles(data_home / "toy")
    good = Source(("toy",), ("a.dat",), hashes={"a.dat": sha256(b"1 2\n"), "zip": "sha256:of the zip"})
    assert verify(files, good) == {"a.dat": sha256(b"1 2\n").removeprefix("sha256:")}
    (data_home / "toy" / "a.dat").write_bytes(b"1 3\n")
    with pytest.raises(ValueError, match=r"a\.dat is not the published file.*Altered copies are common"):
        verify(files, good)


def test_find_path_looks_in_the_data_folder_too(data_home: Path) -> None:
    (data_home / "toy").mkdir()
    (data_home / "toy" / "train.txt").write_text("1 2")
    assert find_path("toy/train.txt") == data_home / "toy" / "train.txt"
    assert find_path(data_home / "toy" / "train.txt") == data_home / "toy" / "train.txt"
    with pytest.raises(FileNotFoundError, match=r"no file 'toy/test\.txt'; looked for toy/test\.txt, .*data/toy/test"):
        find_path("toy/test.txt")


def test_the_stamp_changes_with_the_files(data_home: Path) -> None:
    folder = data_home / "toy"
    folder.mkdir()
    (folder / "a.dat").write_bytes(b"1")
    before = FolderFiles(folder).stamp()
    (folder / "extra.dat").write_bytes(b"1")
    assert FolderFiles(folder).stamp() != before


def test_the_cache_is_the_users_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECSYS_LAB_CACHE")
    assert cache_folder().name == "recsys_lab"
