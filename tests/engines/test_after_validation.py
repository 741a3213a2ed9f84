"""A validation without anything to measure decides nothing, and a class that is not learnt is named."""

from __future__ import annotations

import math

import pytest
import torch
from ignite.engine import Engine, Events
from models_genesis_bundle.engines import (
    BestWeights,
    EarlyStopping,
    MetricsTable,
    StepSchedule,
    UndefinedMetric,
    UnlearntClasses,
    read_metrics,
)
from models_genesis_bundle.weights import read_weights
from monai.engines import SupervisedEvaluator
from monai.handlers import ROCAUC, MeanDice, from_engine

MAP = torch.zeros(1, 1, 4, 4)
FOREGROUND = MAP.clone()
FOREGROUND[..., 2:] = 1


class Constant(torch.nn.Module):
    """Predicts what is given, whatever it sees."""

    def __init__(self, prediction):
        super().__init__()
        self.register_buffer("prediction", prediction)

    def forward(self, images):
        return self.prediction


class Run:
    """A training whose validations see one label each."""

    def __init__(self, folder, labels, metric, prediction, max_epochs):
        network = Constant(prediction)
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, "max", factor=0.5, patience=0)
        self.validator = SupervisedEvaluator(
            device=torch.device("cpu"),
            val_data_loader=[{"image": MAP, "label": labels[0]}],
            network=network,
            key_val_metric=metric,
            val_handlers=[UndefinedMetric()],
            decollate=False,
        )
        trainer = Engine(lambda engine, batch: None)

        @trainer.on(Events.EPOCH_COMPLETED)
        def validate(engine):
            self.validator.data_loader[0]["label"] = labels[engine.state.epoch - 1]
            self.validator.run(engine.state.epoch)

        MetricsTable(folder / "metrics.csv", self.validator, optimizer).attach(trainer)
        StepSchedule(plateau, self.validator).attach(trainer)
        BestWeights(folder / "model.pt", network, self.validator, use="an evaluation").attach(trainer)
        EarlyStopping(1, self.validator).attach(trainer)
        trainer.run([0], max_epochs=max_epochs)
        self.lines = read_metrics(folder / "metrics.csv")
        self.learning_rate = optimizer.param_groups[0]["lr"]


@pytest.mark.parametrize(("smaller_is_better", "mode"), [(True, "min"), (False, "max")])
def test_a_plateau_of_the_other_direction_is_refused(smaller_is_better, mode):
    validator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=[],
        network=torch.nn.Identity(),
        key_val_metric={"val_loss": MeanDice()},
        metric_cmp_fn=lambda current, best: (current < best) == smaller_is_better,
    )
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    StepSchedule(torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode), validator)
    other = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, {"min": "max", "max": "min"}[mode])
    with pytest.raises(ValueError, match=f"lr_scheduler::mode: expected '{mode}', because a .* val_loss is better"):
        StepSchedule(other, validator)


def dice():
    return {
        "val_dice": MeanDice(include_background=False, num_classes=2, output_transform=from_engine(["pred", "label"]))
    }


def test_an_epoch_without_foreground_is_no_best_one_and_it_is_said_once(tmp_path, caplog):
    run = Run(tmp_path, [MAP, MAP, FOREGROUND], dice(), FOREGROUND, 3)
    assert [line.get("val_dice") for line in run.lines] == [None, None, 1.0]
    assert read_weights(tmp_path / "model.pt")["epoch"] == 3
    assert run.validator.state.best_metric_epoch == 3
    assert run.learning_rate == 1.0, "an undefined metric is no lack of progress"
    (line,) = [record.getMessage() for record in caplog.records if "undefined" in record.msg]
    assert line.startswith("val_dice is undefined in epoch 1, ")
    assert "split::split_file" in line


def test_a_later_epoch_without_foreground_leaves_the_best(tmp_path, caplog):
    caplog.set_level("INFO")
    run = Run(tmp_path, [FOREGROUND, MAP], dice(), FOREGROUND, 2)
    assert (run.validator.state.best_metric, run.validator.state.best_metric_epoch) == (1.0, 1)
    assert math.isnan(run.validator.state.metrics["val_dice"])
    last = [record.getMessage() for record in caplog.records if record.name.endswith("after_validation")][-1]
    assert last == f"Best weights, of epoch 1 (val_dice 1): {tmp_path / 'model.pt'}, for an evaluation"


def test_without_any_defined_validation_the_last_weights_are_kept(tmp_path, caplog):
    Run(tmp_path, [MAP, MAP, MAP], dice(), FOREGROUND, 3)
    assert read_weights(tmp_path / "model.pt")["epoch"] == 3
    assert "No validation had a defined result" in caplog.text


@pytest.mark.filterwarnings("ignore:.*y values can not be all.*")
def test_the_area_under_the_curve_of_one_class_is_undefined(tmp_path):
    one_class, both = torch.ones(2), torch.tensor([0.0, 1.0])
    metric = {"val_auc": ROCAUC(output_transform=from_engine(["pred", "label"]))}
    run = Run(tmp_path, [one_class, both], metric, torch.tensor([0.2, 0.9]), 2)
    assert [line.get("val_auc") for line in run.lines] == [None, 1.0]
    assert run.validator.state.best_metric_epoch == 2


NONE = float("nan")


def trained(dice_by_epoch):
    """A training whose validations find these Dice scores: epochs, scans, classes."""
    validator, trainer = Engine(lambda engine, batch: None), Engine(lambda engine, batch: None)
    validator.state.key_metric_name = "val_dice"
    scores = [torch.tensor(dice) for dice in dice_by_epoch]
    best = max(range(len(scores)), key=lambda epoch: scores[epoch].nanmean())

    @trainer.on(Events.EPOCH_COMPLETED)
    def validate(engine):
        epoch = engine.state.epoch - 1
        validator.state.metric_details = {"val_dice": scores[epoch]}
        validator.state.best_metric_epoch = min(epoch, best) + 1

    UnlearntClasses(["liver", "tumour"], validator).attach(trainer)
    trainer.run([0], max_epochs=len(scores))


def test_a_class_that_is_never_predicted_is_named(caplog):
    trained([[[0.9, 0.0], [0.8, NONE], [0.7, 0.001]]])
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "not learnt: 'tumour' (mean Dice 0.001 in the 2 validation scans that have it). Train" in record.message
    assert "max_epochs" in record.message


def test_several_classes_are_named_in_one_warning(caplog):
    trained([[[0.0, 0.0], [0.0, NONE]]])
    (record,) = caplog.records
    assert "'liver' (mean Dice 0.000 in the 2 validation scans that have it), 'tumour' (mean Dice" in record.message


@pytest.mark.parametrize(
    "dice",
    [[[[0.9, 0.0], [0.8, 0.3]]], [[[0.9, NONE], [0.8, NONE]]], [[[0.5, 0.0]], [[0.5, 0.5]], [[0.5, 0.0]]]],
    ids=["learnt in one scan", "in no scan", "learnt in the best epoch"],
)
def test_others_are_not(dice, caplog):
    trained(dice)
    assert not caplog.records


def test_it_reads_what_monais_metric_keeps(caplog):
    """Two scans, three classes; the second is never predicted."""
    prediction = torch.zeros(2, 1, 4, 4, 4)
    prediction[:, :, 0] = 1
    label = prediction.clone()
    label[0, :, 1] = 2
    batches = [{"image": p[None], "label": y[None]} for p, y in zip(prediction, label, strict=True)]
    metric = MeanDice(
        include_background=False, num_classes=3, output_transform=lambda out: (out["image"], out["label"])
    )
    validator = SupervisedEvaluator(
        device=torch.device("cpu"),
        val_data_loader=batches,
        network=torch.nn.Identity(),
        key_val_metric={"val_dice": metric},
        decollate=False,
    )
    trainer = Engine(lambda engine, batch: None)
    trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda engine: validator.run(engine.state.epoch))
    UnlearntClasses(["first", "second"], validator).attach(trainer)
    trainer.run([0], max_epochs=1)
    (record,) = (record for record in caplog.records if record.name.endswith("after_validation"))
    assert "not learnt: 'second' (" in record.message
    assert "'first'" not in record.message
