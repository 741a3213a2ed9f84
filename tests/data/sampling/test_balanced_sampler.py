"""Each class has the same share of an epoch, by sampling or by weights."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from models_genesis_bundle.data import (
    BalancedEpochSampler,
    EpochIndex,
    EpochSampler,
    SeededDataset,
    class_weights,
    training_sampler,
)
from monai.transforms import RandGaussianNoised
from torch import distributed

LABELS = [0] * 90 + [1] * 8 + [2] * 2


def drawn(sampler, epoch=1):
    sampler.set_epoch(epoch)
    return list(sampler)


def test_every_class_is_drawn_equally_often():
    counts = Counter(LABELS[index.item] for index in drawn(BalancedEpochSampler(LABELS, num_samples=30_000)))
    for label in range(3):  # binomial: standard deviation 82
        assert counts[label] == pytest.approx(10_000, abs=400)


def test_items_of_a_class_come_once_before_any_comes_again():
    indices = drawn(BalancedEpochSampler(LABELS, num_samples=300))
    for label in range(3):
        items = [index for index in indices if LABELS[index.item] == label]
        members = LABELS.count(label)
        for start in range(0, len(items), members):
            turn = items[start : start + members]
            assert len({index.item for index in turn}) == len(turn)
            assert {index.repeat for index in turn} == {start // members}


def test_draws_follow_from_seed_and_epoch_alone():
    one, two = BalancedEpochSampler(LABELS, seed=3), BalancedEpochSampler(LABELS, seed=3)
    drawn(two, 7)
    assert drawn(one, 2) == drawn(two, 2)
    assert drawn(one, 2) != drawn(one, 3)
    assert drawn(one, 2) != drawn(BalancedEpochSampler(LABELS, seed=4), 2)
    assert len(one) == len(drawn(one)) == len(LABELS)


def test_a_repeated_item_gets_other_augmentation():
    items = [{"image": np.zeros((1, 4, 4), dtype=np.float32)}] * 2
    data = SeededDataset(items, RandGaussianNoised("image", prob=1.0))
    first, again, same = (data[EpochIndex(1, 0, repeat)]["image"] for repeat in (0, 1, 0))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, again)
    assert np.array_equal(first, data[EpochIndex(1, 0)]["image"])


def test_ranks_share_what_one_process_draws(monkeypatch):
    alone = drawn(BalancedEpochSampler(LABELS, num_samples=10))
    monkeypatch.setattr(distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    shares = []
    for rank in range(2):
        monkeypatch.setattr(distributed, "get_rank", lambda rank=rank: rank)
        sampler = BalancedEpochSampler(LABELS, num_samples=10)
        shares.append(drawn(sampler))
        assert len(sampler) == 5
    assert [index for pair in zip(*shares, strict=True) for index in pair] == alone


def test_the_setting_chooses_the_sampler():
    assert isinstance(training_sampler(LABELS, LABELS, "sampler", num_samples=5), BalancedEpochSampler)
    for balance in ("loss", "none"):
        sampler = training_sampler(LABELS, LABELS, balance)
        assert type(sampler) is EpochSampler
        assert len(sampler) == len(LABELS)
    with pytest.raises(ValueError, match="one of sampler, loss, none, found 'weights'"):
        training_sampler(LABELS, LABELS, "weights")
    with pytest.raises(ValueError, match="only balance='sampler' takes a number"):
        training_sampler(LABELS, LABELS, "none", num_samples=5)
    with pytest.raises(ValueError, match="got 0 labels"):
        BalancedEpochSampler([])


def test_weights_give_every_class_the_same_part_in_the_loss():
    weights = class_weights(LABELS, 3)
    assert weights.tolist() == pytest.approx([100 / 270, 100 / 24, 100 / 6])
    labels = torch.tensor(LABELS)
    logits = torch.zeros(len(labels), 3)
    losses = torch.nn.CrossEntropyLoss(weights, reduction="none")(logits, labels)
    parts = [losses[labels == label].sum().item() for label in range(3)]
    assert parts == pytest.approx([parts[0]] * 3)


@pytest.mark.parametrize(("labels", "classes"), [([0, 0, 2], 3), ([0, 1, 2], 2)])
def test_weights_need_items_of_each_class_and_of_no_other(labels, classes):
    with pytest.raises(ValueError, match="items by class"):
        class_weights(labels, classes)
