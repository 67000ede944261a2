"""Build the documentation site, strictly: a broken link is an error.

    python docs/build.py [-o build/site] [--playground build/playground]
    python -m http.server -d build/site

Needs `pip install -e ".[docs]"`. The pages come from the guide (specs/README.md), cut at its
headings; from the operators and diagnostics, a page each; from the docstrings of the Python API;
and from docs/pages. With the playground beside it, every whole spec has a link that opens it there.

MkDocs Material and not Sphinx with MyST: the guide is plain Markdown that GitHub shows too; the
search is in the page, and works without a server of its own or any other host; mkdocstrings reads
docstrings without importing torch; and `--strict` is all the link checking there is to set up.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
GUIDE, ERRORS = "specs/README.md", "specs/ERRORS.md"
#: the guide's headings that are pages of their own; the others are pages under "Language"
PAGES = {
    "Tutorial: a small residual network in fifteen minutes": "tutorial.md",
    "From PyTorch": "import.md",
    "Follow the lecture": "lecture.md",
    "Training": "training.md",
    "Errors, warnings and fixes": "errors/index.md",
    "Editors": "editors.md",
    "Operators": "operators/index.md",
}


@dataclass
class Site:
    """The pages by their path, and where each anchor of the old documents has gone."""

    pages: dict[str, str] = field(default_factory=dict)
    anchors: dict[str, str] = field(default_factory=dict)  # "specs/README.md#models" -> path
    titles: dict[str, str] = field(default_factory=dict)

    def add(
        self, path: str, title: str, text: str, *, document: str = "", anchor: str = ""
    ) -> None:
        self.pages[path], self.titles[path] = text, title
        if document:
            self.anchors[f"{document}#{anchor or slug(title)}"] = path

    def under(self, folder: str) -> list[dict[str, str]]:
        return [{self.titles[p]: p} for p in self.pages if p.startswith(folder)]


def slug(heading: str) -> str:
    """As GitHub makes them."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


# ---- cutting the documents ----------------------------------------------------------------------


def sections(text: str, level: int) -> Iterator[tuple[str, str]]:
    """Heading and body of each section of a level; what stands before the first has no heading."""
    mark, title, lines, fenced = "#" * level + " ", "", list[str](), False
    for line in text.split("\n"):
        fenced ^= line.startswith("```")
        if not fenced and line.startswith(mark):
            yield title, "\n".join(lines)
            title, lines = line[len(mark) :], []
        else:
            lines.append(line)
    yield title, "\n".join(lines)


def raised(text: str, by: int) -> str:
    """The headings, so many levels up."""
    out, fenced = [], False
    for line in text.split("\n"):
        fenced ^= line.startswith("```")
        heading = re.match(r"(#+) ", line)
        out.append(line[by:] if heading and not fenced else line)
    return "\n".join(out)


def add_guide(site: Site) -> None:
    text = (ROOT / GUIDE).read_text(encoding="utf-8")
    for title, body in sections(text, 2):
        if not title:
            continue
        path = PAGES.get(title, f"language/{slug(title)}.md")
        if title == "Operators":
            site.add(path, "All", "", document=GUIDE, anchor=slug(title))
            add_operators(site, body)
            continue
        short = title.partition(":")[0] if title.startswith("Tutorial") else title
        site.add(path, short, f"# {title}\n{raised(body, 1)}", document=GUIDE, anchor=slug(title))
        for inner, _ in sections(body, 3):
            if inner:
                site.anchors[f"{GUIDE}#{slug(inner)}"] = f"{path}#{slug(inner)}"


def add_operators(site: Site, text: str) -> None:
    """A page for each, and one that lists them."""
    before = next(body for title, body in sections(text, 3) if not title)
    lines = ["# Operators", before]
    for family, body in sections(text, 3):
        if not family:
            continue
        lines += ["", f"## {family}", "", "| | |", "|---|---|"]
        for heading, manual in sections(body, 4):
            if not heading:
                continue
            name = heading.strip("`")
            path = f"operators/{name}.md"
            first = manual.strip().split("\n\n")[0].replace("\n", " ")
            lines.append(f"| [`{name}`]({name}.md) | {first.split('. ')[0].rstrip('.')} |")
            # the signature and the example are words of the language
            shown = manual.replace("```\n" + name, "```arch\n" + name)
            page = f"# `{name}`\n\n*{family}*\n{shown}{_users(name)}"
            site.add(path, name, page, document=GUIDE, anchor=slug(heading))
    site.pages["operators/index.md"] = "\n".join(lines) + "\n"


def _users(name: str) -> str:
    """The shipped specs whose own text calls an operator."""
    called = re.compile(rf"(?m)(?:^|[;{{:]|->)[ \t]*{name}\b(?![ \t]*[:=(,])")
    texts = {p.stem: p.read_text(encoding="utf-8") for p in sorted((ROOT / "specs").glob("*.arch"))}
    found = [stem for stem, text in texts.items() if called.search(re.sub("#.*", "", text))]
    if not found:
        return ""
    shown = ", ".join(f"`{stem}`" for stem in found[:8])
    more = f" and {len(found) - 8} more" if len(found) > 8 else ""
    return f"\nIn the shipped specs: {shown}{more}.\n"


def add_errors(site: Site) -> None:
    """A page for each diagnostic, and the list of them behind the guide's section."""
    lines = ["\n## Every diagnostic\n"]
    for family, body in sections((ROOT / ERRORS).read_text(encoding="utf-8"), 2):
        if not family:
            continue
        lines += ["", f"### {family}", "", "| | | |", "|---|---|---|"]
        for heading, entry in sections(body, 3):
            if not heading:
                continue
            code, name = heading.split(" ", 1)
            first = " ".join(entry.strip().split("\n\n")[0].split())
            first = re.split(r"(?<=[.!?]) |(?<=[:;]) ", first)[0].rstrip(".:;").replace("|", "\\|")
            lines.append(f"| [{code}]({code}.md) | `{name}` | {first} |")
            page = f"# {code}: {name}\n{_coloured(entry)}"
            site.add(f"errors/{code}.md", code, page, document=ERRORS, anchor=slug(heading))
    site.pages["errors/index.md"] += "\n".join(lines) + "\n"
    site.titles["errors/index.md"] = "All"
    site.anchors[f"{ERRORS}#"] = "errors/index.md"


def _coloured(entry: str) -> str:
    """With its fences' languages: a spec, or what the terminal shows."""

    def named(found: re.Match[str]) -> str:
        return f"```{'console' if found[1].startswith('$ ') else 'arch'}\n{found[1]}```"

    return re.sub(r"(?ms)^```\n(.*?)^```$", named, entry)


# ---- pages as the site shows them ----------------------------------------------------------------

_FENCE = re.compile(r"(?ms)^```([^\n`]*)\n(.*?)^```$")
_LINK = re.compile(r"(?<!!)\[([^\]\n]*)\]\(([^)\s]+)\)|!\[([^\]\n]*)\]\(([^)\s]+)\)")


def finished(site: Site, path: str, document: str, playground: bool) -> str:
    """With the fences' languages, and every link to where its target stands now."""
    out, last = [], 0
    text = site.pages[path]
    for fence in _FENCE.finditer(text):
        out.append(_links(site, text[last : fence.start()], path, document))
        out.append(_fence(fence[1].strip(), fence[2], path, playground))
        last = fence.end()
    return "".join([*out, _links(site, text[last:], path, document)])


def _fence(info: str, body: str, path: str, playground: bool) -> str:
    name, _, rest = info.partition(" ")
    title = f' title="{name}"' if "." in name else ""
    language = {"arch": "arch", "py": "python"}.get(
        name.rpartition(".")[2], name.rpartition(".")[2]
    )
    if language == "arch" and re.match(r"\d+(x\d+)*$", rest):
        title = f' title="what follows {rest}"'
    whole = language == "arch" and re.search(r"(?m)^model \w+.*\{", body) is not None
    made = f"```{language}{title}\n{body}```"
    if whole and playground:
        page = "../" * path.count("/") + "playground/index.html" + fragment(body)
        made += f'\n<a class="open" href="{page}">open in the playground</a>\n'
    return made


def fragment(text: str) -> str:
    """The playground's address of a text: see docs/playground/src/link.js."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(json.dumps({"t": text}).encode()) + packer.flush()
    return "#z=" + base64.urlsafe_b64encode(packed).decode().rstrip("=")


def _links(site: Site, text: str, path: str, document: str) -> str:
    def moved(found: re.Match[str]) -> str:
        picture = found[4] is not None
        label, target = (found[3], found[4]) if picture else (found[1], found[2])
        if re.match(r"[a-z]+:", target):
            return found[0]
        where = _target(site, target, path, document)
        if where is None:  # a file of the repository, which the site has not
            return label
        return f"{'!' if picture else ''}[{label}]({where})"

    return _LINK.sub(moved, text)


def _target(site: Site, target: str, path: str, document: str) -> str | None:
    """A link of a document of the repository as one of the site's; None: it has no such page."""
    file, _, anchor = target.partition("#")
    inside = document if not file else _normal(Path(document).parent / file)
    if inside.startswith(("docs/pages/", "docs/notebooks/")):
        return target.replace("../notebooks/", "notebooks/")
    known = site.anchors.get(f"{inside}#{anchor}")
    if known is None and inside == GUIDE:
        raise SystemExit(f"{document}: {target} leads nowhere")
    if known is None and inside == "README.md":
        known = "index.md"
    if known is None and inside.endswith((".png", ".svg")):
        known = f"assets/{Path(inside).name}"
        site.pages[known] = inside  # copied
    return None if known is None else "../" * path.count("/") + known


def _normal(path: Path) -> str:
    parts: list[str] = []
    for part in path.parts:
        parts = parts[:-1] if part == ".." else [*parts, part]
    return "/".join(parts)


# ---- the whole ---------------------------------------------------------------------------------


def nav(site: Site) -> list[Any]:
    return [
        {"Home": "index.md"},
        {
            "Start": [
                "start.md",
                "tutorial.md",
                {"Follow the lecture": "lecture.md"},
                "notebooks.md",
                "editors.md",
            ]
        },
        {"Language": site.under("language/")},
        {"Operators": site.under("operators/")},
        {"Errors": site.under("errors/")},
        {"Training": "training.md"},
        {"Commands": ["commands.md", "artefacts.md"]},
        {"Python": ["python.md", "import.md"]},
        {"More": ["comparison.md", "side-by-side.md", "performance.md", "inside.md", "faq.md"]},
    ]


def assemble(out: Path, playground: bool) -> Site:
    """Write the pages, as MkDocs reads them."""
    site = Site()
    for page in sorted((HERE / "pages").rglob("*.md")):
        text = page.read_text(encoding="utf-8")
        title = next(t for t, _ in sections(text, 1) if t) if "\n# " in "\n" + text else page.stem
        site.add(page.relative_to(HERE / "pages").as_posix(), title, text)
    own = set(site.pages)
    add_guide(site)
    add_errors(site)
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(HERE / "pages", out)
    shutil.copytree(HERE / "notebooks", out / "notebooks")
    for path in [*site.pages]:
        document = f"docs/pages/{path}" if path in own else GUIDE
        document = ERRORS if re.match(r"errors/[EW]\d", path) else document
        made = finished(site, path, document, playground)
        target = out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(made, encoding="utf-8")
    for path, picture in site.pages.items():
        if path.startswith("assets/"):
            shutil.copyfile(ROOT / picture, out / path)
    return site


def build(out: Path, playground: Path | None) -> None:
    work = ROOT / "build" / "pages"
    site = assemble(work, playground is not None)
    config = yaml.safe_load((HERE / "site.yml").read_text(encoding="utf-8"))
    config |= {"docs_dir": str(work), "site_dir": str(out), "nav": nav(site)}
    config["hooks"] = [str(HERE / "hooks.py")]
    config["plugins"][1]["mkdocstrings"]["handlers"]["python"]["paths"] = [str(ROOT)]
    made = ROOT / "build" / "mkdocs.yml"
    made.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-f", str(made)]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    if subprocess.run(command, cwd=ROOT, env=quiet).returncode:
        sys.exit("the site has errors: see above")
    if playground is not None:
        shutil.copytree(playground, out / "playground", dirs_exist_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the documentation site.")
    parser.add_argument("-o", "--out", type=Path, default=ROOT / "build/site")
    parser.add_argument("--playground", type=Path, help="a built playground to put into it")
    given = parser.parse_args()
    if given.playground is not None and not (given.playground / "index.html").is_file():
        sys.exit(f"{given.playground} is no playground: run python docs/playground/build.py")
    build(given.out.resolve(), given.playground)
    print(f"{given.out}: serve it with `python -m http.server -d {given.out}`")


if __name__ == "__main__":
    main()
