"""The model zoo's test of this bundle on several GPUs: ci/unit_tests/test_models_genesis_ct_pretraining_dist.py there."""

import os
import shutil
import sys
import tempfile
import unittest

import torch
from utils import export_config_and_run_mgpu_cmd

BUNDLE = "models/models_genesis_ct_pretraining"


class TestModelsGenesisMGPU(unittest.TestCase):
    def setUp(self):
        sys.path.append(BUNDLE)
        from models_genesis_bundle.data import make_phantoms

        self.folder = tempfile.mkdtemp()
        self.phantoms = str(make_phantoms(os.path.join(self.folder, "phantoms"), 8, (48, 48, 32), (7.0, 7.0, 9.0)))

    def tearDown(self):
        shutil.rmtree(self.folder)

    def test_train_mgpu_config(self):
        configs = os.path.join(BUNDLE, "configs")
        override = {
            "bundle_root": BUNDLE,
            "dataset_dir": self.phantoms,
            "output_dir": os.path.join(self.folder, "run"),
            "label_names": ["lung", "nodule"],
            "network_def#features": [4, 8],
            "initial_weights": "none",
            "patch_size": [16, 16, 16],
            "batch_size": 1,
            "max_epochs": 1,
        }
        export_config_and_run_mgpu_cmd(
            config_file=[os.path.join(configs, "train.json"), os.path.join(configs, "multi_gpu_train.json")],
            logging_file=os.path.join(configs, "logging.conf"),
            meta_file=os.path.join(configs, "metadata.json"),
            override_dict=override,
            output_path=os.path.join(configs, "train_override.json"),
            ngpu=torch.cuda.device_count(),
        )


if __name__ == "__main__":
    unittest.main()
