"""Candidate points of a CSV, as spreadsheets and scripts write them."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from models_genesis_bundle.data import limit_negatives, read_candidates
from models_genesis_bundle.data.datalists import DatalistError

HEADER = "seriesuid,coordX,coordY,coordZ,class"


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join([*lines, ""]))
    return path


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("seriesuid;coordX;coordY;coordZ;class\na;1,5;-2;3;1\n", "utf-8-sig"),
        ("SeriesUID\tcoordx\tCOORDY\tcoordZ\tClass\r\na\t1,5\t-2\t3\t1\r\n", "utf-16"),
        ("seriesuid , coordX , coordY , coordZ , class\n\na, 1.5, -2, 3, 1.0\n,,,,\n", "utf-8"),
        ('"seriesuid","coordX","coordY","coordZ","class"\n"a.nii.gz","1.5","-2","3","1"\n', "utf-8"),
    ],
    ids=["semicolons", "unicode_text", "spaces_and_empty_lines", "quotes_and_suffix"],
)
def test_candidates_as_spreadsheets_write_them(tmp_path, text, encoding):
    (tmp_path / "c.csv").write_bytes(text.encode(encoding))
    assert read_candidates(tmp_path / "c.csv") == [{"scan": "a", "point": (1.5, -2.0, 3.0), "label": 1}]


def test_candidates_with_the_names_of_their_classes(tmp_path):
    file = write(tmp_path / "c.csv", HEADER, "a,1,2,3,nodule", "a,1,2,3,grade 2", "a,1,2,3,1.5")
    assert [found["label"] for found in read_candidates(file)] == ["nodule", "grade 2", "1.5"]


def test_a_scan_name_may_be_any_bytes(tmp_path):
    (tmp_path / "c.csv").write_bytes(f"\ufeff{HEADER}\n".encode() + b"b\xe4r,1,2,3,0\n")
    assert os.fsencode(read_candidates(tmp_path / "c.csv")[0]["scan"]) == b"b\xe4r"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["seriesuid,coordX,coordY,coordZ", "a,0,0,0"],
            r"c\.csv: the column class is missing; expected seriesuid,coordX",
        ),
        ([HEADER, "a,0,0,0,1", "a,x,0,0,1"], r"c\.csv, line 3: expected numbers .*'x'"),
        ([HEADER, "a,nan,0,0,1"], "line 2: coordinates must be finite"),
        ([HEADER, "a,0,0,0,-1"], "classes 0 or more"),
        ([HEADER, "a,0,0,0,"], "classes 0 or more"),
        ([HEADER, "a,0,0"], "line 2: expected numbers"),
        # 1,5 and 2,5 with a comma would be another place
        (
            [HEADER, "a,1,2,3,0,", "b,1,5,2,5,3,5,1"],
            r"line 3: it has more cells .*, the first is '3'\. Correct the line",
        ),
        ([f"{HEADER},Class", "a,1,2,3,1,0"], "the column class appears 2 times"),
        ([HEADER, '"' + "a" * 200_000], "it is not a CSV file"),
        ([HEADER], "it contains no candidates"),
    ],
    ids=range(10),
)
def test_csvs_that_are_refused(tmp_path, lines, message):
    with pytest.raises(DatalistError, match=message):
        read_candidates(write(tmp_path / "c.csv", *lines))


def test_negatives_are_limited_scan_by_scan():
    counts = {"a": 50, "b": 3}
    items = [{"scan": scan, "label": int(n == 0), "number": n} for scan in counts for n in range(counts[scan])]
    kept = limit_negatives(items, 10, seed=1)
    found = Counter((item["scan"], item["label"]) for item in kept)
    assert found == {("a", 0): 10, ("a", 1): 1, ("b", 0): 2, ("b", 1): 1}
    assert kept == sorted(kept, key=lambda i: (i["scan"], i["number"])), "the order stays"
    assert limit_negatives(items[:50], 10, seed=1) == kept[:11], "a scan's choice does not depend on the others"
    assert limit_negatives(items, 10, seed=2) != kept
    assert limit_negatives(items, None) == items
    with pytest.raises(ValueError, match="1 or more, or null"):
        limit_negatives(items, 0)
    with pytest.raises(ValueError, match="the items are images, not candidates"):
        limit_negatives([{"image": "a.nii", "label": 0}], 10)
