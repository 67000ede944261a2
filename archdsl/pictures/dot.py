"""A picture as text for Graphviz, for those who have it."""

from __future__ import annotations

from collections.abc import Iterator

from archdsl.pictures.outline import Item, Outline, elements, group_title, link_text, node_lines
from archdsl.pictures.paint import LIGHT, family_colours

_OUTLINES = {"input": "oval", "output": "oval", "join": "oval", "pill": "oval"}
_STYLES = {
    "flow": "",
    "skip": f', color="{LIGHT["skip"]}", penwidth=2, constraint=false',
    "aside": ", style=dashed",
}


def to_dot(outline: Outline, name: str) -> str:
    colours = family_colours(list(elements(outline.items)))
    rows = [
        f"digraph {_quoted(name)} {{",
        '  graph [rankdir=TB, fontname="Helvetica", style=rounded]',
        '  node [shape=box, style="rounded,filled", fontname="Helvetica", fontsize=11]',
        '  edge [fontname="Helvetica", fontsize=9]',
        *_items(outline.items, colours, 1),
    ]
    for link in outline.links:
        label = _quoted(link_text(link))
        rows.append(f"  {link.source} -> {link.target} [label={label}{_STYLES[link.style]}]")
    return "\n".join([*rows, "}"]) + "\n"


def _items(items: list[Item], colours: dict[str, str], depth: int) -> Iterator[str]:
    margin = "  " * depth
    for item in items:
        element = item.element
        colour = colours.get(element.hue, colours[""])
        if item.items is None:
            label = "\\n".join(_escaped(line) for line in node_lines(element))
            circle = element.kind == "join" and len(element.title) == 1
            outline = "circle" if circle else _OUTLINES.get(element.kind, "")
            shape = f", shape={outline}" if outline else ""
            fill = f'fillcolor="{colour}40", color="{colour}"'
            yield f'{margin}{item.id} [label="{label}", {fill}{shape}]'
            continue
        yield f"{margin}subgraph cluster_{item.id} {{"
        yield f'{margin}  label={_quoted(group_title(element))}; color="{colour}"'
        yield from _items(item.items, colours, depth + 1)
        yield f"{margin}}}"


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
