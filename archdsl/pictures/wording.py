"""What a picture says: shapes, several names as one, and a layer with what follows it."""

from __future__ import annotations

from archdsl import text
from archdsl.ir.wording import LONGEST, short
from archdsl.ops.table import Shape


def shape_text(shape: Shape) -> str:
    return text.shape_text(shape, by="×", empty="1")


def labels_text(labels: list[str]) -> str:
    """One name for several: `denselayer1–6`."""
    if len(set(labels)) == 1:
        return labels[0]
    if not all(labels):
        return ""
    head = labels[0].rstrip("0123456789")
    tails = [label[len(head) :] for label in labels]
    if all(label.startswith(head) for label in labels) and all(t.isdigit() for t in tails):
        return f"{head}{tails[0]}–{tails[-1]}"
    return f"{labels[0]} – {labels[-1]}"


def common_text(texts: list[str]) -> str:
    """The words that they begin with: `dropout` for `dropout 0.1` and `dropout 0.2`."""
    if len(set(texts)) == 1:
        return texts[0]
    words = []
    for column in zip(*(said.split() for said in texts), strict=False):
        if len(set(column)) > 1:
            break
        words.append(column[0])
    return " ".join(words)


def joined(parts: list[str]) -> str:
    """A layer and what follows it, as far as there is room: `conv 64 7×7 · bn · relu`."""
    return short(parts, " · ", LONGEST + 20)
