"""What became of each tensor in a weight transfer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["OUTCOMES", "TensorTransfer", "TransferReport"]

# loaded: as it is in the file; adapted: made to fit; initial: the network's own initial value stays; unused: the file's
# tensor has no place in the network.
OUTCOMES = ("loaded", "adapted", "initial", "unused")


@dataclass(frozen=True)
class TensorTransfer:
    """One tensor.

    Attributes:
        key: in the network's state dict; of an unused tensor, in the file's.
        part: ``encoder``, ``decoder``, ``head``, or ``network`` where the parts are not known.
        outcome: one of ``OUTCOMES``.
        reason: why, in words that are the same for all tensors of a kind.
        detail: the numbers, when there are any.
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
    """What became of each tensor of the network and of the file; a tensor that stands under several keys is listed once.

    Attributes:
        source: the file.
        prefix: what was taken off its keys.
        parts: the parts that were to be loaded.
        tensors: one entry a tensor, in the network's order, then the file's unused ones.
        recognised: what the file is, when others published it; empty otherwise.
    """

    source: str
    prefix: str
    parts: tuple[str, ...]
    tensors: tuple[TensorTransfer, ...]
    recognised: str = ""

    def counts(self) -> dict[str, dict[str, dict[str, int]]]:
        """``{part: {outcome: {"tensors": …, "values": …}}}``; values are parameters and buffers alike, zeros left out."""
        counts: dict[str, dict[str, dict[str, int]]] = {}
        for (part, outcome), tensors in _grouped(self.tensors, "part", "outcome").items():
            counts.setdefault(part, {})[outcome] = _count(tensors)
        return counts

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        return {
            "source": self.source,
            "prefix": self.prefix,
            "recognised": self.recognised,
            "parts": list(self.parts),
            "counts": self.counts(),
            "tensors": [asdict(tensor) for tensor in self.tensors],
        }

    def __str__(self) -> str:
        """A table with a line for each part, outcome and reason; the reason's numbers are those of the first tensor."""
        rows = [("part", "outcome", "tensors", "values", "reason")]
        for (part, outcome, reason), tensors in _grouped(self.tensors, "part", "outcome", "reason").items():
            count = _count(tensors)
            example = f" ({tensors[0].key}: {tensors[0].detail})" if tensors[0].detail else ""
            rows.append((part, outcome, str(count["tensors"]), f"{count['values']:,}", reason + example))
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        lines = [
            f"{part:<{widths[0]}}  {outcome:<{widths[1]}}  {tensors:>{widths[2]}}  {values:>{widths[3]}}  {reason}".rstrip()
            for part, outcome, tensors, values, reason in rows
        ]
        changes = [f"the prefix {self.prefix!r} taken off its keys"] if self.prefix else []
        changes += [f"recognised as {self.recognised}"] if self.recognised else []
        changed = f" ({', '.join(changes)})" if changes else ""
        own = [tensor for tensor in self.tensors if tensor.outcome != "unused"]
        loaded = sum(tensor.outcome in ("loaded", "adapted") for tensor in own)
        return "\n".join([f"Weights from {self.source}{changed}: {loaded} of {len(own)} tensors", *lines])


def _grouped(tensors: Iterable[TensorTransfer], *names: str) -> dict[tuple[str, ...], list[TensorTransfer]]:
    groups: dict[tuple[str, ...], list[TensorTransfer]] = {}
    for tensor in tensors:
        groups.setdefault(tuple(getattr(tensor, name) for name in names), []).append(tensor)
    return groups


def _count(tensors: list[TensorTransfer]) -> dict[str, int]:
    return {"tensors": len(tensors), "values": sum(tensor.values for tensor in tensors)}
