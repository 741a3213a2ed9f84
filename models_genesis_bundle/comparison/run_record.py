"""What is known of a run from one start of a comparison to the next: ``run.json`` in its folder."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from models_genesis_bundle.comparison.runs import Run
from models_genesis_bundle.files import write_json

__all__ = ["RunRecord", "portable_words"]

FILE_NAME = "run.json"


@dataclass(frozen=True)
class RunRecord:
    """How far a run has come, and what it was started with.

    Args:
        training: the words of the training's command, see `portable_words`.
        evaluation: those of the evaluation.
        initial_weights: SHA-256 of the weight file, None from scratch.
        begun: when the training that has not ended was started, in seconds since 1970; None when none is under way.
        seconds: that training has taken; a killed one counts up to the last line of its log.
        trained: whether the training has ended well.
        evaluated: whether the evaluation has.
        failure: ``step``, ``exit_code`` and ``log`` (its last lines) of a step that has failed, else empty.
    """

    training: tuple[str, ...]
    evaluation: tuple[str, ...]
    initial_weights: str | None
    begun: float | None = None
    seconds: float = 0.0
    trained: bool = False
    evaluated: bool = False
    failure: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, run: Run) -> RunRecord | None:
        """The record in a run's folder; None when the run was never started."""
        try:
            content = json.loads((run.folder / FILE_NAME).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return cls(**{**content, "training": tuple(content["training"]), "evaluation": tuple(content["evaluation"])})

    def write(self, run: Run) -> RunRecord:
        """Replace the record in the run's folder, whole or not at all; returns this one."""
        write_json(run.folder / FILE_NAME, asdict(self))
        return self

    def same_training(self, other: RunRecord) -> bool:
        """Whether two trainings have the same command and the same weights to start from."""
        return (self.training, self.initial_weights) == (other.training, other.initial_weights)

    def is_finished(self, run: Run) -> bool:
        """Whether the run was trained and evaluated, and what the evaluation wrote is there."""
        return self.evaluated and run.summary_path.is_file()

    def start_training(self, run: Run) -> RunRecord:
        """The record of a training that starts now, or goes on after it was interrupted."""
        seconds = self.seconds
        if self.begun is not None and run.log_path.exists():
            seconds += max(0.0, run.log_path.stat().st_mtime - self.begun)
        return replace(self, begun=time.time(), seconds=seconds, failure={})

    def end_training(self) -> RunRecord:
        """The record of a training that ends well now."""
        assert self.begun is not None, "a training that ends was started"
        return replace(self, trained=True, begun=None, seconds=self.seconds + time.time() - self.begun)

    def end_evaluation(self) -> RunRecord:
        """The record of a run that is finished."""
        return replace(self, evaluated=True, failure={})


def portable_words(words: Sequence[str], run: Run) -> tuple[str, ...]:
    """A command's words with Python's path and the run's folder replaced by names, so that both may be moved."""
    names = {sys.executable: "python"}
    return tuple(names.get(word, word.replace(str(run.folder), "{folder}")) for word in words)
