"""Registers the device ``fgpu`` with torch, a stand-in for a GPU in CPU memory, and runs the bundle's commands on it.

Everything is computed on the CPU, but, as on a GPU, its tensors have no ``numpy()`` and do not mix with tensors of the CPU.

    python fake_accelerator.py BUILD_DIRECTORY COMMANDS

builds the extension in the first folder. COMMANDS is a JSON list of commands, each a list of words after
``python -m monai.bundle``.
"""

from __future__ import annotations

import json
import sys
import types
from contextlib import nullcontext
from pathlib import Path

import torch
from bundle_commands import run_here
from torch.utils.cpp_extension import load


def register(build_directory: str) -> None:
    """Build the extension and make ``torch.device("fgpu")`` a device."""
    load(
        "fake_accelerator",
        [str(Path(__file__).with_suffix(".cpp"))],
        build_directory=build_directory,
        extra_cflags=["-O0", "-w"],
        is_python_module=False,
    )
    torch.utils.rename_privateuse1_backend("fgpu")
    module = types.ModuleType("torch.fgpu")
    module.is_available = lambda: True
    module.is_initialized = lambda: True
    module._is_in_bad_fork = lambda: False
    module.device_count = lambda: 1
    module.current_device = lambda: 0
    module.device = lambda index: nullcontext()
    module.set_device = lambda index: None
    module.synchronize = lambda device=None: None
    module.manual_seed = module.manual_seed_all = lambda seed: None
    module.get_rng_state = lambda device=None: torch.get_rng_state()
    module.set_rng_state = lambda state, device=None: None
    module.get_amp_supported_dtype = lambda: [torch.float16, torch.bfloat16]
    torch._register_device_module("fgpu", module)
    torch.utils.generate_methods_for_privateuse1_backend(for_storage=True)


if __name__ == "__main__":
    register(sys.argv[1])
    for words in json.loads(sys.argv[2]):
        print("fake accelerator:", *words, flush=True)
        run_here(*words)
