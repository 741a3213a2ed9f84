"""Make a set of phantoms: python scripts/make_phantoms.py --directory phantoms --count 8"""

import bundle_path  # noqa: F401
import fire
from models_genesis_bundle.data import make_phantoms

if __name__ == "__main__":
    fire.Fire(make_phantoms)
