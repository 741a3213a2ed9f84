"""An evaluator that skips scans that cannot be used."""

from __future__ import annotations

import logging
from typing import Any

from models_genesis_bundle.data.sampling.readable_scans import SKIPPED, skipped_text
from monai.engines import SupervisedEvaluator

logger = logging.getLogger(__name__)


class ScanEvaluator(SupervisedEvaluator):
    """MONAI's `SupervisedEvaluator`, for a data loader over `SkipUnreadable` with a batch size of 1.

    A scan that cannot be used gives an empty list of cases, so that handlers skip it. It is logged at once, and again at the end.

    Attributes:
        skipped: the reasons by the scans' paths.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.skipped: dict[str, str] = {}

    def run(self) -> None:
        """Process all scans once; log a warning if there are none."""
        self.skipped.clear()
        if self.state.epoch_length == 0:
            logger.warning("There are no scans to process.")
            return
        super().run()
        if self.skipped:
            logger.warning("%s", skipped_text(self.skipped, self.state.iteration))

    def _iteration(self, engine: SupervisedEvaluator, batchdata: Any) -> Any:
        if set(batchdata) != {SKIPPED}:  # a case of a datalist may also have this key
            return super()._iteration(engine, batchdata)
        (image,), (reason,) = (batchdata[SKIPPED][key] for key in ("image", "reason"))
        logger.warning("%s: skipped: %s", image, reason)
        self.skipped[image] = reason
        engine.state.batch = []
        return []
