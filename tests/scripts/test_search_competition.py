import importlib
import sys
from pathlib import Path

import pytest
import torch

from tests.uss.models.test_query_unet import SMALL
from uss.checkpoints.bundle import Bundle, load_bundle, save_bundle
from uss.models import QueryUNet, ResUNet
from uss.models.competition import CompetitionRules

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
search_competition = importlib.import_module("search_competition")


def test_logits_are_divided_and_rules_are_kept(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = QueryUNet("x-8", 8, **SMALL).eval()
    rules = CompetitionRules(0.5, 0.25)
    found = search_competition.tempered(network, 2.0, rules)
    conditions = torch.randn(1, 3, 8)
    with torch.no_grad():
        encoded = network.encode(torch.randn(1, network.n_fft // 2 + 1, 9, dtype=torch.complex64))
        before, after = (each.masks(encoded, conditions)[:, :, :-1] for each in (network, found))
    torch.testing.assert_close(torch.logit(after), torch.logit(before) / 2.0, rtol=1e-3, atol=1e-4)
    save_bundle(tmp_path / "bundle.safetensors", Bundle(separator=found))
    assert load_bundle(tmp_path / "bundle.safetensors").separator.competition == rules
    assert network.competition == CompetitionRules()


def test_other_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="only a QueryUNet"):
        search_competition.separator_of(Bundle(separator=ResUNet("x-8", 8)))


@pytest.mark.parametrize("wrong", [{"joint_sharpness": 0.0}, {"joint_rest": -1.0}])
def test_rules_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="both must be positive"):
        QueryUNet("x-8", 8, **SMALL, **wrong)
