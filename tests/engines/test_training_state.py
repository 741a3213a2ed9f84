"""What a resumed run takes over from its state, and what from its settings."""

from __future__ import annotations

import warnings

import pytest
import torch
from ignite.engine import Engine, Events
from models_genesis_bundle.engines import StepSchedule, TrainingState
from models_genesis_bundle.weights import read_checkpoint

SCHEDULES = {
    "polynomial": lambda optimizer, epochs: torch.optim.lr_scheduler.PolynomialLR(optimizer, epochs, power=0.9),
    "cosine": lambda optimizer, epochs: torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs),
    "step": lambda optimizer, epochs: torch.optim.lr_scheduler.StepLR(optimizer, 2),
    "sequential": lambda optimizer, epochs: torch.optim.lr_scheduler.SequentialLR(
        optimizer,
        [
            torch.optim.lr_scheduler.LinearLR(optimizer, 0.1, total_iters=2),
            torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, epochs - 2)),
        ],
        milestones=[2],
    ),
}


class Run:
    """A training of a few weights, which keeps the learning rates of its epochs."""

    def __init__(self, path, schedule, max_epochs, resume=False, interval=1, scaler=None):
        torch.manual_seed(0)
        self.network = torch.nn.Linear(3, 1)
        encoder, head = [self.network.weight], [self.network.bias]
        self.optimizer = torch.optim.AdamW([{"params": encoder, "lr": 0.01}, {"params": head}], lr=0.1)
        self.schedule = schedule(self.optimizer, max_epochs)
        self.rates: list[list[float]] = []
        trainer, validator = Engine(self.step), Engine(lambda engine, batch: None)
        trainer.network, trainer.scaler = self.network, scaler
        validator.state.best_metric, validator.state.best_metric_epoch = 0.0, 1
        validator.state.key_metric_name = "score"

        @trainer.on(Events.EPOCH_COMPLETED)
        def validate(engine):
            self.rates.append([group["lr"] for group in self.optimizer.param_groups])
            validator.state.epoch, validator.state.metrics = engine.state.epoch, {"score": 0.5}

        StepSchedule(self.schedule, validator).attach(trainer)
        state = TrainingState(
            path, self.network, self.optimizer, self.schedule, validator, resume=resume, interval=interval
        )
        state.attach(trainer)
        trainer.run([torch.ones(2, 3)] * 2, max_epochs=max_epochs)

    def step(self, engine, batch):
        self.optimizer.zero_grad()
        self.network(batch).square().mean().backward()
        self.optimizer.step()


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_run_in_two_parts_is_the_run_in_one(name, tmp_path):
    whole = Run(tmp_path / "whole.pt", SCHEDULES[name], 5)

    def of_five(optimizer, epochs):
        return SCHEDULES[name](optimizer, 5)

    first = Run(tmp_path / "parts.pt", of_five, 2)
    second = Run(tmp_path / "parts.pt", of_five, 5, resume=True)
    assert first.rates + second.rates == whole.rates
    states = [read_checkpoint(tmp_path / f"{part}.pt") for part in ("whole", "parts")]
    assert all(torch.equal(states[0]["model"][key], value) for key, value in states[1]["model"].items())
    assert states[0]["lr_scheduler"].keys() == states[1]["lr_scheduler"].keys()


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_follows_the_number_of_epochs_that_a_resumed_run_has(name, tmp_path):
    Run(tmp_path / "last.pt", SCHEDULES[name], 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        longer = Run(tmp_path / "last.pt", SCHEDULES[name], 5, resume=True)
    assert longer.rates == Run(tmp_path / "whole.pt", SCHEDULES[name], 5).rates[2:]


def test_a_plateau_goes_on_with_what_it_has_seen(tmp_path):
    def plateau(optimizer, epochs):
        return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", factor=0.5, patience=2)

    whole = Run(tmp_path / "whole.pt", plateau, 6)
    first = Run(tmp_path / "last.pt", plateau, 3)
    second = Run(tmp_path / "last.pt", plateau, 6, resume=True)
    assert first.rates + second.rates == whole.rates
    assert whole.rates[0] != whole.rates[-1]


def test_fewer_epochs_than_were_trained_train_no_more(tmp_path):
    Run(tmp_path / "last.pt", SCHEDULES["cosine"], 3)
    assert Run(tmp_path / "last.pt", SCHEDULES["cosine"], 2, resume=True).rates == []


def test_the_end_of_a_run_is_saved_whatever_the_interval(tmp_path):
    """A run that ended between two savings would be lost to `resume`, and be overwritten by the next start."""
    path = tmp_path / "last.pt"
    Run(path, SCHEDULES["step"], 3, interval=2)
    assert read_checkpoint(path)["trainer"]["epoch"] == 3
    assert len(Run(path, SCHEDULES["step"], 5, resume=True, interval=10).rates) == 2
    assert read_checkpoint(path)["trainer"]["epoch"] == 5
    written = path.stat().st_mtime_ns
    Run(path, SCHEDULES["step"], 5, resume=True, interval=10)
    assert path.stat().st_mtime_ns == written, "what is saved already is not saved again"


def test_a_run_may_go_on_with_float16(tmp_path):
    """``precision`` may change, and is float16 on GPUs without bfloat16: only then there is a gradient scaler."""
    Run(tmp_path / "last.pt", SCHEDULES["step"], 1)
    scaler = torch.amp.GradScaler("cpu")
    assert len(Run(tmp_path / "last.pt", SCHEDULES["step"], 2, resume=True, scaler=scaler).rates) == 1
    scaler.load_state_dict({**scaler.state_dict(), "scale": 8.0})
    Run(tmp_path / "last.pt", SCHEDULES["step"], 3, resume=True, scaler=scaler)
    assert scaler.get_scale() == 2.0**16, "it is restored"
    assert len(Run(tmp_path / "last.pt", SCHEDULES["step"], 4, resume=True).rates) == 1
