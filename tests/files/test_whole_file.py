import json
import math
import os

import pytest

from models_genesis_bundle.files import whole_file, write_json, write_table


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "new" / "table.csv"
    write_table(path, [{"case": "a", "dice": 0.123456789, "n": 3}, {"case": "b", "note": None, "dice": math.nan}])
    wanted = "case,dice,n,note\na,0.12345679,3,\nb,nan,,\n"
    assert path.read_text() == wanted

    def half_a_row():
        yield {"case": "c"}
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        write_table(path, half_a_row())

    def half_a_file():
        with whole_file(path) as unfinished:
            unfinished.write_text("half")
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        half_a_file()
    assert path.read_text() == wanted
    assert list(path.parent.iterdir()) == [path]


def test_a_table_without_rows_has_its_header(tmp_path):
    assert write_table(tmp_path / "table.csv", [], ("case", "dice")).read_text() == "case,dice\n"


def test_names_that_are_not_unicode_are_written(tmp_path):
    name = os.fsdecode(b"t\xe4st")
    text = write_json(tmp_path / "a.json", {name: "ä"}).read_text(encoding="utf-8")
    assert json.loads(text) == {name: "ä"}
    assert write_table(tmp_path / "a.csv", [{"case": name}]).read_text(encoding="utf-8") == "case\nt\\udce4st\n"
