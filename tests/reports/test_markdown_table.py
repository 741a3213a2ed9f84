"""Tables of figures are read in terminals and pasted into documents."""

from models_genesis_bundle.reports import as_table


def test_table_aligns_figures_and_leaves_missing_ones_empty():
    table = as_table([{"name": "a", "per_second": 1234.5}, {"name": "long", "per_second": 0.01234, "ratio": 2.0}])
    assert table.splitlines() == [
        "| name | per second | ratio |",
        "| ---- | ---------: | ----: |",
        "| a    |       1234 |       |",
        "| long |     0.0123 |     2 |",
    ]
