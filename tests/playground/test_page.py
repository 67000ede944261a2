"""The playground in a real browser: built, served from 127.0.0.1, and used as a person would.

Needs node with what `python docs/playground/build.py` installs, Chromium, and Playwright for
Python; where one is missing these tests are skipped, and say how to get it.
"""

from __future__ import annotations

import functools
import http.server
import importlib.util
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
NPM = Path(os.environ.get("ARCHDSL_NPM", ROOT / "build/npm"))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MISSING = {
    "node: apt-get install nodejs npm": shutil.which("node") is not None,
    "npm's packages: python docs/playground/build.py": (NPM / "node_modules/pyodide").is_dir(),
    "Chromium: apt-get install chromium": CHROMIUM is not None,
    "Playwright: pip install playwright": importlib.util.find_spec("playwright") is not None,
}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(MISSING.values()),
        reason="not here: " + "; ".join(name for name, there in MISSING.items() if not there),
    ),
]

WRONG = "model m(classes=10) {\n  input 3x32x32\n  conv 8 3x3 -> relu\n  flatten\n  linear "
STARTS = 60_000  # the first start of Python, on a busy machine


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


class Site:
    """The built page on a server that can be stopped."""

    def __init__(self, folder: Path) -> None:
        handler = functools.partial(Quiet, directory=str(folder))
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = ROOT / "docs/playground/build.py"
    found = importlib.util.spec_from_file_location("playground_build", where)
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module
    found.loader.exec_module(module)
    made: Path = module.build(tmp_path_factory.mktemp("site") / "out", NPM.resolve())
    return made


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[Site]:
    made = Site(folder)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as made:
        yield made.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


class Visit:
    """One page, and everything that went wrong in it."""

    def __init__(self, context: Any, url: str) -> None:
        self.page = context.new_page()
        self.wrong: list[str] = []
        self.asked: set[str] = set()
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", self._said)
        self.page.on("request", lambda request: self.asked.add(request.url))
        self.page.goto(url)
        self.page.wait_for_selector("html[data-ready]", timeout=STARTS)
        self.settle()

    def _said(self, message: Any) -> None:
        if message.type == "error":
            self.wrong.append(message.text)

    def settle(self) -> None:
        """The text is checked, and the open tab shows it."""
        self.page.wait_for_selector("#status.good, #status.bad, #status.warned", timeout=20_000)

    def write(self, text: str) -> None:
        """Typed over all there is, key by key."""
        self.page.click(".left .cm-content")
        self.page.keyboard.press("Control+a")
        self.page.keyboard.press("Delete")
        self.page.keyboard.insert_text(text)

    @property
    def text(self) -> str:
        """Without the shapes behind the lines."""
        lines = self.page.locator(".left .cm-line")
        found = lines.evaluate_all(
            "all => all.map(one => [...one.childNodes].filter(node => !node.matches?.('.hint'))"
            ".map(node => node.textContent).join(''))"
        )
        return "\n".join(found)

    @property
    def picture(self) -> str:
        return str(self.page.locator("#panel .canvas svg").inner_html())


@pytest.fixture(scope="module")
def context(browser: Any) -> Iterator[Any]:
    made = browser.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    made.grant_permissions(["clipboard-read", "clipboard-write"])
    yield made
    made.close()


@pytest.fixture(scope="module")
def opened(context: Any, site: Site) -> Visit:
    return Visit(context, site.url)


@pytest.fixture
def visit(opened: Visit, site: Site) -> Iterator[Visit]:
    """The one page that most tests use, showing the picture of the first example."""
    opened.page.keyboard.press("Escape")
    opened.page.evaluate("location.hash = '#spec=lenet5'")
    opened.page.locator("#facts", has_text="61.7k").wait_for()
    opened.page.evaluate("location.hash = '#spec=resnet50'")
    opened.page.locator("#facts", has_text="25.6M").wait_for()
    opened.page.click("[role=tab][data-tab=picture]")
    opened.page.locator("#panel .canvas text", has_text="layer1").first.wait_for()
    yield opened
    assert opened.wrong == []
    elsewhere = {url for url in opened.asked if not url.startswith((site.url, "blob:", "data:"))}
    assert elsewhere == set()


def test_a_mistake_is_underlined_on_its_word_and_mended(visit: Visit) -> None:
    page = visit.page
    page.wait_for_selector("#panel .canvas svg")
    before = visit.picture
    visit.write(WRONG + "clases\n}\n")
    mark = page.locator(".left .cm-lintRange-error")
    mark.wait_for()
    assert mark.all_inner_texts() == ["clases"]
    assert "unknown name" in page.locator(".problem").inner_text()
    page.locator(".problem .code").click()
    page.locator("#explained pre", has_text="Right:").wait_for()
    page.keyboard.press("Escape")
    page.locator(".problem .fix").click()
    page.wait_for_selector("#status.good")
    assert "linear classes" in visit.text and not page.locator(".cm-lintRange-error").count()
    page.locator("#panel .canvas text", has_text="7200").first.wait_for()
    assert visit.picture != before
    assert "linear" in visit.picture and "layer1" not in visit.picture


def test_the_fix_by_keyboard(visit: Visit) -> None:
    visit.write(WRONG + "clases\n}\n")
    visit.page.locator(".left .cm-lintRange-error").wait_for()
    visit.page.keyboard.press("Control+.")
    visit.page.wait_for_selector("#status.good")
    assert "linear classes" in visit.text


def test_completion_and_hover(visit: Visit) -> None:
    page = visit.page
    visit.write(WRONG)
    page.keyboard.type("cla")
    option = page.locator(".cm-tooltip-autocomplete li", has_text="classes").first
    option.wait_for()
    page.wait_for_timeout(120)  # CodeMirror takes no Enter that comes at once
    page.keyboard.press("Enter")
    assert visit.text.endswith("linear classes")
    page.keyboard.type("\n}")
    page.wait_for_selector("#status.good, #status.warned")
    page.locator(".left .tok-operation", has_text="linear").hover()
    page.locator(".cm-tooltip .markdown", has_text="Fully connected").wait_for()


def test_a_box_marks_its_lines_and_the_cursor_marks_its_box(visit: Visit) -> None:
    page = visit.page
    visit.write(WRONG + "classes\n}\n")
    page.wait_for_selector("#status.good")
    page.locator(".canvas text", has_text="linear 10").wait_for()
    page.locator(".area").last.click()
    assert page.locator(".cm-line.marked").count() == 1
    page.locator(".left .cm-line", has_text="conv 8").click()
    page.wait_for_selector(".area.here")
    assert page.locator(".area.here").count() == 1


@pytest.mark.parametrize(
    "tab, holds", [("shapes", "7200"), ("source", "nn.Linear(7200, classes)"),
                   ("costs", "72.0k"), ("sizes", "Try one")]
)  # fmt: skip
def test_tabs(visit: Visit, tab: str, holds: str) -> None:
    visit.write(WRONG + "classes\n}\n")
    visit.page.wait_for_selector("#status.good")
    visit.page.click(f"[role=tab][data-tab={tab}]")
    visit.page.locator("#panel", has_text=holds).wait_for()


def test_a_link_opens_what_was_written(visit: Visit, context: Any) -> None:
    page = visit.page
    visit.write(WRONG + "classes  # é 🙂\n}\n")
    page.wait_for_selector("#status.good")
    page.fill("#fields input[name=classes]", "7")
    page.locator("#facts", has_text="→ 7").wait_for()
    page.click("[role=tab][data-tab=shapes]")
    page.click("#share")
    page.locator("#share", has_text="Link copied").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    assert "#z=" in link and len(link) < 400
    other = Visit(context, link)
    assert other.text == visit.text
    other.page.locator("#facts", has_text="→ 7").wait_for()
    other.page.locator("#panel table.shapes", has_text="7200").wait_for()
    assert other.wrong == []


def test_a_damaged_link_says_so(visit: Visit) -> None:
    visit.page.evaluate("location.hash = '#z=abc'")
    visit.page.locator("#said", has_text="damaged").wait_for()


def test_a_link_runs_nothing(visit: Visit) -> None:
    visit.write('# <img src=x onerror="document.title=1">\n' + "block b(n) { conv n 1x1 }\n" + WRONG
                + "classes\n}\nmodel k { input 1x4x4; b 3 }\n")  # fmt: skip
    visit.page.locator(".left .cm-line", has_text="block b").hover()
    visit.page.locator(".left .cm-line", has_text="model k").hover(position={"x": 200, "y": 8})
    visit.page.locator(".cm-tooltip .markdown", has_text="onerror").wait_for()
    assert visit.page.locator(".markdown img").count() == 0


def test_examples_and_downloads(visit: Visit) -> None:
    page = visit.page
    assert page.locator("#examples option").count() > 90
    page.select_option("#examples", "lenet5")
    page.locator("#facts", has_text="61.7k").wait_for()
    assert page.evaluate("location.hash") in ("#spec=lenet5", "#spec=resnet50", "")
    for kind, ending, holds in (
        ("arch", "arch", "model lenet5"),
        ("python", "py", "import torch"),
        ("svg", "svg", "<svg"),
        ("costs", "csv", "name,op"),
    ):
        page.click("#download summary")
        with page.expect_download() as waited:
            page.click(f"#download [data-to={kind}]")
        assert waited.value.suggested_filename == f"lenet5.{ending}"
        assert holds in Path(waited.value.path()).read_text(encoding="utf-8")


def test_format(visit: Visit) -> None:
    visit.write(WRONG.replace("  conv 8", "      conv 8") + "classes\n}\n")
    visit.page.wait_for_selector("#status.good")
    visit.page.keyboard.press("Shift+Alt+F")
    visit.page.locator(".cm-line", has_text="  conv 8 3x3").wait_for()
    visit.page.wait_for_timeout(300)
    assert "\n  conv 8" in visit.text


def test_dark_and_narrow(browser: Any, site: Site) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 780}, color_scheme="dark")
    visit = Visit(context, site.url)
    page = visit.page
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert page.locator(".left").is_visible() and not page.locator("#panel").is_visible()
    page.click("[role=tab][data-tab=picture]")
    page.locator("#panel svg").wait_for()
    assert not page.locator(".left").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.locator(".area").last.click(force=True)
    page.locator(".cm-line.marked").first.wait_for()
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    assert visit.wrong == []
    context.close()


def test_works_offline(browser: Any, folder: Path) -> None:
    """The second visit asks the server for nothing: it is not there."""
    site = Site(folder)
    context = browser.new_context()
    try:
        first = Visit(context, site.url)
        first.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
        first.page.close()
        site.stop()
        second = Visit(context, site.url)
        assert second.text.startswith("# ResNet-50")
        second.page.wait_for_selector("#status.good")
        second.page.locator("#panel svg").wait_for()
        remembered = second.page.evaluate("document.documentElement.dataset.remembered")
        assert remembered == "true"  # from the snapshot of Python's memory
        assert second.wrong == []
    finally:
        context.close()
