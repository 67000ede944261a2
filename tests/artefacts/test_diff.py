"""What changed between two specs."""

from __future__ import annotations

from archdsl.pipeline import open_spec
from archdsl.reports.diff import Difference, compare, show_difference
from tests.artefacts.specs import MIXED, UNET


def _compare(old: str, new: str) -> Difference:
    return compare(open_spec(old).checked(), open_spec(new).checked())


def _lines(difference: Difference) -> list[str]:
    return [" ".join(line.split()) for line in show_difference(difference).splitlines()]


def test_equal_programs_do_not_differ() -> None:
    for spec in ("lenet5", "googlenet", UNET, MIXED):
        assert not _compare(spec, "# a comment\n" + spec if "\n" in spec else spec)


def test_a_layer_that_is_put_in_between_changes_no_other() -> None:
    old = "model net() { input 3x8x8; conv 4 3x3 pad=1 -> relu -> conv 4 3x3 pad=1 -> tanh }"
    new = old.replace("-> relu", "-> bn -> relu")
    difference = _compare(old, new)
    assert _lines(difference)[0] == "+ 1 bn 4x8x8 +8"
    assert len(difference.changes) == 1
    assert difference.params == (260, 268)
    assert _lines(_compare(new, old))[0] == "- 1 bn 4x8x8 -8"


def test_an_argument_a_shape_and_a_name() -> None:
    old = "model net() { input 3x8x8; stem: conv 4 3x3 pad=1 -> relu }"
    assert _lines(_compare(old, old.replace("conv 4", "conv 6")))[:3] == [
        "~ output: 4x8x8 -> 6x8x8",
        "~ stem conv 4->6 3x3 pad=1 4x8x8 -> 6x8x8 +56",
        "1 other layer has another size, which follows from this",
    ]
    assert _lines(_compare(old, old.replace("stem", "root")))[0] == (
        "~ stem -> root conv 4 3x3 pad=1 4x8x8"
    )
    lines = _lines(_compare(old, old.replace("8x8", "16x16")))
    assert lines[0] == "~ input: 3x8x8 -> 3x16x16"
    assert lines[-2:] == ["parameters 112", "MACs 6,912 -> 27,648 (+20,736, +300.0 %)"]


def test_blocks_that_are_repeated_more_often() -> None:
    difference = _compare("resnet18", "resnet34")
    assert all(change.old is None for change in difference.changes)
    added = sum(c.new.params for c in difference.changes if c.new is not None)
    assert added == difference.params[1] - difference.params[0]


def test_what_a_person_wants_to_know() -> None:
    assert _lines(_compare("resnet50", "resnet101"))[0] == (
        "+ layer3.6–22 ×17 bottleneck 256 1024x14x14 +18,992,128"
    )
    assert _lines(_compare("vgg16", "vgg16_bn"))[:2] == [
        "+ features.{1,4} ×2 bn 64x224x224 +256",
        "+ features.{8,11} ×2 bn 128x112x112 +512",
    ]
    difference = _compare("resnet50", "wide_resnet50_2")
    wide = _lines(difference)
    assert (
        wide[0] == "~ layer1.0–2.conv1 ×3 conv 64->128 1x1 bias=false 64x56x56 -> 128x56x56 +36,864"
    )
    assert len([line for line in wide if line.startswith("~")]) == 14
    assert len(difference.changes) == 112
    dense = _lines(_compare("densenet121", "densenet169"))
    assert "+ features.denseblock3.denselayer25–32 ×8 dense_layer 32x14x14 +1,478,400" in dense
    assert not any(line.startswith("-") for line in dense)


def test_names_say_who_is_who() -> None:
    old = "model net() { input 3x8x8; a: conv 4 1x1; b: conv 4 1x1; c: conv 4 1x1 }"
    difference = _compare(old, old.replace("a: conv 4 1x1; ", ""))
    assert _lines(difference)[:2] == [
        "- a conv 4 1x1 4x8x8 -16",
        "1 other layer has another size, which follows from this",
    ]


def test_what_is_no_layer() -> None:
    old = "model net() { input 3x8x8; a: conv 3 1x1 -> tap t; conv 3 1x1 -> tap u; relu -> add @t }"
    assert _compare(old, old.replace("input", "init conv zeros; input")).others == (
        "the rules of initialisation",
    )
    assert _compare(old, old.replace("@t", "@u")).others == (
        "the same layers are connected in another way",
    )
