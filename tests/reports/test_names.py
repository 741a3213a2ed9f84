"""Names of cases in a report, and of the results of scans."""

import pytest
import torch
from models_genesis_bundle.reports.case_handler import case_source, short_names
from models_genesis_bundle.reports.scan_results import result_names
from monai.data import MetaTensor


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        ([], []),
        (["/data/a.nii.gz", "/data/b.mhd", "/data/dicom.1"], ["a", "b", "dicom.1"]),
        (["/x/p1/ct.nii.gz", "/x/p2/ct.nii.gz"], ["p1/ct", "p2/ct"]),
        (["/x/a/1/ct.nii", "/x/b/1/ct.nii", "/x/b/2/ct.nii"], ["a/1/ct", "b/1/ct", "b/2/ct"]),
        (["/x/a.nii", "/x/a.mhd"], ["/x/a.nii", "/x/a.mhd"]),
        (["/x/a.nii", "/x/b.nii", "/x/a.nii"], ["a#1", "b", "a#2"]),
    ],
)
def test_names_are_short_and_all_different(sources, names):
    assert short_names(sources) == names


def test_where_a_case_comes_from():
    image = MetaTensor(torch.zeros(1, 2, 2, 2), meta={"filename_or_obj": "scan.nii"})
    assert case_source({"image": image}) == "scan.nii"
    assert case_source({"image": image, "case": "nodule 7"}) == "nodule 7"
    assert case_source({"image": image, "channel_files": ["p/a_0000.nii", "p/a_0001.nii"]}) == "p/a.nii"
    with pytest.raises(KeyError, match=r"has neither: its entries are \['image'\]"):
        case_source({"image": torch.zeros(1)})


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
