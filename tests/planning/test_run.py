"""A planning as a user runs it, and the training with its files."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from bundle_commands import TINY, arguments, run_here
from empty_files import touch
from models_genesis_bundle.data import pretraining_datalist
from models_genesis_bundle.data.scans.quality import ScanFacts
from models_genesis_bundle.engines import read_metrics
from models_genesis_bundle.planning import Device, Fingerprint, Plan, Setting, make_plan, write_overlay
from models_genesis_bundle.planning.plan_folder import label_maps, training_hours, write_datalist
from models_genesis_bundle.planning.report import example_scans
from monai.bundle import ConfigParser

SMALL = {
    "plan::features": "[4,8]",
    "plan::training_cubes": 30,
    "plan_folder::examples": 2,
    "plan_folder::seconds": 0,
    "fingerprint::num_workers": 0,
    "device": "cpu",
}


def plan(dataset_dir: Path, output_dir: Path) -> None:
    words = arguments(dataset_dir=dataset_dir, output_dir=output_dir, **SMALL)
    run_here("run", "planning", "--config_file", "configs/plan.yaml", *words)


@pytest.fixture(scope="module")
def planned(phantoms, tmp_path_factory) -> Path:
    """The folder of a planning for four phantoms with labels."""
    folder = tmp_path_factory.mktemp("planned")
    plan(phantoms, folder)
    return folder


def test_the_datalist_is_explicit_and_can_be_passed_back(planned, phantoms):
    content = json.loads((planned / "datalist.json").read_text())
    entries = content["training"] + content["validation"]
    assert {entry["patient"] for entry in entries} == {f"phantom_00{number}" for number in range(4)}
    assert content["left_out"] == []
    for entry in entries:
        assert not Path(entry["image"]).is_absolute()
        assert (planned / entry["image"]).resolve() == (phantoms / "images" / f"{entry['patient']}.nii.gz").resolve()
        assert (planned / entry["label"]).resolve() == (phantoms / "labels" / f"{entry['patient']}.nii.gz").resolve()
    read = pretraining_datalist(planned / "datalist.json")
    assert [[scan["patient"] for scan in read[name]] for name in ("training", "validation")] == [
        [entry["patient"] for entry in content[name]] for name in ("training", "validation")
    ]


def test_the_overlay_trains_as_it_is(planned, tmp_path):
    values = yaml.safe_load((planned / "plan.yaml").read_text())
    small = {name: value for name, value in TINY.items() if name not in values}
    small |= {"output_dir": tmp_path, "max_epochs": 1, "cubes_per_scan": 2, "num_workers": 0}
    files = f"['configs/pretrain.yaml','{planned / 'plan.yaml'}']"
    run_here("run", "training", "--config_file", files, *arguments(**small))
    assert [line["epoch"] for line in read_metrics(tmp_path / "metrics.csv")] == [1]
    resolved = yaml.safe_load((tmp_path / "config.yaml").read_text())
    assert resolved["network_def"]["features"] == [4, 8]
    assert resolved["scan_preprocessing"]["spacing"] == values["scan_preprocessing::spacing"] == [5.0, 5.0, 6.0]
    assert resolved["optimizer"]["_target_"].endswith("Muon")


def test_every_setting_of_the_overlay_has_its_reason_above_it(planned):
    lines = (planned / "plan.yaml").read_text().splitlines()
    settings = [number for number, line in enumerate(lines) if re.match(r"[a-z_:]+:( |$)", line)]
    assert len(settings) > 12
    assert all(lines[number - 1].startswith("# ") for number in settings)
    known = ConfigParser.load_config_file("configs/pretrain.yaml")
    assert {lines[number].split(":")[0] for number in settings} <= set(known)


def test_the_report_holds_its_pictures_and_needs_nothing_else(planned):
    page = (planned / "report.html").read_text(encoding="utf-8")
    sources = re.findall(r'src="([^"]*)"', page)
    assert len(sources) == 2 + 2 + 3
    for source in sources:
        kind, _, data = source.partition(";base64,")
        assert kind == "data:image/png"
        assert base64.b64decode(data).startswith(b"\x89PNG")
    assert not re.search(r"https?://|<script|<link|url\(", page)
    assert re.search(r"Measured on CPU, \d+ cores: .* cubes per second", page)
    assert "No scan is left out." in page


def test_the_same_folder_gives_the_same_files_and_keeps_the_earlier_ones(planned, phantoms):
    before = {name: (planned / name).read_text() for name in ("datalist.json", "plan.yaml", "report.html")}
    (planned / "datalist.json").write_text("corrected by hand")
    plan(phantoms, planned)
    for name in ("datalist.json", "plan.yaml"):
        assert (planned / name).read_text() == before[name]
    pictures = [
        re.findall('base64,([^"]*)', text) for text in (before["report.html"], (planned / "report.html").read_text())
    ]
    assert pictures[0] == pictures[1]
    assert (planned / "previous" / "1" / "datalist.json").read_text() == "corrected by hand"


def test_a_plan_for_its_own_datalist_lists_the_same_scans_and_label_maps(planned):
    before = json.loads((planned / "datalist.json").read_text())
    plan(planned / "datalist.json", planned)
    after = json.loads((planned / "datalist.json").read_text())
    assert [after[name] for name in ("training", "validation")] == [before[name] for name in ("training", "validation")]


def test_label_maps_are_listed_without_a_second_report_of_the_data(phantoms, tmp_path, caplog):
    caplog.set_level("INFO")
    scans = [{"image": str(phantoms / "images" / "phantom_000.nii.gz"), "patient": "phantom_000"}]
    found = Fingerprint(str(phantoms), 3, "CT", {"training": scans}, {}, [], [])
    write_datalist(tmp_path / "datalist.json", found, label_maps(str(phantoms)))
    (entry,) = json.loads((tmp_path / "datalist.json").read_text())["training"]
    assert (tmp_path / entry["label"]).resolve() == (phantoms / "labels" / "phantom_000.nii.gz").resolve()
    touch(tmp_path, "some/images/a.nii", "some/images/b.nii", "some/labels/a.nii")
    assert list(label_maps(str(tmp_path / "some"))) == [str(tmp_path / "some" / "images" / "a.nii")]
    assert not caplog.records
    pretraining_datalist(tmp_path / "some", validation_fraction=1)
    assert caplog.records, "other reports stay"


def test_a_scan_that_becomes_flat_is_not_an_example(phantoms):
    """The smallest scan is the first example, and a thin one is the smallest."""
    facts = ScanFacts((64, 64, 48), (5.0, 5.0, 6.0), "CT", -1000, 1000, -1000, 0, 900, 0.1, True)
    thin = replace(facts, shape=(64, 64, 3), spacing=(5.0, 5.0, 1.0))
    image = str(phantoms / "images" / "phantom_000.nii.gz")
    found = Fingerprint(str(phantoms), 3, "CT in HU", {}, {"thin.nii.gz": thin, image: facts}, [], [])
    made = make_plan([facts], "CT in HU", 3, Device("CPU", None, 2))
    assert [example.path for example in example_scans(found, made, 3)] == [image]


def test_what_is_left_out_stands_in_the_datalist_with_its_rule(tmp_path):
    scans = {"training": [{"image": str(tmp_path / "data" / "a.nii.gz"), "patient": "a"}], "validation": [], "test": []}
    excluded = {"patient": "b", "rule": "few_slices", "reason": "it has 2 slices."}
    left_out = [{"image": str(tmp_path / "data" / "b.nii.gz"), **excluded}]
    found = Fingerprint(str(tmp_path / "data"), 3, "MR", scans, {}, left_out, [])
    write_datalist(tmp_path / "plan" / "datalist.json", found, {})
    content = json.loads((tmp_path / "plan" / "datalist.json").read_text())
    assert content["training"] == [{"image": "../data/a.nii.gz", "patient": "a"}]
    assert content["left_out"] == [{"image": "../data/b.nii.gz", **excluded}]


def test_reasons_of_any_length_and_sign_leave_the_overlay_readable(tmp_path):
    facts = ScanFacts((100, 100), (0.2, 0.2), "", 0.0, 255.0, 0.0, 3.0, 6.0, 0.1, True)
    made = make_plan([facts], "X-ray", 3, Device("CPU: 2 cores # fast", None, 2))
    write_overlay(tmp_path / "plan.yaml", made.settings, "for\n  a: command")
    assert yaml.safe_load((tmp_path / "plan.yaml").read_text()) == made.values
    assert max(map(len, (tmp_path / "plan.yaml").read_text().splitlines())) <= 118


def test_hours_count_validation_as_a_third():
    plan = Plan((Setting("max_epochs", 10, ""), Setting("cubes_per_scan", 36, "")))
    datalist = {"training": [{}] * 100, "validation": [{}] * 30}
    assert training_hours(plan, datalist, cubes_per_second=10) == pytest.approx(1.1)
