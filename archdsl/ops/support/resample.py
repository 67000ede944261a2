"""Borders."""

from torch import Tensor, nn
from torch.nn import functional as F


class Pad(nn.Module):
    """Adds a border."""

    def __init__(self, *sizes: int, mode: str = "constant", value: float = 0.0) -> None:
        super().__init__()
        self.sizes, self.mode, self.value = list(sizes), mode, value

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, self.sizes, self.mode, self.value)

    def extra_repr(self) -> str:
        return (
            f"{', '.join(map(str, self.sizes))}, mode={self.mode}, value={self.value}"
        )


def fitted(x: Tensor, like: Tensor) -> Tensor:
    """Cuts off, or fills up with zeros, so that the spatial size is another's; in the middle."""
    sides: list[int] = []
    for dim in range(x.dim() - 1, 1, -1):
        more = like.size(dim) - x.size(dim)
        before = more // 2 if more > 0 else -(-more // 2)
        sides.append(before)
        sides.append(more - before)
    return F.pad(x, sides)
