"""The model zoo's unit test of this bundle: ci/unit_tests/test_models_genesis_ct_pretraining.py there."""

import os
import shutil
import sys
import tempfile
import unittest

from monai.bundle import ConfigWorkflow
from utils import check_workflow

BUNDLE = "models/models_genesis_ct_pretraining"
SMALL = {  # what makes an epoch a matter of seconds
    "network_def#features": [4, 8],
    "max_epochs": 1,
    "batch_size": 1,
    "num_workers": 0,
    "precision": "float32",
}


class TestModelsGenesis(unittest.TestCase):
    def setUp(self):
        sys.path.append(BUNDLE)
        from models_genesis_bundle.data import make_phantoms

        self.folder = tempfile.mkdtemp()
        self.phantoms = str(make_phantoms(os.path.join(self.folder, "phantoms"), 4, (48, 48, 32), (7.0, 7.0, 9.0)))

    def tearDown(self):
        shutil.rmtree(self.folder)

    def run_workflow(self, kind, config_file, **settings):
        workflow = ConfigWorkflow(
            workflow_type=kind,
            config_file=os.path.join(BUNDLE, "configs", config_file),
            logging_file=os.path.join(BUNDLE, "configs", "logging.conf"),
            meta_file=os.path.join(BUNDLE, "configs", "metadata.json"),
            bundle_root=BUNDLE,
            output_dir=os.path.join(self.folder, config_file),
            **settings,
        )
        check_workflow(workflow, check_properties=True)
        return os.path.join(self.folder, config_file)

    def test_pretraining(self):
        output = self.run_workflow(
            "train",
            "pretrain.yaml",
            dataset_dir=os.path.join(self.phantoms, "images"),
            cube_size=[16, 16, 16],
            cubes_per_scan=2,
            **{**SMALL, "volumes#num_workers": 0},
        )
        assert os.path.exists(os.path.join(output, "checkpoints", "model.pt"))

    def test_fine_tuning_and_evaluation(self):
        output = self.run_workflow(
            "train",
            "train.json",
            dataset_dir=self.phantoms,
            label_names=["lung", "nodule"],
            initial_weights="none",
            patch_size=[16, 16, 16],
            **{**SMALL, "split#validation_fraction": 1, "split#test_fraction": 1},
        )
        weights = os.path.join(output, "checkpoints", "model.pt")
        self.run_workflow("inference", "evaluate.json", dataset_dir=self.phantoms, ckpt_path=weights)

    def test_inference(self):
        images = os.path.join(self.phantoms, "images")
        output = self.run_workflow("inference", "inference.json", dataset_dir=images, overlap=0.0)
        restored = [name for _, _, names in os.walk(output) for name in names if name.endswith("_restored.nii.gz")]
        assert len(restored) == 4, restored


if __name__ == "__main__":
    unittest.main()
