import joblib
import pytest
import torch
from ignite.engine import Engine, Events
from models_genesis_bundle.bundle_config import RunFolder
from models_genesis_bundle.data import EpochSampler
from models_genesis_bundle.engines import EpochMetric, MainBuffers, OnMainProcess, loader_workers, seed_run
from models_genesis_bundle.metrics import youden_threshold
from monai.engines import SupervisedEvaluator
from monai.handlers import MeanSquaredError


def test_processes_that_do_not_know_each_other_are_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        with pytest.raises(
            RuntimeError, match=r"started 2 processes, and each would do the whole run.*multi_gpu\.yaml"
        ):
            RunFolder(tmp_path / "run", tmp_path / "run" / "checkpoints").begin()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("rank", "made"), [("0", 1), ("1", 0)])
def test_a_handler_is_made_on_the_main_process_alone(rank, made, monkeypatch):
    monkeypatch.setenv("RANK", rank)
    seen = []

    class Handler:
        def __init__(self):
            seen.append("made")

        def attach(self, engine):
            engine.add_event_handler(Events.STARTED, seen.append)

    engine = Engine(lambda engine, batch: None)
    OnMainProcess(Handler).attach(engine)
    engine.run([0])
    assert len(seen) == 2 * made


@pytest.mark.parametrize(
    ("num_workers", "device", "cores", "processes", "expected"),
    [
        (3, "cuda", 2, 1, 3),
        ("auto", "cpu", 16, 1, 0),
        ("auto", "cuda:1", 4, 1, 3),
        ("auto", "cuda", 16, 2, 7),
        ("auto", "cuda", 64, 1, 8),
        ("auto", "cuda", 1, 1, 1),
    ],
)
def test_workers_by_the_cores_that_are_free(monkeypatch, num_workers, device, cores, processes, expected):
    monkeypatch.setattr(joblib, "cpu_count", lambda: cores)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    assert loader_workers(num_workers, device) == expected


@pytest.mark.parametrize("deterministic", [True, False])
def test_a_seeded_run_says_how_cudnn_chooses(monkeypatch, deterministic):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", not deterministic)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", deterministic)
    seed_run(5, deterministic)
    assert (torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark) == (deterministic, not deterministic)
    drawn = torch.rand(3)
    seed_run(5)
    assert torch.equal(torch.rand(3), drawn)


def validate(rank, processes, folder):
    """The metrics of a validation of five items, on one of several processes with running statistics of their own."""
    if processes > 1:
        torch.distributed.init_process_group("gloo", f"file://{folder}/meeting", rank=rank, world_size=processes)
    network = torch.nn.BatchNorm1d(1)
    network.running_mean.fill_(rank)
    items = [{"image": torch.tensor([float(n)]), "label": torch.tensor([n % 2.0])} for n in range(5)]
    evaluator = SupervisedEvaluator(
        torch.device("cpu"),
        torch.utils.data.DataLoader(items, sampler=Numbers(items)),
        network,
        key_val_metric={"mse": MeanSquaredError(output_transform=lambda out: (out["pred"], out["label"]))},
        additional_metrics={"threshold": EpochMetric(youden_threshold, lambda out: (out["label"][0], out["pred"][0]))},
        decollate=False,
        val_handlers=[MainBuffers()] if processes > 1 else [],
    )
    evaluator.run()
    torch.save(evaluator.state.metrics, folder / f"{rank}_of_{processes}.pt")


class Numbers(EpochSampler):
    """The numbers of the items alone, for a list."""

    def __init__(self, items):
        super().__init__(items, shuffle=False)

    def __iter__(self):
        return (index.item for index in super().__iter__())


def test_two_processes_validate_each_item_once_with_the_statistics_of_the_first(tmp_path):
    validate(0, 1, tmp_path)
    torch.multiprocessing.spawn(validate, (2, tmp_path), nprocs=2)
    alone, first, second = (torch.load(tmp_path / f"{name}.pt") for name in ("0_of_1", "0_of_2", "1_of_2"))
    assert first == second == pytest.approx(alone)
