"""Writes weight files of exactly the published layouts, of any base width, beside what the networks in them answer.

The references are written on their own, from the published layouts: what they answer owes nothing to the package.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

EPOCH = 7


def randomise(network: nn.Module, seed: int = 0) -> None:
    """Every tensor, statistics included, differs from any other's; variances are above 0."""
    generator = torch.Generator().manual_seed(seed)
    for key, value in network.state_dict().items():
        if not value.is_floating_point():
            continue
        drawn = torch.rand(value.shape, generator=generator)
        spread = (6 / value[0].numel()) ** 0.5 if value.dim() > 1 else 0.5
        value.copy_(drawn + 0.5 if value.dim() == 1 and not key.endswith("bias") else (2 * drawn - 1) * spread)


# --- Genesis_Chest_CT.pt ---


class NormalisedConvolution(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, outputs, 3, padding=1)
        self.bn1 = nn.BatchNorm3d(outputs)

    def forward(self, x):
        x = functional.batch_norm(self.conv1(x), None, None, self.bn1.weight, self.bn1.bias, training=True)
        return functional.relu(x)


class Stage(nn.Module):
    def __init__(self, inputs: int, middle: int, outputs: int, up: int = 0) -> None:
        super().__init__()
        if up:
            self.up_conv = nn.ConvTranspose3d(up, up, 2, stride=2)
        self.ops = nn.Sequential(NormalisedConvolution(inputs, middle), NormalisedConvolution(middle, outputs))


class PublishedUNet(nn.Module):
    """``base`` is 32 in the published file; the stages are called after its widths whatever they are here."""

    def __init__(self, base: int = 32) -> None:
        super().__init__()
        self.down_tr64 = Stage(1, base, 2 * base)
        self.down_tr128 = Stage(2 * base, 2 * base, 4 * base)
        self.down_tr256 = Stage(4 * base, 4 * base, 8 * base)
        self.down_tr512 = Stage(8 * base, 8 * base, 16 * base)
        self.up_tr256 = Stage(24 * base, 8 * base, 8 * base, up=16 * base)
        self.up_tr128 = Stage(12 * base, 4 * base, 4 * base, up=8 * base)
        self.up_tr64 = Stage(6 * base, 2 * base, 2 * base, up=4 * base)
        self.out_tr = nn.Module()
        self.out_tr.final_conv = nn.Conv3d(2 * base, 1, 1)

    def forward(self, x):
        skips = []
        for stage in (self.down_tr64, self.down_tr128, self.down_tr256):
            skips.append(stage.ops(x))
            x = functional.max_pool3d(skips[-1], 2)
        x = self.down_tr512.ops(x)
        for stage in (self.up_tr256, self.up_tr128, self.up_tr64):
            x = stage.ops(torch.cat([stage.up_conv(x), skips.pop()], dim=1))
        return torch.sigmoid(self.out_tr.final_conv(x))


def write_pytorch_unet(path: Path, base: int = 2) -> PublishedUNet:
    network = PublishedUNet(base)
    randomise(network)
    optimizer = torch.optim.SGD(network.parameters(), lr=1.0, momentum=0.9)
    network(torch.rand(2, 1, 8, 8, 8)).mean().backward()
    optimizer.step()
    state = {f"module.{key}": value for key, value in network.state_dict().items()}
    torch.save({"epoch": EPOCH, "state_dict": state, "optimizer_state_dict": optimizer.state_dict()}, path)
    return network.eval()


# --- Genesis_Chest_CT.h5 ---


class KerasUNet:
    """NumPy alone, channels first, as Keras computes it: statistics in inference, epsilon 1e-3, nearest upsampling."""

    def __init__(self, base: int = 2, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        inputs = [1, base, 2 * base, 2 * base, 4 * base, 4 * base, 8 * base, 8 * base]
        inputs += [24 * base, 8 * base, 12 * base, 4 * base, 6 * base, 2 * base]
        outputs = [base, 2 * base, 2 * base, 4 * base, 4 * base, 8 * base, 8 * base, 16 * base]
        outputs += [8 * base, 8 * base, 4 * base, 4 * base, 2 * base, 2 * base]
        self.layers: dict[str, dict[str, np.ndarray]] = {}
        for number, (i, o) in enumerate(zip(inputs, outputs, strict=True)):
            self.layers[f"depth_{number}_conv"] = self._convolution(rng, 3, i, o)
            self.layers[f"depth_{number}_bn"] = {
                name: as_written(rng.uniform(low, high, o))
                for name, low, high in [
                    ("gamma", 0.5, 1.5),
                    ("beta", -0.5, 0.5),
                    ("moving_mean", -0.5, 0.5),
                    ("moving_variance", 0.2, 1.0),
                ]
            }
        self.layers["conv3d_1"] = self._convolution(rng, 1, 2 * base, 1)

    @staticmethod
    def _convolution(rng, side: int, inputs: int, outputs: int) -> dict[str, np.ndarray]:
        spread = (6 / (inputs * side**3)) ** 0.5
        kernel = rng.uniform(-spread, spread, (side, side, side, inputs, outputs))
        return {"kernel": as_written(kernel), "bias": as_written(rng.uniform(-0.5, 0.5, outputs))}

    def __call__(self, x: np.ndarray) -> np.ndarray:
        skips = []
        for number in range(0, 8, 2):
            x = self._unit(number + 1, self._unit(number, x))
            if number < 6:
                skips.append(x)
                b, c, *sides = x.shape
                halves = [size for side in sides for size in (side // 2, 2)]
                x = x.reshape(b, c, *halves).max(axis=(3, 5, 7))
        for number in range(8, 14, 2):
            x = x.repeat(2, axis=2).repeat(2, axis=3).repeat(2, axis=4)
            x = np.concatenate([x, skips.pop()], axis=1)
            x = self._unit(number + 1, self._unit(number, x))
        return 1 / (1 + np.exp(-convolved(x, **self.layers["conv3d_1"])))

    def _unit(self, number: int, x: np.ndarray) -> np.ndarray:
        x = convolved(x, **self.layers[f"depth_{number}_conv"])
        norm = {name: value[:, None, None, None] for name, value in self.layers[f"depth_{number}_bn"].items()}
        x = norm["gamma"] * (x - norm["moving_mean"]) / np.sqrt(norm["moving_variance"] + 1e-3) + norm["beta"]
        return np.maximum(x, 0)


def as_written(values: np.ndarray) -> np.ndarray:
    """In double precision, what a file in single precision holds."""
    return values.astype(np.float32).astype(np.float64)


def convolved(x: np.ndarray, kernel: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Keras' Conv3D with the padding ``same``, written out: the sum over the kernel's places of shifted inputs."""
    margin = kernel.shape[0] // 2
    padded = np.pad(x, [(0, 0), (0, 0), *[(margin, margin)] * 3])
    result = np.zeros((x.shape[0], kernel.shape[-1], *x.shape[2:]))
    for i, j, k in np.ndindex(kernel.shape[:3]):
        shifted = padded[:, :, i : i + x.shape[2], j : j + x.shape[3], k : k + x.shape[4]]
        result += np.einsum("bcxyz,co->boxyz", shifted, kernel[i, j, k])
    return result + bias[:, None, None, None]


def write_keras_unet(path: Path, base: int = 2, whole_model: bool = False, scope_suffix: str = "") -> KerasUNet:
    """As ``Model.save_weights`` writes it, or ``Model.save``; layers without weights are groups, too.

    ``scope_suffix``: what Keras appends to a scope whose layer's name it has seen before, such as ``_1``.
    """
    import h5py

    network = KerasUNet(base)
    with h5py.File(path, "w") as file:
        group = file.create_group("model_weights") if whole_model else file
        if whole_model:
            file.create_group("optimizer_weights/training/SGD")["depth_0_conv/kernel:0"] = np.zeros(3, np.float32)
        names = ["input_1", *network.layers, "activation_1"]
        group.attrs.update(layer_names=[name.encode() for name in names], backend=b"tensorflow", keras_version=b"2.2.4")
        for layer in names:
            weights = network.layers.get(layer, {})
            paths = {f"{layer}{scope_suffix}/{name}:0": value for name, value in weights.items()}
            below = group.create_group(layer)
            below.attrs["weight_names"] = [name.encode() for name in paths]
            for name, value in paths.items():
                below[name] = value.astype(np.float32)
    return network


# --- genesis_nnunet_luna16_006.model ---

POOLINGS = ((2, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 2), (1, 2, 2))  # axes Z, Y, X


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: tuple[int, ...]) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, 3, stride=stride, padding=1)
        self.instnorm = nn.InstanceNorm3d(outputs, affine=True)

    def forward(self, x):
        return functional.leaky_relu(self.instnorm(self.conv(x)), 0.01)


class Blocks(nn.Module):
    def __init__(self, inputs: int, outputs: int, count: int, stride: tuple[int, ...] = (1, 1, 1)) -> None:
        super().__init__()
        first = Block(inputs, outputs, stride)
        self.blocks = nn.Sequential(first, *(Block(outputs, outputs, (1, 1, 1)) for _ in range(count - 1)))

    def forward(self, x):
        return self.blocks(x)


class GenericUNet(nn.Module):
    """nnU-Net's first version, 3D full resolution; ``base`` is 32 in the published file and ``largest`` 320."""

    def __init__(self, base: int = 32, largest: int = 320, inputs: int = 1, outputs: int = 2) -> None:
        super().__init__()
        widths = [min(base * 2**depth, largest) for depth in range(len(POOLINGS) + 1)]
        strides = [(1, 1, 1), *POOLINGS]
        before = [inputs, *widths]
        *stages, deepest = [Blocks(i, o, 2, s) for i, o, s in zip(before, widths, strides, strict=False)]
        deepest = nn.Sequential(Blocks(before[-2], widths[-1], 1, strides[-1]), Blocks(widths[-1], widths[-1], 1))
        self.conv_blocks_localization = nn.ModuleList()
        self.conv_blocks_context = nn.ModuleList([*stages, deepest])
        self.tu = nn.ModuleList()
        self.seg_outputs = nn.ModuleList()
        for depth in reversed(range(len(POOLINGS))):
            width, pooling = widths[depth], POOLINGS[depth]
            self.tu.append(nn.ConvTranspose3d(widths[depth + 1], width, pooling, stride=pooling, bias=False))
            self.conv_blocks_localization.append(nn.Sequential(Blocks(2 * width, width, 1), Blocks(width, width, 1)))
            self.seg_outputs.append(nn.Conv3d(width, outputs, 1, bias=False))

    def forward(self, x):
        """Logits of all decoder stages, the finest first."""
        skips = []
        for stage in self.conv_blocks_context[:-1]:
            skips.append(x := stage(x))
        x = self.conv_blocks_context[-1](x)
        outputs = []
        for up, stage, head in zip(self.tu, self.conv_blocks_localization, self.seg_outputs, strict=True):
            x = stage(torch.cat([up(x), skips.pop()], dim=1))
            outputs.append(head(x))
        return outputs[::-1]


def write_nnunet(path: Path, base: int = 2, **arguments) -> GenericUNet:
    """As nnU-Net's trainer writes it: losses and scores are NumPy's numbers."""
    network = GenericUNet(base, 10 * base, **arguments)
    randomise(network)
    losses = [np.float64(-0.5), np.float64(-0.6)]
    content = {
        "epoch": EPOCH,
        "state_dict": network.state_dict(),
        "optimizer_state_dict": torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.99).state_dict(),
        "lr_scheduler_state_dict": None,
        "plot_stuff": (losses, losses, [], [np.float32(0.7)]),
        "best_stuff": (np.float64(-0.6), np.float64(-0.6), None),
        "amp_grad_scaler": {"scale": 65536.0, "growth_factor": 2.0},
    }
    torch.save(content, path)
    return network.eval()


WRITERS = {
    "Genesis_Chest_CT.pt": write_pytorch_unet,
    "Genesis_Chest_CT.h5": write_keras_unet,
    "genesis_nnunet_luna16_006.model": write_nnunet,
}
