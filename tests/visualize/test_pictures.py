import os

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from models_genesis_bundle.data import IntensityScaling
from models_genesis_bundle.data.scans.preprocessing import RAS_LABELS
from models_genesis_bundle.visualize import (
    draw_cube,
    gallery_figure,
    metric_curves,
    restoration_figure,
    save_figure,
    try_to_save_figure,
)
from models_genesis_bundle.visualize.slices import middle_slice
from monai.data import MetaTensor
from monai.transforms import Orientation


def test_pictures_show_the_patient_upright():
    volume = np.zeros((6, 8, 10))
    volume[-1, 4, 5] = 1  # right
    volume[3, -1, 5] = 2  # front
    volume[3, 4, -1] = 3  # head
    axial = middle_slice(volume, "axial")
    assert axial.shape == (8, 6)
    assert axial[:, 0].max() == 1
    assert axial[0].max() == 2
    assert middle_slice(volume, "coronal")[0].max() == 3
    assert middle_slice(volume, "sagittal")[:, 0].max() == 2


@pytest.mark.parametrize("shape", [(1, 16, 16, 8), (2, 16, 16)])
def test_restoration_panel(tmp_path, shape):
    cubes = [torch.rand(shape) for _ in range(3)]
    figure = restoration_figure(cubes[:2], cubes[1:], [cubes[0], cubes[2]], title=os.fsdecode(b"$_{$ t\xe4st"))
    assert len(figure.axes) == 2 * 4 * (2 if len(shape) == 4 else 1) + 1
    assert not any(axis.texts for axis in figure.axes)  # the orientation is unknown
    assert figure.axes[-1].get_ylabel() == "absolute error\n(intensities 0 … 1)"
    assert figure.axes[-1].get_ylim() == (0, 0.5)
    picture = imread(save_figure(figure, tmp_path / "new" / "panel.png"))
    assert picture.std() > 0.1


def test_restorations_of_any_orientation_are_drawn_upright_with_the_sides_of_the_patient():
    cube = torch.rand(1, 8, 6, 4)
    upright = MetaTensor(cube, affine=torch.diag(torch.tensor([1.0, 2.0, 3.0, 1.0])))
    turned = Orientation("PIL", labels=RAS_LABELS)(upright)
    figures = [restoration_figure([scan], [scan], [scan.as_tensor()]) for scan in (upright, turned)]
    for one, other in zip(*(figure.axes[:8] for figure in figures), strict=True):
        assert np.array_equal(one.images[0].get_array(), other.images[0].get_array())
        assert one.get_aspect() == other.get_aspect() == (2 if "axial" in one.get_title() else 3)
        assert [text.get_text() for text in other.texts] == ["R", "L"]


def test_gallery():
    scan = np.zeros((1, 60, 60, 40), dtype=np.float32)
    scan[:, 10:50, 10:50] = np.random.default_rng(0).random((40, 40, 40)) * 0.3 + 0.4
    cube = draw_cube(scan, IntensityScaling(), (32, 32, 24), seed=0)
    assert cube.shape == (1, 32, 32, 24)
    figure = gallery_figure(cube, [cube, cube])
    assert [axis.get_title() for axis in figure.axes[:8]][-2:] == ["whole recipe 1", "whole recipe 2"]
    with pytest.raises(ValueError, match="no cube of"):
        draw_cube(scan[:, 2:12].repeat(4, axis=1) * (np.arange(40) < 4), IntensityScaling(), (32, 32, 24), seed=0)


def test_curves(tmp_path):
    table = tmp_path / "metrics.csv"
    table.write_text("epoch,learning_rate,val_mse,identity_mse\n1,0.1,0.3,0.2\n2,0.1,,\n3,0.05,0.1,0.2\n")
    figure = metric_curves(table)
    lines = {line.get_label(): line.get_xydata().tolist() for axis in figure.axes for line in axis.lines}
    assert lines["val mse"] == [[1, 0.3], [3, 0.1]]
    assert lines["learning rate"][-1] == [3, 0.05]


def test_curves_of_chosen_columns(tmp_path):
    table = tmp_path / "metrics.csv"
    table.write_text("epoch,val_mean_dice,val_mse\n1,0.5,0.3\n")
    figure = metric_curves(table, {"Dice": ["val_mean_dice"], "loss": ["val_loss"]})
    assert [axis.get_title() for axis in figure.axes] == ["Dice", "loss"]
    assert [len(axis.lines) for axis in figure.axes] == [1, 0]
    assert [place for place in figure.axes[0].get_xticks() if 0.5 < place < 1.5] == [1]  # epochs are whole numbers
    with pytest.raises(ValueError, match="at least one plot"):
        metric_curves(table, {})


def test_a_picture_that_cannot_be_written_is_named_and_ends_nothing(tmp_path, caplog):
    (tmp_path / "panels").write_text("a file where the folder should be")
    cubes = [torch.zeros(1, 8, 8)]
    figure = restoration_figure(cubes, cubes, cubes)
    try_to_save_figure(figure, tmp_path / "panels" / "epoch_0001.png")
    assert f"{tmp_path / 'panels' / 'epoch_0001.png'}: the picture could not be written" in caplog.text
