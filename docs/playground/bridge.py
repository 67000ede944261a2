"""The playground's page asks, archdsl answers: JSON in, JSON out.

Runs in the browser (Pyodide, in a worker) with Lark alone. Everything it says of a text is read off
`archdsl.editor`'s `Analysis`, as the language server's answers are; here answers are only put into
the page's words. Places are offsets in UTF-16 units, as JavaScript counts.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from archdsl.artefacts import ARTEFACTS, Request, make_text
from archdsl.diagnostics.fixes import edits_of
from archdsl.diagnostics.source import Source, Span
from archdsl.editor import docs
from archdsl.editor.analysis import Analysis
from archdsl.editor.complete import complete, page, signature_at
from archdsl.editor.edits import fixed_text, styled
from archdsl.editor.hover import hover
from archdsl.editor.lenses import lenses
from archdsl.editor.positions import units
from archdsl.editor.problems import Shown, fixes, shown, shown_here
from archdsl.ir.graph import Graph, Item, Node, Program, Scope, item_training_only
from archdsl.loading import Files, specs_folder
from archdsl.pictures import draw_live
from archdsl.pipeline import Checked, Spec
from archdsl.reports.table import layers
from archdsl.runtime.errors import ArtefactError
from archdsl.text import count_text, shape_text

Answer = dict[str, Any]
FILES = Files(disk=False)  # the page's text, and the shipped specs that it may use


class Unanswerable(Exception):
    """There is no answer: the text has errors, or what was asked for cannot be."""


class Page:
    """What the page knows: its text, and what was chosen beside it."""

    def __init__(self) -> None:
        self.analysis: Analysis | None = None
        self.checked: Checked | None = None
        self.chosen: tuple[str, dict[str, str], str] = ("", {}, "")

    def answer(self, request: str) -> str:
        asked = json.loads(request)
        try:
            found = getattr(self, f"on_{asked.pop('kind')}")(**asked)
        except (Unanswerable, ArtefactError) as error:
            found = {"error": str(error)}
        return json.dumps(found, ensure_ascii=False)

    # ---- the text ----------------------------------------------------------------------------

    def look(self, text: str) -> Analysis:
        known = self.analysis
        if known is None or known.source.text != text:
            source = Source(str(specs_folder() / "playground.arch"), text)
            self.analysis = known = Analysis(source, specs_folder(), known, FILES)
        return known

    def on_check(self, text: str, model: str, params: dict[str, str], input: str) -> Answer:
        """Everything that shows beside the text as it is typed."""
        analysis = self.look(text)
        place = Places(analysis.source)
        models = analysis.spec.models
        chosen = model if model in models else models[0] if models else ""
        self.chosen = (chosen, params, input)
        self.checked, outside = self._checked(analysis, chosen, params, input)
        program = self.program
        found = [place.problem(one) for one in (*shown(analysis), *outside)]
        return {
            "problems": found,
            "models": models,
            "model": chosen,
            "parameters": self._parameters(analysis, chosen),
            "hints": [
                {"line": n + 1, "text": docs.hint(s), "all": docs.all_shapes(s)}
                for n, s in sorted(analysis.hints().items())
                if s
            ],
            "lenses": [[*place.span(span), text] for span, text in lenses(analysis)],
            "summary": None if program is None else _summary(program),
        }

    def _checked(
        self, analysis: Analysis, model: str, params: dict[str, str], input: str
    ) -> tuple[Checked, list[Shown]]:
        """The chosen model with what was filled in, and what is wrong with that alone."""
        if not model or not (params or input) or not analysis.programs:
            return analysis.checked, []
        shape = _shape(input) if input else None
        spec = Spec(analysis.source, analysis.folder, model, params, shape, files=FILES)
        checked = spec.check()
        known = {(p.code, p.span) for p in analysis.problems}
        new = [p for p in checked.diagnostics if (p.code, p.span) not in known]
        return checked, [shown_here(p) for p in new if p.severity == "error"]

    @property
    def program(self) -> Program | None:
        if self.analysis is None or self.checked is None:
            return None
        return self.checked.programs.get(self.chosen[0])

    def _parameters(self, analysis: Analysis, model: str) -> list[Answer]:
        unit = analysis.unit
        target = unit.find(model) if unit is not None and model else None
        if target is None:
            return []
        return [
            {"name": name, "default": shown[1:-1].partition("=")[2]}
            for name, shown, _ in docs.call_signature(target).parts
        ]

    # ---- what the right side shows -----------------------------------------------------------

    @property
    def shown(self) -> Program:
        if self.program is None:
            raise Unanswerable("the text has errors")
        return self.program

    @property
    def place(self) -> Places:
        assert self.checked is not None
        return Places(self.checked.source)

    def on_picture(self, depth: int | None = None) -> Answer:
        svg, areas = draw_live(self.shown, depth=depth)
        place = self.place
        boxes = [
            {"at": [a.x, a.y, a.w, a.h], "spans": list(place.lines(i.span for i in a.items))}
            for a in areas
        ]
        return {"svg": svg, "boxes": [box for box in boxes if box["spans"]]}

    def on_shapes(self) -> Answer:
        place, program = self.place, self.shown
        rows = [
            {"cells": [name, *cells], "spans": list(place.lines([item.span]))}
            for name, item, cells in layers(program)
        ]
        return {"rows": rows, "input": shape_text(program.input_shape), **_summary(program)}

    def on_source(self) -> Answer:
        return {"text": self._made("python")}

    def on_costs(self) -> Answer:
        program = self.shown
        rows = [*_stages(program.graph, "", self.place)]
        return {"rows": rows, "params": program.params, "macs": program.macs}

    def on_sizes(self, at: str = "") -> Answer:
        found, place = self.shown.sizes, self.place
        said: Answer = {
            "name": found.program.name,
            "takes": found.describe(),
            "exact": found.exact,
            "letters": list(found.letters),
            "declared": list(found.declared),
            "smallest": shape_text(found.smallest()) if found.axes else "",
            "reasons": [
                {
                    "clause": reason.clause,
                    "step": str(reason.cause),
                    "why": f"at {shape_text(reason.at)} {reason.why}",
                    "spans": place.innermost(reason.cause.spans),
                }
                for reason in found.reasons()
            ],
        }
        if at:
            said["at"] = self._fed(at)
        return said

    def _fed(self, at: str) -> Answer:
        found = self.shown.sizes
        try:
            size = found.size(_shape(at))
        except ValueError as error:
            return {"taken": False, "text": str(error), "spans": []}
        cause = found.refusal(size)
        if cause is None:
            given = ", ".join(map(shape_text, found.outputs(size).values()))
            return {"taken": True, "text": f"taken, and gives {given}", "spans": []}
        near = " or ".join(map(shape_text, found.nearest(size)))
        spans = self.place.innermost(cause.spans)
        return {"taken": False, "text": f"{cause.message}; nearest: {near}", "spans": spans}

    def on_file(self, to: str) -> Answer:
        """A text to download."""
        return {"text": self._made(to)}

    def _made(self, to: str) -> str:
        _, params, input = self.chosen
        shape = _shape(input) if input else None
        name, source = self.shown.name, self.place.source
        spec = Spec(source, specs_folder(), name, params, shape, files=FILES)
        return make_text(ARTEFACTS[to], spec, Request())

    # ---- the word under the cursor -----------------------------------------------------------

    def on_complete(self, text: str, at: int) -> Answer:
        analysis = self.look(text)
        place = Places(analysis.source)
        start, found = complete(analysis, place.offset(at))
        options = [
            {
                "label": one.name,
                "kind": one.kind,
                "detail": one.detail,
                "snippet": one.snippet,
                "rank": one.rank,
            }
            for one in found
        ]
        return {"from": place.unit(start), "options": options}

    def on_manual(self, name: str) -> Answer:
        return {"text": page(self.analysis, name) if self.analysis is not None else ""}

    def on_signature(self, text: str, at: int) -> Answer:
        analysis = self.look(text)
        found = signature_at(analysis, Places(analysis.source).offset(at))
        if found is None:
            return {"label": ""}
        signature, active = found
        parts = [{"text": text, "doc": doc} for _, text, doc in signature.parts]
        return {"label": signature.label, "parts": parts, "active": active}

    def on_hover(self, text: str, at: int) -> Answer:
        analysis = self.look(text)
        place = Places(analysis.source)
        found = hover(analysis, place.offset(at))
        if found is None:
            return {"text": ""}
        span, told = found
        return {"text": told, "span": place.span(span)}

    def on_explain(self, code: str) -> Answer:
        """What `archdsl explain CODE` prints."""
        from archdsl.explain import find
        from archdsl.explain import page as explained

        entry = find(code)
        return {"text": "" if entry is None else explained(entry)}

    # ---- the whole text ----------------------------------------------------------------------

    def on_format(self, text: str) -> Answer:
        found = styled(Source("playground.arch", text))
        if found is None:
            raise Unanswerable("a text with syntax errors has no style: mend those first")
        return {"text": found}

    def on_mend(self, text: str) -> Answer:
        return {"text": fixed_text(self.look(text))}


class Places:
    """Offsets of one text, ours and the page's."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.wide = [0] if source.text.isascii() else [*_wide(source.text)]

    def unit(self, offset: int) -> int:
        return offset if len(self.wide) == 1 else units(self.source.text[:offset], "utf-16")

    def offset(self, unit: int) -> int:
        return unit if len(self.wide) == 1 else bisect_right(self.wide, unit) - 1

    def span(self, span: Span) -> list[int]:
        return [self.unit(span.start), self.unit(span.end)]

    def lines(self, spans: Iterable[Span]) -> Iterator[list[int]]:
        """Of this text alone, each once."""
        here = dict.fromkeys((s.start, s.end) for s in spans if s.source is self.source)
        yield from ([self.unit(start), self.unit(end)] for start, end in here)

    def innermost(self, spans: Iterable[Span]) -> list[list[int]]:
        """Of places that lie in one another, from within outwards, the first in this text."""
        return [*self.lines(spans)][:1]

    def problem(self, one: Shown) -> Answer:
        problem, mended = one.problem, []
        for fix in fixes(problem):
            edits = edits_of(fix, self.source)
            if edits is not None:
                changes = [[self.unit(a), self.unit(b), text] for a, b, text in edits]
                mended.append({"title": fix.title, "edits": changes})
        outside = one.span.source is not self.source
        return {
            "span": [0, 0] if outside else self.span(one.span),
            "where": one.span.source.name if outside else "",
            "line": 0 if outside else self.source.position(one.span.start)[0],
            "severity": problem.severity,
            "code": problem.code,
            "title": problem.message,
            "message": one.message,
            "unused": one.unused,
            "fixes": mended,
            "related": [[*self.span(s), t] for s, t in one.related if s.source is self.source],
        }


def _wide(text: str) -> Iterator[int]:
    at = 0
    for char in text:
        yield at
        at += units(char, "utf-16")
    yield at


def _shape(text: str) -> tuple[int, ...]:
    sides = text.replace("×", "x").replace(",", "x").replace(" ", "").strip("()").split("x")
    if not all(side.isascii() and side.isdigit() and int(side) > 0 for side in sides):
        raise Unanswerable(f"a size is written 3x224x224, not `{text}`")
    return tuple(map(int, sides))


def _summary(program: Program) -> Answer:
    outputs = ", ".join(map(shape_text, program.output_shapes.values()))
    return {
        "name": program.name,
        "flow": f"{shape_text(program.input_shape)} → {outputs}",
        "params": count_text(program.params),
        "macs": count_text(program.macs),
        "exact": [program.params, program.macs],
    }


def _stages(graph: Graph, prefix: str, place: Places) -> Iterator[Answer]:
    """The items of a graph that cost something; of a scope, its own below it."""
    for item in graph.items:
        params, macs = _cost(item)
        if not params and not macs:
            continue
        name = prefix + (item.name or "")
        inner = [*_stages(item.graph, name + ".", place)] if isinstance(item, Scope) else []
        yield {
            "name": name,
            "what": _what(item),
            "params": params,
            "macs": macs,
            "inner": inner,
            "training": item_training_only(item),
            "spans": list(place.lines([item.span])),
        }


def _cost(item: Item) -> tuple[int, int]:
    if isinstance(item, Scope):
        return item.graph.sizes.params, item.graph.sizes.macs
    return (item.params, item.macs) if isinstance(item, Node) else (0, 0)


def _what(item: Item) -> str:
    if isinstance(item, Scope):
        return item.graph.block or ""
    return item.op.name if isinstance(item, Node) else ""


answer: Callable[[str], str] = Page().answer


def warm(text: str) -> None:
    """Import and read what every first question needs: for the snapshot of Python's memory."""
    page = Page()
    page.on_check(text, "", {}, "")
    page.on_picture()
