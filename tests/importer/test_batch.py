"""Values whose batch is not their first dimension, or lies in one with others, come back."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from archdsl.importer import CannotImport, import_module


class Attention(nn.Module):
    """timm's: queries, keys and values in one layer, taken apart behind a permutation."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.fused = fused
        self.qkv, self.proj = nn.Linear(12, 36), nn.Linear(12, 12)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, 4, c // 4).permute(2, 0, 3, 1, 4).unbind(0)
        if self.fused:
            x = F.scaled_dot_product_attention(q, k, v)
        else:
            x = (q * 0.5 @ k.transpose(-2, -1)).softmax(dim=-1) @ v
        return self.proj(x.transpose(1, 2).reshape(b, n, c))


class Windows(nn.Module):
    """Windows of each sample as samples of their own, and back."""

    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.attention, self.norm = Attention(fused), nn.LayerNorm(12)

    def forward(self, x: Tensor) -> Tensor:
        b, h, w, c = x.shape
        x = x.view(b, h // 2, 2, w // 2, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, c)
        x = self.norm(self.attention(x))
        return x.view(b, h // 2, w // 2, 2, 2, c).permute(0, 1, 3, 2, 4, 5).reshape(b, h, w, c)


class Sideways(nn.Module):
    """The batch goes to another place and comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x.permute(1, 0, 2))  # L×batch×C
        first, rest = x[0], x[1:]
        return first + rest.relu().amax(dim=0) + x[None, -1, :, :][0]


class Layout(nn.Module):
    """What is laid out anew: the last bit of the convolution depends on it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 32, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x.permute(0, 3, 1, 2).contiguous())


CASES = (
    (Attention(True), (5, 12)),
    (Attention(False), (5, 12)),
    (Windows(True), (4, 6, 12)),
    (Windows(False), (4, 6, 12)),
    (Sideways(), (5, 6)),
    (Layout(), (28, 28, 16)),
)


@pytest.mark.parametrize(("module", "shape"), CASES, ids=lambda v: type(v).__name__)
def test_it_comes_back(module: nn.Module, shape: tuple[int, ...]) -> None:
    made = import_module(module, shape)
    assert made.proof, f"{made.proof}\n{made.text}"


class Mixes(nn.Module):
    """Normalises over the batch's places: no layer of a sample's."""

    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(6)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(x.flatten(0, 1)).view_as(x)


class Sums(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(0, 1).softmax(dim=1).transpose(0, 1)


class Interleaves(nn.Module):
    """The samples of a batch change places."""

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        return x.transpose(0, 1).reshape(b, n, c)


@pytest.mark.parametrize("cls", [Mixes, Sums, Interleaves])
def test_what_mixes_samples_is_refused_with_its_line(cls: type[nn.Module]) -> None:
    torch.manual_seed(0)
    with pytest.raises(CannotImport) as caught:
        import_module(cls(), (5, 6)).proved()
    assert all(__file__ in p.place.line for p in caught.value.problems)
