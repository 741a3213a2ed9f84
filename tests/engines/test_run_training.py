"""A run that a signal or a lost worker ends logs the reason, and continues exactly there when it is resumed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess

import pytest
import torch
from ignite.engine import Events
from ignite.metrics import Average
from models_genesis_bundle.data import EpochSampler, SeededDataset
from models_genesis_bundle.engines import LostWorkerError, TrainingState, init_loader_worker, run_training
from monai.data import DataLoader
from monai.engines import SupervisedTrainer
from monai.handlers import MeanSquaredError, from_engine

ITERATIONS, EPOCHS = 4, 3


class Folder:
    ended = False

    def end(self):
        self.ended = True


class Run:
    """A training of a small network with dropout, two items a batch; ``at`` is called after each iteration."""

    def __init__(self, path, resume=False, at=lambda iteration: None, workers=0, prepare=lambda item: item, steps=1):
        torch.manual_seed(0)
        self.network = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 3))
        items = [{"image": torch.full((3,), float(number)), "label": torch.ones(3)} for number in range(2 * ITERATIONS)]
        dataset = SeededDataset(items, prepare)
        optimizer = torch.optim.AdamW(self.network.parameters(), lr=0.01)
        self.folder, self.metrics, self.seen = Folder(), [], []
        self.state = TrainingState(path, self.network, optimizer, resume=resume)
        self.trainer = SupervisedTrainer(
            device=torch.device("cpu"),
            max_epochs=EPOCHS,
            train_data_loader=DataLoader(
                dataset,
                workers,
                sampler=EpochSampler(dataset),
                batch_size=2,
                generator=torch.Generator(),
                worker_init_fn=init_loader_worker,
            ),
            network=self.network,
            optimizer=optimizer,
            loss_function=torch.nn.MSELoss(),
            key_train_metric={
                "mse": MeanSquaredError(output_transform=from_engine(["pred", "label"]), save_details=False)
            },
            additional_metrics={"loss": Average(lambda output: output["loss"].item())},
            train_handlers=[self.state],
            accumulation_steps=steps,
            decollate=False,
        )

        @self.trainer.on(Events.ITERATION_COMPLETED)
        def look(engine):
            self.seen.append(engine.state.iteration)
            at(engine.state.iteration)

        @self.trainer.on(Events.EPOCH_COMPLETED)
        def keep(engine):
            self.metrics.append(dict(engine.state.metrics))

    def start(self):
        run_training(self.trainer, self.state, self.folder)
        return self


def signal_at(iteration, number=signal.SIGINT):
    return lambda now: signal.raise_signal(number) if now == iteration else None


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return Run(tmp_path_factory.mktemp("whole") / "last.pt").start()


@pytest.mark.parametrize(
    ("number", "status", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")]
)
@pytest.mark.parametrize("iteration", [1, ITERATIONS, ITERATIONS + 3, EPOCHS * ITERATIONS])
@pytest.mark.parametrize("workers", [0, 1])
def test_a_signal_ends_a_run_where_it_goes_on_exactly(
    whole, tmp_path, caplog, number, status, name, iteration, workers
):
    if workers and number == signal.SIGTERM:
        pytest.skip("one signal is enough with workers")
    handlers = [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)]
    first = Run(tmp_path / "last.pt", at=signal_at(iteration, number), workers=workers)
    with pytest.raises(SystemExit) as ended:
        first.start()
    assert ended.value.code == status
    assert first.seen[-1] == iteration
    assert first.folder.ended
    (line,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert line.startswith(f"{name} ended the run in epoch ")
    assert "`--resume true` continues from" in line
    assert [signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)] == handlers
    second = Run(tmp_path / "last.pt", resume=True, workers=workers).start()
    assert first.seen + second.seen == whole.seen
    assert first.metrics + second.metrics == whole.metrics
    assert all(
        torch.equal(value, second.network.state_dict()[key]) for key, value in whole.network.state_dict().items()
    )
    assert not second.folder.ended, "a run that ends as planned keeps its folder until it is finalized"


def test_sigterm_to_all_processes_ends_a_run_where_it_goes_on_exactly(whole, tmp_path):
    """As a cluster sends it: the workers outlive the signal, until the state is saved."""
    others = multiprocessing.active_children()

    def workers():
        return [process for process in multiprocessing.active_children() if process not in others]

    def end_all(iteration):
        if iteration == ITERATIONS + 1:
            assert workers()
            for worker in workers():
                subprocess.run(["kill", "-TERM", str(worker.pid)], check=True)
                worker.join(0.5)
                assert worker.is_alive()
            signal.raise_signal(signal.SIGTERM)

    first = Run(tmp_path / "last.pt", at=end_all, workers=1)
    with pytest.raises(SystemExit, match="143"):
        first.start()
    assert not workers(), "workers obey the main process"
    assert first.seen + Run(tmp_path / "last.pt", resume=True).start().seen == whole.seen


@pytest.fixture(autouse=True)
def usual_handlers():
    """Those of a program in the foreground; test processes ignore Ctrl-C."""
    before = [
        signal.signal(one, handler)
        for one, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL))
    ]
    yield
    for one, handler in zip((signal.SIGINT, signal.SIGTERM), before, strict=True):
        signal.signal(one, handler)


def test_a_signal_that_is_ignored_stays_so(tmp_path):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    run = Run(tmp_path / "last.pt", at=signal_at(1)).start()
    assert len(run.seen) == len(Run(tmp_path / "other.pt").start().seen)


def test_gradients_that_wait_for_their_step_are_not_lost(tmp_path):
    ended = Run(tmp_path / "last.pt", at=signal_at(1), steps=2)
    with pytest.raises(SystemExit):
        ended.start()
    assert ended.seen == [1, 2]


def test_a_second_signal_ends_at_once_and_the_last_state_is_kept(tmp_path):
    def twice(iteration):
        if iteration == ITERATIONS + 1:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    run = Run(tmp_path / "last.pt", at=twice)
    with pytest.raises(KeyboardInterrupt):
        run.start()
    assert run.folder.ended
    assert Run(tmp_path / "last.pt", resume=True).start().seen[0] == ITERATIONS + 1


def die(item):
    os.kill(os.getpid(), signal.SIGKILL)


def find_no_room(item):
    raise RuntimeError("unable to write to file </torch_1_2_3>: No space left on device (28)")


@pytest.mark.parametrize("prepare", [die, find_no_room])
def test_a_lost_worker_names_the_remedy(tmp_path, prepare):
    run = Run(tmp_path / "last.pt", workers=1, prepare=prepare)
    with pytest.raises(LostWorkerError, match=r"/dev/shm.*`--num_workers 0`.*--shm-size.*`--resume true`"):
        run.start()
    assert run.folder.ended


def test_another_error_stays_as_it_is(tmp_path):
    def fail(iteration):
        raise RuntimeError("of another kind")

    with pytest.raises(RuntimeError, match=r"^of another kind$"):
        Run(tmp_path / "last.pt", at=fail).start()


def test_another_number_of_batches_an_epoch_starts_the_epoch_anew(whole, tmp_path):
    """As with another number of processes: what was seen of the epoch cannot be left out."""
    with pytest.raises(SystemExit):
        Run(tmp_path / "last.pt", at=signal_at(ITERATIONS + 3)).start()
    content = torch.load(tmp_path / "last.pt", weights_only=True)
    content["trainer"].update(epoch_length=2 * ITERATIONS, epoch=1, iteration=2 * ITERATIONS + 3)
    torch.save(content, tmp_path / "last.pt")
    again = Run(tmp_path / "last.pt", resume=True).start()
    assert again.seen == whole.seen[ITERATIONS:]
