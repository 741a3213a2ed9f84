"""What a learning curve says: whether a run had settled, and how soon it reached a value."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["best_point", "epochs_to_reach", "has_settled"]

Curve = Sequence[tuple[int, float]]
LAST_PART = 0.25
FEWEST_POINTS = 4


def best_point(curve: Curve, higher_is_better: bool = True) -> tuple[int, float]:
    """Epoch and value of a curve's best point, the first of several.

    Args:
        curve: (epoch, validation metric) of each validation; at least one.
        higher_is_better: which end of the metric is the better one.
    """
    sign = 1 if higher_is_better else -1
    return max(curve, key=lambda point: (sign * point[1], -point[0]))


def epochs_to_reach(curve: Curve, target: float, higher_is_better: bool = True) -> int | None:
    """The first epoch whose validation metric is at least as good as ``target``; None when there is none."""
    sign = 1 if higher_is_better else -1
    return next((epoch for epoch, value in curve if sign * value >= sign * target), None)


def has_settled(curve: Curve, higher_is_better: bool = True, tolerance: float = 0.01) -> bool:
    """Whether a run had stopped getting better when it ended.

    It had when the best validation of its whole length is better than that of its first three quarters by at most
    ``tolerance`` of it. A best validation before the last quarter is the plainest case: the difference is zero. A run of
    fewer than four validations is too short to say so and counts as not settled.

    Args:
        curve: (epoch, validation metric) of each validation, in order.
        higher_is_better: which end of the metric is the better one.
        tolerance: share of the best value.
    """
    if len(curve) < FEWEST_POINTS:
        return False
    end = curve[-1][0] * (1 - LAST_PART)
    earlier = [point for point in curve if point[0] <= end]
    if not earlier:
        return False
    _, best = best_point(curve, higher_is_better)
    _, best_earlier = best_point(earlier, higher_is_better)
    return abs(best - best_earlier) <= tolerance * abs(best)
