import pytest
import torch
from models_genesis_bundle.reports.case_handler import case_source, short_names
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
