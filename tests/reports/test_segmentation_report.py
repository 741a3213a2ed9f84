import csv
import json
import os

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from models_genesis_bundle.metrics import mean_with_interval, segmentation_scores
from models_genesis_bundle.reports import SegmentationReport
from monai.data import DataLoader, Dataset, MetaTensor
from monai.engines import SupervisedEvaluator
from monai.transforms import Activationsd

pytestmark = pytest.mark.filterwarnings("ignore:.*always_return_as_numpy:FutureWarning")

SPACING = (2.0, 1.0, 1.0)


class Threshold(torch.nn.Module):
    """Logits by which every voxel above 0.5 is foreground."""

    def forward(self, image):
        return torch.cat([torch.zeros_like(image), 40 * (image - 0.5)], dim=1)


class FirstOfThree(Threshold):
    """The same with two more classes, which are never predicted."""

    def forward(self, image):
        absent = torch.full_like(image, -40)
        return torch.cat([super().forward(image), absent, absent], dim=1)


def case(name, shift, patient, labelled=True):
    """A label, and an image whose bright part lies `shift` voxels further along X."""
    affine = torch.diag(torch.tensor([*SPACING, 1.0], dtype=torch.float64))
    label = torch.zeros(1, 20, 12, 10)
    label[:, 4:12, 3:9, 2:8] = labelled
    image = torch.roll(label, shift, dims=1)
    meta = {"filename_or_obj": name}
    return {
        "image": MetaTensor(image, affine=affine, meta=meta),
        "label": MetaTensor(label.long(), affine=affine),
        "patient": patient,
    }


CASES = [
    case("a/1/ct.nii.gz", 2, "P1"),
    case("a/2/ct.nii.gz", 0, "P1"),
    case("b/1/ct.nii.gz", 4, "P2"),
    case("b/2/ct.nii.gz", 1, "P3"),
    case("b/3/ct.nii.gz", 0, "P4", labelled=False),
]


def evaluate(report, cases, network=None, **settings):
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(Dataset(cases), batch_size=2),
        network=network or Threshold(),
        postprocessing=Activationsd("pred", softmax=True),
        val_handlers=[report],
        **settings,
    )
    evaluator.run()
    return evaluator


def test_what_it_writes(tmp_path):
    evaluator = evaluate(SegmentationReport(str(tmp_path), ["nodule"], settings={"weights": "model.pt"}), CASES)
    with (tmp_path / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows] == ["a/1/ct", "a/2/ct", "b/1/ct", "b/2/ct", "b/3/ct"]
    assert [row["patient"] for row in rows] == ["P1", "P1", "P2", "P3", "P4"]
    # 2, 0, 4 and 1 of 8 slices are missed, and as many found where nothing is.
    assert [float(row["dice_nodule"]) for row in rows] == pytest.approx([0.75, 1, 0.5, 0.875, np.nan], nan_ok=True)
    assert float(rows[0]["hd95_mm_nodule"]) == 4  # two voxels of 2 mm

    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["cases"], summary["patients"]) == (5, 4)
    assert summary["settings"] == {"label_names": ["nodule"], "tolerance_mm": 1.0, "weights": "model.pt"}
    wanted = mean_with_interval([0.75, 1, 0.5, 0.875, np.nan], ["P1", "P1", "P2", "P3", "P4"])
    assert summary["metrics"]["dice_mean"] == pytest.approx(wanted)
    assert (wanted["n"], wanted["missing"]) == (4, 1)
    assert set(summary["metrics"]) == set(segmentation_scores(*scored(CASES[0]), ["nodule"], SPACING))
    assert evaluator.state.metrics["dice_mean"] == pytest.approx(wanted["mean"])

    assert imread(tmp_path / "cases.png").std() > 0.05
    assert sorted(os.listdir(tmp_path)) == ["cases.png", "scores.csv", "summary.json"]


def scored(one):
    foreground = one["image"].numpy()
    return np.concatenate([1 - foreground, foreground]), one["label"].numpy()


def test_best_median_and_worst_are_drawn(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "models_genesis_bundle.reports.segmentation_report.segmentation_figure", lambda rows, names: drawn.extend(rows)
    )
    monkeypatch.setattr(
        "models_genesis_bundle.reports.segmentation_report.try_to_save_figure", lambda figure, path: None
    )
    evaluate(SegmentationReport(str(tmp_path), ["nodule"]), CASES[:4])
    assert [title for title, _ in drawn] == [
        "best: a/2/ct, mean Dice 1.000",
        "median: a/1/ct, mean Dice 0.750",
        "worst: b/1/ct, mean Dice 0.500",
    ]
    worst = drawn[-1][1][0]
    assert (worst.label != worst.prediction).sum() == 2 * 4 * 6  # the axial slice of the case that it names


def test_one_case_and_none_with_foreground(tmp_path):
    evaluate(SegmentationReport(str(tmp_path / "one"), ["a"]), CASES[:1])
    one = json.loads((tmp_path / "one" / "summary.json").read_text())["metrics"]["dice_mean"]
    assert one["mean"] == 0.75
    assert one["low"] is one["sd"] is None
    assert (tmp_path / "one" / "cases.png").exists()
    evaluate(SegmentationReport(str(tmp_path / "none"), ["a"]), CASES[4:])
    none = json.loads((tmp_path / "none" / "summary.json").read_text())["metrics"]["dice_mean"]
    assert (none["mean"], none["n"], none["missing"]) == (None, 0, 1)
    assert not (tmp_path / "none" / "cases.png").exists()


def test_a_class_without_any_value_is_named_once(tmp_path, caplog):
    """The second class is in the labels and never predicted, the third is in neither."""
    made = [one | {"label": one["label"].clone()} for one in CASES[:2]]
    for one in made:
        one["label"][:, 15:18, 3:9, 2:8] = 2
    evaluate(SegmentationReport(str(tmp_path), ["a", "b", "c"]), made, network=FirstOfThree())
    metrics = json.loads((tmp_path / "summary.json").read_text())["metrics"]
    assert (metrics["hd95_mm_b"]["n"], metrics["hd95_mm_mean"]["n"]) == (0, 2)
    messages = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert [message.partition(":")[0] for message in messages] == [
        "Class 'b' has no hd95_mm in any of the 2 cases",
        "Class 'c' has no dice, foreground_iou, hd95_mm, surface_dice in any of the 2 cases",
    ]


def test_2d_images(tmp_path):
    flat = [{key: value if key == "patient" else value[..., 5] for key, value in one.items()} for one in CASES[:2]]
    evaluate(SegmentationReport(str(tmp_path), ["a"]), flat)
    with (tmp_path / "scores.csv").open() as file:
        first = next(csv.DictReader(file))
    assert (float(first["dice_a"]), float(first["hd95_mm_a"])) == (0.75, 4)
    assert (tmp_path / "cases.png").exists()


def test_a_share_of_the_cases_is_no_report(tmp_path, monkeypatch):
    monkeypatch.setattr("ignite.distributed.get_world_size", lambda: 2)
    with pytest.raises(RuntimeError, match="all cases in one process, found 2"):
        evaluate(SegmentationReport(str(tmp_path), ["a"]), CASES)


def test_a_second_run_starts_anew(tmp_path):
    report = SegmentationReport(str(tmp_path), ["a"])
    evaluate(report, CASES)
    evaluate(report, CASES[:2])
    assert json.loads((tmp_path / "summary.json").read_text())["cases"] == 2


def test_what_does_not_fit_names_the_case(tmp_path):
    with pytest.raises(ValueError, match=r"a/1/ct\.nii\.gz: .*expected 3 channels"):
        evaluate(SegmentationReport(str(tmp_path), ["a", "b"]), CASES)
    with pytest.raises(TypeError, match="decollate: true"):
        evaluate(SegmentationReport(str(tmp_path), ["a"]), CASES, decollate=False)
    assert not any(tmp_path.iterdir())
