import pytest
from models_genesis_bundle.reports.scan_results import result_names


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "scans" / "1.2.840.1").mkdir(parents=True)
    return tmp_path / "scans"


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["a.nii.gz", "b.mhd"], ["a", "b"]),
        (["ana/ct.nii.gz", "ben/ct.nii.gz", "ct.nii.gz"], ["ana/ct", "ben/ct", "ct"]),
        (["1.2.840.1", "1.2.840.2", "t1.v2.nii.gz", "t1.v3.NII"], ["1.2.840.1", "1.2.840.2", "t1.v2", "t1.v3"]),
        (["Eva/ct.nii", "eva/ct.nii", "mit leer/größe.nrrd"], ["Eva/ct", "eva/ct", "mit leer/größe"]),
        (["../other/a.nii", "x/b.nii"], ["other/a", "scans/x/b"]),
    ],
)
def test_names_follow_the_folders_of_the_scans(folder, files, names):
    images = [str(folder / file) for file in files]
    assert result_names(images, str(folder)) == names
    assert result_names(images, str(folder / "datalist.json")) == names


def test_a_single_scan_is_called_as_its_file_or_series(folder):
    assert result_names([str(folder / "a.nii.gz")], str(folder / "a.nii.gz")) == ["a"]
    assert result_names([str(folder / "1.2.840.1")], str(folder / "1.2.840.1") + "/") == ["1.2.840.1"]


@pytest.mark.parametrize("other", ["a.nrrd", "a", "a.NII"])
def test_two_scans_of_one_name_are_refused_by_name(folder, other):
    images = [str(folder / "p" / name) for name in ("a.nii.gz", other)]
    with pytest.raises(ValueError, match=rf"p/a\.nii\.gz and .*p/{other}: the results of both .* name, p/a\. Rename"):
        result_names(images, str(folder))
