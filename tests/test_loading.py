"""What paths read as: held texts go before the disk's."""

from __future__ import annotations

from pathlib import Path

from archdsl.loading import Files
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
    assert "no such file" in problem.message + problem.primary.text
