"""The documentation site: its pages are there, its links lead somewhere, its examples hold."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import archdsl
from archdsl.diagnostics.select import codes
from archdsl.ops import TABLE

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
FENCE = re.compile(r"(?ms)^```([^\n`]*)\n(.*?)^```$")


def load(path: Path) -> ModuleType:
    found = importlib.util.spec_from_file_location(f"docs_{path.stem}", path)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module  # its dataclasses look for it
    found.loader.exec_module(module)
    return module


BUILD = load(DOCS / "build.py")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site") / "pages"
    BUILD.assemble(out, playground=True)
    return out


def test_a_page_for_each_operator_and_diagnostic(pages: Path) -> None:
    assert {p.stem for p in (pages / "operators").glob("*.md")} == {"index", *TABLE}
    assert {p.stem for p in (pages / "errors").glob("*.md")} == {"index", *codes()}
    assert "In the shipped specs: " in (pages / "operators/conv.md").read_text()
    wrong, right = FENCE.findall((pages / "errors/E0102.md").read_text())[::2]
    assert wrong[0] == right[0] == "arch"


def test_links_lead_somewhere(pages: Path) -> None:
    """As `mkdocs build --strict` checks too, where it is installed; and the raw HTML of our own."""
    for page in pages.rglob("*.md"):
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        for target in re.findall(r"\]\(([^)\s#]+)", text):
            if not re.match(r"[a-z]+:", target):
                assert (page.parent / target).resolve().exists(), f"{page}: {target}"
        for target in re.findall(r'<a [^>]*href="([^"#]+)', text):
            there = (page.parent / target).resolve().relative_to(pages)
            known = pages / there.with_suffix(".md")
            assert str(there) == "playground/index.html" or known.exists(), f"{page}: {target}"


def test_the_examples_of_our_own_pages() -> None:
    shown = 0
    for page in (DOCS / "pages").rglob("*.md"):
        for info, text in FENCE.findall(page.read_text(encoding="utf-8")):
            if info == "arch":
                assert archdsl.check(text).diagnostics == (), f"{page}:\n{text}"
                shown += 1
    assert shown


def test_side_by_side_is_the_same_network() -> None:
    torch = pytest.importorskip("torch")
    fences = FENCE.findall((DOCS / "pages/side-by-side.md").read_text(encoding="utf-8"))
    spec = next(text for info, text in fences if info == "arch")
    source = next(text for info, text in fences if info == "python" and "class Small" in text)
    space: dict[str, type] = {}
    exec(source, space)
    ours, theirs = archdsl.load(spec), space["Small"]()
    shapes = [tuple(p.shape) for p in ours.parameters()]
    assert sorted(shapes) == sorted(tuple(p.shape) for p in theirs.parameters())
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    picture = torch.randn(2, 3, 32, 32)
    assert torch.allclose(ours.eval()(picture), theirs.eval()(picture), atol=1e-5)


def test_a_playground_link_holds_the_text(pages: Path) -> None:
    import base64
    import json
    import zlib

    link = re.search(r'href="([^"]*)#z=([\w-]+)"', (pages / "language/models.md").read_text())
    assert link is not None and link[1] == "../playground/index.html"
    packed = base64.urlsafe_b64decode(link[2] + "=" * (-len(link[2]) % 4))
    held = json.loads(zlib.decompress(packed, -15))
    assert archdsl.check(held["t"]).ok


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("mkdocstrings") is None,
    reason='MkDocs is not here: pip install -e ".[docs]"',
)
def test_builds_strictly_and_asks_no_other_host(tmp_path: Path) -> None:
    command = [sys.executable, str(DOCS / "build.py"), "-o", str(tmp_path / "site")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    html = {p: p.read_text(encoding="utf-8") for p in (tmp_path / "site").rglob("*.html")}
    assert len(html) > 150
    for page, text in html.items():
        assert not re.search(r'<(?:script|link|img)[^>]*(?:src|href)="(?:https?:)?//', text), page
    assert '<span class="k">' in html[tmp_path / "site/index.html"]  # our own lexer
    python = html[tmp_path / "site/python.html"]
    assert all(f'id="archdsl.api.{name}"' in python for name in ("check", "load", "spec"))
