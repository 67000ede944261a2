"""What paths read as: held texts go before the disk's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import archdsl
from archdsl import pipeline
from archdsl.loading import Files
from archdsl.names.units import Block
from archdsl.pipeline import open_spec

NET = 'use "../lib/l.arch"\nmodel net { input 3x8x8; unit 16; gap; flatten; linear 10 }\n'


def test_held_texts_go_before_the_disks(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    library = tmp_path / "lib" / "l.arch"
    library.write_text("block unit(out) { conv out 3x3 pad=1 }\n")
    net = tmp_path / "nets" / "net.arch"
    held = {net: NET}
    program = open_spec(net, files=Files(held)).checked()
    assert program.params == 3 * 16 * 9 + 16 + 16 * 10 + 10
    held[library] = "block unit(out) { conv out 1x1 }\r\n"
    program = open_spec(net, files=Files(held)).checked()
    assert program.params == 3 * 16 + 16 + 16 * 10 + 10


def test_without_a_disk_there_are_held_and_shipped_texts_alone(tmp_path: Path) -> None:
    net, library = Path("/nowhere/nets/net.arch"), Path("/nowhere/lib/l.arch")
    held = {net: NET, library: "block unit(out) { conv out 3x3 }\n"}
    assert not open_spec(net, files=Files(held, disk=False)).diagnostics
    assert open_spec("/nowhere/nets/net.arch:net", files=Files(held, disk=False)).model == "net"
    assert not open_spec("resnet18", files=Files(disk=False)).diagnostics
    (tmp_path / "net.arch").write_text("model net { input 3; linear 3 }")
    (problem,) = open_spec(tmp_path / "net.arch", files=Files(held, disk=False)).diagnostics
    assert "no such file" in problem.message


def test_check_and_load_share_their_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    elaborate = pipeline.elaborate

    def counted(model: Block, *args: Any, **given: Any) -> Any:
        calls.append(model.name)
        return elaborate(model, *args, **given)

    monkeypatch.setattr(pipeline, "elaborate", counted)
    library, net = tmp_path / "l.arch", tmp_path / "net.arch"
    library.write_text("block unit(out) { conv out 3x3 pad=1 }\n")
    net.write_text(NET.replace("../lib/", ""))
    assert archdsl.check(net).ok and archdsl.check(net).program
    archdsl.load(net)
    assert calls == ["net"]
    archdsl.check(net, input=(3, 16, 16))
    assert calls == ["net", "net"]
    library.write_text("block unit(out) { cnv out 3x3 }\n")  # what was used has changed
    (problem,) = archdsl.check(net).diagnostics
    assert "cnv" in problem.message
    library.unlink()
    (problem,) = archdsl.check(net).diagnostics
    assert problem.span.source.name == str(net) and "no such file" in problem.message


def test_all_models_of_a_text() -> None:
    text = "block half(out) { conv out 1x1 }\nmodel a { input 3x8x8; half 4 }\nmodel b = c\n"
    text += "model d { input 3x8x8; half 8 -> conv 2 1x1 -> add @x }\n"
    every = open_spec(text).every
    assert not every.programs and {d.code for d in every.diagnostics} == {"E0105", "E0107"}
    good = open_spec(text.replace("model b = c\n", "").replace(" -> add @x", "")).every
    assert list(good.programs) == ["a", "d"] and not good.diagnostics
    assert good.programs["d"].params == 8 * 4 + 9 * 2
