"""Running a plan: every run once, whatever interrupts it. The runs are fakes, the processes are real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from fake_commands import PROGRAM, journal, plan_content, write_plan
from models_genesis_bundle.comparison import ComparisonError, compare_initialisations, planned_runs, read_plan
from models_genesis_bundle.comparison.child_processes import ChildProcesses, ChildrenEndedError
from models_genesis_bundle.comparison.compare import run_comparison
from models_genesis_bundle.comparison.fairness import Fairness
from models_genesis_bundle.comparison.run import RunRecord

DRIVER = """
import sys
sys.path.insert(0, sys.argv[1])
from fake_commands import PROGRAM
from models_genesis_bundle.comparison import compare_initialisations
compare_initialisations(sys.argv[2], program=PROGRAM)
"""


def compare(path, **settings):
    return compare_initialisations(path, program=PROGRAM, **settings)


def two_runs():
    return {**plan_content(), "seeds": [0], "label_fractions": [1.0]}


def run(path):
    plan = read_plan(path)
    run_comparison(plan, Fairness(), PROGRAM)


def wait_for(condition, seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A plan of eight runs that were carried out."""
    path = write_plan(tmp_path_factory.mktemp("finished"))
    run(path)
    return path


def test_every_run_is_trained_and_evaluated_once_and_leaves_a_log(finished):
    lines = journal(finished.parent)
    assert sorted(lines) == sorted(
        4 * ["training scratch None", "training genesis None", "evaluating scratch None", "evaluating genesis None"]
    )
    for each in planned_runs(read_plan(finished)):
        record = RunRecord.read(each)
        assert list(record.evaluated) == ["test"]
        assert 0 < record.seconds < 60
        log = each.log_path.read_text()
        assert log.startswith("$ ")
        assert "epoch 2/8" in log


def test_finished_runs_are_left_alone(finished):
    before = journal(finished.parent)
    run(finished)
    assert journal(finished.parent) == before


def test_a_run_that_fails_is_named_with_its_log_and_the_others_go_on(tmp_path):
    path = write_plan(tmp_path, two_runs())
    (tmp_path / "fail").write_text("genesis")
    summary = compare(path)
    assert len(summary.table) == 1
    assert len(summary.missing) == 1
    assert "genesis, 100 % of the labels, seed 0: the training ended with exit code 3" in summary.missing[0]
    assert summary.missing[0].endswith("RuntimeError: it could not be done")
    assert "\n  epoch 2/8\n" in summary.missing[0], "of a progress bar only what stood there last"
    assert "these results are partial" in (tmp_path / "results" / "results.md").read_text()
    (tmp_path / "fail").unlink()
    before = len(journal(tmp_path))
    summary = compare(path)
    assert not summary.missing
    assert sorted(journal(tmp_path)[before:]) == ["evaluating genesis None", "training genesis true"]


def test_an_evaluation_that_leaves_nothing_is_a_failure(tmp_path):
    (tmp_path / "forget").touch()
    summary = compare(write_plan(tmp_path, two_runs()))
    assert len(summary.missing) == 2
    assert "the evaluation left no summary.json" in summary.missing[0]


def test_a_killed_comparison_takes_its_runs_with_it_and_goes_on_where_it_was(tmp_path):
    """After a SIGKILL nothing can clean up, but the trainings end, and the next start continues only unfinished ones."""
    path = write_plan(tmp_path)
    (tmp_path / "delay").write_text("0.02")
    words = [sys.executable, "-c", DRIVER, str(Path(__file__).parent), str(path)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for(
        lambda: sum(line.startswith("evaluating") for line in journal(tmp_path)) >= 2 or process.poll() is not None
    )
    assert process.poll() is None, process.stderr.read()[-2000:]
    (tmp_path / "delay").write_text("0.3")
    wait_for(lambda: sum(line.startswith("training") for line in journal(tmp_path)) >= 5)
    trainings = [int(pid) for pid in (tmp_path / "pids.txt").read_text().split()]
    assert any(map(alive, trainings))
    process.kill()
    process.communicate()
    wait_for(lambda: not any(map(alive, trainings)), 5)
    records = [RunRecord.read(each) for each in planned_runs(read_plan(path))]
    done = sum(record is not None and record.evaluated != {} for record in records)
    half = sum(record is not None and not record.trained for record in records)
    assert done > 0
    assert half > 0
    (tmp_path / "delay").unlink()
    before = len(journal(tmp_path))
    assert not compare(path).missing
    trained = [line for line in journal(tmp_path)[before:] if line.startswith("training")]
    assert len(trained) <= 8 - done
    assert sum(line.endswith("true") for line in trained) == half


def test_an_interruption_ends_the_runs_and_nothing_counts_as_failed(tmp_path):
    path = write_plan(tmp_path)
    (tmp_path / "delay").write_text("5")

    def interrupt():
        wait_for(lambda: len(journal(tmp_path)) >= 2)
        os.kill(os.getpid(), signal.SIGINT)

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background ignore it
    thread = threading.Thread(target=interrupt)
    thread.start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(path)
    thread.join()
    signal.signal(signal.SIGINT, handler)
    assert time.monotonic() - begun < 5, "ended at once, not after the epoch"
    records = [RunRecord.read(each) for each in planned_runs(read_plan(path))]
    assert all(record is None or not record.failure for record in records)
    assert sum(record is not None for record in records) == 2


def test_a_run_started_with_other_settings_is_refused_and_nothing_is_run(finished):
    content = plan_content()
    content["task"]["training_overrides"] = {"learning_rate": 0.5}
    path = write_plan(finished.parent, content)
    before = journal(finished.parent)
    with pytest.raises(ComparisonError, match=r"--learning_rate was not given, now 0.5. 7 other runs also differ"):
        run(path)
    assert journal(finished.parent) == before


def test_weights_that_have_changed_since_are_noticed(tmp_path):
    content = two_runs()
    run(write_plan(tmp_path, content))
    (tmp_path / "weights" / "genesis.pt").write_bytes(b"trained on")
    with pytest.raises(ComparisonError, match=r"genesis: this run .*the content of its initial weights has changed"):
        run(write_plan(tmp_path, content))


def test_another_evaluation_is_made_without_another_training(tmp_path):
    content = two_runs()
    first = compare(write_plan(tmp_path, content))
    content["task"]["evaluation_overrides"] = {"penalty": 1}
    before = len(journal(tmp_path))
    second = compare(write_plan(tmp_path, content))
    assert sorted(journal(tmp_path)[before:]) == ["evaluating genesis None", "evaluating scratch None"]
    assert second.table["score"].tolist() == pytest.approx(first.table["score"] - 0.02)


def test_more_seeds_and_more_arms_are_added_to_what_is_there(tmp_path):
    content = two_runs()
    run(write_plan(tmp_path, content))
    content["seeds"] = [0, 5]
    summary = compare(write_plan(tmp_path, content))
    assert summary.table["seed"].tolist() == [0, 0, 5, 5]
    assert len(journal(tmp_path)) == 8


def test_a_second_comparison_in_the_same_folder_is_refused(tmp_path):
    path = write_plan(tmp_path, two_runs())
    (tmp_path / "delay").write_text("0.03")
    refused = []

    def second():
        wait_for(lambda: journal(tmp_path))
        try:
            run(path)
        except ComparisonError as error:
            refused.append(str(error))

    thread = threading.Thread(target=second)
    thread.start()
    run(path)
    thread.join()
    assert "another process is running this comparison" in refused[0]


def test_the_record_of_a_resumed_training_adds_up_the_time_of_its_parts(tmp_path):
    path = write_plan(tmp_path)
    first = planned_runs(read_plan(path))[0]
    first.folder.mkdir(parents=True)
    first.log_path.write_text("epoch 3\n")
    killed = RunRecord(training=(), initial_weights=None, begun=first.log_path.stat().st_mtime - 60, seconds=100.0)
    killed.start_training(first)
    assert killed.seconds == pytest.approx(160, abs=0.01)
    killed.end_training()
    assert killed.seconds == pytest.approx(160, abs=1)
    assert RunRecord.read(first) is None
    killed.write(first)
    assert RunRecord.read(first) == killed


@pytest.mark.parametrize(("words", "section"), [(["a"], "test"), (["a", "--section", "validation"], "validation")])
def test_a_record_of_a_version_that_knew_one_evaluation_is_read(tmp_path, words, section):
    run = planned_runs(read_plan(write_plan(tmp_path), section=section))[0]
    run.evaluation_dir.mkdir(parents=True)
    run.summary_path.write_text("{}")
    for evaluated in (True, False):
        old = {"training": ["a"], "evaluation": words, "initial_weights": None, "trained": True, "evaluated": evaluated}
        (run.folder / "run.json").write_text(json.dumps(old))
        assert RunRecord.read(run).is_finished(run) is evaluated
        assert RunRecord.read(run).evaluated == ({section: tuple(words)} if evaluated else {})


def test_children_get_their_threads_and_none_is_started_after_the_end(tmp_path):
    children = ChildProcesses(tmp_path, threads=3)
    script = "import os; print(os.environ['OMP_NUM_THREADS'], os.getcwd())"
    assert children.call([sys.executable, "-S", "-c", script], tmp_path / "log.txt") == 0
    assert (tmp_path / "log.txt").read_text().splitlines()[-1] == f"3 {tmp_path}"
    assert children.call([sys.executable, "-S", "-c", "raise SystemExit(7)"], tmp_path / "log.txt") == 7
    killed = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert children.call([sys.executable, "-S", "-c", killed], tmp_path / "log.txt") == 128 + signal.SIGKILL
    children.end_all()
    with pytest.raises(ChildrenEndedError):
        children.call([sys.executable, "-c", "pass"], tmp_path / "log.txt")
