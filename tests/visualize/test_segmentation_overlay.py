import numpy as np
import pytest
import torch
from ignite.engine import Engine
from matplotlib.colors import to_hex
from matplotlib.image import imread
from models_genesis_bundle.visualize import (
    RestorationPanels,
    SegmentationPanels,
    class_numbers,
    save_figure,
    segmentation_figure,
    segmentation_slices,
)
from monai.data import MetaTensor, list_data_collate


def volumes(shape=(100, 30, 20)):
    """An image with a gradient, a label that is widest at (70, 12, 8) and a prediction one voxel further along X."""
    image = torch.linspace(-1000, 1000, int(np.prod(shape))).reshape(1, *shape)
    label = torch.zeros(1, *shape, dtype=torch.long)
    label[0, 69:72, 11:14, 8] = label[0, 69:72, 12, 7:10] = label[0, 70, 11:14, 7:10] = 1
    return image, label, label.roll(1, dims=1)


def test_slices_with_most_foreground_cut_to_its_surroundings():
    image, label, prediction = volumes()
    slices = segmentation_slices(image, label, prediction)
    assert [shown.plane for shown in slices] == ["axial", "coronal", "sagittal"]
    assert {shown.sides for shown in slices} == {()}  # without an affine they are unknown
    axial = slices[0]
    assert axial.image.shape == axial.label.shape == (30, 64)  # of 100 voxels along X, whole along Y
    assert axial.label.sum() == 9
    assert (axial.prediction != axial.label).sum() == 6
    assert [shown.label.sum() for shown in slices] == [9, 9, 9]
    assert axial.image.dtype == np.uint8
    assert (axial.image.min(), axial.image.max()) == (0, 255)


def test_any_orientation_is_drawn_upright():
    image, label, prediction = volumes()
    affine = np.diag([1.0, 2.0, 3.0, 1.0])
    upright = segmentation_slices(image, label, prediction, affine)
    assert [shown.aspect for shown in upright] == [2.0, 3.0, 1.5]
    # The same scan stored as slices from the top, and with X to the left: axes (Z, X, Y), two of them reversed.
    turned = np.zeros((4, 4))
    turned[2, 0], turned[0, 1], turned[1, 2], turned[3, 3] = -3, -1, 2, 1
    stored = [volume.permute(0, 3, 1, 2).flip(1, 2) for volume in (image, label, prediction)]
    assert [shown.sides for shown in upright] == [("R", "L"), ("R", "L"), ("A", "P")]
    for one, other in zip(upright, segmentation_slices(*stored, turned), strict=True):
        assert one.sides == other.sides
        assert one.aspect == other.aspect
        for part in ("image", "label", "prediction"):
            assert np.array_equal(getattr(one, part), getattr(other, part))


def test_empty_labels_and_2d_images():
    image, label, prediction = volumes()
    assert segmentation_slices(image, label * 0, prediction)[0].prediction.sum() == 9
    empty = segmentation_slices(image * 0, label * 0, label * 0)
    assert empty[0].image.shape == (30, 100)
    assert empty[0].image.max() == 0
    (flat,) = segmentation_slices(image[..., 8], label[..., 8], prediction[..., 8])
    assert (flat.plane, flat.aspect) == ("", 1.0)
    assert flat.label.sum() == 9
    with pytest.raises(ValueError, match="the same shape"):
        segmentation_slices(image[:, 1:], label, prediction)


def test_outlines_surround_what_they_should():
    image, label, prediction = volumes()
    label, prediction = label * 2, prediction * 0
    figure = segmentation_figure([("case", segmentation_slices(image, label, prediction))], ["lung", "nodule"])
    axial = figure.axes[0]
    (outline,) = axial.collections
    corners = np.concatenate([path.vertices for path in outline.get_paths()])
    rows, columns = np.nonzero(segmentation_slices(image, label, prediction)[0].label)
    assert corners.min(axis=0) == pytest.approx([columns.min() - 0.5, rows.min() - 0.5])
    assert corners.max(axis=0) == pytest.approx([columns.max() + 0.5, rows.max() + 0.5])
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["lung", "nodule", "label", "prediction"]
    colours = [line.get_color() for line in figure.legends[0].get_lines()]
    assert to_hex(outline.get_edgecolor()[0]) == colours[1] != colours[0]


def test_figure_of_volumes_and_of_2d_images(tmp_path):
    image, label, prediction = volumes()
    rows = [(name, segmentation_slices(image, label, prediction)) for name in ("best", "worst")]
    assert len(segmentation_figure(rows, ["a"]).axes) == 6
    flat = [("", segmentation_slices(image[..., 8], label[..., 8], prediction[..., 8]))]
    assert imread(save_figure(segmentation_figure(flat, ["a"]), tmp_path / "flat.png")).std() > 0.05
    full = [("", segmentation_slices(image, label * 0 + 1, label * 0 + 1))]
    assert len(segmentation_figure(full, ["a"]).axes[0].collections) == 2


def test_class_numbers_of_every_form():
    numbers = torch.randint(0, 3, (1, 4, 4, 4))
    channels = torch.nn.functional.one_hot(numbers[0], 3).movedim(-1, 0)
    for form in (numbers, channels, 5.0 * channels - 2):
        assert torch.equal(class_numbers(form), numbers)


class Writer:
    def __init__(self):
        self.figures = []

    def add_figure(self, tag, figure, global_step):
        self.figures.append((tag, global_step))


@pytest.mark.parametrize("decollated", [True, False])
def test_panels_of_a_validation(tmp_path, decollated):
    image, label, _ = volumes()
    logits = torch.cat([1 - label, label]).float()
    meta = [{"affine": torch.diag(torch.tensor([2.0, 2, 5, 1])), "filename_or_obj": f"{n}.nii.gz"} for n in range(5)]
    cases = [{"image": MetaTensor(image, meta=one), "label": MetaTensor(label), "pred": logits} for one in meta]
    batches = [cases[:2], cases[2:4], cases[4:]]
    if not decollated:
        batches = [list_data_collate(batch) for batch in batches]
    loader = torch.utils.data.DataLoader(range(5), batch_size=2)
    evaluator = Engine(lambda engine, _: batches[engine.state.iteration - 1])
    evaluator.data_loader = loader
    writer = Writer()
    panels = SegmentationPanels(str(tmp_path), ["a"], writer, num_cases=3)
    panels.attach(evaluator)
    evaluator.run(loader)
    assert [name for name, _ in panels.rows] == ["0.nii.gz", "2.nii.gz", "4.nii.gz"]
    assert [(one.aspect, one.sides) for one in panels.rows[0][1]] == [
        (1, ("R", "L")),
        (2.5, ("R", "L")),
        (2.5, ("A", "P")),
    ]
    assert (tmp_path / "epoch_0001.png").exists()
    assert writer.figures == [("segmentation", 1)]


def test_restoration_panels_take_the_chosen_cubes(tmp_path):
    loader = torch.utils.data.DataLoader(range(5), batch_size=2)
    cubes = torch.arange(5.0).reshape(5, 1, 1, 1, 1).expand(5, 1, 4, 4, 4)

    def step(engine, batch):
        return {"image": cubes[batch], "label": cubes[batch] + 0.5, "pred": cubes[batch].bfloat16()}

    evaluator = Engine(step)
    evaluator.data_loader = loader
    panels = RestorationPanels(str(tmp_path), num_cubes=3)
    panels.attach(evaluator)
    evaluator.run(loader)
    assert [[float(cube.mean()) for cube in row] for row in panels.rows] == [[0.5, 0, 0], [2.5, 2, 2], [4.5, 4, 4]]
    assert (tmp_path / "epoch_0001.png").exists()


def test_panels_follow_a_validation_that_their_interval_does_not_divide(tmp_path):
    loader = torch.utils.data.DataLoader(range(1))
    cube = torch.rand(1, 1, 4, 4, 4)
    evaluator = Engine(lambda engine, batch: {"image": cube, "label": cube, "pred": cube})
    evaluator.data_loader = loader
    RestorationPanels(str(tmp_path), num_cubes=1, interval=4).attach(evaluator)
    for epoch in range(3, 16, 3):  # after every third epoch of the training
        evaluator.state.epoch, evaluator.state.max_epochs = epoch - 1, epoch
        evaluator.run(loader)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch_0006.png", "epoch_0009.png", "epoch_0012.png"]


def test_the_last_validation_has_a_panel_at_the_end(tmp_path):
    loader = torch.utils.data.DataLoader(range(2), batch_size=2)
    cubes = torch.rand(2, 1, 4, 4, 4)
    evaluator = Engine(lambda engine, batch: {"image": cubes, "label": cubes, "pred": cubes})
    evaluator.data_loader = loader
    panels = RestorationPanels(str(tmp_path), num_cubes=1, interval=4)
    panels.draw()
    panels.attach(evaluator)

    def written():
        return sorted(path.name for path in tmp_path.iterdir())

    evaluator.run(loader, max_epochs=6)
    assert written() == ["epoch_0001.png", "epoch_0004.png"]
    panels.draw()
    assert written() == ["epoch_0001.png", "epoch_0004.png", "epoch_0006.png"]
    (tmp_path / "epoch_0006.png").unlink()
    panels.draw()
    assert "epoch_0006.png" not in written(), "it is drawn once"
