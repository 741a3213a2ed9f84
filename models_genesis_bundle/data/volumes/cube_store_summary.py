"""Counts of what a cube store holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["CubeStoreSummary"]


@dataclass(frozen=True)
class CubeStoreSummary:
    """What a cube store holds.

    Args:
        scans: scans that gave cubes.
        cubes: cubes in the store.
        bytes: size of the cubes' file.
        padded: scans that got padding, being smaller than a cube or because a point lies near their border.
        short: scans that gave fewer cubes than were wanted.
        skipped: why each scan that gave no cube was left out, by file.
    """

    scans: int
    cubes: int
    bytes: int
    padded: int
    short: int
    skipped: Mapping[str, str]

    def __str__(self) -> str:
        text = f"{self.cubes} cubes of {self.scans} scans, {self.bytes / 2**20:.1f} MiB"
        if self.padded:
            text += f"; {self.padded} scans that a cube reaches out of were padded"
        if self.short:
            text += f"; {self.short} scans gave fewer cubes than wanted"
        if self.skipped:
            text += f"; {len(self.skipped)} scans were skipped:"
            text += "".join(f"\n  {image}: {reason}" for image, reason in self.skipped.items())
        return text
