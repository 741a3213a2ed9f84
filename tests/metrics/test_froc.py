import numpy as np
import pytest
from models_genesis_bundle.metrics import Froc
from models_genesis_bundle.metrics.froc import FALSE_POSITIVES_PER_SCAN
from monai.metrics import compute_froc_curve_data, compute_froc_score


def test_curve_and_cpm_by_hand():
    # Four scans, the last without candidates. Lesions A (two candidates) and B; three false candidates.
    froc = Froc(
        labels=[1, 1, 0, 1, 0, 0],
        scores=[0.9, 0.8, 0.7, 0.6, 0.5, 0.4],
        scans=["s1", "s1", "s1", "s2", "s2", "s3"],
        lesions=["A", "A", None, "A", None, None],
        number_of_scans=4,
    )
    false_positives, sensitivity = froc.curve()
    assert (froc.number_of_scans, froc.number_of_lesions) == (4, 2)
    assert false_positives.tolist() == [0, 0, 0.25, 0.25, 0.5, 0.75]
    assert sensitivity.tolist() == [0, 0.5, 0.5, 1, 1, 1]
    # At 1/8 the line from (0, 0.5) to (1/4, 0.5); from 1/4 on everything is found.
    assert froc.sensitivities().tolist() == [0.5, 1, 1, 1, 1, 1, 1]
    summary = froc.summary(resamples=200)
    assert summary["cpm"]["mean"] == pytest.approx(6.5 / 7)
    assert summary["cpm"]["n"] == 4
    assert summary["sensitivity_at_0.125_fp"] == {"mean": 0.5, "n": 2}
    assert summary["cpm"]["low"] <= summary["cpm"]["mean"] <= summary["cpm"]["high"] == 1


def test_lesions_that_no_candidate_lies_on_are_missed():
    candidates = ([1, 0, 1], [0.9, 0.5, 0.4], ["a", "a", "b"])
    assert Froc(*candidates).sensitivities()[-1] == 1
    assert Froc(*candidates, number_of_lesions=8).sensitivities()[-1] == 2 / 8
    with pytest.raises(ValueError, match="at least the 2 lesions with candidates, found 1"):
        Froc(*candidates, number_of_lesions=1)
    with pytest.raises(ValueError, match="at least the 2 scans"):
        Froc(*candidates, number_of_scans=1)
    with pytest.raises(ValueError, match="one for each of 3 candidates"):
        Froc(*candidates, lesions=["x"])


def candidates(seed=0, scans=30):
    random = np.random.default_rng(seed)
    scan = random.integers(scans, size=600)
    labels = (random.random(600) < 0.15).astype(int)
    scores = np.round(random.random(600) * 0.6 + 0.4 * labels * random.random(600), 2)  # with ties
    return labels, scores, scan


def test_it_is_monais_curve():
    labels, scores, scan = candidates()
    false_positives, sensitivity = Froc(labels, scores, scan, number_of_scans=40).curve()
    theirs = compute_froc_curve_data(scores[labels == 0], scores[labels == 1], int(labels.sum()), 40)
    assert false_positives[:-1] == pytest.approx(theirs[0][::-1])
    assert sensitivity[:-1] == pytest.approx(theirs[1][::-1])
    score = compute_froc_score(*theirs, eval_thresholds=FALSE_POSITIVES_PER_SCAN)
    assert Froc(labels, scores, scan, number_of_scans=40).summary(resamples=2)["cpm"]["mean"] == pytest.approx(score)


def test_a_drawn_scan_counts_with_all_its_candidates():
    labels, scores, scan = candidates()
    froc = Froc(labels, scores, [f"{number:02d}" for number in scan])
    drawn = np.random.default_rng(1).multinomial(30, np.full(30, 1 / 30))
    pieces = [(np.flatnonzero(scan == number), copy) for number in range(30) for copy in range(drawn[number])]
    repeated = np.concatenate([index for index, _ in pieces])
    names = np.concatenate([[f"{scan[index[0]]}/{copy}"] * len(index) for index, copy in pieces])
    wanted = Froc(labels[repeated], scores[repeated], names, number_of_scans=30)
    for found, expected in zip(froc.curve(drawn), wanted.curve(), strict=True):
        assert np.unique(found) == pytest.approx(np.unique(expected))


def test_interval_narrows_with_scans():
    few, many = (Froc(*candidates(scans=scans)).summary(resamples=300)["cpm"] for scans in (10, 300))
    assert few["low"] < few["mean"] < few["high"]
    assert many["low"] < many["mean"] < many["high"]


def test_no_lesions_and_no_candidates():
    assert np.isnan(Froc([0, 0], [0.1, 0.2], ["a", "b"]).sensitivities()).all()
    assert np.isnan(Froc([], [], [], number_of_scans=3).summary(resamples=5)["cpm"]["mean"])
    assert Froc([1], [0.5], ["a"], lesions=[""]).sensitivities().tolist() == [1] * 7
