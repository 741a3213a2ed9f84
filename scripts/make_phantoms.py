"""Make a set of phantoms: python scripts/make_phantoms.py --directory phantoms --count 8"""

from bundle_path import start
from models_genesis_bundle.data import make_phantoms

if __name__ == "__main__":
    start(make_phantoms)
