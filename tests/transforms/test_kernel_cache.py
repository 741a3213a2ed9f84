from models_genesis_bundle.transforms import kernels
from numba.core.caching import CacheImpl


def test_kernels_compile_without_a_cache_where_no_folder_can_be_written(monkeypatch):
    """An installation that is read-only, for a user without a home: Numba refuses the option there."""
    assert kernels.can_be_cached()
    monkeypatch.setattr(CacheImpl, "_locator_classes", [])
    assert not kernels.can_be_cached()
