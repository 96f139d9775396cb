import pytest
import torch

from uss.models import BACKBONES, MRPCNN, MaskModel
from uss.models.pooling_gene import SEED_GENE, BranchGene, PairGene, read_gene

RESIDUAL = PairGene(True, (False, False))


def gene_of(bits: str) -> int:
    """A gene from its bits, blanks left out; the rest is 0."""
    return int(bits.replace(" ", "").ljust(142, "0"), 2)


# Small: 32 channels; block 0 with a sigmoid and one branch, block 1 nothing but its last pair, ...
BLOCK = "01 010  01 11 00 101  00 00 00 000  001"
SMALL = gene_of(f"00 1 01 001 0001 {BLOCK}")


def test_the_published_gene_is_read() -> None:
    """Decoded by hand: 128 channels, no links, five equal blocks with one branch of 16 bins."""
    gene = read_gene(SEED_GENE)
    assert gene.channels == 128
    assert gene.links == ((),) * 5
    assert set(gene.blocks) == {gene.blocks[0]}
    block = gene.blocks[0]
    assert (block.channels, block.first, block.last) == (64, RESIDUAL, RESIDUAL)
    assert block.branches == (BranchGene(1, 16, 64, RESIDUAL),)


def test_bits_mean_what_the_authors_say() -> None:
    gene = read_gene(SMALL)
    assert gene.channels == 32
    assert gene.links == ((), (0,), (1,), (2,), (3,))
    first = gene.blocks[0]
    assert first.channels == 32 and first.first == PairGene(False, (True, False))
    assert first.branches == (BranchGene(4, 16, 16, PairGene(True, (False, True))),)
    assert first.last == PairGene(False, (False, True))
    rest = gene.blocks[1]
    assert (rest.channels, rest.branches, rest.last) == (None, (), PairGene(False, (False, False)))


@pytest.mark.parametrize(("bits", "channels"), [("00", 32), ("01", 64), ("11", 128), ("10", 256)])
def test_two_bits_are_a_gray_code(bits: str, channels: int) -> None:
    assert read_gene(gene_of(bits)).channels == channels


@pytest.mark.parametrize("number", [-1, 2**142])
def test_a_number_of_more_bits_is_no_gene(number: int) -> None:
    with pytest.raises(ValueError, match="142 bits"):
        read_gene(number)


def small(gene: int = SMALL) -> MRPCNN:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MRPCNN("space", 3, gene=gene, n_fft=128, hop_length=32)


def test_the_published_structure_has_its_weights() -> None:
    with torch.device("meta"):
        model = MRPCNN("space", 3)
    size = sum(p.numel() for name, p in model.named_parameters() if not name.startswith("film"))
    first = 9 * (64 + 64 * 64)
    branch = 9 * 2 * 64 * 64
    last = 9 * 2 * 128 * 128
    later = 9 * (128 * 64 + 64 * 64)
    assert size == first + 4 * later + 5 * (branch + last) + 128 + 1


def test_masks_are_real_and_ask_for_something() -> None:
    model = small().eval()
    assert isinstance(model, MaskModel)
    spectrogram = model.spectrogram(0.1 * torch.randn(2, 1_000, generator=torch.manual_seed(1)))
    with torch.inference_mode():
        encoded = model.encode(spectrogram)
        masks = [model.mask(encoded, model.modulate(c * torch.ones(2, 3))) for c in (1.0, -1.0)]
        louder = model.encode(10.0 * spectrogram)
    assert masks[0].shape == spectrogram.shape
    assert not masks[0].imag.any() and not masks[0][:, -1].any()
    assert masks[0].real[:, :-1].min() > 0.0 and masks[0].real.max() < 1.0
    assert (masks[0] - masks[1]).abs().max() > 1e-4
    torch.testing.assert_close(louder, encoded, atol=1e-3, rtol=1e-3)


def test_every_weight_learns() -> None:
    model = small(gene_of("00 1 11 111 1111 " + 5 * "01 100 00 11 00 100 01 00 00 100 100"))
    drawn = torch.manual_seed(0)
    mixture, condition = (torch.randn(*size, generator=drawn) for size in ((2, 1, 1_000), (2, 3)))
    loss = model(mixture, condition).square().mean()
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0.0 for p in model.parameters())


def test_a_branch_sees_averages_where_they_are() -> None:
    """With convolutions that pass the middle on, an image of blocks comes back as it is."""
    model = small()
    branch = model.blocks[0].branches[0]
    with torch.no_grad():
        for conv in (branch.pair.conv1, branch.pair.conv2):
            conv.weight.zero_()
            conv.weight[torch.arange(16), torch.arange(16), 1, 1] = 1.0
        branch.pair.sigmoids, branch.pair.is_residual = (False, False), False
        # 6 frames of 4, 20 bins of 16: the last windows are not full.
        image = (
            torch.rand(1, 32, 2, 2).repeat_interleave(4, 2).repeat_interleave(16, 3)[..., :6, :20]
        )
        zero = iter([torch.zeros(1, 16, 1, 1)] * 2)
        torch.testing.assert_close(branch(image, zero), image[:, :16])


def test_links_add_what_earlier_blocks_gave() -> None:
    """A block that gives nothing, linked to the first, is that one's output."""
    plain, linked = small(gene_of("00 0 00 000 0000")), small(gene_of("00 1 00 000 0000"))
    linked.load_state_dict(plain.state_dict())
    image = plain.encode(plain.spectrogram(torch.randn(1, 1_000)))
    modulation = plain.modulate(torch.zeros(1, 3))
    assert not torch.equal(plain.mask(image, modulation), linked.mask(image, modulation))
    assert linked.links[1] == (0,)


def test_in_lower_precision_it_gives_nearly_the_same() -> None:
    model = small().eval()
    mixture, condition = 0.1 * torch.randn(1, 1, 1_000), torch.randn(1, 3)
    with torch.inference_mode():
        low = model.for_inference(torch.bfloat16)(mixture, condition)
        torch.testing.assert_close(low, model(mixture, condition), atol=5e-3, rtol=0.0)


def test_it_is_built_again_from_its_hyperparameters() -> None:
    model = small()
    again = BACKBONES["MRPCNN"](**model.hyperparameters)
    again.load_state_dict(model.state_dict())
