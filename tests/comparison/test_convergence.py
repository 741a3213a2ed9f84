"""What learning curves say."""

from __future__ import annotations

import pytest

from models_genesis_bundle.comparison.convergence import best_point, epochs_to_reach, has_settled


def curve(*values):
    return list(enumerate(values, start=1))


def test_the_best_point_is_the_first_of_equals():
    assert best_point(curve(0.1, 0.5, 0.5, 0.2)) == (2, 0.5)
    assert best_point(curve(0.3, 0.1, 0.1, 0.2), higher_is_better=False) == (2, 0.1)


def test_epochs_to_reach():
    assert epochs_to_reach(curve(0.1, 0.5, 0.4, 0.6), 0.5) == 2
    assert epochs_to_reach(curve(0.1, 0.5), 0.51) is None
    assert epochs_to_reach(curve(0.9, 0.4), 0.4, higher_is_better=False) == 2


@pytest.mark.parametrize(
    ("values", "settled"),
    [
        ((0.2, 0.6, 0.8, 0.79, 0.78, 0.79, 0.80, 0.79), True),  # best long ago
        ((0.2, 0.6, 0.7, 0.75, 0.79, 0.8, 0.8, 0.803), True),  # still creeping, by less than a hundredth
        ((0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), False),  # still climbing
        ((0.8, 0.7, 0.6), False),  # too short to say
    ],
)
def test_settled(values, settled):
    assert has_settled(curve(*values)) is settled
    losses = [(epoch, 1 - value) for epoch, value in curve(*values)]
    assert has_settled(losses, higher_is_better=False, tolerance=0.02) is settled


def test_settled_with_few_validations_of_a_long_run():
    assert has_settled([(10, 0.5), (20, 0.8), (30, 0.8), (40, 0.8)])
    assert not has_settled([(10, 0.5), (20, 0.6), (30, 0.7), (40, 0.8)])
