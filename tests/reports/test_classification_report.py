import csv
import json
import os

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from models_genesis_bundle.metrics import Froc, auc_with_interval, classification_scores, covariate_scores
from models_genesis_bundle.reports import ClassificationReport, PredictionsTable
from models_genesis_bundle.visualize.classification_figure import classification_figure
from monai.data import DataLoader, Dataset, MetaTensor
from monai.engines import SupervisedEvaluator
from monai.transforms import Activationsd


class MeanLogit(torch.nn.Module):
    """Logits: 0 for the first class, and the mean of each of the image's channels for the others."""

    def forward(self, image):
        means = image.mean(dim=(2, 3, 4))
        return torch.cat([torch.zeros_like(means[:, :1]), means], dim=1)


def cases(count=40, classes=2, named=False, **entries):
    """Cases whose images' means follow the label; entries: functions of a case's number and label."""
    random = np.random.default_rng(0)
    made = []
    for number in range(count):
        label = int(random.integers(classes))
        means = random.normal(size=classes - 1) + 1.5 * np.eye(classes)[label, 1:]
        image = torch.tensor(means, dtype=torch.float32)[:, None, None, None].expand(-1, 2, 2, 2)
        case = {"image": MetaTensor(image, meta={"filename_or_obj": f"scans/{number}/ct.nii.gz"}), "label": label}
        if named:
            case |= {"image": image, "case": f"nodule {number}"}
        made.append(case | {key: entry(number, label) for key, entry in entries.items()})
    return made


def evaluate(report, made, postprocessing=None, batch_size=8):
    evaluator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=DataLoader(Dataset(made), batch_size=batch_size),
        network=MeanLogit(),
        postprocessing=postprocessing or Activationsd("pred", softmax=True),
        val_handlers=[report],
    )
    evaluator.run()
    return evaluator


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def read(folder):
    return rows_of(folder / "predictions.csv"), json.loads((folder / "summary.json").read_text())


def test_what_it_writes(tmp_path):
    made = cases(patient=lambda number, label: f"P{number // 2}")
    report = ClassificationReport(str(tmp_path), ["benign", "malignant"], threshold=0.6, resamples=50)
    evaluator = evaluate(report, made)
    rows, summary = read(tmp_path)
    assert [row["case"] for row in rows[:2]] == ["0/ct", "1/ct"]
    assert [row["patient"] for row in rows[:3]] == ["P0", "P0", "P1"]
    labels = np.array([case["label"] for case in made])
    assert [row["label"] for row in rows] == [["benign", "malignant"][label] for label in labels]
    probability = np.array([float(row["probability_malignant"]) for row in rows])
    assert probability == pytest.approx([1 / (1 + np.exp(-float(case["image"].mean()))) for case in made])
    assert [row["prediction"] == "malignant" for row in rows] == (probability >= 0.6).tolist()

    assert set(summary["metrics"]) == set(classification_scores([0, 1], np.eye(2), ["a", "b"], resamples=2))
    wanted = auc_with_interval(labels, probability, [case["patient"] for case in made])
    assert summary["metrics"]["auc"] == pytest.approx(wanted)
    assert (summary["cases"], summary["patients"]) == (40, 20)
    assert summary["cases_by_class"] == {"benign": int((labels == 0).sum()), "malignant": int(labels.sum())}
    assert sum(map(sum, summary["confusion_matrix"]["counts"])) == 40
    assert summary["confusion_matrix"]["counts"][1][1] == int((probability[labels == 1] >= 0.6).sum())
    assert summary["settings"]["positive_class"] == "malignant"
    assert evaluator.state.metrics["auc"] == pytest.approx(wanted["mean"])
    assert imread(tmp_path / "classification.png").std() > 0.05
    assert sorted(os.listdir(tmp_path)) == ["classification.png", "predictions.csv", "summary.json"]


def test_candidates_of_scans(tmp_path):
    made = cases(
        named=True,
        scan=lambda number, label: f"scan{number % 5}",
        lesion=lambda number, label: f"L{number % 2}" if label else "",
    )
    report = ClassificationReport(
        str(tmp_path), ["no", "nodule"], number_of_scans=8, number_of_lesions=12, resamples=50
    )
    evaluate(report, made)
    rows, summary = read(tmp_path)
    assert rows[3]["case"] == "nodule 3"
    froc = Froc(
        [case["label"] for case in made],
        [float(row["probability_nodule"]) for row in rows],
        [case["scan"] for case in made],
        [case["lesion"] for case in made],
        8,
        12,
    )
    assert summary["metrics"]["cpm"] == pytest.approx(froc.summary(resamples=50)["cpm"])
    assert summary["metrics"]["sensitivity_at_8_fp"]["n"] == 12
    assert (summary["scans"], summary["lesions"], summary["patients"]) == (8, 12, 5)


def test_a_covariate(tmp_path, caplog):
    caplog.set_level("INFO")
    made = cases(
        count=80, diameter_mm=lambda number, label: (number * 7) % 20 + 6.0 * label if number else float("nan")
    )
    report = ClassificationReport(
        str(tmp_path), ["no", "yes"], covariate_key="diameter_mm", caliper=1.5, resamples=20, seed=3
    )
    evaluate(report, made)
    rows, summary = read(tmp_path)
    assert rows[0]["diameter_mm"] == "nan"
    assert float(rows[1]["diameter_mm"]) == made[1]["diameter_mm"]
    wanted = covariate_scores(
        [case["label"] for case in made],
        [float(row["probability_yes"]) for row in rows],
        [float(row["diameter_mm"]) for row in rows],
        "diameter_mm",
        caliper=1.5,
        seed=3,
    )
    for name, figure in wanted.items():
        assert summary["metrics"][name] == pytest.approx(figure), name
        assert f"{name}: {figure['mean']:.4g} (95 % interval" in caplog.text
    assert summary["metrics"]["auc_of_diameter_mm"]["missing"] == 1
    with pytest.raises(KeyError, match=r"0/ct\.nii\.gz: expected the covariate 'volume'"):
        evaluate(ClassificationReport(str(tmp_path), ["no", "yes"], covariate_key="volume"), made)


def test_several_classes(tmp_path):
    made = cases(classes=3)
    evaluate(ClassificationReport(str(tmp_path), ["a", "b", "c"], resamples=10), made)
    rows, summary = read(tmp_path)
    assert 0.5 < summary["metrics"]["auc_macro"]["mean"] <= 1
    assert len(summary["confusion_matrix"]["counts"]) == 3
    assert sum(float(rows[0][f"probability_{name}"]) for name in "abc") == pytest.approx(1)
    assert (tmp_path / "classification.png").exists()


def test_one_class_only_is_no_failure(tmp_path):
    made = [case for case in cases() if case["label"]]
    evaluate(ClassificationReport(str(tmp_path), ["no", "yes"], resamples=10), made)
    _, summary = read(tmp_path)
    assert summary["metrics"]["auc"]["mean"] is None
    assert summary["metrics"]["sensitivity"]["n"] == len(made)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": 2}, r"scans/0/ct\.nii\.gz: expected the number of a class, 0 … 1, as label, found \[2\]"),
        ({"patient": "P"}, "'patient' in all cases or in none, found it in 1 of 4"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, change, message):
    made = cases(count=4)
    made[0] |= change
    report = ClassificationReport(str(tmp_path), ["no", "yes"], resamples=5)
    with pytest.raises(ValueError, match=message):
        evaluate(report, made, batch_size=1)
    assert not any(tmp_path.iterdir())


def test_logits_and_class_names_are_checked(tmp_path):
    with pytest.raises(ValueError, match=r"with the sum 1, .*softmax"):
        evaluate(ClassificationReport(str(tmp_path), ["no", "yes"]), cases(4), Activationsd("pred", sigmoid=True))
    for names, positive in ((["a"], 0), (["a", "a"], 1), (["a", "b"], 2)):
        with pytest.raises(ValueError, match="two or more different class names"):
            ClassificationReport(str(tmp_path), names, positive)


def test_predictions_of_new_cases(tmp_path):
    """The positive class may be the first."""
    made = cases(12)
    table = PredictionsTable(str(tmp_path / "new" / "p.csv"), ["sick", "well"], positive_class=0, threshold=0.6)
    evaluate(table, made)
    rows = rows_of(table.path)
    assert list(rows[0]) == ["case", "prediction", "probability_sick", "probability_well"]
    assert [row["case"] for row in rows] == [f"{number}/ct" for number in range(12)]
    sick = np.array([float(row["probability_sick"]) for row in rows])
    assert sick == pytest.approx([1 / (1 + np.exp(float(case["image"].mean()))) for case in made])
    assert ((sick > 0.5) & (sick < 0.6)).any()
    assert [row["prediction"] == "sick" for row in rows] == (sick >= 0.6).tolist()


def test_candidates_keep_their_coordinates(tmp_path):
    point = np.array([-128.6994211, -175.3192718, -298.3875064])
    made = cases(2, named=True, scan=lambda number, _: "a", point=lambda number, _: point + number)
    table = PredictionsTable(str(tmp_path / "p.csv"), ["no", "yes"])
    evaluate(table, made)
    rows = rows_of(table.path)
    assert [row["seriesuid"] for row in rows] == ["a", "a"]
    found = [[float(row[f"coord{axis}"]) for axis in "XYZ"] for row in rows]
    np.testing.assert_allclose(found, [point, point + 1], rtol=1e-7)


def test_figure():
    labels = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.8, 0.2]])
    figure = classification_figure(
        labels, probabilities, ["no", "yes"], threshold=0.5, froc=Froc(labels, probabilities[:, 1], [0, 1, 0, 1])
    )
    roc, calibration, confusion, froc = figure.axes
    assert roc.lines[1].get_xydata().tolist() == [[0.5, 0.5]]
    assert roc.lines[0].get_xydata()[1].tolist() == [0, 0.5]
    assert calibration.lines[1].get_xydata()[:, 1].tolist() == [0, 1, 0, 1]
    assert [text.get_text() for text in calibration.texts] == ["1"] * 4  # cases in each bin
    assert [text.get_text() for text in confusion.texts] == ["1"] * 4
    assert froc.get_title() == "FROC"
