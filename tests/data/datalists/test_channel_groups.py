import logging
from pathlib import Path

import pytest
from empty_files import sizes, touch, write_json
from models_genesis_bundle.data import list_scans, pretraining_datalist, segmentation_datalist, unlabelled_datalist
from models_genesis_bundle.data.datalists import DatalistError
from models_genesis_bundle.data.scans.files import case_path, channel_count

FEW = {"validation_fraction": 1, "test_fraction": 1}


def cases(folder: Path, *names: str, count: int = 4) -> Path:
    return touch(folder, *(name.format(number) for number in range(count) for name in names))


def test_files_are_put_together_by_the_channels_names_or_numbers(tmp_path):
    brats = cases(tmp_path / "brats", *(f"B{{0}}/B{{0}}_{kind}.nii" for kind in ("T1", "t1ce", "flair", "seg")))
    scans = segmentation_datalist(brats, channels=["t1ce", "t1"], **FEW)["training"]
    assert [[Path(file).name for file in scan["channel_files"]] for scan in scans] == [
        [f"{scan['patient']}_t1ce.nii", f"{scan['patient']}_T1.nii"] for scan in scans
    ]
    assert [scan["image"] for scan in scans] == [scan["channel_files"][0] for scan in scans]
    nnunet = cases(tmp_path / "nnunet", "imagesTr/c_{0}_0000.nii", "imagesTr/c_{0}_0001.nii", "labelsTr/c_{0}.nii")
    for channels in (2, ["PET", "CT"]):
        scans = segmentation_datalist(nnunet, channels=channels, **FEW)["training"]
        assert [Path(file).name for file in scans[0]["channel_files"]] == ["c_0_0000.nii", "c_0_0001.nii"]
        assert scans[0]["patient"] == "c_0"


def test_a_channel_alone_is_taken_by_its_name(tmp_path):
    folder = cases(tmp_path, "B{0}_flair.nii", "B{0}_t1.nii")
    assert [Path(scan["image"]).name for scan in list_scans(folder, channels=["t1"])] == [
        f"B{n}_t1.nii" for n in range(4)
    ]


def test_scans_without_names_of_channels_are_files_with_all_of_them(tmp_path):
    folder = cases(tmp_path, "imagesTr/amos_{0:04d}.nii", "labelsTr/amos_{0:04d}.nii", count=12)
    scans = segmentation_datalist(folder, channels=2, **FEW)["training"]
    assert len(scans) == 10
    assert not any("channel_files" in scan for scan in scans)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["c_0_0000.nii", "c_0_0001.nii", "c_1_0000.nii"], r"1 of the 2 scans have others: c_1 has c_1_0000\.nii\."),
        (["c_0_0000.nii", "c_0_0001.nii", "c_0_0002.nii"], "c_0 has .*c_0_0002"),
        (["c_0_0000.nii", "c_0_0001.nii", "c_0_0001.mha"], "1 of the 1 scans"),
    ],
)
def test_scans_that_lack_a_channel_or_have_another_are_named(tmp_path, names, message):
    with pytest.raises(DatalistError, match=message):
        unlabelled_datalist(touch(tmp_path, *names), channels=2)


def test_a_json_lists_the_files_of_a_scan(tmp_path):
    touch(tmp_path, "t1/a.nii", "t2/a.nii", "b.nii")
    lists = {"training": [{"image": ["t1/a.nii", "t2/a.nii"]}, {"image": ["b.nii"]}]}
    file = write_json(tmp_path / "datalist.json", **lists)
    a, b = sorted(list_scans(file, channels=2), key=lambda scan: scan["patient"])
    assert a == {
        "image": str(tmp_path / "t1" / "a.nii"),
        "channel_files": [str(tmp_path / "t1" / "a.nii"), str(tmp_path / "t2" / "a.nii")],
        "patient": "a",
    }
    assert "channel_files" not in b
    for channels in (1, 3):
        with pytest.raises(DatalistError, match=f"has 2 files, one for each channel, but {channels}"):
            list_scans(file, channels=channels)
    write_json(file, training=[{"image": ["t1/a.nii", "gone.nii"]}])
    with pytest.raises(FileNotFoundError, match=r"gone\.nii"):
        list_scans(file, channels=2)
    write_json(file, training=[{"image": ["b.nii", "b.nii"]}])
    with pytest.raises(DatalistError, match="listed twice"):
        list_scans(file, channels=2)


def test_pretraining_takes_each_file_for_a_scan_of_the_same_patient(tmp_path):
    touch(tmp_path, "a_t1.nii", "a_t2.nii", "b_t1.nii", "b_t2.nii")
    entries = [{"image": [f"{name}_t1.nii", f"{name}_t2.nii"]} for name in "ab"]
    datalist = pretraining_datalist(write_json(tmp_path / "datalist.json", training=entries), validation_fraction=1)
    assert sizes(datalist) == [2, 2, 0]
    assert len({scan["patient"] for scan in datalist["training"]}) == 1


def test_further_channels_that_are_left_out_are_said(tmp_path, caplog):
    folder = cases(tmp_path, "imagesTr/c_{0}_0000.nii", "imagesTr/c_{0}_0001.nii", "labelsTr/c_{0}.nii")
    with caplog.at_level(logging.WARNING):
        segmentation_datalist(folder, **FEW)
    assert "set scan_preprocessing::channels" in caplog.text


def test_several_images_of_a_label_map_may_be_channels(tmp_path):
    folder = cases(tmp_path, "B{0}/B{0}_flair.nii", "B{0}/B{0}_t1.nii", "B{0}/B{0}_seg.nii")
    with pytest.raises(DatalistError, match=r"it matches 2 images: .*set scan_preprocessing::channels"):
        segmentation_datalist(folder, **FEW)


@pytest.mark.parametrize(
    ("files", "case"),
    [
        (["a/p_t1.nii.gz", "a/p_t1ce.nii.gz"], "a/p.nii.gz"),
        (["a/p_1.nii", "a/p_1_gd.nii"], "a/p_1.nii"),
        (["t1/p.nii", "t2/p.nii"], "t1/p.nii"),
        (["p/flair.nii", "p/t1.nii"], "p/flair.nii"),
        (["p/CT.NII"], "p/CT.NII"),
    ],
)
def test_a_scan_is_called_what_its_files_have_in_common(files, case):
    assert case_path(files) == case


@pytest.mark.parametrize("channels", [0, [], ["t1", "T1"]])
def test_channels_are_counted_or_named(channels):
    with pytest.raises(ValueError, match="channels must be"):
        channel_count(channels)
