import pytest
import torch
from ignite.engine import Engine, Events
from models_genesis_bundle.engines import UnlearntClasses
from monai.engines import SupervisedEvaluator
from monai.handlers import MeanDice

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
    assert "'tumour' was not learnt: mean Dice 0.001 in the 2 validation scans" in record.message
    assert "max_epochs" in record.message


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
    assert [record.message[:25] for record in caplog.records if record.name.endswith("after_validation")] == [
        "Class 'second' was not le"
    ]
