"""Whole numbers in: a network over tokens is torch's own, in keys, initial weights and values."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import archdsl

SPEC = """model tagger(vocabulary=50) {
  input tokens 12 int
  embed: embedding vocabulary 8
  rnn: lstm 6 2 bidirectional=true
  back: gru 5
  head: linear 4
}
"""


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, 8)
        self.rnn = nn.LSTM(8, 6, num_layers=2, bidirectional=True, batch_first=True)
        self.back = nn.GRU(12, 5, batch_first=True)
        self.head = nn.Linear(5, 4)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.back(self.rnn(self.embed(tokens))[0])[0]
        scores: Tensor = self.head(x)
        return scores


def test_tokens_as_torch() -> None:
    torch.manual_seed(0)
    ours = archdsl.load(SPEC).eval()
    torch.manual_seed(0)
    theirs = Tagger().eval()
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for key, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[key], value)
    x = torch.randint(50, (3, 12))
    assert torch.equal(ours(x), theirs(x))
