import pytest
from ignite.engine import Engine, Events

from models_genesis_bundle.bundle_config import RunFolder
from models_genesis_bundle.engines import OnMainProcess


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
