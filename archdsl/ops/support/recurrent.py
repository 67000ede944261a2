"""Recurrent layers that give their states alone."""

from torch import Tensor, nn


class TokenLSTM(nn.LSTM):
    """The states of all tokens."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x)[0]


class TokenGRU(nn.GRU):
    """The states of all tokens."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x)[0]
