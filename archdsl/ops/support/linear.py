"""What takes whole numbers, of an input that holds others too."""

from torch import Tensor, nn


class Embedding(nn.Embedding):
    """A vector for each whole number."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.long())
