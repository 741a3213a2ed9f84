"""What the handlers that look at every case of an evaluation share."""

from __future__ import annotations

from ignite.engine import Engine, Events

from models_genesis_bundle.reports.evaluated_cases import require_one_process

__all__ = ["CaseHandler"]


class CaseHandler:
    """Starts without cases, collects those of each batch, and writes at the end of an evaluation."""

    def attach(self, engine: Engine) -> None:
        """Follow an evaluator; list the handler behind the metrics."""
        engine.add_event_handler(Events.STARTED, self.start)
        engine.add_event_handler(Events.ITERATION_COMPLETED, self.collect)
        engine.add_event_handler(Events.COMPLETED, self.write)

    def start(self, engine: Engine) -> None:
        """Begin without cases.

        Raises:
            RuntimeError: in a distributed run.
        """
        require_one_process()

    def collect(self, engine: Engine) -> None:
        """Keep what is needed of a batch's cases."""
        raise NotImplementedError

    def write(self, engine: Engine) -> None:
        """Write what the cases gave."""
        raise NotImplementedError
