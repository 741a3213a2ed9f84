import numpy as np
import pytest
from models_genesis_bundle.bundle_config import genesis_pairs
from models_genesis_bundle.data import EpochIndex, EpochSampler, SeededDataset
from monai.transforms import Compose, OneOf, RandGaussianNoised

ITEMS = [{"image": np.zeros((1, 4, 4), dtype=np.float32), "number": n} for n in range(10)]


def dataset(seed=0, redraw=True):
    return SeededDataset(ITEMS, RandGaussianNoised("image", prob=1.0), seed=seed, redraw=redraw)


def test_draws_follow_from_seed_epoch_and_item_alone():
    one, two = dataset(), dataset()
    for index in (3, 7, 3):
        two[EpochIndex(5, index)]
    assert np.array_equal(one[EpochIndex(1, 2)]["image"], two[EpochIndex(1, 2)]["image"])
    others = [one[EpochIndex(2, 2)], one[EpochIndex(1, 3)], dataset(seed=1)[EpochIndex(1, 2)]]
    assert not any(np.array_equal(one[EpochIndex(1, 2)]["image"], other["image"]) for other in others)


def test_states_given_by_somebody_else_change_nothing():
    one, two = dataset(), dataset()
    wanted = one[EpochIndex(1, 2)]["image"]
    two[EpochIndex(1, 2)]
    two.transform.set_random_state(seed=99)
    assert np.array_equal(two[EpochIndex(1, 2)]["image"], wanted)


def test_every_part_of_a_pipeline_draws_anew():
    noises = [RandGaussianNoised("image", prob=1.0) for _ in range(3)]
    items = SeededDataset(ITEMS, Compose([noises[0], OneOf([noises[1], Compose(noises[2:])])]))
    drawn = []
    for item in range(8):
        items[item]
        drawn.append([noise.rand_gaussian_noise.R.uniform() for noise in noises])
    flat = np.ravel(drawn)
    assert len(np.unique(flat)) == len(flat), "no two parts and no two items share their draws"


def test_validation_is_the_same_in_every_epoch():
    fixed = dataset(redraw=False)
    assert np.array_equal(fixed[EpochIndex(1, 2)]["image"], fixed[EpochIndex(9, 2)]["image"])
    assert np.array_equal(fixed[EpochIndex(1, 2)]["image"], fixed[2]["image"])


def test_sampler_shuffles_by_epoch_and_passes_it_on():
    sampler = EpochSampler(ITEMS, seed=3)
    orders = []
    for epoch in (1, 2, 1):
        sampler.set_epoch(epoch)
        drawn = list(sampler)
        assert {index.epoch for index in drawn} == {epoch}
        assert sorted(index.item for index in drawn) == list(range(10))
        orders.append(drawn)
    assert orders[0] == orders[2]
    assert [index.item for index in orders[0]] != [index.item for index in orders[1]]
    assert [index.item for index in EpochSampler(ITEMS, shuffle=False)] == list(range(10))


@pytest.mark.parametrize(("items", "shares"), [(5, [[0, 2, 4], [1, 3]]), (4, [[0, 2], [1, 3]]), (1, [[0], [0]])])
def test_ranks_share_the_items_of_a_validation(items, shares, monkeypatch):
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 2)
    for rank, share in enumerate(shares):
        monkeypatch.setattr("torch.distributed.get_rank", lambda rank=rank: rank)
        sampler = EpochSampler(range(items), shuffle=False)
        assert [index.item for index in sampler] == share
        assert len(sampler) == len(share)
        assert len(EpochSampler(range(items))) == -(-items // 2), "all ranks train on equally many"


def test_the_configured_recipe_leaves_the_target_clean(root):
    cube = np.random.default_rng(0).random((1, 32, 32, 32), dtype=np.float32)
    pairs = genesis_pairs([{"image": cube}] * 30, str(root / "configs" / "pretrain.yaml"))
    items = [pairs[number] for number in range(30)]
    assert all(sorted(item["label"].flatten().tolist()) == sorted(cube.ravel().tolist()) for item in items[:3])
    changed = np.mean([bool((item["image"] != item["label"]).any()) for item in items])
    assert changed == pytest.approx(1.0, abs=0.1)
    assert all(item["image"].min() >= 0 and item["image"].max() <= 1 for item in items)
