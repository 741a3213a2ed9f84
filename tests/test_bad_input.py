"""Bad input is named, with what was expected and what to do; docs/reference/bad_input.md says the same.

Here are the rows of its table that no other test has. A misspelt setting and a loss that is no number are in
test_pretrain.py, full disks and truncated files in weights/test_checkpoint_file.py, other networks in
weights/test_model_file.py and test_inference.py, and the rarer faults of scans, lists and stores in data/.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from bundle_commands import ROOT
from models_genesis_bundle.data import CubeSampler, ScanCubes, ScanError, ScanPreprocessing, SkippedScansError, Volumes
from models_genesis_bundle.engines import read_metrics
from scan_writers import truncate, write_dicom, write_scan

TISSUE = np.random.default_rng(0).normal(50, 20, (40, 40, 24)).astype(np.int16)


def truncated(folder: Path) -> Path:
    return truncate(write_scan(folder / "truncated.nii.gz", TISSUE))


def other_content(folder: Path) -> Path:
    (folder / "page.nrrd").write_text("<html>404</html>")
    return folder / "page.nrrd"


def flat(folder: Path) -> Path:
    return write_scan(folder / "flat.nii.gz", TISSUE[..., :1])


def series(folder: Path) -> Path:
    return write_scan(folder / "series.nii.gz", np.stack([TISSUE, TISSUE], axis=-1))


def with_voxel(name: str, value: float):
    def write(folder: Path) -> Path:
        array = TISSUE.astype(np.float32)
        array[3, 4, 5] = value
        return write_scan(folder / name, array)

    return write


def constant(folder: Path) -> Path:
    return write_scan(folder / "constant.mha", np.full_like(TISSUE, -1000))


def gap(folder: Path) -> Path:
    (write_dicom(folder / "gap", TISSUE) / "1-12.dcm").unlink()
    return folder / "gap"


def air(folder: Path) -> Path:
    array = np.full((60, 60, 40), -1000, dtype=np.int16)
    array[:5, :5, :5] = 50
    return write_scan(folder / "air.nii.gz", array)


def said(error: BaseException) -> str:
    """What the traceback of a command shows: the errors, the first one first."""
    messages = [str(error)]
    while error.__cause__ is not None:
        error = error.__cause__
        messages.insert(0, str(error))
    return "\n".join(messages)


def documented(message: str) -> bool:
    """Whether docs/reference/bad_input.md quotes a message, with an ellipsis where names and numbers stand."""
    quotes = re.findall("`([^`]+)`", (ROOT / "docs" / "reference" / "bad_input.md").read_text())
    patterns = (".*".join(re.escape(part.strip()) for part in quote.split("…")) for quote in quotes if len(quote) > 15)
    return any(re.search(pattern, message, re.DOTALL) for pattern in patterns)


UNUSABLE = {
    truncated: "It may be truncated or damaged: copy it again, or leave it out.",
    other_content: "it cannot be read",
    flat: "has no 3 axes longer than 1",
    series: "has 4 axes instead of 3: 2 volumes.",
    with_voxel("nan.nii.gz", np.nan): "1 of its 38400 voxels are NaN or infinite.",
    with_voxel("infinite.nrrd", np.inf): "1 of its 38400 voxels are NaN or infinite.",
    constant: "it is constant: every voxel is -1000.",
    gap: "slices are missing",
    air: "of its voxels have the same value. [mostly_padding]",
}
IDS = ["truncated", "other content", "2D", "4D", "NaN", "infinite", "constant", "DICOM gap", "air"]


@pytest.mark.parametrize(("write", "gist"), UNUSABLE.items(), ids=IDS)
def test_an_unusable_scan_is_left_out_by_name_and_fatal_by_option_or_alone(tmp_path, phantoms, caplog, write, gist):
    good = {"image": str(phantoms / "images" / "phantom_000.nii.gz"), "patient": "good"}
    bad = {"image": str(write(tmp_path)), "patient": "bad"}

    def cubes(directory, scans, **settings):
        volumes = Volumes(tmp_path / directory, scans, ScanPreprocessing(), num_workers=0, **settings)
        return ScanCubes(volumes, scans, CubeSampler((32, 32, 16)), cubes_per_scan=2)

    found = cubes("cache", [bad, good])
    assert found.images == [good["image"]]
    said = {**found.volumes.left_out, **found.without}
    assert gist in said[bad["image"]]
    assert documented(said[bad["image"]].rpartition(" [")[0] or said[bad["image"]])
    assert f"{bad['image']}: " in caplog.text
    if write is not air:
        with pytest.raises(ScanError, match="bad|" + Path(bad["image"]).name) as raised:
            cubes("strict", [bad, good], on_unreadable="raise")
        assert gist in str(raised.value)
    with pytest.raises(SkippedScansError, match="None of the 1 scans could be used") as raised:
        cubes("alone", [bad])
    assert f"{bad['image']}: " in str(raised.value)
    assert gist in str(raised.value)


@pytest.fixture
def mixed(tmp_path, phantoms) -> Path:
    """A datalist of two good scans for training, one for validation, one too small, and one of each unusable kind."""
    folder = tmp_path / "mixed"
    folder.mkdir()
    good = [str(phantoms / "images" / f"phantom_{number:03d}.nii.gz") for number in range(3)]
    small = write_scan(folder / "small.nii.gz", TISSUE[:28])
    bad = [str(write(folder)) for write in UNUSABLE]
    (folder / "datalist.json").write_text(
        json.dumps({"training": [*good[:2], str(small), *bad], "validation": good[2:]})
    )
    return folder


def test_a_run_goes_on_with_the_good_scans_and_says_which_it_left_out(pretrain, tmp_path, mixed, capfd):
    pretrain(tmp_path / "run", dataset_dir=mixed, max_epochs=1)
    printed = capfd.readouterr().out
    assert "12 cubes of 3 scans" in printed
    assert f"{len(UNUSABLE)} of {len(UNUSABLE) + 4} scans could not be used:" in printed
    assert "1 scans are smaller than a cube and are padded" in printed
    for gist in UNUSABLE.values():
        assert gist in printed
    assert read_metrics(tmp_path / "run" / "metrics.csv")[0]["val_mse"] > 0


def test_by_option_the_first_unreadable_scan_ends_the_run(pretrain, tmp_path, mixed):
    with pytest.raises(RuntimeError) as raised:
        pretrain(tmp_path / "run", dataset_dir=mixed, on_unreadable="raise")
    assert f"{mixed / 'constant.mha'}: it is constant: every voxel is -1000. Leave it out." in said(raised.value)
    assert not (tmp_path / "run" / "checkpoints" / "model.pt").exists()


def test_by_option_small_scans_are_left_out(pretrain, tmp_path, mixed, capfd):
    pretrain(tmp_path / "run", dataset_dir=mixed, max_epochs=1, **{"cube_sampler::small_scans": "skip"})
    printed = capfd.readouterr().out
    assert "1 of 3 scans could not be used:" in printed
    assert "small.nii.gz: its shape (24, 28, 40) is below the cube (32, 32, 16)." in printed


def test_one_volume_of_several_is_taken_by_option(pretrain, tmp_path, phantoms):
    for file in sorted((phantoms / "images").iterdir())[:2]:
        scan = nibabel.load(file)
        volumes = np.stack([np.full(scan.shape, -1000), scan.get_fdata()], axis=-1).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(volumes, scan.affine), tmp_path / file.name)
    pretrain(tmp_path / "run", dataset_dir=tmp_path, max_epochs=1, **{"scan_preprocessing::volume": 1})
    assert read_metrics(tmp_path / "run" / "metrics.csv")[0]["val_mse"] > 0


def empty(folder: Path, scans: list[str]) -> dict[str, object]:
    (folder / "empty").mkdir()
    return {"dataset_dir": folder / "empty"}


def absent(folder: Path, scans: list[str]) -> dict[str, object]:
    return {"dataset_dir": folder / "none"}


def split(folder: Path, **sections: object) -> dict[str, object]:
    (folder / "split.json").write_text(json.dumps(sections))
    return {"split::split_file": folder / "split.json"}


def split_without_validation(folder: Path, scans: list[str]) -> dict[str, object]:
    return split(folder, train=scans[:2], held_out=scans[2:])


def split_of_absent_scans(folder: Path, scans: list[str]) -> dict[str, object]:
    return split(folder, training=[*scans[:2], "gone.nii.gz"], validation=scans[2:])


def patient_on_both_sides(folder: Path, scans: list[str]) -> dict[str, object]:
    people = [{"image": scan, "patient": patient} for scan, patient in zip(scans, "aba", strict=False)]
    return split(folder, training=people[:2], validation=people[2:])


def scan_listed_twice(folder: Path, scans: list[str]) -> dict[str, object]:
    return split(folder, training=[scans[0], scans[0]], validation=scans[2:])


def indivisible_cubes(folder: Path, scans: list[str]) -> dict[str, object]:
    return {"cube_size": "[32,32,15]"}


def unknown_orientation(folder: Path, scans: list[str]) -> dict[str, object]:
    return {"scan_preprocessing::orientation": "RAX"}


REFUSED = {
    empty: "no scan in this folder or its subfolders. Looked for .nii.gz",
    absent: "there is no such folder or datalist. Check dataset_dir.",
    split_without_validation: "validation is missing or empty; expected",
    split_of_absent_scans: "1 of the listed scans do not exist: gone.nii.gz. Paths are relative to",
    patient_on_both_sides: "Some patients are in more than one list of the split:",
    scan_listed_twice: "The same scan is listed twice:",
    indivisible_cubes: "every side must be divisible by 2",
    unknown_orientation: "orientation must name one of L and R, of P and A, of I and S",
}


@pytest.mark.parametrize(("prepare", "gist"), REFUSED.items(), ids=[prepare.__name__ for prepare in REFUSED])
def test_a_run_that_cannot_be_right_is_refused(pretrain, phantoms, tmp_path, prepare, gist):
    scans = [str(path) for path in sorted((phantoms / "images").iterdir())]
    with pytest.raises((RuntimeError, ValueError)) as raised:
        pretrain(tmp_path / "run", **prepare(tmp_path, scans[:3]))
    assert gist in said(raised.value)
    assert documented(said(raised.value))
    assert not (tmp_path / "run" / "checkpoints" / "last.pt").exists()


def test_a_truncated_state_is_not_resumed_from(pretrain, pretrained, tmp_path):
    shutil.copytree(pretrained / "checkpoints", tmp_path / "checkpoints")
    truncate(tmp_path / "checkpoints" / "last.pt")
    with pytest.raises(RuntimeError) as raised:
        pretrain(tmp_path, resume="true")
    assert re.search(r"last\.pt: the checkpoint is truncated or damaged .* use an earlier one", said(raised.value))


def test_the_state_of_another_network_is_not_resumed_from(pretrain, pretrained, tmp_path):
    shutil.copytree(pretrained / "checkpoints", tmp_path / "checkpoints")
    before = (tmp_path / "checkpoints" / "last.pt").read_bytes()
    with pytest.raises(RuntimeError) as raised:
        pretrain(tmp_path, resume="true", max_epochs=5, **{"network_def::features": "[4,16]"})
    message = r"last\.pt: a checkpoint of another network: .*features is \[4, 8\] in the file and \[4, 16\] here"
    assert re.search(message, said(raised.value))
    assert (tmp_path / "checkpoints" / "last.pt").read_bytes() == before
