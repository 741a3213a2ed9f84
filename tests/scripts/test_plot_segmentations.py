from __future__ import annotations

import runpy

import fire
import nibabel
import numpy as np
import pytest
from matplotlib.figure import Figure


@pytest.fixture
def plot(root):
    return runpy.run_path(str(root / "scripts" / "plot_segmentations.py"))["plot"]


def write(folder, name, values):
    folder.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(values.astype(np.int16), np.diag([2.0, 2.0, 2.0, 1.0])), folder / f"{name}.nii.gz")


@pytest.fixture
def folders(tmp_path):
    """Five cases: case 0 gains nothing, case 4 most; one prediction is missing."""
    label = np.zeros((24, 24, 12))
    label[6:18, 6:18, 3:9] = 1
    for number in range(5):
        write(tmp_path / "images", f"case_{number}", 100 * label + number)
        write(tmp_path / "labels", f"case_{number}", label)
        shifted = np.roll(label, number, axis=0)
        write(tmp_path / "scratch" / "nested", f"case_{number}_segmentation", shifted)
        if number != 3:
            write(tmp_path / "own", f"case_{number}_segmentation", label)
    return tmp_path


def test_the_cases_run_from_the_largest_gain_to_the_smallest(plot, folders, monkeypatch):
    titles = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: titles.append(texts(figure)))
    predictions = {"scratch": str(folders / "scratch"), "own": str(folders / "own")}
    plot(predictions, str(folders / "images"), str(folders / "labels"), output=str(folders / "page.png"))
    rows, columns = titles[0]
    assert rows == ["case_4", "case_1", "case_0"]
    assert columns == [
        f"{name}: Dice {dice}"
        for pair in (("0.667", "1.000"), ("0.917", "1.000"), ("1.000", "1.000"))
        for name, dice in zip(("scratch", "own"), pair, strict=True)
    ]


def texts(figure):
    axes = figure.axes
    return [title for axis in axes if (title := axis.get_title(loc="left"))], [axis.get_xlabel() for axis in axes]


def test_it_writes_a_picture(plot, folders):
    predictions = f"{{scratch: {folders / 'scratch'}, own: {folders / 'own'}}}"  # as on the command line
    words = [predictions, str(folders / "images"), str(folders / "labels"), "--num_cases", "1"]
    path = fire.Fire(plot, [*words, "--output", str(folders / "page.png")])
    assert (folders / "page.png").read_bytes().startswith(b"\x89PNG")
    assert path == str(folders / "page.png")


def test_networks_without_names_or_a_common_case_and_unknown_planes_are_refused(plot, folders):
    predictions = {"scratch": str(folders / "scratch"), "other": str(folders / "labels")}
    with pytest.raises(SystemExit, match="expected folders by name"):
        plot(["scratch", "own"], str(folders / "images"), str(folders / "labels"))
    with pytest.raises(SystemExit, match="--plane: expected one of axial, coronal, sagittal, found 'front'"):
        plot(predictions, str(folders / "images"), str(folders / "labels"), plane="front")
    with pytest.raises(SystemExit, match=r"no <case>_segmentation\.nii\.gz is in all of"):
        plot(predictions, str(folders / "images"), str(folders / "labels"))
