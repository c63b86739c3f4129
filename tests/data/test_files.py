"""Own data: what is read, and what every bad row is told."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recsys_lab.data.files import read_interactions
from recsys_lab.data.interactions import Interactions

HEADER = "user_id,item_id,rating,timestamp\n"


def read(tmp_path: Path, text: str | bytes, name: str = "own.csv", **options: object) -> Interactions:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_interactions(path, **options)  # type: ignore[arg-type]


def frame(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"user_id": [1, 2], "item_id": [5, 6], "rating": [1.0, 2.5], "timestamp": [10, 20], **columns})


def rows(data: Interactions) -> list[list[object]]:
    return data.to_frame().to_numpy().tolist()


GOOD = [[1, 5, 3.0, 10], [2, 5, 4.5, 20], [1, 6, 1.0, 30]]


@pytest.mark.parametrize(
    ("name", "text", "options"),
    [
        ("own.csv", HEADER + "1,5,3,10\n2,5,4.5,20\n1,6,1,30\n", {}),
        ("own.csv", HEADER + "1,5,3,10\n2,5,4.5,20\n1,6,1,30", {}),
        ("own.csv", "\ufeffuser_id, item_id , rating,timestamp\r\n 1,5, 3,10\r\n\r\n2,5,4.5,20\r\n1,6,1,30\r\n", {}),
        ("own.csv", 'note,"user_id",item_id,rating,timestamp\n"a\nb",1,5,3,10\n"c,d",2,5,4.5,20\n,1,6,1,30\n', {}),
        ("own.tsv", (HEADER + "1,5,3,10\n2,5,4.5,20\n1,6,1,30\n").replace(",", "\t"), {}),
        ("own.dat", (HEADER + "1,5,3,10\n2,5,4.5,20\n1,6,1,30\n").replace(",", "::"), {"sep": "::"}),
        ("own.csv", (HEADER + "1,5,3,10\n2,5,4.5,20\n1,6,1,30\n").encode("utf-16"), {"encoding": "utf-16"}),
        ("own.csv.gz", gzip.compress((HEADER + "1,5,3,10\n2,5,4.5,20\n1,6,1,30\n").encode(), mtime=0), {}),
        (
            "u.data",
            "1\t5\t3\t10\n2\t5\t4.5\t20\n1\t6\t1\t30\n",
            {"sep": "\t", "columns": ["user_id", "item_id", "rating", "timestamp"]},
        ),
        (
            "own.csv",
            "who;what;stars;when\n1;5;3;10000\n2;5;4.5;20000\n1;6;1;30999\n",
            {"sep": ";", "user": "who", "item": "what", "rating": "stars", "timestamp": "when", "time_unit": "ms"},
        ),
    ],
)
def test_the_same_rows_from_many_formats(
    name: str, text: str | bytes, options: dict[str, object], tmp_path: Path
) -> None:
    data = read(tmp_path, text, name, **options)
    assert rows(data) == GOOD
    assert data.catalogue.user_ids.dtype == np.int64
    info = data.catalogue.info
    assert (info["name"], info["source"]) == (name.split(".")[0], str(tmp_path / name)) or name.endswith(".gz")
    assert len(info["raw_sha256"]) == 64
    assert info["filters"] == []


def test_parquet_and_frames(tmp_path: Path) -> None:
    frame(item_id=["b", "a"]).to_parquet(tmp_path / "own.parquet")
    expected = [[1, "b", 1.0, 10], [2, "a", 2.5, 20]]
    assert rows(read_interactions(tmp_path / "own.parquet")) == expected
    data = read_interactions(frame(item_id=pd.Categorical(["b", "a"])), name="mine")
    assert rows(data) == expected
    assert (data.catalogue.info["name"], data.catalogue.info["source"]) == ("mine", "a frame")


def test_implicit_data_without_times(tmp_path: Path) -> None:
    data = read(tmp_path, "user_id,item_id\nann,x\nbob,y\n", rating=None, timestamp=None)
    assert rows(data) == [["ann", "x", 1.0], ["bob", "y", 1.0]]
    assert data.timestamps is None


def test_ids_with_leading_zeros_stay_text(tmp_path: Path) -> None:
    data = read(tmp_path, HEADER + "007,5,3,10\n7,6,4,20\n")
    assert data.catalogue.user_ids.tolist() == ["007", "7"]
    assert data.catalogue.item_ids.tolist() == [5, 6]


def test_ids_beyond_64_bits_stay_text(tmp_path: Path) -> None:
    assert read(tmp_path, HEADER + f"{10**30},5,3,10\n").catalogue.user_ids.tolist() == [str(10**30)]
    big = np.array([2**63 + 1, 2], dtype=np.uint64)
    assert read_interactions(frame(user_id=big)).catalogue.user_ids.tolist() == ["2", str(2**63 + 1)]
    with pytest.raises(ValueError, match='beyond 64 bits; pass ids="str"'):
        read_interactions(frame(user_id=big), ids="int")


def test_ids_as_text_when_asked(tmp_path: Path) -> None:
    data = read(tmp_path, HEADER + "ann,5,3,10\n7,6,4,20\n", ids="str")
    assert (data.catalogue.user_ids.tolist(), data.catalogue.item_ids.tolist()) == (["7", "ann"], ["5", "6"])


@pytest.mark.parametrize(
    ("times", "options", "seconds", "words"),
    [
        (["10", "20.9"], {}, [10, 20], "seconds since 1970"),
        (["1e3", "0"], {}, [1000, 0], "seconds since 1970"),
        (["1600000000999", "1600000001000"], {"time_unit": "ms"}, [1600000000, 1600000001], "milliseconds"),
        (["1600000000999999999", "1600000001000000000"], {"time_unit": "ns"}, [1600000000, 1600000001], "nanosec"),
        (["1970-01-02", "1970-01-01T01:00:30+01:00"], {}, [86400, 30], "converted to Unix seconds"),
        (["2024-05-01 12:30:00.75", "1970-01-01T00:00:00Z"], {}, [1714566600, 0], "converted to Unix seconds"),
    ],
)
def test_times(times: list[str], options: dict[str, object], seconds: list[int], words: str, tmp_path: Path) -> None:
    text = HEADER + "".join(f"{number},5,3,{time}\n" for number, time in enumerate(times))
    data = read(tmp_path, text, **options)
    assert data.timestamps is not None
    assert data.timestamps.tolist() == seconds
    assert words in data.catalogue.info["times"]


def test_times_of_frames() -> None:
    moments = pd.to_datetime(["1970-01-01T00:01", "2024-05-01T00:00"])
    for column in (moments, moments.tz_localize("UTC"), moments.astype("datetime64[s]")):
        data = read_interactions(frame(timestamp=column))
        assert data.timestamps is not None
        assert data.timestamps.tolist() == [60, 1714521600]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (",6,4,20", r"line 3: column 'user_id' has no value \(''\), one of 1 such rows; every row needs an id"),
        ("2,,4,20", "line 3: column 'item_id' has no value"),
        ("2,NULL,4,20", r"line 3: column 'item_id' has no value \('NULL'\)"),
        ("2,nan,4,20", "line 3: column 'item_id' has no value"),
        ("bob,6,4,20", "line 3: column 'user_id' has the id 'bob', but most ids there are whole numbers.*ids=\"str\""),
        ("2,6,four,20", "line 3: the rating 'four' is not a number; expected a finite number"),
        ("2,6,1_000,20", "line 3: the rating '1_000' is not a number"),
        ("2,6,0x10,20", "line 3: the rating '0x10' is not a number"),
        ("2,6,,20", "line 3: column 'rating' has no value.*every row needs a rating"),
        ("2,6,NaN,20", r"line 3: column 'rating' has no value \('NaN'\)"),
        ("2,6,inf,20", "line 3: the rating inf is not finite"),
        ("2,6,-1e60,20", r"line 3: the rating -1e\+60 is not finite; expected a finite number \(float32\)"),
        ("2,6,4,", "line 3: column 'timestamp' has no value.*every row needs a time"),
        ("2,6,4,yesterday", "line 3: the timestamp 'yesterday' is no time like the others; expected Unix seconds"),
        ("2,6,4,2024-05-01", "line 3: the timestamp '2024-05-01' is no time like the others"),
        ("2,6,4,-1", "line 3: the timestamp -1 is no time; expected seconds since 1970, 0 or more"),
        ("2,6,4,inf", "line 3: the timestamp inf is no time"),
        ("2,6,4,1600000000000", 'line 3: the timestamp 1600000000000 is no time.*pass time_unit="ms"'),
        ("2,6,4,20,9", "line 3: 5 values, but there are 4 columns"),
        ("2,6", "line 3: 2 values, but there are 4 columns"),
        ("1,5,2,99", r"line 3: user 1 has item 5 a second time \(first: .*own.csv, line 2\); 1 rows repeat a pair"),
        ('"2,6,4,20', "after line 2: unexpected end of data; is a double quote left open"),
    ],
)
def test_a_bad_row_is_named_with_its_line(line: str, message: str, tmp_path: Path) -> None:
    more = "" if line.startswith('"') else "3,5,4,20\n4,5,4,20\n"
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path, f"{HEADER}1,5,3,10\n{line}\n{more}")
    assert str(tmp_path / "own.csv") in str(caught.value)


def test_the_line_is_right_after_blank_lines_and_quoted_newlines(tmp_path: Path) -> None:
    text = 'note,user_id,item_id,rating,timestamp\n\n"two\nlines",1,5,3,10\n\nx,1,6,bad,10\n'
    with pytest.raises(ValueError, match="line 6: the rating 'bad'"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, r"own\.csv is empty; expected a header line"),
        ("\n \n", {}, r"own\.csv is empty"),
        (HEADER, {}, r"own\.csv has no rows; expected one for each interaction"),
        (HEADER.replace(",", ";") + "1;5;3;1\n", {}, r"line 1: one column .* separator ','; .* by ';': pass sep=';'"),
        (HEADER.replace(",", "\t") + "1\t5\t3\t1\n", {}, r"by '\\t' \(tab\): pass sep='\\t'"),
        (HEADER.replace(",", "::") + "1::5::3::1\n", {}, "by '::': pass sep='::'"),
        (HEADER + "1,5,3,1\n", {"sep": ";"}, "by ',': pass sep=','"),
        (
            "userid,item_id,rating,timestamp\n1,5,3,1\n",
            {},
            r"no column 'user_id'; did you mean 'userid'\? Its columns: use",
        ),
        (
            HEADER + "1,5,3,1\n",
            {"user": "who"},
            r"no column 'who'\. Its columns: user_id, item_id, rating, timestamp\.",
        ),
        ("user_id,item_id,rating\n1,5,3\n", {}, "no column 'timestamp'.*pass timestamp=None if the data have none"),
        ("user_id,item_id,timestamp\n1,5,3\n", {}, "no column 'rating'.*pass rating=None if the data have none"),
        ("1,5,3,10\n2,5,3,10\n", {}, "The first line looks like data: name the columns with columns="),
        ("user_id,user_id,item_id\n1,1,5\n", {}, "line 1: column 'user_id' stands twice"),
        (HEADER + "1,5,3,1\n", {"user": "item_id"}, "must be different columns"),
        (HEADER + "1.0,5,3,1\n", {}, "line 2: column 'user_id' has ids like '1.0'; write whole numbers"),
        (
            HEADER + "a,5,3,1\nb,5,3,1\n7,5,3,1\n",
            {},
            "line 4: column 'user_id' has the id '7', but most ids there are text",
        ),
        (HEADER + "a,5,3,1\n", {"ids": "int"}, "line 2: column 'user_id' has the id 'a'"),
        (HEADER + "1,5,3,1\n", {"ids": "number"}, 'ids must be "auto", "int" or "str", found \'number\''),
        (HEADER + "1,5,3,1\n", {"time_unit": "min"}, "time_unit must be one of s, ms, us, ns; found 'min'"),
        (
            HEADER + "1,5,3,1\n",
            {"duplicates": "keep_lst"},
            "unknown duplicates policy 'keep_lst'; did you mean 'keep_last'",
        ),
        (
            "user_id;item_id;rating;timestamp\n1;5;3,5;1\n",
            {"sep": ";"},
            "'3,5' is not a number; write a point, not a comma",
        ),
    ],
)
def test_a_bad_file_is_told_what_would_be_right(
    text: str, options: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        read(tmp_path, text, **options)


def test_latin_1_is_named_with_its_line(tmp_path: Path) -> None:
    text = (HEADER + "Ann,5,3,10\nJosé,5,3,10\n").encode("latin-1")
    with pytest.raises(ValueError, match=r'0xe9 in .*own\.csv, line 3, is not utf-8; .* pass encoding="latin-1"'):
        read(tmp_path, text)
    assert read(tmp_path, text, encoding="latin-1").catalogue.user_ids.tolist() == ["Ann", "José"]
    with pytest.raises(ValueError, match='starts like UTF-16: pass encoding="utf-16"'):
        read(tmp_path, (HEADER + "1,5,3,10\n").encode("utf-16"))


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("own.csv.gz", b"user_id,item_id\n", {}, r"own\.csv\.gz is no whole gzip file"),
        (
            "own.csv.gz",
            gzip.compress(b"user_id,item_id\n" * 99, mtime=0)[:-12],
            {},
            r"own\.csv\.gz is no whole gzip file",
        ),
        ("own.parquet", b"user_id,item_id\n", {}, r"own\.parquet is no whole Parquet file"),
        ("own.csv", b"user_id,item_id\n1,2\n", {"encoding": "latin-99"}, "unknown encoding 'latin-99'"),
        ("own.csv", b"user_id,item_id\n1,2\n", {"user": None}, "user and item must name columns"),
        ("own.csv", b"1,1,3\n2,1,4\n", {}, r"line 1: .* looks like data: name the columns with columns="),
    ],
)
def test_a_file_that_is_not_what_its_name_says(
    tmp_path: Path, name: str, content: bytes, options: dict[str, Any], message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_interactions(tmp_path / name, **options)


def test_a_missing_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file 'nowhere\.csv'; looked for"):
        read_interactions("nowhere.csv")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"user_id": [1, "1"]}, r"the frame, row 1 \(index 1\): column 'user_id' mixes values of several types"),
        ({"user_id": [None, "b"]}, r"row 0 \(index 0\): column 'user_id' has no value"),
        ({"user_id": [1.0, 2.0]}, "column 'user_id' holds double values, such as 1.0"),
        ({"user_id": [1.0, np.nan]}, "row 1 .*column 'user_id' has no value"),
        ({"user_id": [True, False]}, "holds bool values"),
        ({"rating": [1.0, np.nan]}, "row 1 .*column 'rating' has no value"),
        ({"rating": [1.0, np.inf]}, "row 1 .*the rating inf is not finite"),
        ({"rating": [1, "x"]}, "row 1 .*the rating 'x' is not a number"),
        ({"timestamp": pd.to_datetime(["2020-01-01", None])}, "row 1 .*column 'timestamp' has no value"),
        ({"timestamp": pd.to_datetime(["1920-01-01", "2020-01-01"])}, "row 0 .*1920-01-01.* is before 1970"),
        ({"timestamp": ["1920-01-01", "2020-01-01"]}, "row 0 .*1920-01-01.* is before 1970"),
    ],
)
def test_bad_frames(columns: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_interactions(frame(**columns))


def test_frames_with_two_columns_of_a_name_or_no_rows() -> None:
    with pytest.raises(ValueError, match="the frame has column 'user_id' twice"):
        read_interactions(pd.DataFrame([[1, 2, 3]], columns=["user_id", "user_id", "item_id"]))
    with pytest.raises(ValueError, match="the frame has no rows"):
        read_interactions(frame().iloc[:0])


def test_frames_may_hold_mixed_ids_as_text_and_odd_numbers() -> None:
    assert read_interactions(frame(user_id=[1, "x"]), ids="str").catalogue.user_ids.tolist() == ["1", "x"]
    mixed = frame(user_id=pd.Series([1, np.int64(2)], dtype=object), rating=[Decimal("1.5"), Decimal(2)])
    assert rows(read_interactions(mixed)) == [[1, 5, 1.5, 10], [2, 6, 2.0, 20]]


def test_duplicates_are_joined_and_reported(tmp_path: Path) -> None:
    text = HEADER + "1,5,3,30\n1,6,3,10\n1,5,4,20\n"
    assert rows(read(tmp_path, text, duplicates="keep_last")) == [[1, 5, 3.0, 30], [1, 6, 3.0, 10]]
    data = read(tmp_path, text, duplicates="mean")
    assert rows(data) == [[1, 5, 3.5, 30], [1, 6, 3.0, 10]]
    report = data.catalogue.info["filters"][0]
    assert (report["name"], report["rows_before"], report["rows_after"]) == ("duplicates", 3, 2)


@given(
    table=st.lists(
        st.tuples(
            st.text("abcxyz,\"\n;' é", min_size=1).filter(lambda text: text == text.strip()),
            st.integers(-(2**62), 2**62),
            st.floats(-1e6, 1e6, width=32),
            st.integers(0, 2**33),
        ),
        min_size=1,
        max_size=8,
        unique_by=lambda row: row[:2],
    ),
    sep=st.sampled_from([",", "\t", ";", "|"]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_pandas_writes_is_read_back(table: list[tuple[str, int, float, int]], sep: str, tmp_path: Path) -> None:
    written = pd.DataFrame(table, columns=["user_id", "item_id", "rating", "timestamp"])
    written.to_csv(tmp_path / "own.csv", index=False, sep=sep)
    data = read_interactions(tmp_path / "own.csv", sep=sep)
    assert rows(data) == [[user, item, np.float32(rating), time] for user, item, rating, time in table]


ITEMS = "item_id,title,genres,length\n6,Six (1990),Drama|War,90\n5,Five,Drama,\n9,Nine,,80\n"


def test_an_items_table_comes_along(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text(ITEMS)
    data = read(tmp_path, HEADER + "1,5,3,10\n2,7,4,20\n1,6,4,30\n", items=tmp_path / "items.csv")
    catalogue = data.catalogue
    assert catalogue.item_ids.tolist() == [5, 6, 7, 9]  # 9 has no interactions, 7 is not in the table
    assert catalogue.titles(np.arange(4, dtype=np.int32)) == ["Five", "Six (1990)", "7", "Nine"]
    assert list(catalogue.items.columns) == ["title", "genres", "length"]
    assert list(catalogue.feature_names) == ["genre:Drama", "genre:War"]
    assert catalogue.item_features is not None
    assert catalogue.item_features.toarray().tolist() == [[1, 0], [1, 1], [0, 0], [0, 0]]
    assert rows(data) == [[1, 5, 3.0, 10], [2, 7, 4.0, 20], [1, 6, 4.0, 30]]


def test_without_labels_the_words_of_titles_are_features() -> None:
    items = pd.DataFrame({"title": ["The Hat", "A hat!"]}, index=pd.Index([5, 6], name="item_id"))
    catalogue = read_interactions(frame(), items=items).catalogue
    assert list(catalogue.feature_names) == ["word:a", "word:hat", "word:the"]


def test_labels_may_be_named() -> None:
    items = pd.DataFrame({"item_id": [5, 6], "colour": ["red|blue", "red"], "genres": ["x", "y"]})
    catalogue = read_interactions(frame(), items=items, labels=["colour"]).catalogue
    assert list(catalogue.feature_names) == ["colour:blue", "colour:red"]
    with pytest.raises(ValueError, match=r"no column 'color'; did you mean 'colour'\? Their columns: colour, genres"):
        read_interactions(frame(), items=items, labels=["color"])
    assert read_interactions(frame(), items=items, labels=[]).catalogue.item_features is None


def test_ids_of_items_follow_the_kind_of_the_interactions(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text("item_id,title\n007,Bond\n")
    data = read(tmp_path, HEADER + "1,007,3,10\n1,5,3,10\n", items=tmp_path / "items.csv")
    assert data.catalogue.item_ids.tolist() == ["007", "5"]
    with pytest.raises(ValueError, match="the ids in 'item_id' are text, such as 'x', but whole numbers in the inter"):
        read_interactions(frame(), items=pd.DataFrame({"item_id": ["x"], "title": ["X"]}))
    with pytest.raises(ValueError, match=r"the items frame, row 1 .*item 5 stands there a second time"):
        read_interactions(frame(), items=pd.DataFrame({"item_id": [5, 5], "title": ["X", "Y"]}))
    with pytest.raises(ValueError, match="the items frame has no column 'item_id'; did you mean 'itemid'"):
        read_interactions(frame(), items=pd.DataFrame({"itemid": [5]}))


WORDS = ("nan", "NaN", "NULL", "null", "<NA>", "\\N")


@pytest.mark.parametrize("sep", [",", "\t", "::"])
@pytest.mark.parametrize("word", [*WORDS, "NA", "None"])
def test_an_id_in_quotes_is_an_id_whatever_it_says(word: str, sep: str, tmp_path: Path) -> None:
    lines = [HEADER.strip(), f'"{word}",x,3,10', f'ann,"{word}",4,20', ""]
    data = read(tmp_path, "\n".join(lines).replace(",", sep), sep=sep)
    assert rows(data) == [[word, "x", 3.0, 10], ["ann", word, 4.0, 20]]


@pytest.mark.parametrize("value", [*WORDS, " nan", "nan ", '""', '" "'])
def test_a_bare_word_for_nothing_is_no_id(value: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="line 3: column 'user_id' has no value"):
        read(tmp_path, f'{HEADER}"nan",x,3,10\n{value},y,3,10\n')


def test_a_bare_word_says_how_it_becomes_an_id(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match=r"\('null'\), one of 1 such rows; .* an id that is this text in double quotes"
    ):
        read(tmp_path, f"{HEADER}ann,null,3,10\n")


def test_words_are_ids_in_parquet_and_frames(tmp_path: Path) -> None:
    typed = frame(user_id=["nan", "null"], item_id=["<NA>", "\\N"])
    typed.to_parquet(tmp_path / "own.parquet")
    for data in (read_interactions(typed), read_interactions(tmp_path / "own.parquet")):
        assert [row[:2] for row in rows(data)] == [["nan", "<NA>"], ["null", "\\N"]]
    for nothing in (None, "", " "):
        with pytest.raises(ValueError, match=r"row 1 .*column 'user_id' has no value"):
            read_interactions(frame(user_id=["nan", nothing]))


def test_minus_zero_is_not_zero(tmp_path: Path) -> None:
    assert [row[0] for row in rows(read(tmp_path, HEADER + "0,5,3,10\n-0,5,4,20\n"))] == ["0", "-0"]
