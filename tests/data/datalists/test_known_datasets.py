"""Scans, label maps and patients are found in public data sets as they are unpacked, and in folders of other structures."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from empty_files import names, touch
from models_genesis_bundle.data import list_labelled_scans, list_scans
from models_genesis_bundle.data.datalists.find_scans import look_below
from models_genesis_bundle.data.datalists.patients import patient_names

UID = "1.3.6.1.4.1.14519.5.2.1.6279.6001"

# For each tree the scans with their patients; a path that ends with / is a folder of DICOM slices.
SCANS = {
    "TCIA": {
        "manifest-1600709154662/LIDC-IDRI/LIDC-IDRI-0001/01-01-2000-NA-NA-30178/3000566.000000-NA-03192/": "LIDC-IDRI-0001",
        "manifest-1600709154662/LIDC-IDRI/LIDC-IDRI-0001/01-01-2000-NA-NA-35511/3000923.000000-NA-62357/": "LIDC-IDRI-0001",
        "manifest-1600709154662/LIDC-IDRI/LIDC-IDRI-0002/01-01-2000-NA-NA-98329/3000522.000000-NA-04919/": "LIDC-IDRI-0002",
    },
    "TCIA, two collections": {
        "manifest-1/NSCLC-Radiomics/LUNG1-001/09-18-2008-StudyID-NA-69331/0.000000-NA-82046/": "LUNG1-001",
        "manifest-1/NSCLC-Radiomics/LUNG1-001/09-20-2009-StudyID-NA-69332/0.000000-NA-82047/": "LUNG1-001",
        "manifest-1/NSCLC-Radiomics/LUNG1-002/01-01-2014-StudyID-NA-85095/1.000000-NA-61228/": "LUNG1-002",
        "manifest-2/CMB-CRC/MSB-01068/08-01-1959-NA-CT CHEST-12345/2.000000-AX-10001/": "MSB-01068",
        "manifest-2/CMB-CRC/MSB-02025/08-01-1959-NA-CT CHEST-12346/2.000000-AX-10002/": "MSB-02025",
    },
    "BIDS": {
        "rawdata/sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz": "sub-01",
        "rawdata/sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz": "sub-01",
        "rawdata/sub-02/anat/sub-02_T1w.nii.gz": "sub-02",
        "derivatives/fmriprep/sub-02/anat/sub-02_desc-preproc_T1w.nii.gz": "sub-02",
    },
    "BIDS, flat": {"sub-01_ses-1_T1w.nii": "sub-01", "sub-01_ses-2_T1w.nii": "sub-01", "sub-02_T1w.nii": "sub-02"},
    "BraTS 2021": {
        f"BraTS2021/BraTS2021_{n:05d}/BraTS2021_{n:05d}_{kind}.nii.gz": f"BraTS2021_{n:05d}"
        for n in range(2)
        for kind in ("flair", "t1", "t1ce", "t2")
    },
    "BraTS 2023, two visits": {
        f"TrainingData/BraTS-GLI-{n}/BraTS-GLI-{n}-{kind}.nii.gz": f"BraTS-GLI-{n[:5]}"
        for n in ("00005-000", "00005-001", "00006-000")
        for kind in ("t1c", "t1n", "t2f", "t2w")
    },
    "ADNI": {
        "ADNI/002_S_0295/MP-RAGE/2006-04-18_08_20_30.0/I13722/ADNI_002_S_0295_MR_MP-RAGE__br_raw_S13408_I13722.nii": "002_S_0295",
        "ADNI/002_S_0295/MP-RAGE_REPEAT/2007-05-25_07_11_16.0/I55275/ADNI_002_S_0295_MR_S13407_I55275.nii": "002_S_0295",
        "ADNI/003_S_0907/MPRAGE/2006-09-11_10_37_45.0/I23681/": "003_S_0907",
    },
    "ISBI 2015, two to three visits": {
        f"training/training{n:02d}/preprocessed/training{n:02d}_{visit:02d}_{kind}_pp.nii": f"training{n:02d}"
        for n in (1, 2, 3)
        for visit in range(1, 3 + n % 2)
        for kind in ("flair", "mprage", "pd", "t2")
    },
    "COPDGene, in and out": {
        f"COPDGene/{n}_{breath}_{kernel}.nii.gz": n
        for n in ("10001Q", "10002R")
        for breath, kernel in (("INSP", "STD"), ("INSP", "SHARP"), ("EXP", "STD"))
    },
    "CT-RATE": {
        f"dataset/train/train_{n}/train_{n}_{visit}/train_{n}_{visit}_{kernel}.nii.gz": f"train_{n}"
        for n, visits in ((1, "a"), (2, "ab"), (53, "a"))
        for visit in visits
        for kernel in (1, 2)
    },
    "sites of numbered patients, not of visits": {
        f"site{n}/site{n}_{patient:03d}.nii.gz": f"site{n}_{patient:03d}" for n in (1, 2) for patient in range(1, 9)
    },
    "OASIS-1": {
        "disc1/OAS1_0001_MR1/RAW/OAS1_0001_MR1_mpr-1_anon.mha": "OAS1_0001",
        "disc1/OAS1_0001_MR2/RAW/OAS1_0001_MR2_mpr-1_anon.mha": "OAS1_0001",
        "disc2/OAS1_0042_MR1/RAW/OAS1_0042_MR1_mpr-1_anon.mha": "OAS1_0042",
    },
    "ABIDE": {
        "ABIDE/Caltech/0051456/session_1/anat_1/mprage.nii.gz": "0051456",
        "ABIDE/Caltech/0051457/session_1/anat_1/mprage.nii.gz": "0051457",
        "ABIDE/NYU/0050952/session_1/anat_1/mprage.nii.gz": "0050952",
        "ABIDE/NYU/0050952/session_2/anat_1/mprage.nii.gz": "0050952",
    },
    "IXI": {
        "IXI-T1/IXI002-Guys-0828-T1.nii.gz": "IXI002-Guys-0828",
        "IXI-T2/IXI002-Guys-0828-T2.nii.gz": "IXI002-Guys-0828",
        "IXI-T1/IXI012-HH-1211-T1.nii.gz": "IXI012-HH-1211",
    },
    "HCP": {
        "100307/unprocessed/3T/T1w_MPR1/100307_3T_T1w_MPR1.nii.gz": "100307",
        "100307/unprocessed/3T/T2w_SPC1/100307_3T_T2w_SPC1.nii.gz": "100307",
        "100408/unprocessed/3T/T1w_MPR1/100408_3T_T1w_MPR1.nii.gz": "100408",
    },
    "CQ500": {
        "CQ500/CQ500CT0 CQ500CT0/Unknown Study/CT PLAIN THIN/": "CQ500CT0 CQ500CT0",
        "CQ500/CQ500CT0 CQ500CT0/Unknown Study/CT 0.625mm/": "CQ500CT0 CQ500CT0",
        "CQ500/CQ500CT1 CQ500CT1/Unknown Study/CT Plain/": "CQ500CT1 CQ500CT1",
    },
    "COVID-CT-MD": {
        "COVID-CT-MD/COVID-19 Cases/P001/": "P001",
        "COVID-CT-MD/COVID-19 Cases/P002/": "P002",
        "COVID-CT-MD/Cap Cases/cap001/": "cap001",
        "COVID-CT-MD/Normal Cases/normal001/": "normal001",
    },
    "LUNA16": {f"subset{n}/{UID}.{n}{k}.mhd": f"{UID}.{n}{k}" for n in (0, 5) for k in range(2)},
    "RSNA PE": {
        "train/6897fa9de148/2bfbb7fd2e8b/": "6897fa9de148",
        "train/014d03fbdb29/ebd3426cb8fe/": "014d03fbdb29",
    },
    "AAPM low dose": {"L067/full_1mm/": "L067", "L067/quarter_1mm/": "L067", "L096/full_1mm/": "L096"},
    "CHAOS": {
        "CHAOS_Train_Sets/Train_Sets/CT/2/DICOM_anon/": "2",
        "CHAOS_Train_Sets/Train_Sets/MR/1/T1DUAL/DICOM_anon/InPhase/": "1",
        "CHAOS_Train_Sets/Train_Sets/MR/1/T1DUAL/DICOM_anon/OutPhase/": "1",
        "CHAOS_Train_Sets/Train_Sets/MR/3/T1DUAL/DICOM_anon/InPhase/": "3",
    },
    "two Decathlon tasks": {
        "Task03_Liver/imagesTr/liver_0.nii.gz": "liver_0",
        "Task03_Liver/imagesTr/liver_1.nii.gz": "liver_1",
        "Task04_Hippocampus/imagesTr/hippocampus_001.nii.gz": "hippocampus_001",
        "Task04_Hippocampus/imagesTs/hippocampus_003.nii.gz": "hippocampus_003",
    },
    "nnU-Net": {
        f"Dataset001_BrainTumour/imagesTr/BRATS_{n:03d}_000{c}.nii.gz": f"BRATS_{n:03d}" for n in (1, 2) for c in range(4)
    },
    "sites with patients": {
        "siteA/patient1/ct.nii": "patient1",
        "siteA/patient1/mr.nii": "patient1",
        "siteA/patient2/ct.nii": "patient2",
        "siteB/patient3/ct.nii": "patient3",
    },
    "sites with numbers": {
        "Boston/001/ct.nii": "001",
        "Boston/002/ct.nii": "002",
        "Boston/002/followup/ct.nii": "002",
        "Zurich/003/ct.nii": "003",
    },
    "sites with files": {f"site{s}/{s}_{n:02d}.nii": f"{s}_{n:02d}" for s in "AB" for n in range(1, 7)},
    "site's name in the file's": {
        f"{site}/{site}_005{n:04d}.nii.gz": f"{site}_005{n:04d}"
        for site, first in (("NYU", 952), ("Pitt", 3))
        for n in range(first, first + 20)
    },
    "visits numbered far apart": {
        f"UPENN-GBM-0000{n}_{visit}/UPENN-GBM-0000{n}_{visit}_T1.nii.gz": f"UPENN-GBM-0000{n}"
        for n, visit in ((1, 11), (1, 21), (2, 11))
    },
    "a folder around numbered organs": {f"MyCohort/liver_{n}.nii": f"liver_{n}" for n in (1, 2, 3)},
    "one series of each person": {"ana/S001/": "ana", "ben/S002/": "ben"},
    "series with the same numbers": {"ana/S001/": "ana", "ana/S002/": "ana", "ben/S001/": "ben", "ben/S002/": "ben"},
    "before and after an operation": {
        "preop/HN-001/": "HN-001",
        "postop/HN-001/": "HN-001",
        "postop/HN-002/": "HN-002",
    },
    "series with names below people": {"ana/Thorax lang/": "ana", "ana/Knie/": "ana", "ben/Thorax kurz/": "ben"},
    "flat, scans numbered": {f"{p}_{n}.nii": p for p, count in (("ana", 3), ("ben", 1)) for n in range(1, count + 1)},
    "flat, visits": {"patient01_scan1.nii": "patient01", "patient01_scan2.nii": "patient01", "patient2_scan1.nii": "patient2"},
    "flat, phases": {"p7_arterial.nii": "p7", "p7_venous.nii": "p7", "p8_venous.nii": "p8"},
    "flat, dates and modalities": {
        "20190301_CT_ana.nii": "ana",
        "2020-03-01_MR_ana.nii": "ana",
        "2020-03-01_MR_ben.nii": "ben",
    },
    "flat, nodules": {
        "LIDC-IDRI-0060_R_1.nii": "LIDC-IDRI-0060",
        "LIDC-IDRI-0060_R_3.nii": "LIDC-IDRI-0060",
        "LIDC-IDRI-0200_R_2.nii": "LIDC-IDRI-0200",
    },
    "modality above": {"CT/ana.nii": "ana", "MR/ana.nii": "ana", "CT/ben.nii": "ben"},
    "split above and below": {"train/p1/images/a.nii": "p1", "train/p1/images/b.nii": "p1", "test/p2/images/a.nii": "p2"},
    "hospital": {
        "export 2020/0001234/20200101/CT Thorax 1.0/": "0001234",
        "export 2020/0001234/20210101/CT Thorax 2.0/": "0001234",
        "export 2020/0004321/20200202/1/": "0004321",
    },
    "accession numbers below patients": {"01234/98765432/1/": "01234", "01234/98765433/1/": "01234", "04321/9/1/": "04321"},
    "series below names": {"ana/1/": "ana", "ana/2/": "ana", "ana/3/": "ana", "ben/1/": "ben"},
    "studies told by UIDs alone": {f"{UID}.{study}/{UID}.{n}/": f"{UID}.{study}" for study, n in ((1, 7), (1, 8), (2, 9))},
    "OAI, visits above": {"0.C.2/9000099/a/": "9000099", "0.E.1/9000099/b/": "9000099", "0.C.2/9000296/c/": "9000296"},
    "flat, copies": {"p1.nii": "p1", "p1 (1).nii": "p1", "p2.nii": "p2", "p2_copy.nii": "p2"},
    "flat, two kinds of channels": {"CHUM-001__CT.nii": "CHUM-001", "CHUM-001__PT.nii": "CHUM-001", "MDA-001__CT.nii": "MDA-001"},
    "names of one folder that say nothing": {"train_01/ct.nii": "train_01", "train_02/ct.nii": "train_02"},
    "years above": {"2019/ana/ct.nii": "ana", "2020/ana/ct.nii": "ana", "2020/ben/ct.nii": "ben"},
    "series of a DICOM medium": {"DICOM/01/02/03/": "01", "DICOM/01/02/04/": "01", "DICOM/05/06/07/": "05"},
    "one patient": {"ana/CT.nii": "ana", "ana/T1.nii": "ana"},
}  # fmt: skip

# For each tree the forms of a scan, its label map and its patient, and what stands for * in them.
PAIRS = {
    "LiTS": ("Training Batch 1/volume-*.nii", "Training Batch 1/segmentation-*.nii", "volume-*", "0 1 27"),
    "KiTS": ("data/case_0000*/imaging.nii.gz", "data/case_0000*/segmentation.nii.gz", "case_0000*", "0 1"),
    "AMOS": ("amos22/imagesTr/amos_000*.nii.gz", "amos22/labelsTr/amos_000*.nii.gz", "amos_000*", "1 4"),
    "Decathlon": ("Task03_Liver/imagesTr/liver_*.nii", "Task03_Liver/labelsTr/liver_*.nii", "liver_*", "0 1"),
    "nnU-Net": ("imagesTr/spleen_*_0000.nii.gz", "labelsTr/spleen_*.nii.gz", "spleen_*", "002 003"),
    "BTCV": ("RawData/Training/img/img000*.nii", "RawData/Training/label/label000*.nii", "img000*", "1 2"),
    "CT-ORG": ("volume-*.nii.gz", "labels-*.nii.gz", "volume-*", "0 1"),
    "VerSe": (
        "rawdata/sub-verse*/sub-verse*_ct.nii.gz",
        "derivatives/sub-verse*/sub-verse*_seg-vert_msk.nii.gz",
        "sub-verse*",
        "004 005",
    ),
    "COVID-19-20": (
        "Train/volume-covid19-A-*_ct.nii",
        "Train/volume-covid19-A-*_seg.nii",
        "volume-covid19-A-*_ct",
        "0003 0008",
    ),
    "MM-WHS": ("ct_train/ct_train_*_image.nii", "ct_train/ct_train_*_label.nii", "ct_train_*_image", "1001 1002"),
    "ACDC": ("training/*/*_frame01.nii.gz", "training/*/*_frame01_gt.nii.gz", "*", "patient001 patient002"),
    "PROMISE12": ("Case*.mhd", "Case*_segmentation.mhd", "Case*", "00 01"),
    "M&Ms": ("Labeled/*/*_sa.nii.gz", "Labeled/*/*_sa_gt.nii.gz", "*", "A0S9V9 A1D0Q7"),
    "one BraTS modality": ("HGG/*/*_flair.nii.gz", "HGG/*/*_seg.nii.gz", "*", "Brats18_2013_2_1 Brats18_CBICA_AAB_1"),
    "mask in a DICOM folder": ("*/series/", "*/series/mask.nii.gz", "*", "ana ben"),
    "one organ of TotalSegmentator": ("s*/ct.nii.gz", "s*/segmentations/liver.nii.gz", "s*", "0000 0001"),
}


def make(root: Path, paths) -> None:
    touch(root, *(f"{path}1.dcm" if path.endswith("/") else path for path in paths))


@pytest.mark.parametrize("name", SCANS)
def test_scans_and_patients(tmp_path, name):
    make(tmp_path, SCANS[name])
    scans = list_scans(tmp_path, layout="folder")
    found = dict(zip(names(scans, tmp_path), (scan["patient"] for scan in scans), strict=True))
    assert found == {path.rstrip("/"): patient for path, patient in SCANS[name].items()}
    assert look_below(tmp_path).labels == []


@pytest.mark.parametrize("name", PAIRS)
def test_scans_with_their_label_maps(tmp_path, name, caplog):
    *forms, values = PAIRS[name]
    expected = [tuple(form.replace("*", value) for form in forms) for value in values.split()]
    make(tmp_path, [path for image, label, _ in expected for path in (image, label)])
    items = list_labelled_scans(tmp_path)
    assert names(items, tmp_path) == [image.rstrip("/") for image, _, _ in expected]
    assert names(items, tmp_path, "label") == [label for _, label, _ in expected]
    assert [item["patient"] for item in items] == [patient for _, _, patient in expected]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert names(list_scans(tmp_path), tmp_path) == names(items, tmp_path)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert f"label maps, excluded from the scans: {len(expected)}, such as {expected[0][1]}" in warning


def test_patients_are_told_without_looking_at_the_disk():
    paths = [Path("/x/manifest-1/COLL", path) for path in ("A-1/01-01-2000/3", "A-1/02-02-2001/4", "A-2/01-01-2000/5")]
    assert patient_names(paths, Path("/x")) == ["A-1", "A-1", "A-2"]


def test_scans_outside_of_the_folder_are_told_by_a_tree_of_their_own():
    outside = [f"/data/phantoms0/images/phantom_00{n}.nii.gz" for n in range(3)]
    paths = [Path(path) for path in (*outside, "/other/set/gap", "/other/set/air.nii")]
    assert patient_names(paths, Path("/other/set")) == ["phantom_000", "phantom_001", "phantom_002", "gap", "air"]


def test_many_label_maps_of_one_scan_are_refused_by_name(tmp_path):
    organs = ("aorta", "liver", "spleen")
    make(
        tmp_path, [f"s000{n}/{file}.nii" for n in range(2) for file in ("ct", *(f"segmentations/{o}" for o in organs))]
    )
    with pytest.raises(ValueError, match=r"s0000/ct\.nii: it has 3 label maps: aorta\.nii, .* Merge .* label_pattern"):
        list_labelled_scans(tmp_path)
    chosen = {"image_pattern": r"(s\d+)/ct", "label_pattern": r"(s\d+)/segmentations/liver"}
    assert [item["patient"] for item in list_labelled_scans(tmp_path, **chosen)] == ["s0000", "s0001"]


def test_short_names_in_named_folders_are_series_of_one_person_until_a_regular_expression_says_otherwise(caplog):
    paths = [Path(f"/x/{site}/{n}/T1.nii") for site in ("Singapore", "Utrecht") for n in range(31)]
    assert set(patient_names(paths, Path("/x"))) == {"Singapore", "Utrecht"}
    assert "/x: 31 scans are assigned to one patient, Singapore. If they are of several" in caplog.text
    assert len(set(patient_names(paths, Path("/x"), "[^/]+/[^/]+"))) == 62


def test_a_label_map_that_is_not_called_one_is_paired_by_patterns(tmp_path):
    make(tmp_path, [f"p{n}/{name}.nrrd" for n in range(2) for name in ("lgemri", "laendo")])
    with pytest.raises(FileNotFoundError, match=r"no image with a label.* Pair them with image_pattern"):
        list_labelled_scans(tmp_path)
    chosen = {"image_pattern": "(p.)/lgemri", "label_pattern": "(p.)/laendo"}
    assert [item["patient"] for item in list_labelled_scans(tmp_path, **chosen)] == ["p0", "p1"]


def test_many_paths():
    paths = [Path(f"/x/m/C/A-{n // 2:05d}/01-0{1 + n % 2}-2000-1/3{n}") for n in range(10_000)]
    people = patient_names(paths, Path("/x"))
    assert len(set(people)) == 5_000
    assert people[:3] == ["A-00000", "A-00000", "A-00001"]
