from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from models_genesis_bundle.bundle_config import RunFolder, SettingsError
from models_genesis_bundle.files import RUN_MARKER
from models_genesis_bundle.visualize import summary_writer
from models_genesis_bundle.weights import write_checkpoint


def test_two_runs_at_once_are_refused_and_a_run_that_failed_in_this_thread_is_none(tmp_path):
    """The parts of a workflow that failed live on in a notebook."""
    failed, other = RunFolder(tmp_path), RunFolder(tmp_path)
    failed.begin()
    with ThreadPoolExecutor() as threads:
        with pytest.raises(RuntimeError, match="another run is writing to this folder"):
            threads.submit(RunFolder(tmp_path).begin).result()
        other.begin()
        assert not failed.lock.is_locked
        with pytest.raises(RuntimeError, match="another run is writing to this folder"):
            threads.submit(RunFolder(tmp_path).begin).result()
        other.end()
        threads.submit(RunFolder(tmp_path).begin).result()


def test_a_run_begins_once(tmp_path):
    folder = RunFolder(tmp_path, tmp_path / "checkpoints")
    folder.begin()
    write_checkpoint({"epoch": 1}, tmp_path / "checkpoints" / "last.pt")
    folder.begin()
    assert (tmp_path / "checkpoints" / "last.pt").exists()


def test_resuming_keeps_the_run_and_clears_what_a_kill_left(tmp_path):
    checkpoints = tmp_path / "elsewhere"
    write_checkpoint({"epoch": 1}, checkpoints / "last.pt")
    (checkpoints / ".unfinished-1-last.pt").write_bytes(b"half")
    RunFolder(tmp_path / "run", checkpoints, resume=True).begin()
    assert [path.name for path in checkpoints.iterdir()] == ["last.pt"]


def test_an_earlier_run_moves_aside_with_its_checkpoints_and_the_cache_stays(tmp_path):
    run, checkpoints = tmp_path / "run", tmp_path / "elsewhere"
    for attempt in (1, 2):
        write_checkpoint({"attempt": attempt}, checkpoints / "last.pt")
        (run / "cache").mkdir(parents=True, exist_ok=True)
        (run / "metrics.csv").write_text("epoch\n")
        folder = RunFolder(run, checkpoints)
        folder.begin()
        folder.lock.release()
        assert (run / "previous" / str(attempt) / "elsewhere" / "last.pt").exists()
        assert (run / "previous" / str(attempt) / "metrics.csv").exists()
    assert (run / "cache").exists()
    assert (run / RUN_MARKER).exists()
    assert list(checkpoints.iterdir()) == []


def test_weights_without_a_state_are_an_earlier_run(tmp_path):
    """A run that ended before its first state, with a long save_interval, has written model.pt alone."""
    write_checkpoint({"attempt": 1}, tmp_path / "checkpoints" / "model.pt")
    RunFolder(tmp_path, tmp_path / "checkpoints", resume=True).begin()
    assert (tmp_path / "previous" / "1" / "checkpoints" / "model.pt").exists()
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_run_without_checkpoints_keeps_what_is_there_and_marks_its_folder(tmp_path):
    (tmp_path / "a_restored.nii.gz").write_bytes(b"result")
    (tmp_path / "environment.json").write_text("{}")
    RunFolder(tmp_path).begin()
    assert (tmp_path / RUN_MARKER).exists()
    assert (tmp_path / "a_restored.nii.gz").read_bytes() == b"result"
    assert "packages" in (tmp_path / "environment.json").read_text(), "the record is that of the latest run"


def test_an_evaluation_in_the_folder_of_a_training_leaves_its_record(tmp_path):
    write_checkpoint({"epoch": 1}, tmp_path / "checkpoints" / "last.pt")
    (tmp_path / "environment.json").write_text("{}")
    RunFolder(tmp_path).begin()
    assert (tmp_path / "environment.json").read_text() == "{}"
    assert (tmp_path / "checkpoints" / "last.pt").exists()


@pytest.fixture
def command(tmp_path, monkeypatch):
    """This process is a `monai.bundle run` whose configuration is one setting."""
    config = tmp_path / "given.yaml"
    config.write_text("max_epochs: 3\n")
    monkeypatch.setattr("sys.argv", ["/site/monai/bundle/__main__.py", "run", "--config_file", str(config)])


@pytest.mark.usefixtures("command")
@pytest.mark.parametrize("left", [None, "", "max_epochs: [", "\0\0"], ids=["none", "empty", "half", "zeros"])
def test_a_record_that_a_crash_left_empty_or_broken_is_written_again(tmp_path, caplog, left):
    run = tmp_path / "run"
    write_checkpoint({"epoch": 1}, run / "checkpoints" / "last.pt")
    if left is not None:
        (run / "config.yaml").write_text(left)
        (run / "environment.json").write_text(left)
    RunFolder(run, run / "checkpoints", resume=True).begin()
    assert (run / "config.yaml").read_text() == "max_epochs: 3\n"
    assert "packages" in (run / "environment.json").read_text()
    assert [record.args[0].name for record in caplog.records if "damaged" in record.msg] == (
        [] if left is None else ["config.yaml", "environment.json"]
    )


@pytest.mark.usefixtures("command")
def test_a_resumed_run_records_the_settings_that_it_goes_on_with(tmp_path):
    (tmp_path / "config.yaml").write_text("max_epochs: 2\n")
    (tmp_path / "environment.json").write_text("{}")
    RunFolder(tmp_path, tmp_path / "checkpoints", resume=True).begin()
    assert (tmp_path / "config.yaml").read_text() == "max_epochs: 3\n"
    assert (tmp_path / "environment.json").read_text() == "{}"


@pytest.mark.usefixtures("command")
def test_a_record_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    def stop_in_the_middle(config, path, **options):
        Path(path).write_text("max_ep")
        raise KeyboardInterrupt

    monkeypatch.setattr("monai.bundle.ConfigParser.export_config_file", stop_in_the_middle)
    with pytest.raises(KeyboardInterrupt):
        RunFolder(tmp_path / "run").begin()
    assert {path.name for path in (tmp_path / "run").iterdir()} == {RUN_MARKER, ".run.lock"}


@pytest.mark.parametrize("below", ["", "run"])
def test_a_file_in_place_of_the_folder_is_named_with_the_setting(tmp_path, below):
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / below
    with pytest.raises(SettingsError, match=rf"^output_dir: expected a folder .*, found {folder}: .*--output_dir"):
        RunFolder(str(folder)).begin()


@pytest.mark.usefixtures("command")
def test_a_configuration_in_the_folder_of_the_earlier_run_is_refused(tmp_path):
    """Such as the plan.yaml that planning wrote there."""
    write_checkpoint({"epoch": 1}, tmp_path / "checkpoints" / "last.pt")
    with pytest.raises(SettingsError, match=rf"^config_file: {tmp_path / 'given.yaml'} is in {tmp_path}, .*previous/"):
        RunFolder(str(tmp_path), str(tmp_path / "checkpoints")).begin()
    assert (tmp_path / "given.yaml").exists()
    assert (tmp_path / "checkpoints" / "last.pt").exists()


def test_other_ranks_touch_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    RunFolder(tmp_path / "run", tmp_path / "run" / "checkpoints").begin()
    assert not (tmp_path / "run").exists()


def test_a_writer_that_was_made_before_the_run_began_writes_into_the_new_run(tmp_path, monkeypatch):
    """The zoo looks at a workflow's properties before it runs it, when the folder is still that of an earlier run."""
    write_checkpoint({"epoch": 1}, tmp_path / "checkpoints" / "last.pt")
    (tmp_path / "tensorboard").mkdir()
    (tmp_path / "tensorboard" / "events.earlier").touch()
    writer = summary_writer(str(tmp_path / "tensorboard"))
    writer.close()
    assert [path.name for path in (tmp_path / "tensorboard").iterdir()] == ["events.earlier"]
    RunFolder(tmp_path, tmp_path / "checkpoints").begin()
    writer.add_scalar("loss", 1.0, 1)
    writer.close()
    assert len(list((tmp_path / "tensorboard").glob("events*"))) == 1
    assert (tmp_path / "previous" / "1" / "tensorboard" / "events.earlier").exists()
    monkeypatch.setenv("RANK", "1")
    summary_writer(str(tmp_path / "other")).add_scalar("loss", 1.0, 1)
    assert not (tmp_path / "other").exists()


def test_curves_that_cannot_be_written_are_named_once_and_the_run_continues(tmp_path, caplog):
    (tmp_path / "file").touch()
    writer = summary_writer(str(tmp_path / "file" / "tensorboard"))
    for step in (1, 2):
        writer.add_scalar("loss", 1.0, step)
        writer.flush()
    writer.close()
    (warning,) = caplog.messages
    assert warning.startswith(
        f"{tmp_path / 'file' / 'tensorboard'}: it cannot be written, and the run continues without it"
    )
