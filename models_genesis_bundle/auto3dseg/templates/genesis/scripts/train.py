"""``python scripts/train.py run --config_file=…``: the command with which Auto3DSeg trains the algorithm."""

import fire
from models_genesis_bundle.auto3dseg.genesis import train

if __name__ == "__main__":
    fire.Fire({"run": train})
