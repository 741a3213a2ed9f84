"""Scans that cannot be used are skipped; any other error ends the run."""

import time
from pathlib import Path
from threading import Event

import numpy as np
import pytest
from bundle_commands import root_cause
from models_genesis_bundle.data import (
    IntensityScaling,
    LabelledPreprocessing,
    PatchCentresd,
    ReadableScans,
    ScanCompose,
    ScanError,
    ScanPreprocessing,
    SeededDataset,
    SkippedScansError,
    SkipUnreadable,
)
from models_genesis_bundle.data.scans.labelled_preprocessing import UnknownLabelsError
from monai.transforms import Compose, Lambdad, SpatialPadd
from scan_writers import truncate, write_scan

VOXELS = np.random.default_rng(0).normal(0, 50, (8, 9, 10)).astype(np.int16)
LABELS = (VOXELS > 0).astype(np.uint8)


@pytest.fixture
def pairs(tmp_path):
    """Two good pairs; between them a truncated scan, a label of another shape, and a label with fractions."""
    items = []
    for name in ("a", "truncated", "shape", "values", "z"):
        image = write_scan(tmp_path / f"{name}.nii.gz", VOXELS)
        label = write_scan(tmp_path / "labels" / f"{name}.nii.gz", LABELS[1:] if name == "shape" else LABELS)
        items.append({"image": str(image), "label": str(label)})
    truncate(tmp_path / "truncated.nii.gz")
    write_scan(tmp_path / "labels" / "values.nii.gz", LABELS * np.float32(0.5))
    return items


@pytest.mark.parametrize("cache_rate", [0.0, 0.4, 1.0])
def test_what_can_be_used_is_the_same_however_much_is_kept_in_memory(pairs, caplog, cache_rate):
    scans = ReadableScans(pairs, LabelledPreprocessing(ScanPreprocessing()), cache_rate=cache_rate)
    assert scans.data == [pairs[0], pairs[-1]]
    assert [item["image"].meta["filename_or_obj"] for item in scans] == [pairs[0]["image"], pairs[-1]["image"]]
    assert list(scans.skipped) == [pair["image"] for pair in pairs[1:4]]
    assert "3 of 5 scans could not be used:" in caplog.text
    assert f"{pairs[1]['image']}: it cannot be read" in caplog.text
    assert f"{pairs[2]['image']}: {pairs[2]['label']}: its shape (7, 9, 10) differs from (8, 9, 10)" in caplog.text


def test_by_option_the_first_one_is_raised_and_without_any_good_one_all_are_named(pairs):
    steps = LabelledPreprocessing(ScanPreprocessing())
    with pytest.raises(ScanError, match=r"truncated\.nii\.gz: it cannot be read"):
        ReadableScans(pairs, steps, on_unreadable="raise")
    with pytest.raises(SkippedScansError, match=r"(?s)None of the 2 scans could be used:.*truncated.*shape"):
        ReadableScans(pairs[1:3], steps)
    with pytest.raises(ValueError, match="on_unreadable must be skip or raise, got 'ignore'"):
        ReadableScans(pairs, steps, on_unreadable="ignore")


def test_a_label_without_a_class_ends_the_run_since_the_settings_may_be_wrong(pairs):
    steps = LabelledPreprocessing(ScanPreprocessing(), num_classes=2)
    write_scan(Path(pairs[0]["label"]), LABELS * 2)
    with pytest.raises(
        UnknownLabelsError, match=r"a\.nii\.gz: labels for 2 classes with the background lie in 0 … 1, found 2"
    ):
        ReadableScans([pairs[0], pairs[-1]], steps)


def test_an_error_waits_for_the_threads_that_still_read(pairs):
    """Python aborts if a thread still computes with torch while the interpreter ends."""
    second_reads, finished = Event(), []

    def read(image):
        if image.meta["filename_or_obj"] == pairs[0]["image"]:
            second_reads.wait(timeout=10)
            raise UnknownLabelsError(pairs[0]["label"], "found 7.", "")
        second_reads.set()
        time.sleep(0.3)
        finished.append(True)

    steps = ScanCompose([*ScanPreprocessing().transforms, Lambdad("image", read)])
    with pytest.raises(UnknownLabelsError):
        ReadableScans([pairs[0], pairs[-1]], steps, num_workers=2)
    assert finished


@pytest.mark.parametrize("cache_rate", [0.0, 1.0])
def test_training_labels_without_any_foreground_are_refused(pairs, cache_rate):
    good = [pairs[0], pairs[-1]]
    steps = ScanCompose([LabelledPreprocessing(ScanPreprocessing()), PatchCentresd("label")])
    write_scan(Path(good[0]["label"]), LABELS * 0)
    ReadableScans(good, steps, cache_rate=cache_rate, foreground_key="label_fg_indices")
    write_scan(Path(good[1]["label"]), LABELS * 0)
    with pytest.raises(ValueError, match=r"All voxels of all 2 training labels are 0 .*a\.nii\.gz"):
        ReadableScans(good, steps, cache_rate=cache_rate, foreground_key="label_fg_indices")


@pytest.mark.parametrize("cache_rate", [0.0, 1.0])
@pytest.mark.parametrize(("lowest", "warned"), [(0, True), (-600, False)])
def test_scans_that_are_not_in_hu_but_scaled_as_ct_are_warned_of(pairs, caplog, cache_rate, lowest, warned):
    """MR, with the default weights of CT: the run would go on with half of the intensities unused or clipped."""
    for pair in pairs[0], pairs[-1]:
        write_scan(Path(pair["image"]), np.linspace(lowest, 1500, VOXELS.size, dtype=np.float32).reshape(VOXELS.shape))
    steps = ScanCompose([LabelledPreprocessing(ScanPreprocessing()), SpatialPadd("image", 16)])  # padded with -1000 HU
    ReadableScans([pairs[0], pairs[-1]], steps, cache_rate=cache_rate)
    assert ("2 of 2 scans are not in HU, but all are scaled as CT in HU" in caplog.text) == warned
    caplog.clear()
    list(SkipUnreadable(SeededDataset([pairs[0], pairs[-1]], ScanPreprocessing())))
    assert caplog.text.count("is not in HU, but it is scaled as CT in HU") == warned, "of the first"
    caplog.clear()
    percentiles = ScanPreprocessing(intensity=IntensityScaling("percentile", 0.5, 99.5))
    ReadableScans([pairs[0], pairs[-1]], LabelledPreprocessing(percentiles))
    list(SkipUnreadable(SeededDataset([pairs[0], pairs[-1]], percentiles)))
    assert not caplog.text


def test_an_item_tells_why_its_scan_is_skipped(pairs):
    scans = SkipUnreadable(SeededDataset(pairs, Compose([ScanPreprocessing()])))
    assert [set(item) for item in scans] == [{"image", "label"}, {"skipped"}, *[{"image", "label"}] * 3]
    assert scans[1]["skipped"]["image"] == pairs[1]["image"]
    assert scans[1]["skipped"]["reason"].startswith("it cannot be read")
    with pytest.raises(ScanError, match="it cannot be read"):
        SkipUnreadable(scans.dataset, on_unreadable="raise")[1]


@pytest.mark.parametrize("error", [MemoryError("2 GiB"), KeyError("a bug")])
def test_what_is_not_the_fault_of_a_scan_is_raised(pairs, error):
    def fail(image):
        raise error

    steps = [*ScanPreprocessing().transforms, Lambdad("image", fail)]
    with pytest.raises(RuntimeError) as raised:
        SkipUnreadable(SeededDataset(pairs, Compose(steps)))[0]
    assert root_cause(raised.value) is error
    with pytest.raises(RuntimeError) as raised:
        ReadableScans(pairs, ScanCompose(steps))
    assert root_cause(raised.value) is error


def test_a_scan_that_the_memory_cannot_hold_is_not_called_damaged(pairs, monkeypatch):
    def fail(*args, **kwargs):
        raise MemoryError("2 GiB")

    monkeypatch.setattr("models_genesis_bundle.data.scans.load_scan.read_raw_scan", fail)
    with pytest.raises(RuntimeError) as raised:
        SkipUnreadable(SeededDataset(pairs, ScanPreprocessing()))[0]
    assert isinstance(root_cause(raised.value), MemoryError)
