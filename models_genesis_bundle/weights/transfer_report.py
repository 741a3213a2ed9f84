"""The report of a transfer of weights, tensor by tensor."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tabulate import tabulate


@dataclass(frozen=True)
class TensorTransfer:
    """The outcome for one tensor.

    Attributes:
        key: its key in the network's state dict; for an unused tensor, in the file's.
        part: ``encoder``, ``decoder``, ``head``, or ``network`` if the parts are not known.
        outcome: ``loaded``, ``adapted``, ``initial`` or ``unused``, see ``transfer_weights``.
        reason: the reason, in the same words for all tensors that it concerns.
        detail: numbers that belong to the reason, or empty.
        values: its number of values.
    """

    key: str
    part: str
    outcome: str
    reason: str
    detail: str
    values: int


@dataclass(frozen=True)
class TransferReport:
    """The outcome for each tensor of the network and of the file; a tensor with several keys is listed once.

    Attributes:
        source: the file.
        prefix: the prefix that was removed from the file's keys.
        parts: the parts to load.
        tensors: the tensors of the network in its order, then the unused tensors of the file.
        recognised: title of a published file; empty for other files.
    """

    source: str
    prefix: str
    parts: tuple[str, ...]
    tensors: tuple[TensorTransfer, ...]
    recognised: str = ""

    def counts(self) -> dict[str, dict[str, dict[str, int]]]:
        """``{part: {outcome: {"tensors": …, "values": …}}}``; values are parameters and buffers; zero counts are omitted."""
        counts: dict[str, dict[str, dict[str, int]]] = {}
        for tensor in self.tensors:
            count = counts.setdefault(tensor.part, {}).setdefault(tensor.outcome, {"tensors": 0, "values": 0})
            count["tensors"] += 1
            count["values"] += tensor.values
        return counts

    def to_dict(self) -> dict[str, Any]:
        """The whole report as plain values, for JSON."""
        return {**asdict(self), "parts": list(self.parts), "counts": self.counts()}

    def __str__(self) -> str:
        """A table with a row for each part, outcome and reason; a detail is that of the first tensor."""
        groups: dict[tuple[str, str, str], list[TensorTransfer]] = {}
        for tensor in self.tensors:
            groups.setdefault((tensor.part, tensor.outcome, tensor.reason), []).append(tensor)
        rows = [("part", "outcome", "tensors", "values", "reason")]
        for (part, outcome, reason), (first, *others) in groups.items():
            values = sum(tensor.values for tensor in (first, *others))
            example = f" ({first.key}: {first.detail})" if first.detail else ""
            rows.append((part, outcome, str(1 + len(others)), f"{values:,}", reason + example))
        aligned = ("left", "left", "right", "right", "left")
        table = tabulate(rows, tablefmt="plain", colalign=aligned, disable_numparse=True)
        changes = [f"the prefix {self.prefix!r} taken off its keys"] if self.prefix else []
        changes += [f"recognised as {self.recognised}"] if self.recognised else []
        changed = f" ({', '.join(changes)})" if changes else ""
        own = [tensor for tensor in self.tensors if tensor.outcome != "unused"]
        loaded = sum(tensor.outcome in ("loaded", "adapted") for tensor in own)
        title = f"Weights from {self.source}{changed}: {loaded} of {len(own)} tensors"
        return "\n".join([title, *(line.rstrip() for line in table.splitlines())])
