import torch

from uss.models.film import FiLM


def test_every_place_gets_its_piece_of_one_linear_layer() -> None:
    film = FiLM(3, [2, 4, 1])
    condition = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    biases = film(condition)
    assert [tuple(bias.shape) for bias in biases] == [(5, 2, 1, 1), (5, 4, 1, 1), (5, 1, 1, 1)]
    expected = condition @ film.linear.weight.T + film.linear.bias
    torch.testing.assert_close(torch.cat(biases, dim=1)[:, :, 0, 0], expected)


def test_a_zero_condition_gives_the_layers_bias() -> None:
    film = FiLM(3, [2])
    (bias,) = film(torch.zeros(1, 3))
    torch.testing.assert_close(bias[0, :, 0, 0], film.linear.bias)
