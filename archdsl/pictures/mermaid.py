"""A picture as Mermaid text, which GitHub, GitLab and MkDocs draw."""

from __future__ import annotations

import re
from collections.abc import Iterator

from archdsl.pictures.outline import Item, Outline, elements, group_title, link_text, node_lines
from archdsl.pictures.paint import family_colours

_ARROWS = {"flow": "-->", "skip": "==>", "aside": "-.->"}
#: kind of element -> the brackets that make its outline
_OUTLINES = {"input": "([{}])", "output": "([{}])", "join": "([{}])", "pill": "([{}])"}
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ×·–…_-+/=,.")


def to_mermaid(outline: Outline) -> str:
    every = list(elements(outline.items))
    hues = family_colours(every)
    used = list(dict.fromkeys(element.hue for element in every))
    classes = {hue: f"c{number}" for number, hue in enumerate(used)}
    rows = ["flowchart TD", *_items(outline.items, classes, 1)]
    for link in outline.links:
        rows.append(f'  {link.source} {_ARROWS[link.style]}|"{link_text(link)}"| {link.target}')
    for hue, name in classes.items():
        colour = hues.get(hue, hues[""])
        rows.append(f"  classDef {name} fill:{colour}33,stroke:{colour}")
    return "\n".join(rows) + "\n"


def _items(items: list[Item], classes: dict[str, str], depth: int) -> Iterator[str]:
    margin = "  " * depth
    for item in items:
        element = item.element
        if item.items is None:
            text = "<br/>".join(map(_escape, node_lines(element)))
            round_ = element.kind == "join" and len(element.title) == 1
            outline = "(({}))" if round_ else _OUTLINES.get(element.kind, "[{}]")
            shape = outline.format(f'"{text}"')
            yield f"{margin}{item.id}{shape}:::{classes[element.hue]}"
            continue
        yield f'{margin}subgraph {item.id}["{_escape(group_title(element))}"]'
        yield from _items(item.items, classes, depth + 1)
        yield f"{margin}end"


def _escape(text: str) -> str:
    """Letters that mean something to Mermaid, or to the Markdown in it, as their codes."""
    # a text that begins like a list or a bullet would be read as Markdown
    mark = re.match(r"\d*[-+.*]", text)
    number = mark.end() - 1 if mark else -1
    plain = (c in _PLAIN and i != number for i, c in enumerate(text))
    return "".join(c if ok else f"#{ord(c)};" for c, ok in zip(text, plain, strict=True)) or " "
