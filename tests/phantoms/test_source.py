from functools import partial
from unittest import mock

from models_genesis_bundle.phantoms import make_phantoms, scans_or_phantoms

SMALL = partial(make_phantoms, size=(32, 32, 24), spacing=(10.0, 10.0, 12.0))


def test_the_users_data_are_passed_on_as_they_are(tmp_path, caplog):
    caplog.set_level("INFO")
    for labelled in (False, True):
        assert scans_or_phantoms(tmp_path / "mine", str(tmp_path / "phantoms"), labelled=labelled) == str(
            tmp_path / "mine"
        )
    assert not caplog.records
    assert not list(tmp_path.iterdir())


def test_without_data_phantoms_are_made_once_and_said(tmp_path, caplog):
    caplog.set_level("INFO")
    with mock.patch("models_genesis_bundle.phantoms.source.make_phantoms", SMALL):
        images = scans_or_phantoms(None, str(tmp_path / "phantoms"), count=2)
        before = [path.stat().st_mtime_ns for path in sorted((tmp_path / "phantoms").rglob("*.nii.gz"))]
        labelled = scans_or_phantoms(None, str(tmp_path / "phantoms"), count=2, labelled=True)
    assert images == str(tmp_path / "phantoms/images")
    assert (labelled, len(before)) == (str(tmp_path / "phantoms"), 4)
    assert (tmp_path / "phantoms/dataset.json").exists()
    assert before == [path.stat().st_mtime_ns for path in sorted((tmp_path / "phantoms").rglob("*.nii.gz"))]
    assert "No dataset_dir was given: 2 phantoms (synthetic chest CTs)" in caplog.text
