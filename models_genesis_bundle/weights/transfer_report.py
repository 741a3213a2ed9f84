"""The report of a transfer of weights, tensor by tensor."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from tabulate import tabulate


@dataclass(frozen=True)
class TensorTransfer:
    """One tensor.

    Attributes:
        key: in the network's state dict; for an unused tensor, in the file's.
        part: ``encoder``, ``decoder``, ``head``, or ``network`` where the parts are not known.
        outcome: ``loaded``: as it is in the file; ``adapted``: made to fit; ``initial``: the network keeps its initial value;
            ``unused``: the network has no place for the file's tensor.
        reason: why, in words that are the same for all tensors of a kind.
        detail: numbers, if any.
        values: how many numbers it holds.
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
        prefix: what was removed from its keys.
        parts: the parts to load.
        tensors: one entry for each tensor, in the network's order, then the file's unused ones.
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
        """A table with a line for each part, outcome and reason; the reason's numbers are those of the first tensor."""
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
