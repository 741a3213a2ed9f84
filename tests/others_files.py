"""Writes small weight files of exactly the layouts that others than the authors of Models Genesis publish.

Keys, shapes and what stands around them are those of the trainings' own code. Each writer gives the network that wrote the file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from monai.networks.nets import SegResNet, SwinUNETR
from monai.networks.nets.segresnet_ds import SegResEncoder
from published_files import PublishedUNet, randomise
from torch import nn

# Everything that SuPreM's training puts around a U-Net or a SwinUNETR.
SUPREM_HEADS = {
    "organ_embedding": (32, 512),
    "precls_conv.0.weight": (64,),
    "precls_conv.2.weight": (8, 64, 1, 1, 1),
    "GAP.3.weight": (256, 512, 1, 1, 1),
    "controller.weight": (153, 512, 1, 1, 1),
    "controller.bias": (153,),
    "text_to_vision.weight": (256, 512),
    "text_to_vision.bias": (256,),
}


def _suprem(path: Path, network: nn.Module) -> None:
    backbone = {f"backbone.{key}": value for key, value in network.state_dict().items()}
    state = {**{key: torch.rand(shape) for key, shape in SUPREM_HEADS.items()}, **backbone}
    _write_net(path, state)


def _write_net(path: Path, state: dict[str, torch.Tensor]) -> None:
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(2))], lr=1e-3)
    scheduler = {"warmup_epochs": 20, "max_epochs": 800, "base_lrs": [1e-3], "last_epoch": 799, "_last_lr": [0.0]}
    state = {f"module.{key}": value for key, value in state.items()}
    torch.save({"net": state, "optimizer": optimizer.state_dict(), "scheduler": scheduler, "epoch": 799}, path)


def write_suprem_unet(path: Path) -> nn.Module:
    network = PublishedUNet(base=2)
    randomise(network)
    head, network.out_tr = network.out_tr, nn.Module()  # the file has none
    _suprem(path, network)
    network.out_tr = head
    return network


def write_suprem_segresnet(path: Path) -> nn.Module:
    network = SegResNet(3, 16, 1, 32, blocks_down=(1, 2, 2, 4), blocks_up=(1, 1, 1))
    randomise(network)
    _write_net(path, network.state_dict())
    return network


def write_suprem_swinunetr(path: Path) -> nn.Module:
    network = SwinUNETR(1, 3, feature_size=12)
    head, network.out = network.out, nn.Module()
    _suprem(path, network)
    network.out = head
    return network


def write_voco(path: Path, classes: int = 21) -> nn.Module:
    """VoComni's form."""
    network = SwinUNETR(1, classes, feature_size=12, use_v2=True)
    torch.save({"epoch": 29, "best_acc": 0.8, "state_dict": network.state_dict()}, path)
    return network


def encoder_state(network: nn.Module, prefix: str) -> dict[str, torch.Tensor]:
    """The tensors of a SwinUNETR's transformer and encoder, with a prefix before their keys."""
    kept = ("swinViT.", "encoder")
    return {f"{prefix}{key}": value for key, value in network.state_dict().items() if key.startswith(kept)}


def write_voco_encoder(path: Path) -> nn.Module:
    """The form of self-supervised training, with both heads that contrast the features."""
    network = SwinUNETR(1, 1, feature_size=12, use_v2=True)
    state = encoder_state(network, "backbone.")
    for head in ("student", "teacher"):
        state |= {f"{head}.layer{number}.0.weight": torch.rand(4, 4) for number in (1, 2, 3)}
    torch.save(state, path)
    return network


def write_voco_student(path: Path) -> nn.Module:
    """The form of a training with a student and a teacher."""
    network = SwinUNETR(1, 1, feature_size=12, use_v2=True)
    state = encoder_state(network, "module.backbone.")
    torch.save({"student": state, "teacher": {key: value + 1 for key, value in state.items()}, "epoch": 9}, path)
    return network


def write_nvidia(path: Path) -> nn.Module:
    """As MONAI's ``SwinUNETR.load_from`` takes it."""
    network = SwinUNETR(1, 3, feature_size=12)
    state = {f"module.{key}".replace(".linear", ".fc"): value for key, value in network.swinViT.state_dict().items()}
    torch.save({"epoch": 100, "state_dict": state, "optimizer": {}}, path)
    return network


def write_nvidia_with_heads(path: Path) -> nn.Module:
    """As the pretraining's own code writes it today."""
    network = SwinUNETR(1, 3, feature_size=12)
    state = {f"module.swinViT.{key}": value for key, value in network.swinViT.state_dict().items()}
    heads = {"rotation_head.weight": (4, 96), "contrastive_head.weight": (512, 96), "conv.0.weight": (48, 96, 3, 3, 3)}
    state |= {f"module.{key}": torch.rand(shape) for key, shape in heads.items()}
    torch.save({"epoch": 100, "state_dict": state, "optimizer": {}}, path)
    return network


def write_ct_fm(path: Path) -> nn.Module:
    """The Hub's form: safetensors, with the constructor's arguments next to it."""
    from safetensors.torch import save_file

    network = SegResEncoder(init_filters=4, blocks_down=(1, 2, 2, 4, 4))
    randomise(network)
    save_file(network.state_dict(), path)
    arguments = {"blocks_down": [1, 2, 2, 4, 4], "in_channels": 1, "init_filters": 4, "spatial_dims": 3}
    path.with_name("config.json").write_text(json.dumps(arguments))
    return network.eval()


def write_ct_fm_training(path: Path) -> nn.Module:
    """The form of its training with Lightning."""
    network = SegResEncoder(init_filters=4, blocks_down=(1, 2, 2, 4, 4))
    randomise(network)
    state = {f"model.backbone.{key}": value for key, value in network.state_dict().items()}
    state["model.projection_head.layers.0.weight"] = torch.rand(4, 4)
    torch.save({"epoch": 449, "global_step": 225000, "state_dict": state, "optimizer_states": []}, path)
    return network.eval()


def nnssl_plan(transpose: list[int], normalisation: str) -> dict:
    configuration = {"spacing": [1, 1, 1], "spacing_style": "onemmiso", "normalization_schemes": [normalisation]}
    return {
        "architecture_plans": {"arch_class_name": "ResEncL", "arch_kwargs": None},
        "pretrain_plan": {"transpose_forward": transpose, "configurations": {"onemmiso": configuration}},
        "key_to_encoder": "encoder.stages",
        "key_to_stem": "encoder.stem",
    }


def write_nnssl(
    path: Path, transpose: tuple[int, ...] = (0, 1, 2), normalisation: str = "ZScoreNormalization", plan: bool = True
) -> nn.Module:
    """The form of a masked autoencoder, encoder and decoder, each block and the encoder listed twice as nnU-Net does."""
    from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet

    network = ResidualEncoderUNet(
        1, 6, [4, 4, 8, 8, 8, 8], nn.Conv3d, 3, [1, 2, 2, 2, 2, 2], [1, 3, 4, 6, 6, 6], 1, 1, True,
        nn.InstanceNorm3d, {"eps": 1e-5, "affine": True}, nonlin=nn.LeakyReLU, nonlin_kwargs={"inplace": True},
    )  # fmt: skip
    content = {"network_weights": network.state_dict(), "trainer_name": "BaseMAETrainer_BS8", "init_args": {}}
    if plan:
        content["nnssl_adaptation_plan"] = nnssl_plan(list(transpose), normalisation)
    torch.save(content, path)
    return network.eval()


def write_nnssl_encoder(path: Path) -> nn.Module:
    """The form of a contrastive training: an encoder and its projection."""
    network = write_nnssl(path)
    state = {f"encoder.{key}": value for key, value in network.encoder.state_dict().items()}
    state["projector.0.weight"] = torch.rand(4, 4)
    torch.save({"network_weights": state, "nnssl_adaptation_plan": nnssl_plan([0, 1, 2], "ZScoreNormalization")}, path)
    return network


@dataclass(frozen=True)
class Written:
    """A kind of file.

    ``scans``: intensities, spacing and orientation of its training. ``at`` and ``here``: the modules, of the network that wrote it
    and of the network here, whose inputs are compared ("": the outputs); None where both are of one class: the tensors are.
    ``zyx``: whether the axes of the network that wrote it are (Z, Y, X).
    """

    write: Callable[[Path], nn.Module]
    title: str
    scans: tuple
    at: str | None = None
    here: str = ""
    zyx: bool = False


ABDOMEN = (("window", -175.0, 250.0), (1.5, 1.5, 1.5), "RAS")
NVIDIA = "NVIDIA's self-supervised Swin transformer", (("window", -1000.0, 1000.0), None, "RAS")
CT_FM = "CT-FM's SegResEncoder", (("window", -1024.0, 2048.0), (1.0, 1.0, 3.0), "LPS")
NNSSL = "nnssl's ResEnc-L U-Net", (("zscore", None, None), (1.0, 1.0, 1.0), "RAS")
WRITTEN = {
    "suprem_unet.pth": Written(write_suprem_unet, "SuPreM's U-Net", ABDOMEN, "out_tr.final_conv", "head"),
    "suprem_segresnet.pth": Written(write_suprem_segresnet, "SuPreM's SegResNet", ABDOMEN),
    "suprem_swinunetr.pth": Written(write_suprem_swinunetr, "SuPreM's SwinUNETR", ABDOMEN),
    "voco.pt": Written(write_voco, "VoCo's SwinUNETR", ABDOMEN),
    "voco_encoder.pt": Written(write_voco_encoder, "VoCo's SwinUNETR", ABDOMEN),
    "voco_student.pt": Written(write_voco_student, "VoCo's SwinUNETR", ABDOMEN),
    "nvidia.pt": Written(write_nvidia, *NVIDIA),
    "nvidia_heads.pt": Written(write_nvidia_with_heads, *NVIDIA),
    "ct_fm.safetensors": Written(write_ct_fm, *CT_FM, "layers.4.blocks.3", "encoder.layers.4.blocks.3", zyx=True),
    "ct_fm.ckpt": Written(write_ct_fm_training, *CT_FM, "layers.4.blocks.3", "encoder.layers.4.blocks.3", zyx=True),
    "nnssl.pth": Written(write_nnssl, *NNSSL, "", zyx=True),
    "nnssl_encoder.pth": Written(
        write_nnssl_encoder, *NNSSL, "encoder.stages.5.blocks.5", "encoder.stages.5.blocks.5", zyx=True
    ),
}


def assert_same_network(found: nn.Module, theirs: nn.Module, kind: Written) -> None:
    """Up to rounding, in double precision, the networks answer the same; an image of theirs may be turned."""
    if kind.at is None:
        wanted = theirs.state_dict()
        assert {key for key, value in found.state_dict().items() if torch.equal(value, wanted[key])} >= held(
            kind, wanted
        )
        return
    image = torch.rand(1, 1, 32, 32, 64, dtype=torch.float64)
    answer = _answer(found, image, kind.here)
    wanted = _answer(theirs, image.permute(0, 1, 4, 3, 2) if kind.zyx else image, kind.at)
    wanted = wanted.permute(0, 1, 4, 3, 2) if kind.zyx else wanted
    assert answer.std() > 0
    torch.testing.assert_close(answer, wanted, rtol=0, atol=1e-9)


def held(kind: Written, keys: Iterable[str]) -> set[str]:
    """The keys of those tensors that a file of the kind holds."""
    beginnings = {
        write_suprem_swinunetr: ("swinViT.", "encoder", "decoder"),
        write_voco_encoder: ("swinViT.", "encoder"),
        write_voco_student: ("swinViT.", "encoder"),
        write_nvidia: ("swinViT.",),
        write_nvidia_with_heads: ("swinViT.",),
    }.get(kind.write, ("",))
    return {key for key in keys if key.startswith(beginnings)}


@torch.no_grad()
def _answer(network: nn.Module, image: torch.Tensor, place: str) -> torch.Tensor:
    """What arrives at a module of the network, or its output."""
    seen: list[torch.Tensor] = []
    if place:
        network.get_submodule(place).register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    output = network.double().eval()(image)
    return seen[0] if place else output
