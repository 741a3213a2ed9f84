"""Muon, an optimizer that updates all directions of a layer equally."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch.optim.adamw import adamw

# The quintic iteration of Jordan et al. It brings singular values between about 0.01 and 1 to 0.7 … 1.2 in five steps.
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
_NEWTON_SCHULZ_STEPS = 5
_UPDATE_RMS = 0.2  # the root mean square of an entry of AdamW's updates, as measured by Liu et al.
_BETAS = (0.9, 0.999)
_EPSILON = 1e-8


class Muon(torch.optim.Optimizer):
    """Steps along the orthogonalised momentum of each convolution; AdamW optimises all other parameters.

    The momentum of a kernel is reshaped to a matrix (first axis by all others), and its singular values are brought to about one.
    A step then changes all directions equally; with AdamW, deep layers collapse into few directions in short trainings. Updates
    have the root mean square of AdamW's updates, so that AdamW's learning rates fit. Biases, normalisations and kernels that are
    a single vector are optimised by AdamW with ``betas=(0.9, 0.999)``, without weight decay.

    ``torch.optim.Muon`` (torch 2.13) accepts only matrices, not kernels, and computes in bfloat16, which most CPUs emulate; this
    class uses bfloat16 only on CUDA devices. It can be replaced by torch's Muon when that accepts kernels.

    Args:
        params: parameters or parameter groups, as in every torch optimizer.
        lr: learning rate.
        weight_decay: fraction of a kernel that a step at learning rate 1 removes.
        momentum: factor of the earlier gradients, in Nesterov's form.

    Raises:
        ValueError: an argument out of range.

    Source:
        Jordan et al., *Muon: An optimizer for hidden layers in neural networks*, 2024; scale of the updates: Liu et al., *Muon is
        scalable for LLM training*, arXiv:2502.16982, 2025, equation 4.

    Examples:
        >>> from models_genesis_bundle.networks import GenesisUNet
        >>> from models_genesis_bundle.optim import Muon, parameter_groups
        >>> optimizer = Muon(parameter_groups(GenesisUNet(features=(4, 8)), 1e-3))
    """

    def __init__(
        self,
        params: Iterable[torch.Tensor] | Iterable[dict[str, Any]],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
    ) -> None:
        if lr < 0:
            raise ValueError(f"Muon: lr must be 0 or more, found {lr}.")
        if weight_decay < 0:
            raise ValueError(f"Muon: weight_decay must be 0 or more, found {weight_decay}.")
        if not 0 <= momentum < 1:
            raise ValueError(f"Muon: momentum must be in [0, 1), found {momentum}.")
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take one step; return the loss that ``closure`` computes, if it is given."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            others: list[torch.Tensor] = []
            kernels: dict[tuple, list[torch.Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                if parameter.ndim < 2 or min(_matrix_shape(parameter)) < 2:
                    others.append(parameter)
                else:
                    kernels.setdefault((parameter.shape, parameter.dtype, parameter.device), []).append(parameter)
            for alike in kernels.values():
                self._step_kernels(alike, group)
            self._step_others(others, group["lr"])
        return loss

    def _step_kernels(self, kernels: list[torch.Tensor], group: Mapping[str, Any]) -> None:
        """Step along kernels of the same shape; their updates are computed as one batch."""
        directions = []
        for kernel in kernels:
            state = self.state[kernel]
            if not state:
                state["momentum"] = torch.zeros_like(kernel)
            average = state["momentum"].lerp_(kernel.grad, 1 - group["momentum"])
            directions.append(kernel.grad.lerp(average, group["momentum"]).flatten(1))
        for kernel, update in zip(kernels, orthogonalised(torch.stack(directions)), strict=True):
            kernel.mul_(1 - group["lr"] * group["weight_decay"])
            kernel.add_(update.view(kernel.shape), alpha=-group["lr"] * _UPDATE_RMS * max(_matrix_shape(kernel)) ** 0.5)

    def _step_others(self, parameters: list[torch.Tensor], lr: float) -> None:
        for parameter in parameters:
            state = self.state[parameter]
            if not state:
                state["step"] = torch.zeros(())
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        states = [self.state[parameter] for parameter in parameters]
        adamw(
            parameters,
            [parameter.grad for parameter in parameters],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            amsgrad=False,
            beta1=_BETAS[0],
            beta2=_BETAS[1],
            lr=lr,
            weight_decay=0.0,
            eps=_EPSILON,
            maximize=False,
        )


def orthogonalised(matrices: torch.Tensor) -> torch.Tensor:
    """Bring the singular values of matrices (…, M, N) to about one, by a Newton–Schulz iteration."""
    a, b, c = _NEWTON_SCHULZ
    tall = matrices.shape[-2] > matrices.shape[-1]
    low = matrices.to(torch.bfloat16) if matrices.is_cuda else matrices.float()
    result = low.mT if tall else low
    result = result / torch.linalg.matrix_norm(result, keepdim=True).clamp(min=1e-7)
    for _ in range(_NEWTON_SCHULZ_STEPS):
        gram = result @ result.mT
        result = a * result + (b * gram + c * gram @ gram) @ result
    return (result.mT if tall else result).to(matrices.dtype)


def _matrix_shape(kernel: torch.Tensor) -> tuple[int, int]:
    return kernel.shape[0], kernel[0].numel()
