from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
import yaml

from pipelines.train import TrainCLI
from uss.data.datamodule import ShardDataModule
from uss.models import SeparationModel
from uss.training.module import SeparationTask

CONFIGS = sorted((Path(__file__).parents[2] / "pipelines" / "configs").glob("*.yaml"))


def load(config: Path, root: Path, *options: str) -> TrainCLI:
    """Build everything the recipe names, without memory for the weights."""
    command = ["--config", str(config), "--trainer.default_root_dir", str(root)]
    with torch.random.fork_rng(), torch.device("meta"):
        return TrainCLI(
            SeparationTask,
            ShardDataModule,
            run=False,
            # This machine may not have the recipe's device.
            args=[*command, "--trainer.accelerator", "cpu", "--trainer.devices", "1", *options],
            parser_kwargs={"exit_on_error": False},
        )


def test_there_are_recipes() -> None:
    assert "default" in {config.stem for config in CONFIGS}


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.stem)
def test_a_recipe_builds_its_model_and_data(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["uss-train"])
    cli = load(config, tmp_path / "run")
    assert isinstance(cli.model.model, SeparationModel)
    assert cli.model.model.condition_space == cli.datamodule.condition_space
    assert sum(parameter.numel() for parameter in cli.model.parameters()) > 100_000
    assert isinstance(cli.trainer, pl.Trainer)
    assert cli.trainer.max_steps > 0 or cli.model.decay == "none"
    assert cli.config.checkpoint.dirpath == str(tmp_path / "run" / "checkpoints")
    assert cli.config.export.path == str(tmp_path / "run" / "bundle.safetensors")
    # Only whoever trains knows the terms of the clips.
    assert cli.config.export.licence == "unknown"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.stem)
def test_a_recipe_accepts_its_own_length_of_validation(config: Path) -> None:
    recipe = yaml.safe_load(config.read_text(encoding="utf-8"))
    trainer = recipe["trainer"]
    if "validation_shards" in recipe["data"] and trainer.get("max_steps"):
        interval = trainer.get("val_check_interval") or 1
        assert trainer["max_steps"] % interval == 0, "the last step would not be validated"


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.stem)
@pytest.mark.parametrize("section", ["trainer", "model", "data", "export", "checkpoint"])
def test_an_unknown_key_in_a_recipe_is_refused(
    config: Path, section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["uss-train"])
    recipe = yaml.safe_load(config.read_text(encoding="utf-8"))
    recipe.setdefault(section, {})["nobody_reads_this"] = 1
    changed = tmp_path / "changed.yaml"
    changed.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    with pytest.raises(Exception, match="nobody_reads_this"):
        load(changed, tmp_path / "run")
