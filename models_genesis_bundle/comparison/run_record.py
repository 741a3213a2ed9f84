"""The state of a run between two starts of a comparison: ``run.json`` in its folder."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from models_genesis_bundle.comparison.run import Run
from models_genesis_bundle.files import write_json
from pydantic import BaseModel, ConfigDict, model_validator

__all__ = ["RunRecord", "portable_words"]

FILE_NAME = "run.json"


class RunRecord(BaseModel):
    """The progress of a run, and the settings that it was started with.

    Args:
        training: the words of the training's command, see `portable_words`.
        initial_weights: SHA-256 of the weight file, None from scratch.
        begun: when the training that has not ended was started, in seconds since 1970; None when none is under way.
        seconds: duration of the training; a killed one counts up to the last line of its log.
        trained: whether the training has ended well.
        evaluated: the words of the evaluations that have ended well, by section.
        failure: ``step``, ``exit_code`` and ``log`` (its last lines) of a step that has failed, else empty.
    """

    model_config = ConfigDict(frozen=True)

    training: tuple[str, ...]
    initial_weights: str | None
    begun: float | None = None
    seconds: float = 0.0
    trained: bool = False
    evaluated: dict[str, tuple[str, ...]] = {}
    failure: dict[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _of_one_evaluation(cls, content: dict[str, Any]) -> dict[str, Any]:
        """Read the form of earlier versions: ``evaluation``, the words of the only one, and whether it had ended."""
        words = content.get("evaluation")
        if words is None:
            return content
        section = words[words.index("--section") + 1] if "--section" in words else "test"
        return {**content, "evaluated": {section: words} if content["evaluated"] else {}}

    @classmethod
    def read(cls, run: Run) -> RunRecord | None:
        """The record in a run's folder; None when the run was never started."""
        try:
            return cls.model_validate_json((run.folder / FILE_NAME).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def write(self, run: Run) -> RunRecord:
        """Replace the record in the run's folder atomically; returns this one."""
        write_json(run.folder / FILE_NAME, self.model_dump(mode="json"))
        return self

    def but(self, **changes: Any) -> RunRecord:
        """The record with some values changed."""
        return self.model_copy(update=changes)

    def is_finished(self, run: Run) -> bool:
        """Whether the run was trained and evaluated on the plan's section, and the evaluation's files exist."""
        return run.plan.section in self.evaluated and run.summary_path.is_file()

    def start_training(self, run: Run) -> RunRecord:
        """The record of a training that starts now, or continues after an interruption."""
        seconds = self.seconds
        if self.begun is not None and run.log_path.exists():
            seconds += max(0.0, run.log_path.stat().st_mtime - self.begun)
        return self.but(begun=time.time(), seconds=seconds, failure={})

    def end_training(self) -> RunRecord:
        """The record of a training that ends well now."""
        assert self.begun is not None, "a training that ends was started"
        return self.but(trained=True, begun=None, seconds=self.seconds + time.time() - self.begun)

    def missing_text(self, run: Run) -> str:
        """A text about an unfinished run: if a step failed, its exit code and last lines."""
        if not self.failure:
            return f"{run}: begun, not finished"
        step, code, log = (self.failure[name] for name in ("step", "exit_code", "log"))
        wrong = f"ended with exit code {code}" if code else "left no summary.json"
        return f"{run}: the {step} {wrong}; {run.log_path} ends with\n  " + "\n  ".join(log)


def portable_words(words: Sequence[str], run: Run) -> tuple[str, ...]:
    """A command's words with Python's path and the run's folder replaced by names, so that both may be moved."""
    names = {sys.executable: "python"}
    return tuple(names.get(word, word.replace(str(run.folder), "{folder}")) for word in words)
