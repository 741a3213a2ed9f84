"""The way of scans into a network whose weights were pretrained."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from models_genesis_bundle.data.scans.intensity import IntensityScaling
from models_genesis_bundle.data.scans.preprocessing import ScanPreprocessing

__all__ = ["recorded_preprocessing"]

logger = logging.getLogger(__name__)

_SCANS_OWN = "scan"


def recorded_preprocessing(
    record: Mapping[str, Any] | None,
    intensity: IntensityScaling | str | None = None,
    spacing: float | Sequence[float] | str | None = None,
    orientation: str | None = None,
    volume: int | None = None,
    spatial_dims: int | None = None,
) -> ScanPreprocessing:
    """The steps that the initial weights were trained behind, or others where the caller says so.

    A network reads what it has learnt only from scans that are scaled as its pretraining's were, so that a departure
    from the record is logged as a warning with both values.

    Args:
        record: what `ScanPreprocessing.record` wrote into the weights' file; None, as for training from scratch or weights
            without a record, stands for the defaults of `ScanPreprocessing`.
        intensity: the scaling, or the name of its mode (``"window"``, ``"percentile"``) with the usual limits; None for the
            recorded one.
        spacing: side of a voxel in millimetres, one number or one for each axis; ``"scan"`` for the scan's own; None for the
            recorded one.
        orientation: axis codes such as ``"RAS"``; ``"scan"`` for the file's own; None for the recorded one.
        volume: which volume of a file with several to take, see `LoadScand`; None for the recorded one.
        spatial_dims: axes of a scan, 2 or 3; None for the recorded number.

    Returns:
        The steps for the key ``image``.

    Raises:
        ValueError: a record that cannot be understood, or a setting out of range.
    """
    recorded = ScanPreprocessing(spatial_dims=spatial_dims or 3) if record is None else _from_record(record)
    if isinstance(intensity, str):
        intensity = IntensityScaling(intensity)
    chosen = ScanPreprocessing(
        intensity=recorded.intensity if intensity is None else intensity,
        spacing=_chosen(spacing, recorded.spacing),
        orientation=_chosen(orientation, recorded.orientation),
        spatial_dims=recorded.spatial_dims if spatial_dims is None else spatial_dims,
        volume=recorded.volume if volume is None else volume,
    )
    if record is None:
        logger.info("Preprocessing as set or by default, since no weights record theirs: %s", chosen.record())
        return chosen
    for name in ("intensity", "spacing", "orientation"):
        now, before = getattr(chosen, name), getattr(recorded, name)
        if now != before:
            logger.warning(
                "%s is %s, but the weights were pretrained with %s; they may be worth little on such input",
                name,
                _named(now),
                _named(before),
            )
    logger.info("Preprocessing as recorded with the weights, but for what was said above: %s", chosen.record())
    return chosen


def _from_record(record: Mapping[str, Any]) -> ScanPreprocessing:
    try:
        return ScanPreprocessing.from_record(record)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"The record of the preprocessing in the weights cannot be understood ({type(error).__name__}: {error}); "
            f"expected the entries {', '.join(ScanPreprocessing().record())}, found {dict(record)}. Take weights that this "
            "version wrote, or train from scratch."
        ) from error


def _chosen(given: Any, recorded: Any) -> Any:
    if given is None:
        return recorded
    return None if given == _SCANS_OWN else given


def _named(value: Any) -> str:
    return "the scan's own" if value is None else str(value)
