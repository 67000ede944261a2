"""Words of other frameworks are answered with ours."""

from __future__ import annotations

import pytest
from torch import nn

from archdsl.names.foreign import ALIASES, advice, similar
from archdsl.ops import TABLE, Op
from archdsl.pipeline import open_spec


def _layers() -> list[tuple[str, type[Op]]]:
    """Each class of torch.nn that an operator is built as, in all its dimensions."""
    found = []
    for kind in TABLE.values():
        source = (kind.__doc__ or "").partition("Source:")[2]
        for word in source.replace(",", " ").replace(";", " ").split():
            name = word.removeprefix("torch.nn.").rstrip(".")
            if word.startswith("torch.nn.") and hasattr(nn, name):
                names = {name.replace("2d", end) for end in ("1d", "2d", "3d")}
                found += [(n, kind) for n in names if hasattr(nn, n)]
    return sorted(found, key=lambda pair: pair[0])


@pytest.mark.parametrize(("name", "kind"), _layers())
def test_torch_names(name: str, kind: type[Op]) -> None:
    for spelled in (name, name.lower(), name.upper()):
        assert spelled == kind.name or similar(spelled, TABLE)[:1] == (kind.name,)


def test_there_are_many() -> None:
    assert len({kind for _, kind in _layers()}) > 25


def test_what_has_no_counterpart_has_advice() -> None:
    for name in ("RNN", "nn_rnn", "MSELoss", "cross_entropy", "DepthwiseConv2D", "Sequential"):
        assert bool(advice(name)) == (name != "nn_rnn")


def test_aliases_are_as_words_are_looked_up() -> None:
    for word in ALIASES:
        assert word == word.lower().replace("_", "")


def test_words_whose_dimensions_count_otherwise_are_not_put_in_unasked() -> None:
    """torch's `dim=1` is the channels, ours the height."""
    for step, safe in (("Softmax", True), ("Softmax dim=1", False)):
        spec = open_spec(f"model m {{\n  input 4x8x8\n  {step}\n}}\n")
        assert [fix.safe for found in spec.diagnostics for fix in found.fixes] == [safe]
