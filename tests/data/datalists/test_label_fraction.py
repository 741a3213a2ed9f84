import itertools

import pytest
from models_genesis_bundle.data import take_fraction


def cohort(patients=40, items=3, **classes):
    return [
        {"patient": f"p{p:03d}", "image": f"p{p:03d}_{n}", **{key: rule(p, n) for key, rule in classes.items()}}
        for p in range(patients)
        for n in range(items)
    ]


def patients(items):
    return {item["patient"] for item in items}


@pytest.mark.parametrize("stratify_key", [None, "label"])
def test_smaller_shares_are_within_larger_ones_and_patients_stay_whole(stratify_key):
    items = cohort(label=lambda p, n: int(p % 7 == 0 and n == 1))
    kept = [take_fraction(items, share, seed=5, stratify_key=stratify_key) for share in (0.01, 0.1, 0.3, 0.5, 1.0)]
    assert [len(patients(part)) for part in kept] == [1, 4, 12, 20, 40]
    assert all(patients(small) <= patients(large) for small, large in itertools.pairwise(kept))
    assert all(len(part) == 3 * len(patients(part)) for part in kept)
    assert kept[-1] == items


def test_the_seed_alone_chooses_whatever_the_order_of_the_items():
    items = cohort()
    assert patients(take_fraction(items[::-1], 0.3, seed=1)) == patients(take_fraction(items, 0.3, seed=1))
    assert len({frozenset(patients(take_fraction(items, 0.3, seed=seed))) for seed in range(20)}) == 20


def test_every_patient_has_the_same_chance():
    items = cohort(10, 1)
    taken = [patient for seed in range(1000) for patient in patients(take_fraction(items, 0.3, seed=seed))]
    assert all(240 < taken.count(f"p{p:03d}") < 360 for p in range(10)), "300 expected, standard deviation 14.5"


@pytest.mark.parametrize("seed", range(5))
def test_every_class_keeps_an_item(seed):
    items = cohort(60, 2, label=lambda p, n: {0: "rare", 1: "seldom", 2: "seldom"}.get(p, "common"))
    assert {item["label"] for item in take_fraction(items, 0.01, seed, "label")} == {"rare", "seldom", "common"}
    mixed = cohort(60, 2, label=lambda p, n: int(p < 3 and n == 1))
    assert {item["label"] for item in take_fraction(mixed, 0.01, seed, "label")} == {0, 1}


@pytest.mark.parametrize("seed", range(5))
def test_the_classes_keep_their_shares(seed):
    items = cohort(200, 1, label=lambda p, n: int(p % 5 == 0))
    for share in (0.1, 0.3, 0.5):
        positive = sum(item["label"] for item in take_fraction(items, share, seed, "label"))
        assert positive == pytest.approx(0.2 * share * 200, abs=1)


@pytest.mark.parametrize("stratify_key", [None, "label"])
def test_shots_are_a_number_of_patients_each_within_the_next(stratify_key):
    items = cohort(label=lambda p, n: int(p % 2))
    kept = [take_fraction(items, seed=5, stratify_key=stratify_key, shots=shots) for shots in (2, 5, 12, 40)]
    assert [len(patients(part)) for part in kept] == [2, 5, 12, 40]
    assert all(patients(small) < patients(large) for small, large in itertools.pairwise(kept))
    assert kept[2] == take_fraction(items, 0.3, seed=5, stratify_key=stratify_key), "12 of 40 patients"
    assert len({frozenset(patients(take_fraction(items, seed=seed, shots=1))) for seed in range(40)}) > 15


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        *(({"shots": shots}, f"shots: .* from 1 to 40, found {shots!r}") for shots in (0, 41, 1.0, 2.5, True, "2")),
        *(({"fraction": share}, f"above 0 and up to 1, found {share}") for share in (0, -0.1, 1.2, 10)),
        ({"fraction": 0.5, "shots": 3}, "shots: label_fraction is also set, to 0.5"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        take_fraction(cohort(), **settings)


def test_nothing_to_take_from_and_items_without_the_class():
    with pytest.raises(ValueError, match="list of training items is empty"):
        take_fraction([], 0.5)
    with pytest.raises(KeyError, match="p000_0: it has no entry 'grade'"):
        take_fraction(cohort(), 0.5, stratify_key="grade")
