"""What is known to be in vectors is found in them, and what is not, is not."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from models_genesis_bundle.data.datalists import DatalistError
from models_genesis_bundle.embeddings import Embeddings, EmbeddingsError, ProbeTask, probe_embeddings, stability
from models_genesis_bundle.embeddings.labelled_vectors import read_labels
from models_genesis_bundle.embeddings.probes import knn_scores, linear_scores, mean_over_classes, retrieval_precision

PATIENTS, EACH = 30, 2
LABELS = np.repeat(np.arange(PATIENTS) % 2, EACH)
OWNERS = np.repeat(np.arange(PATIENTS), EACH).astype(str)


def telling(labels: np.ndarray, strength: float, seed: int = 0) -> np.ndarray:
    """Vectors of six numbers, two of which follow the label."""
    vectors = np.random.default_rng(seed).normal(size=(len(labels), 6)).astype(np.float32)
    vectors[:, :2] += strength * labels[:, None]
    return vectors


def embeddings_of(vectors: np.ndarray, **more) -> Embeddings:
    count = len(vectors)
    point = np.stack([np.arange(count), np.full(count, -0.5), np.full(count, 2.0)], axis=1)
    return Embeddings(
        vectors=vectors,
        statistics=np.random.default_rng(5).normal(size=(count, 9)).astype(np.float32),
        case=np.array([f"p{owner}/ct ({number})" for number, owner in enumerate(OWNERS)]),
        image=np.array([f"/scans/p{owner}/ct{owner}.nii.gz" for owner in OWNERS]),
        patient=OWNERS,
        point=point,
        voxel=point,
        record={"stage": None},
        **more,
    )


@pytest.fixture
def labelled(tmp_path):
    """Files of vectors that tell, of vectors that do not, and of labels by case."""
    embeddings_of(telling(LABELS, 3)).write(tmp_path / "good.npz")
    embeddings_of(telling(LABELS, 0, seed=1)).write(tmp_path / "scratch.npz")
    table = pd.DataFrame({"case": embeddings_of(telling(LABELS, 0)).case, "label": LABELS, "size": LABELS + 0.5})
    table.to_csv(tmp_path / "labels.csv", index=False)
    return tmp_path


def test_shots_are_patients_to_learn_from_of_each_class():
    section = np.where(OWNERS.astype(int) < 24, "training", "test")
    drawn = [ProbeTask(LABELS, OWNERS, section, "test", seed=seed, shots=6).splits[0] for seed in (0, 0, 1)]
    for learn, test in drawn:
        assert len(set(OWNERS[learn])) == 6
        assert len(learn) == 6 * EACH
        assert sorted(set(LABELS[learn])) == [0, 1]
        assert test.tolist() == np.flatnonzero(section == "test").tolist()
    assert drawn[0][0].tolist() == drawn[1][0].tolist()
    assert drawn[0][0].tolist() != drawn[2][0].tolist()
    few = set(drawn[0][0]) - set(ProbeTask(LABELS, OWNERS, section, "test", shots=12).splits[0][0])
    assert not few, "the patients of few shots are among those of more"
    for learn, test in ProbeTask(LABELS, OWNERS, shots=6).splits:
        assert len(set(OWNERS[learn])) == 6
        assert not set(OWNERS[learn]) & set(OWNERS[test])
    with pytest.raises(DatalistError, match="from 1 to 24, found 25"):
        ProbeTask(LABELS, OWNERS, section, "test", shots=25)


def test_more_shots_predict_better_and_the_gallery_of_a_search_is_what_is_learnt_from():
    section = np.where(OWNERS.astype(int) < 24, "training", "test")
    vectors = telling(LABELS, 2)
    few, many = (ProbeTask(LABELS, OWNERS, section, "test", shots=shots) for shots in (4, 24))
    assert few.quality(linear_scores(vectors, few), few.tested) <= many.quality(
        linear_scores(vectors, many), many.tested
    )
    task = ProbeTask(
        np.array(list("abab")), np.array(list("1234")), np.array(["training"] * 3 + ["test"]), "test", shots=2
    )
    precision = retrieval_precision(np.array([[0.0, 1], [1, 0], [0, 1], [1, 0.1]]), task)
    assert np.isnan(precision[:3]).all()
    assert precision[3] == 1


@pytest.mark.parametrize(("strength", "least", "most"), [(4, 0.97, 1), (0, 0.2, 0.75)])
def test_each_probe_finds_what_is_there_and_no_more(strength, least, most):
    task = ProbeTask(LABELS, OWNERS)
    vectors = telling(LABELS, strength)
    for scores in (linear_scores(vectors, task), knn_scores(vectors, task, 5)):
        assert least <= task.quality(scores, task.tested) <= most
    precision = retrieval_precision(vectors, task)
    assert 0.8 * least <= mean_over_classes(precision, task, task.tested) <= most


def test_no_patient_is_learnt_from_and_tested_on_at_once():
    """Vectors that only know the patient, and labels that follow the patient, tell nothing of other patients."""
    vectors = np.eye(PATIENTS, dtype=np.float32)[OWNERS.astype(int)]
    task = ProbeTask(LABELS, OWNERS)
    for learn, test in task.splits:
        assert set(OWNERS[learn]).isdisjoint(OWNERS[test])
        for inner, left in task.splitter(learn, 3).split(learn, task.truth[learn], task.groups[learn]):
            assert set(OWNERS[learn][inner]).isdisjoint(OWNERS[learn][left])
    assert task.quality(knn_scores(vectors, task), task.tested) < 0.7
    alike = retrieval_precision(vectors, task)
    assert alike.max() < 0.9, "the other cube of the same patient, which is nearest, does not count"


def test_average_precision_is_that_of_the_definition():
    vectors = np.array([[0.0], [1.0], [2.5], [4.5], [7.0], [10.0]])
    task = ProbeTask(np.array(list("aababb")), np.array(list("123456")), folds=2)
    found = retrieval_precision(vectors, task)
    assert found[0] == pytest.approx((1 / 1 + 2 / 3) / 2), "from 0: 1 a, 2.5 b, 4.5 a"
    assert found[5] == pytest.approx((1 / 1 + 2 / 3) / 2), "from 10: 7 b, 4.5 a, 2.5 b"
    assert mean_over_classes(np.array([1, 1, np.nan, 1, 0, 0.5]), task, range(6)) == pytest.approx((1 + 0.25) / 2)


def test_numbers_are_predicted_and_several_classes_told():
    numbers = np.repeat(np.linspace(1, 9, PATIENTS), EACH)
    task = ProbeTask(numbers, OWNERS)
    assert task.is_regression
    assert task.quality(linear_scores(telling(numbers, 1), task), task.tested) > 0.9
    assert task.quality(knn_scores(telling(numbers, 1), task, 3), task.tested) > 0.7
    three = np.repeat(np.arange(PATIENTS) % 3, EACH)
    task = ProbeTask(np.array(["low", "mid", "top"])[three], OWNERS)
    assert task.quality(linear_scores(telling(three, 4), task), task.tested) > 0.9


def test_a_named_section_is_tested_by_the_others():
    section = np.where(OWNERS.astype(int) < 20, "training", "test")
    task = ProbeTask(LABELS, OWNERS, section, "test")
    scores = linear_scores(telling(LABELS, 4), task)
    assert np.isnan(scores[section == "training"]).all()
    assert set(task.tested) == set(np.flatnonzero(section == "test"))
    with pytest.raises(
        EmbeddingsError, match=r"in 'valid', but not all, found 0 of 60\. The sections are test, training"
    ):
        ProbeTask(LABELS, OWNERS, section, "valid")
    with pytest.raises(EmbeddingsError, match="1 patients have cubes both in"):
        ProbeTask(LABELS, np.where(OWNERS == "25", "3", OWNERS), section, "test")


@pytest.mark.parametrize(
    ("labels", "message"),
    [(np.zeros(60), "every cube has the label 0"), ((OWNERS == "3") * 1, "a class with one patient")],
)
def test_labels_that_cannot_be_probed_are_refused(labels, message):
    with pytest.raises(EmbeddingsError, match=message):
        ProbeTask(labels, OWNERS)


def test_the_table_sets_each_baseline_beside_the_embeddings(labelled):
    rows = probe_embeddings(
        labelled / "good.npz",
        labelled / "labels.csv",
        {"scratch": labelled / "scratch.npz"},
        covariate="size",
        neighbours=5,
        resamples=50,
    )
    found = {(row["features"], row["probe"], row["metric"]): row for row in rows}
    own = found["embeddings", "linear", "AUC"]
    assert own["low"] <= own["value"] <= own["high"]
    assert (own["n"], own["patients"]) == (60, 30)
    assert "gain" not in own
    for name in ("scratch", "intensity statistics"):
        other = found[name, "linear", "AUC"]
        assert other["gain"] == pytest.approx(own["value"] - other["value"])
        assert 0 < other["gain_low"] <= other["gain_high"]
        assert {(name, "nearest neighbours", "AUC"), (name, "retrieval", "mAP")} <= found.keys()
    assert found["size", "linear", "AUC"]["value"] == 1
    assert ("embeddings", "linear", "AUC matched by size") in found


def test_files_are_matched_by_case_and_other_cases_refused(labelled):
    good, order = Embeddings.read(labelled / "good.npz"), np.random.default_rng(0).permutation(60)
    for name, rows in (("mixed", order), ("fewer", slice(1, None))):
        taken = {key: array[rows] for key, array in good.arrays.items()}
        Embeddings.of(taken, good.record).write(labelled / f"{name}.npz")
    rows = probe_embeddings(
        labelled / "good.npz", labelled / "labels.csv", {"mixed": labelled / "mixed.npz"}, resamples=2
    )
    assert [row["gain"] for row in rows if row["features"] == "mixed"] == [0, 0, 0]
    with pytest.raises(EmbeddingsError, match=r"fewer.npz: it has other cases: 1 of 60 .*'p0/ct \(0\)'"):
        probe_embeddings(labelled / "good.npz", labelled / "labels.csv", {"fewer": labelled / "fewer.npz"})
    with pytest.raises(EmbeddingsError, match=r"labels.csv: not a file of embeddings"):
        Embeddings.read(labelled / "labels.csv")


BY_CUBE = {
    "case": embeddings_of(telling(LABELS, 0)).case,
    "seriesuid": [f"ct{owner}" for owner in OWNERS],
    **{f"coord{axis}": embeddings_of(telling(LABELS, 0)).point[:, number] for number, axis in enumerate("XYZ")},
}
BY_PATIENT = {
    "image": [f"/scans/p{number}/ct{number}.nii.gz" for number in range(PATIENTS)],
    "patient": [f"{number}" for number in range(PATIENTS)],
}


@pytest.mark.parametrize("key", ["case", "seriesuid,coordX,coordY,coordZ", "image", "patient"])
def test_labels_find_their_cubes_by_each_key(tmp_path, key):
    table = pd.DataFrame({name: {**BY_CUBE, **BY_PATIENT}[name] for name in key.split(",")})
    each = len(LABELS) // len(table)  # cubes of a row
    table["class"] = LABELS[::each]
    table.loc[0, "class"] = np.nan
    table.to_csv(tmp_path / "labels.csv", index=False)
    labels = read_labels(tmp_path / "labels.csv", embeddings_of(telling(LABELS, 0)))
    assert labels.index.tolist() == list(range(each, 60))
    np.testing.assert_array_equal(labels["label"], LABELS[each:])


def test_labels_that_do_not_fit_are_refused(tmp_path):
    own = embeddings_of(telling(LABELS, 0))

    def refusal(columns, **named):
        pd.DataFrame(columns).to_csv(tmp_path / "l.csv", index=False)
        with pytest.raises(EmbeddingsError) as raised:
            read_labels(tmp_path / "l.csv", own, **named)
        return str(raised.value)

    assert "no column malignant; its columns are case, label" in refusal(
        {"case": ["a"], "label": [1]}, label="malignant"
    )
    assert "no column identifies its rows" in refusal({"name": ["a"], "label": [1]})
    assert "a row has ('a',), a cube ('p0/ct (0)',)" in refusal({"case": ["a"], "label": [1]})
    assert "in more than one row" in refusal({"case": ["a", "a"], "label": [1, 0]})


@pytest.mark.parametrize("relative", [False, True])
def test_a_datalist_names_images_and_sections(tmp_path, monkeypatch, relative):
    scan = tmp_path / "ct0.nii.gz"
    scan.write_bytes(b"")
    (tmp_path / "datalist.json").write_text(json.dumps({"training": [{"image": scan.name, "ill": 1, "patient": "0"}]}))
    own = embeddings_of(telling(LABELS, 0))
    own.image[:2] = str(scan)[: own.image.dtype.itemsize // 4]
    own = Embeddings(**{**vars(own), "image": np.array([str(scan)] * 2 + own.image[2:].tolist())})
    monkeypatch.chdir(tmp_path.parent)
    folder = Path(tmp_path.name) if relative else tmp_path
    labels = read_labels(folder / "datalist.json", own, "ill")
    assert labels.index.tolist() == [0, 1]
    assert labels["section"].tolist() == ["training", "training"]


def test_stability_is_one_for_the_same_and_about_none_for_others(tmp_path):
    vectors = telling(LABELS, 1) + 100  # far from 0, as activations are: the raw cosine would be 1
    same, others = stability(vectors, vectors), stability(vectors, telling(LABELS, 0, seed=9) + 100)
    for metric in ("cosine", "rank correlation"):
        np.testing.assert_allclose(same[metric], 1, rtol=1e-5)
        assert abs(others[metric].mean()) < 0.3
    statistics = np.random.default_rng(5).normal(size=(60, 9))
    perturbed = {"vectors_noise": vectors, "vectors_flip": vectors[::-1]}
    perturbed |= dict.fromkeys(("statistics_noise", "statistics_flip"), statistics)
    embeddings_of(vectors, perturbed=perturbed).write(tmp_path / "e.npz")
    rows = {
        (row["features"], row["probe"], row["metric"]): row["value"] for row in probe_embeddings(tmp_path / "e.npz")
    }
    assert rows["embeddings", "noise", "cosine"] == pytest.approx(1)
    assert rows["embeddings", "flip", "cosine"] < 0.6
    assert rows["intensity statistics", "noise", "rank correlation"] == pytest.approx(1)
    embeddings_of(vectors).write(tmp_path / "plain.npz")
    with pytest.raises(EmbeddingsError, match="--perturbations"):
        probe_embeddings(tmp_path / "plain.npz")


@pytest.mark.parametrize(("name", "least"), [("folds", 2), ("neighbours", 1), ("resamples", 1)])
def test_numbers_out_of_range_are_refused_before_a_file_is_read(name, least):
    with pytest.raises(EmbeddingsError, match=rf"{name}: expected a whole number of {least} or more, found 0"):
        probe_embeddings("missing.npz", **{name: 0})


@pytest.mark.parametrize(
    ("table", "covariate", "message"),
    [
        ("case;label\na;1\n", None, r"expected columns with commas between them, found the one column 'case;label'"),
        ("case,label,size\na,1,12.5\nb,0,large\n", "size", r"expected numbers in the column size .*'large'"),
        ("seriesuid,coordX,coordY,coordZ,label\na,x,1,1,0\n", None, r"expected numbers in the column coordX .*'x'"),
    ],
)
def test_labels_that_cannot_be_read_are_refused(table, covariate, message, labelled):
    (labelled / "labels.csv").write_text(table)
    with pytest.raises(EmbeddingsError, match=message):
        probe_embeddings(labelled / "good.npz", labelled / "labels.csv", covariate=covariate)


@pytest.mark.parametrize("damage", [lambda content: b"", lambda content: content[:99] + bytes(50) + content[149:]])
def test_a_damaged_file_of_vectors_is_named(tmp_path, damage):
    path = embeddings_of(telling(LABELS, 3)).write(tmp_path / "damaged.npz")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(EmbeddingsError, match=r"damaged\.npz: not a file of embeddings"):
        Embeddings.read(path)


def test_vectors_that_are_not_finite_are_refused(tmp_path):
    vectors = telling(LABELS, 3)
    vectors[2, 1] = np.nan
    path = embeddings_of(vectors).write(tmp_path / "spoilt.npz")
    with pytest.raises(EmbeddingsError, match=r"spoilt\.npz: 1 vectors hold NaN .* first p1/ct \(2\)"):
        Embeddings.read(path)
