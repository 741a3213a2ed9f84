"""Results of many scans: each in its place, whole, and computed once."""

import json
import sys

import nibabel
import numpy as np
import pytest
import torch
from bundle_commands import ROOT, arguments
from models_genesis_bundle.data import (
    IntensityScaling,
    ScanPreprocessing,
    SeededDataset,
    SkippedScansError,
    SkipUnreadable,
)
from models_genesis_bundle.engines import ScanEvaluator
from models_genesis_bundle.reports import ScanResults
from monai.data import DataLoader
from scan_writers import truncate, write_scan

VOXELS = np.random.default_rng(0).normal(0, 50, (8, 9, 10)).astype(np.int16)
AS_THEY_ARE = ScanPreprocessing(intensity=IntensityScaling("window", -1000.0, 1000.0), orientation=None)


@pytest.fixture
def scans(tmp_path):
    """Three scans of two patients, the second one truncated."""
    files = [tmp_path / "scans" / name for name in ("a/ct.nii.gz", "b/ct.nii.gz", "b/late.nii.gz")]
    for number, file in enumerate(files):
        write_scan(file, VOXELS + number)
    truncate(files[1])
    return files


def results_of(scans, settings="the same", images=None, output=None):
    root = scans[0].parent.parent
    weights = root.parent / "model.pt"
    weights.write_bytes(b"weights")
    listed = [{"image": str(scan), "patient": scan.parent.name} for scan in scans]
    results = ScanResults(listed, root, output or root.parent / "out", weights, images or {"pred": "copy"})
    results.settings = settings
    return results


def run(results, num_workers=0):
    dataset = SkipUnreadable(SeededDataset(results.scans, AS_THEY_ARE))
    evaluator = ScanEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(dataset, sampler=results.missing, num_workers=num_workers),
        network=torch.nn.Identity(),
        val_handlers=[results],
    )
    evaluator.run()
    return evaluator


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("num_workers", [0, 1])
def test_each_scan_has_its_own_results_and_a_bad_one_costs_no_other(scans, tmp_path, num_workers, caplog):
    results = results_of(scans)
    evaluator = run(results, num_workers)
    assert files_in(tmp_path / "out") == ["a/ct_copy.nii.gz", "b/late_copy.nii.gz", "results.json"]
    written = nibabel.load(tmp_path / "out" / "b" / "late_copy.nii.gz")
    original = nibabel.load(scans[2])
    np.testing.assert_allclose(written.affine, original.affine, atol=1e-5)
    np.testing.assert_allclose(written.get_fdata() * 2000 - 1000, original.get_fdata(), atol=1e-3)
    assert list(evaluator.skipped) == [str(scans[1])]
    assert "1 of 3 scans could not be used:" in caplog.text
    with pytest.raises(SkippedScansError, match=r"(?s)1 of 3 .*b/ct\.nii\.gz: it cannot .*other 2 are in .*out"):
        results.require_all(evaluator.skipped)


def test_a_second_run_does_what_is_left(scans):
    run(results_of(scans))
    write_scan(scans[1], VOXELS)
    again = results_of(scans)
    assert again.missing == [1]
    run(again).run()
    assert results_of(scans).missing == []
    assert run(results_of(scans)).skipped == {}


@pytest.mark.parametrize("change", ["scan", "settings", "result", "kind", "record", "unknown"])
def test_what_has_changed_is_computed_anew(scans, tmp_path, change):
    scans = [scans[0], scans[2]]
    run(results_of(scans, settings=None if change == "unknown" else "the same"))
    changed = {}
    if change == "scan":
        write_scan(scans[0], VOXELS[:4])
    elif change == "settings":
        changed = {"settings": "others"}
    elif change == "result":
        (tmp_path / "out" / "a" / "ct_copy.nii.gz").unlink()
    elif change == "kind":
        changed = {"images": {"pred": "copy", "image": "input"}}
    elif change == "record":
        (tmp_path / "out" / "results.json").write_text("[1]")
    else:
        changed = {"settings": None}
    assert results_of(scans, **changed).missing == ([0] if change in ("scan", "result") else [0, 1])


def test_weights_and_settings_count_but_not_where_and_how_fast(scans, tmp_path, monkeypatch):
    def settings(content=b"weights", **overrides):
        (tmp_path / "weights.pt").write_bytes(content)
        words = ["run", "inferring", "--config_file", str(ROOT / "configs" / "inference.yaml"), *arguments(**overrides)]
        monkeypatch.setattr(sys, "argv", ["site/monai/bundle/__main__.py", *words])
        return ScanResults([], tmp_path, tmp_path / "out", tmp_path / "weights.pt", {}).settings

    usual = settings()
    assert (
        settings(output_dir="elsewhere", dataset_dir="scans", sw_batch_size=1, device="$torch.device('cpu')") == usual
    )
    assert len({usual, settings(overlap=0.25), settings(b"others"), settings(**{"by_window::mode": "constant"})}) == 4
    monkeypatch.setattr(sys, "argv", ["notebook"])
    assert ScanResults([], tmp_path, tmp_path / "out", tmp_path / "weights.pt", {}).settings is None


def test_an_interrupted_run_leaves_whole_files_and_its_remains_are_removed(scans, tmp_path, monkeypatch):
    results = results_of([scans[0], scans[2]])
    save, calls = nibabel.save, []

    def stop_in_the_middle(image, path):
        calls.append(path)
        save(image, path)
        assert not list(path.parent.glob("*_copy.nii.gz")), "what is not finished is not found by the results' names"
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(nibabel, "save", stop_in_the_middle)
    with pytest.raises(KeyboardInterrupt):
        run(results)
    (tmp_path / "out" / "b" / ".unfinished-1-late_copy.nii.gz").write_bytes(b"half")
    assert not (tmp_path / "out" / "b" / "late_copy.nii.gz").exists()
    assert list(json.loads((tmp_path / "out" / "results.json").read_text())) == ["a/ct"]
    monkeypatch.undo()
    again = results_of([scans[0], scans[2]])
    assert again.missing == [1]
    run(again)
    assert files_in(tmp_path / "out") == ["a/ct_copy.nii.gz", "b/late_copy.nii.gz", "results.json"]


@pytest.mark.parametrize("place", ["", "b"])
def test_results_beside_the_scans_are_refused(scans, place):
    root = scans[0].parent.parent
    with pytest.raises(
        ValueError, match=r"output_dir .*: [23] of the scans are in this folder, the first is .*ct\.nii\.gz"
    ):
        results_of(scans, output=root / place)
    assert results_of(scans, output=root / "results").missing == [0, 1, 2]
    assert results_of(scans, output=root.parent).missing == [0, 1, 2]


def test_results_of_other_scans_with_the_same_names_are_kept(scans, tmp_path):
    run(results_of([scans[0], scans[2]]))
    moved = tmp_path / "scans" / "other"
    others = [write_scan(moved / scan.relative_to(tmp_path / "scans"), VOXELS - 1) for scan in (scans[0], scans[2])]
    with pytest.raises(
        ValueError, match=r"out: 2 results of other scans .* that of .*/a/ct\.nii\.gz by that of .*other"
    ):
        results_of(others, output=tmp_path / "out").missing  # noqa: B018
    linked = tmp_path / "linked"
    linked.symlink_to(tmp_path / "scans")
    assert results_of([linked / "a" / "ct.nii.gz"], output=tmp_path / "out").missing == [0]
    for scan in scans:
        scan.unlink()
    assert results_of(others, output=tmp_path / "out").missing == [0, 1], "the scans were moved"
