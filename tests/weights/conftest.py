from __future__ import annotations

import pytest
from models_genesis_bundle.networks import GenesisUNet
from monai.networks.nets import BasicUNet, DynUNet, SegResNet, SegResNetDS, SwinUNETR

# Small networks of each known layout, with deep supervision and residual blocks where there are any.
BUILDERS = {
    "GenesisUNet": lambda i, o: GenesisUNet(in_channels=i, out_channels=o, features=(4, 8)),
    "SegResNetDS": lambda i, o: SegResNetDS(
        in_channels=i, out_channels=o, init_filters=8, blocks_down=(1, 1, 1), dsdepth=2
    ),
    "SegResNet": lambda i, o: SegResNet(
        in_channels=i, out_channels=o, init_filters=8, blocks_down=(1, 1, 1), blocks_up=(1, 1)
    ),
    "DynUNet": lambda i, o: DynUNet(
        3, i, o, [3, 3, 3, 3], [1, 2, 2, 2], [2, 2, 2], [4, 8, 16, 16], deep_supervision=True, res_block=True
    ),
    "SwinUNETR": lambda i, o: SwinUNETR(i, o, feature_size=12, depths=(1, 1, 1, 1), num_heads=(1, 1, 1, 1)),
    "BasicUNet": lambda i, o: BasicUNet(3, i, o, features=(4, 4, 8, 8, 8, 4)),
}


@pytest.fixture(params=BUILDERS)
def build(request):
    """Builds a small network of a known layout from its input and output channels."""
    return BUILDERS[request.param]


@pytest.fixture(scope="session")
def build_dynunet():
    return BUILDERS["DynUNet"]
