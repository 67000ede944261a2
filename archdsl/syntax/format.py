"""The one style of .arch files.

In: a `Source`. Out: its text in the one style, or its syntax errors. Works on the tokens, as gofmt
does: line breaks between statements stay where the writer put them, a body stays on one line where
it was written so and fits, comments stay. Lines that say the same kind of thing are aligned. What
comes out has the tree and the comments of what went in (this is checked each time), and formatting
it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from archdsl.diagnostics.model import Diagnostic
from archdsl.diagnostics.source import Source
from archdsl.syntax import tree as t
from archdsl.syntax.grammar import grammar
from archdsl.syntax.layout import Gap, Group, Item, Part, Piece, first, groups
from archdsl.syntax.parse import parse

WIDTH = 100
INDENT = 2
SMALL = 30  # a list shorter than this is not broken: a long line is easier to read


def format(source: Source) -> tuple[str | None, list[Diagnostic]]:
    """The formatted text, or None and what is wrong with the source."""
    tree, errors = parse(source)
    if errors or tree is None:
        return None, errors
    before = groups(source.text, list(grammar().lex(source.text)))
    text = _Writer().file(before)
    return (text if _says(text, tree, before) else source.text), []


def _says(text: str, tree: t.File, before: Group) -> bool:
    """The text has this tree, these tokens and these comments."""
    found, errors = parse(Source("<formatted>", text))
    if errors or found is None or not t.same(tree, found):
        return False
    return _words(groups(text, list(grammar().lex(text)))) == _words(before)


def _words(group: Group) -> list[str]:
    """Every token and comment, in order."""
    found: list[str] = []

    def piece(piece: Piece) -> None:
        found.extend(comment.text for comment in piece.gap.comments)
        found.append(piece.text)

    def walk(group: Group) -> None:
        piece(group.open)
        for item in group.items:
            for part in item:
                walk(part) if isinstance(part, Group) else piece(part)
        piece(group.close)

    walk(group)
    return found


# ---- measuring -------------------------------------------------------------------------------


def _must_break(part: Part) -> bool:
    """There is a line break in it that stays."""
    if isinstance(part, Piece):
        return part.broken
    if part.gap.comments or part.exploded:
        return True
    return any(_must_break(p) for item in part.items for p in item)


def _flat(item: Sequence[Part]) -> str:
    """As one line, with the space before its first part."""
    return "".join(_flat_part(part) for part in item)


def _flat_part(part: Part) -> str:
    if isinstance(part, Piece):
        return " " * part.space + part.text
    joint = "; " if part.is_body else " "
    items = joint.join(_flat(item).lstrip() for item in part.items)
    pad = " " * (part.is_body and bool(items))
    return " " * part.space + part.open.text + pad + items + pad + part.close.text


def _head(parts: Sequence[Part], *, stop: bool = False) -> str:
    """As one line up to the first place where a line break stays (`stop`: or a body may open)."""
    text = ""
    for part in parts:
        if isinstance(part, Piece):
            if _must_break(part):
                return text
            text += _flat_part(part)
        elif (stop and part.is_body) or _must_break(part):
            return text + " " * part.space + part.open.text
        else:
            text += _flat_part(part)
    return text


def _until_arrow(parts: Sequence[Part]) -> Sequence[Part]:
    """The parts of this flow, the `->` before the next left out."""
    for index, part in enumerate(parts):
        if index and isinstance(part, Piece) and part.kind == "ARROW":
            return parts[:index]
    return parts


# ---- writing ---------------------------------------------------------------------------------


@dataclass(slots=True)
class _Line:
    """A line to be. `cells`: its statements, or a row's elements between `frame`; lines of as many
    cells one below the other are aligned."""

    indent: int
    cells: list[str]
    blank: bool = False  # an empty line before it
    comment: str = ""
    frame: tuple[str, str] | None = None

    @property
    def text(self) -> str:
        if self.frame is None:
            return "; ".join(self.cells)
        return self.frame[0] + ", ".join(self.cells) + self.frame[1]

    def fits(self, more: str = "") -> bool:
        return self.indent + len(self.text) + len(more) <= WIDTH


@dataclass
class _Writer:
    lines: list[_Line] = field(default_factory=list)

    def file(self, whole: Group) -> str:
        self._body(whole, 0)
        for _, run in groupby(self.lines, key=_Runs()):
            _align(list(run))
        _align_comments(self.lines)
        return "".join(map(_finished, self.lines))

    def _body(self, group: Group, indent: int) -> None:
        """The statements of a body; those written in one line stay in one where they fit."""
        row: list[Item] = []
        for item in group.items:
            if row and first(item).gap.broken:
                self._row(row, indent)
                row = []
            row.append(item)
        if row:
            self._row(row, indent)
        self._comments(group.close.gap, indent)

    def _comments(self, gap: Gap, indent: int) -> bool:
        """Write the comments of a gap; whether an empty line comes after them."""
        for comment in gap.comments:
            if comment.newlines == 0 and self.lines and not self.lines[-1].comment:
                self.lines[-1].comment = comment.text
            else:
                blank = comment.newlines > 1 and self._may_be_blank(indent)
                self.lines.append(_Line(indent, [], blank, comment.text))
        return gap.newlines > 1 and self._may_be_blank(indent)

    def _may_be_blank(self, indent: int) -> bool:
        return bool(self.lines) and self.lines[-1].indent >= indent

    def _row(self, row: list[Item], indent: int) -> None:
        blank = self._comments(first(row[0]).gap, indent)
        rest = [[_bare(item[0]), *item[1:]] for item in row]
        line = _Line(indent, [_flat(item).lstrip() for item in rest], blank)
        if line.fits() and not any(_must_break(part) for item in rest for part in item):
            self.lines.append(line)
            return
        for item in rest:
            self._item(item, indent, blank)
            blank = False

    def _item(self, item: Item, indent: int, blank: bool = False) -> None:
        """One statement or element, on as many lines as it takes."""
        self.lines.append(_Line(indent, [""], blank))
        self._parts(item, indent)

    def _parts(self, parts: Sequence[Part], indent: int) -> None:
        """Continue the last line; a line that goes on from it is indented more than `indent`."""
        for index, part in enumerate(parts):
            rest = parts[index:]
            if isinstance(part, Group) and part.gap.comments:
                self._comments(part.gap, indent + INDENT)
                self.lines.append(_Line(indent + INDENT, [""]))
                part = _bare(part)
            if isinstance(part, Piece):
                if self._breaks_before(part, rest, indent):
                    resumed = indent if part.resumes and part.kind != "ARROW" else indent + INDENT
                    self._comments(part.gap, resumed)
                    self.lines.append(_Line(resumed, [part.text]))
                else:
                    self._add(part)
            elif part.is_body:
                if _must_break(part) or not self._fits(_head(_until_arrow(rest))):
                    self._opened(part)
                else:
                    self._append(_flat_part(part))
            elif part.exploded or self._too_long(part, rest):
                self._opened(part)
            elif not _must_break(part) and self._fits(_flat_part(part)):
                self._append(_flat_part(part))
            else:
                self._add(part.open)
                for item in part.items:
                    space = " " if item is not part.items[0] else ""
                    self._append(space)
                    self._parts([_spaceless(item[0]), *item[1:]], indent)
                self._add(part.close)

    def _breaks_before(self, piece: Piece, rest: Sequence[Part], indent: int) -> bool:
        if piece.gap.comments:
            return True
        if piece.broken:
            return not self.lines[-1].text.startswith("}")
        if piece.kind != "ARROW":
            return False
        flow = _until_arrow(rest)
        whole = _head(flow)
        if self._fits(whole):
            return False
        if indent + INDENT + len(whole.lstrip()) <= WIDTH:
            return True
        return not self._fits(_head(flow, stop=True))

    def _too_long(self, group: Group, rest: Sequence[Part]) -> bool:
        """A list that would end beyond the line's, with what must stand on the line of its end."""
        if len(group.items) < 2 or any(_must_break(part) for item in group.items for part in item):
            return False
        if len(_flat_part(group)) < SMALL:
            return False
        after = next((i for i, part in enumerate(rest) if i and _may_break(part)), len(rest))
        opens = after < len(rest) and isinstance(rest[after], Group)
        return not self._fits(_flat(rest[:after]) + " {" * opens)

    def _opened(self, group: Group) -> None:
        """A group with its items on lines of their own."""
        self._add(group.open)
        indent = self.lines[-1].indent
        if group.is_body:
            self._body(group, indent + INDENT)
        else:
            self._elements(group, indent + INDENT)
        self.lines.append(_Line(indent, [group.close.text]))

    def _elements(self, group: Group, indent: int) -> None:
        rows: list[list[Item]] = []
        for item in group.items:
            if not rows or first(item).gap.broken:
                rows.append([])
            rows[-1].append(item)
        for row in rows:
            blank = self._comments(first(row[0]).gap, indent)
            items = [[_bare(item[0]), *item[1:]] for item in row]
            if not self._line(items, indent, blank):
                for number, item in enumerate(items):
                    if not self._line([item], indent, blank and not number):
                        self._item(item, indent, blank and not number)
        self._comments(group.close.gap, indent)

    def _line(self, items: list[Item], indent: int, blank: bool) -> bool:
        """Write elements as one line, where they can be one."""
        if any(_must_break(part) for item in items for part in item):
            return False
        line = _Line(indent, [" ".join(_flat(item).lstrip() for item in items)], blank)
        if line.fits():
            self.lines.append(_table_row(line, items) or line)
            return True
        return False

    # -- the last line

    def _fits(self, more: str) -> bool:
        return self.lines[-1].fits(more if self.lines[-1].text else more.lstrip())

    def _append(self, text: str) -> None:
        line = self.lines[-1]
        line.cells[-1] += text if line.cells[-1] else text.lstrip()

    def _add(self, piece: Piece) -> None:
        self._append(" " * piece.space + piece.text)


def _may_break(part: Part) -> bool:
    return isinstance(part, Group) or part.kind == "ARROW"


def _bare(part: Part) -> Part:
    """Without its gap, which is written already."""
    nothing = Gap((), 0)
    if isinstance(part, Piece):
        return Piece(part.text, part.kind, part.space, nothing)
    opening = Piece(part.open.text, part.open.kind, part.open.space, nothing)
    return Group(opening, part.close, part.items)


def _spaceless(part: Part) -> Part:
    if isinstance(part, Piece):
        return Piece(part.text, part.kind, False, part.gap)
    opening = Piece(part.open.text, part.open.kind, False, part.open.gap)
    return Group(opening, part.close, part.items)


def _table_row(line: _Line, items: list[Item]) -> _Line | None:
    """A line that holds one list, as a row of a table."""
    group = items[0][0]
    comma = _flat(items[0][1:]) if len(items) == 1 else None
    if comma not in ("", ",") or isinstance(group, Piece) or group.open.kind != "LSQB":
        return None
    cells = [_flat(item).strip().removesuffix(",") for item in group.items]
    trailing = any(isinstance(p, Piece) and p.kind == "COMMA" for p in group.items[-1:][0][-1:])
    return _Line(
        line.indent, cells, line.blank, frame=("[", ("," if trailing else "") + "]" + comma)
    )


# ---- aligning --------------------------------------------------------------------------------


class _Runs:
    """Numbers the runs of lines that are aligned with each other."""

    def __init__(self) -> None:
        self.number, self.kind = 0, (0, 0, False)

    def __call__(self, line: _Line) -> int:
        kind = line.indent, len(line.cells), line.frame is not None
        if line.blank or kind != self.kind or len(line.cells) < 2:
            self.number += 1
        self.kind = kind
        return self.number


def _align(run: list[_Line]) -> None:
    if len(run) < 2:
        return
    rows = [_padded(run, line) for line in run]
    if all(line.indent + len(text) <= WIDTH for line, text in zip(run, rows, strict=True)):
        for line, text in zip(run, rows, strict=True):
            line.cells, line.frame = [text], None


def _padded(run: list[_Line], line: _Line) -> str:
    joint = ";" if line.frame is None else ","
    opening, closing = line.frame or ("", "")
    text = opening
    for index, cell in enumerate(line.cells):
        column = [other.cells[index] for other in run]
        width = max(map(len, column))
        last = index == len(line.cells) - 1
        if line.frame is not None and all(c.lstrip("-").replace(".", "").isdigit() for c in column):
            text += cell.rjust(width) + ("" if last else ", ")
        else:
            text += cell if last else (cell + joint).ljust(width + 2)
    return text + closing


def _align_comments(lines: list[_Line]) -> None:
    """Comments behind neighbouring lines of one depth begin in one column."""

    def runs() -> Iterator[list[_Line]]:
        run: list[_Line] = []
        for line in lines:
            goes_on = run and not line.blank and line.indent == run[-1].indent
            goes_on = goes_on and not line.text.endswith("{")
            if not (line.comment and line.cells and goes_on):
                yield run
                run = []
            if line.comment and line.cells:
                run.append(line)
        yield run

    for run in runs():
        width = max((len(line.text) for line in run), default=0)
        for line in run:
            line.cells, line.frame = [line.text.ljust(width)], None


def _finished(line: _Line) -> str:
    parts = [part for part in (line.text, line.comment) if part]
    return "\n" * line.blank + " " * line.indent + "  ".join(parts) + "\n"
