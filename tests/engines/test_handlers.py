import itertools
import random

import numpy as np
import pytest
import torch
from ignite.engine import Engine, Events
from models_genesis_bundle.engines import (
    EarlyStopping,
    GradientClipping,
    MetricsTable,
    NonFiniteStepError,
    RequireFiniteStep,
    StepSchedule,
    Throughput,
    read_metrics,
)
from models_genesis_bundle.engines.training_state import get_random_states, set_random_states
from models_genesis_bundle.weights import read_checkpoint, write_checkpoint
from monai.engines import SupervisedTrainer
from monai.engines.utils import IterationEvents


def draws():
    return random.random(), float(np.random.rand()), float(np.random.randn()), torch.rand(3).tolist()  # noqa: NPY002


def test_random_states_survive_a_checkpoint(tmp_path):
    np.random.randn()  # noqa: NPY002
    write_checkpoint({"random": get_random_states()}, tmp_path / "states.pt")
    wanted = draws()
    draws()
    set_random_states(read_checkpoint(tmp_path / "states.pt")["random"])
    assert draws() == wanted


def trainer_and_validator(scores):
    """Engines without a network; the validator's best epoch follows from the scores, lower is better."""
    validator = Engine(lambda engine, batch: None)
    validator.state.best_metric_epoch, validator.state.best_metric = -1, None
    trainer = Engine(lambda engine, batch: None)

    @trainer.on(Events.EPOCH_COMPLETED)
    def validate(engine):
        score = scores[engine.state.epoch - 1]
        validator.state.epoch = engine.state.epoch
        validator.state.metrics = {"val_mse": score}
        if validator.state.best_metric is None or score < validator.state.best_metric:
            validator.state.best_metric, validator.state.best_metric_epoch = score, engine.state.epoch

    return trainer, validator


def test_training_ends_without_progress():
    trainer, validator = trainer_and_validator([5, 4, 3, 4, 3.5, 3.2, 2, 1])
    EarlyStopping(3, validator).attach(trainer)
    trainer.run([0], max_epochs=8)
    assert trainer.state.epoch == 6


def test_a_plateau_counts_each_validation_once():
    validator = Engine(lambda engine, batch: None)
    validator.state.key_metric_name = "val_auc"
    trainer = Engine(lambda engine, batch: None)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", factor=0.5, patience=1)

    @trainer.on(Events.EPOCH_COMPLETED(every=3))
    def validate(engine):
        validator.state.epoch = engine.state.epoch
        validator.state.metrics = {"val_auc": 0.7}

    StepSchedule(schedule, validator).attach(trainer)
    trainer.run([0], max_epochs=8)
    assert optimizer.param_groups[0]["lr"] == 1.0, "the second validation is one without progress, and one is allowed"
    trainer.run([0], max_epochs=9)
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_a_run_that_resumes_where_it_had_stalled_trains_no_more():
    trainer, validator = trainer_and_validator([5, 4, 3, 4, 3.5, 3.2, 2, 1])
    validator.state.best_metric, validator.state.best_metric_epoch = 3, 3

    @trainer.on(Events.STARTED)
    def restore(engine):
        engine.state.epoch, engine.state.iteration = 6, 6

    EarlyStopping(3, validator).attach(trainer)
    trainer.run([0], max_epochs=8)
    assert (trainer.state.epoch, trainer.state.iteration) == (6, 6)


def test_metrics_table_drops_the_lines_that_a_resumed_run_writes_again(tmp_path):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    for epochs in (3, 2):
        trainer, validator = trainer_and_validator([3 / epochs, 2 / epochs, 1 / epochs])
        Throughput().attach(trainer)
        MetricsTable(tmp_path / "metrics.csv", validator, optimizer).attach(trainer)
        trainer.run([{"image": torch.zeros(2, 1)}] * 2, max_epochs=epochs)
    lines = read_metrics(tmp_path / "metrics.csv")
    assert [line["epoch"] for line in lines] == [1, 2]
    assert [line["val_mse"] for line in lines] == [1.5, 1.0]
    assert lines[0]["learning_rate"] == 0.5
    assert lines[0]["cubes_per_second"] > 0
    assert 0 <= lines[0]["data_wait_fraction"] <= 1


def test_the_speed_is_called_after_what_a_batch_holds():
    trainer = Engine(lambda engine, batch: None)
    Throughput("patches").attach(trainer)
    trainer.run([{"image": torch.zeros(2, 1)}])
    assert trainer.state.metrics["patches_per_second"] > 0
    assert "cubes_per_second" not in trainer.state.metrics


class FakeTrainer:
    scaler = None
    accumulation_steps = 1

    def __init__(self, loss, network=None):
        self.network = network
        self.state = Engine(lambda engine, batch: None).state
        self.state.output = {"loss": torch.tensor(loss)}
        self.state.iteration = self.state.epoch_length = 1
        self.state.batch = {"source": ["b.nii", "a.nii", "b.nii"]}


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_names_its_sources(loss):
    RequireFiniteStep().check_loss(FakeTrainer(1.0))
    with pytest.raises(NonFiniteStepError, match=r"loss is (nan|inf) .* from a\.nii, b\.nii\."):
        RequireFiniteStep().check_loss(FakeTrainer(loss))


def test_a_gradient_that_is_no_number_names_its_parameter_and_sources():
    network = torch.nn.Linear(4, 4)
    trainer = FakeTrainer(1.0, network)
    network(torch.ones(1, 4)).sum().backward()
    RequireFiniteStep().check_gradients(trainer)
    network.bias.grad[2] = float("nan")
    with pytest.raises(
        NonFiniteStepError, match=r"gradients of 1 of 2 parameters, bias the first, .* from a\.nii, b\.nii\."
    ):
        RequireFiniteStep().check_gradients(trainer)
    trainer.scaler = object()
    RequireFiniteStep().check_gradients(trainer)


def test_gradients_are_clipped():
    network = torch.nn.Linear(4, 4)
    (network(torch.ones(1, 4)).sum() * 1000).backward()
    GradientClipping(1.0).clip(FakeTrainer(1.0, network))
    norm = torch.stack([parameter.grad.norm() for parameter in network.parameters()]).norm()
    assert norm == pytest.approx(1.0, abs=1e-4)
    with pytest.raises(ValueError, match="above 0"):
        GradientClipping(-1)


@pytest.mark.filterwarnings("ignore:.*CUDA is not available.*", "ignore:.*GradScaler.*")
@pytest.mark.parametrize("scaled", [False, True])
def test_the_sum_of_the_gradients_of_several_iterations_is_clipped_once(scaled):
    network = torch.nn.Linear(2, 1)
    trainer = SupervisedTrainer(
        device=torch.device("cpu"),
        max_epochs=1,
        train_data_loader=[{"image": torch.ones(1, 2), "label": torch.full((1, 1), 1000.0)}] * 3,
        network=network,
        optimizer=torch.optim.SGD(network.parameters(), lr=1.0),
        loss_function=torch.nn.MSELoss(),
        train_handlers=[RequireFiniteStep(), GradientClipping(1.0)],
        accumulation_steps=2,
        decollate=False,
    )
    if scaled:
        trainer.amp, trainer.scaler = True, torch.amp.GradScaler("cpu", init_scale=4.0)
    weights = [parameters_of(network)]
    trainer.add_event_handler(Events.ITERATION_COMPLETED, lambda: weights.append(parameters_of(network)))
    trainer.run()
    moved = [(after - before).norm().item() for before, after in itertools.pairwise(weights)]
    assert moved == pytest.approx([0, 1, 1], abs=1e-3)


def parameters_of(network):
    return torch.nn.utils.parameters_to_vector(network.parameters()).detach().clone()


def test_a_largest_norm_of_0_clips_nothing():
    trainer = Engine(lambda engine, batch: None)
    trainer.register_events(*IterationEvents)
    GradientClipping(0).attach(trainer)
    assert not trainer.has_event_handler(GradientClipping.clip)
    GradientClipping(1).attach(trainer)
    assert len(trainer._event_handlers[IterationEvents.BACKWARD_COMPLETED]) == 1


def test_a_schedule_steps_after_each_epoch():
    trainer = Engine(lambda engine, batch: None)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    StepSchedule(schedule, Engine(lambda engine, batch: None)).attach(trainer)
    trainer.run([0], max_epochs=3)
    assert optimizer.param_groups[0]["lr"] == 0.125
