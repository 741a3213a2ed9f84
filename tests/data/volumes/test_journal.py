from __future__ import annotations

import pytest
from models_genesis_bundle.data.volumes.item_folder import Journal


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "index.jsonl")
    for key in ("a", "b", "\udcff no UTF-8"):
        journal.append(key, {"name": key, "list": [1, 2.5, None]})
    return journal


def test_the_last_record_of_a_key_counts(journal):
    journal.append("a", {"name": "new"})
    records = Journal(journal.path).read()
    assert list(records) == ["a", "b", "\udcff no UTF-8"]
    assert records["a"] == {"name": "new"}
    assert records["\udcff no UTF-8"]["list"] == [1, 2.5, None]


def test_there_may_be_no_file(tmp_path):
    assert Journal(tmp_path / "none").read() == {}


def test_an_interrupted_line_costs_its_record_alone(journal):
    content = journal.path.read_bytes()
    for length in range(len(content) - 60, len(content)):
        journal.path.write_bytes(content[:length])
        journal.append("c", {"name": "c"})
        assert {"a", "b", "c"} <= set(journal.read())


def test_a_flipped_bit_costs_its_record_alone(journal):
    content = journal.path.read_bytes()
    for place in range(len(content)):
        journal.path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        records = journal.read()
        assert len(records) >= 1
        assert all(record["name"] == key for key, record in records.items())
