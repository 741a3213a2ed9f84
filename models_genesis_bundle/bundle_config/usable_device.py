"""The device of a command."""

from __future__ import annotations

import torch


def usable_device(name: str | torch.device) -> torch.device:
    """The torch device with this name; a ``ValueError`` if PyTorch or this machine does not have it."""
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (AssertionError, NotImplementedError, RuntimeError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"device: expected a device of this machine, such as cpu or cuda:0, found {str(name)!r}: {reason}"
        ) from error
    return device
