"""Weights of the classes in a loss, against their imbalance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.utils.class_weight import compute_class_weight

__all__ = ["class_weights"]


def class_weights(labels: Sequence[int], num_classes: int) -> torch.Tensor:
    """Weights inversely proportional to the classes' frequencies: items / (``num_classes`` · items of the class).

    With them every class has the same part in a loss that is a mean over all items, as ``torch.nn.CrossEntropyLoss``
    takes them.

    Args:
        labels: class of each training item, 0 … ``num_classes`` - 1.
        num_classes: number of classes.

    Returns:
        (num_classes,), float32.

    Raises:
        ValueError: when a class has no item, or an item has a class that is none.

    Examples:
        >>> from models_genesis_bundle.data import class_weights
        >>> class_weights([0, 0, 0, 1], num_classes=2)
        tensor([0.6667, 2.0000])
    """
    counts = np.bincount(np.asarray(labels, dtype=np.int64), minlength=num_classes)
    if len(counts) > num_classes or not counts.all():
        raise ValueError(
            f"class_weights: each of the classes 0 … {num_classes - 1} needs training items and no other may occur, "
            f"found {dict(enumerate(counts.tolist()))} items by class."
        )
    weights = compute_class_weight("balanced", classes=np.arange(num_classes), y=np.asarray(labels))
    return torch.as_tensor(weights, dtype=torch.float32)
