"""The states of an engine's metrics within an epoch, as values that a checkpoint can hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from ignite.engine import Engine, Events
from ignite.metrics import Metric
from monai.handlers import IgniteMetricHandler

__all__ = ["get_metric_states", "set_metric_states"]


def get_metric_states(engine: Engine) -> list[dict[str, Any]]:
    """The states of the metrics that are attached to an engine, in this process, in the order of their attachment."""
    return [
        {name: _on("cpu", getattr(holder, name)) for name in names}
        for holder, names in (_holder(metric) for metric in _metrics(engine))
    ]


def set_metric_states(engine: Engine, states: Sequence[dict[str, Any]]) -> None:
    """Restore what ``get_metric_states`` gave; call it when the metrics have been reset for the epoch."""
    for metric, state in zip(_metrics(engine), states, strict=True):
        holder, names = _holder(metric)
        for name in names:
            setattr(holder, name, _on(engine.state.device, state[name]) if holder is not metric else state[name])


def _metrics(engine: Engine) -> list[Metric]:
    handlers = (handler for handler, *_ in engine._event_handlers[Events.EPOCH_STARTED])
    return [owner for handler in handlers if isinstance(owner := getattr(handler, "__self__", None), Metric)]


def _holder(metric: Metric) -> tuple[Any, Sequence[str]]:
    """The object with a metric's running values, and their names: MONAI's handlers hold them in their ``metric_fn``."""
    if isinstance(metric, IgniteMetricHandler):
        return metric.metric_fn, ["_buffers"]
    return metric, metric._state_dict_all_req_keys


def _on(device: str | torch.device, value: Any) -> Any:
    if isinstance(value, list):
        return [_on(device, one) for one in value]
    return value.to(device) if isinstance(value, torch.Tensor) else value
