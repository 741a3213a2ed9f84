import csv

import numpy as np
import pytest
import torch
from models_genesis_bundle.reports import PredictionsTable
from monai.data import DataLoader, Dataset
from monai.engines import SupervisedEvaluator
from monai.transforms import Activationsd


class FirstVoxel(torch.nn.Module):
    """Logits: 0, and the image's first voxel."""

    def forward(self, image):
        value = image.flatten(1)[:, :1]
        return torch.cat([torch.zeros_like(value), value], dim=1)


def predict(table, made):
    SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(Dataset(made), batch_size=2),
        network=FirstVoxel(),
        postprocessing=Activationsd("pred", softmax=True),
        val_handlers=[table],
    ).run()
    with table.path.open(newline="") as file:
        return list(csv.DictReader(file))


def cases(values, **entries):
    return [
        {"image": torch.full((1, 2, 2, 2), value), **{key: made(number) for key, made in entries.items()}}
        for number, value in enumerate(values)
    ]


def test_a_row_for_each_case_with_probabilities_and_class(tmp_path):
    made = cases([-2.0, 0.1, 3.0], case=lambda number: f"/scans/{number}/ct.nii.gz")
    rows = predict(PredictionsTable(str(tmp_path / "new" / "p.csv"), ["well", "sick"], threshold=0.6), made)
    assert [row["case"] for row in rows] == ["0/ct", "1/ct", "2/ct"]
    assert [row["prediction"] for row in rows] == ["well", "well", "sick"]
    wanted = 1 / (1 + np.exp([2.0, -0.1, -3.0]))
    assert [float(row["probability_sick"]) for row in rows] == pytest.approx(wanted)
    assert [float(row["probability_well"]) for row in rows] == pytest.approx(1 - wanted)
    assert list(rows[0]) == ["case", "prediction", "probability_well", "probability_sick"]


def test_candidates_keep_their_coordinates(tmp_path):
    point = np.array([-128.6994211, -175.3192718, -298.3875064])
    made = cases([1.0, 2.0], case=lambda n: f"a ({n})", scan=lambda n: "a", point=lambda n: point + n)
    rows = predict(PredictionsTable(str(tmp_path / "p.csv"), ["no", "yes"]), made)
    assert [row["seriesuid"] for row in rows] == ["a", "a"]
    found = [[float(row[f"coord{axis}"]) for axis in "XYZ"] for row in rows]
    np.testing.assert_allclose(found, [point, point + 1], rtol=1e-7)


def test_the_other_class_may_be_the_positive_one(tmp_path):
    made = cases([-2.0, 2.0], case=str)
    rows = predict(PredictionsTable(str(tmp_path / "p.csv"), ["sick", "well"], positive_class=0, threshold=0.9), made)
    assert [row["prediction"] for row in rows] == ["well", "well"], "0.88 is below the threshold"
