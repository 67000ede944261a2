"""The phases in order: text -> tree -> resolved -> program -> artefacts.

A `Spec` is one model of one text with the values given from outside. Its cached properties are the
phases; asking for one runs those above it. Nothing here imports torch; artefacts that need it do.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from archdsl.checker.elaborate import Elaborated, elaborate
from archdsl.checker.lints import lint
from archdsl.checker.problem import Problem
from archdsl.checker.values import Evaluator
from archdsl.diagnostics.catalogue import (
    NoModelHere,
    Recursion,
    SeveralModels,
    SyntaxProblem,
    TooMany,
    UnknownModel,
    UnknownName,
)
from archdsl.diagnostics.model import MAX_FOUND, Diagnostic
from archdsl.diagnostics.source import Source, Span
from archdsl.ir.budget import over_budget
from archdsl.ir.graph import Graph, Program
from archdsl.ir.limits import Limits
from archdsl.ir.no_gc import no_collection
from archdsl.loading import (
    DISK,
    MAX_BYTES,
    Files,
    Loader,
    decode,
    prelude,
    shipped,
    specs_folder,
)
from archdsl.names.foreign import similar
from archdsl.names.resolve import resolve
from archdsl.names.symbols import Resolved
from archdsl.names.units import Block, Unit
from archdsl.ops.table import Shape
from archdsl.sizes.promise import broken
from archdsl.syntax import tree as t
from archdsl.syntax.parse import parse_expression

__all__ = ["Files", "Spec", "SpecError", "open_spec", "shipped", "specs_folder"]


class SpecError(Exception):
    """A spec has errors. `diagnostics` holds them; the message shows them."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        super().__init__(diagnostics)  # so that it pickles
        self.diagnostics = diagnostics

    def __str__(self) -> str:
        from archdsl.diagnostics.render import render

        return "\n" + render(self.diagnostics)


@dataclass(frozen=True)
class Checked:
    """What a spec comes to. `programs`: its models without errors, by name; `diagnostics`:
    everything found, in the order of the text; `names`: what its own file's words mean, where there
    is any text left; `sketches`: the graphs of what is right in models with errors, on request."""

    source: Source
    programs: Mapping[str, Program]
    diagnostics: tuple[Diagnostic, ...]
    names: Resolved | None = None
    sketches: tuple[Graph, ...] = ()


@dataclass(eq=False)
class Spec:
    """One model of a text, with parameters and input given from outside.

    `model`: the model's name where the text has several. `folder`: what `use` is relative to.
    `params`: values, or texts of the language (`[2, 2]`, `basic`), as the command line gives them.
    """

    source: Source
    folder: Path
    model: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    input: Shape | Mapping[str, Shape] | None = None
    limits: Limits = field(default_factory=Limits)
    found: list[Diagnostic] = field(default_factory=list)  # what went wrong before there was a text
    files: Files = DISK
    cut: bool = False  # of a text that is too long the beginning is looked at

    @cached_property
    def loaded(self) -> Loader:
        """The files, and what is wrong with their texts."""
        loader = Loader(self.files, self.limits.tokens, cut=self.cut)
        loader.found.extend(self.found)
        if not self.found:
            with no_collection():
                loader.root = loader.load(self.source, self.folder, ())
        return loader

    def given(self, params: Mapping[str, Any], input: Shape | Mapping[str, Shape] | None) -> Spec:
        """The same text with other values; it is not read again."""
        other = replace(self, params=params, input=input)
        other.__dict__.update(loaded=self.loaded, names=self.names)  # as if it had computed them
        return other

    @property
    def tree(self) -> t.File | None:
        """The tree, without the statements that have syntax errors; None where nothing is left."""
        root = self.loaded.root
        return None if root is None else root.file

    @cached_property
    def names(self) -> dict[Unit, Resolved]:
        """What the words of each file mean; of those that are used first."""
        return _Names((unit, resolve(unit)) for unit in self.loaded.units)

    @property
    def models(self) -> list[str]:
        """The names of the text's models."""
        root = self.loaded.root
        found = {} if root is None else root.definitions
        return [name for name, block in found.items() if not isinstance(block.tree, t.Block)]

    @property
    def lineage(self) -> list[Block]:
        """The model's definition, and those of the models that it is an alias of."""
        root = self.loaded.root
        model = None if root is None else _choose(root, self.model, self.folder_name)
        return model.lineage if isinstance(model, Block) else []

    @property
    def folder_name(self) -> str:
        return Path(self.source.name).stem

    # ---- the chain of phases -----------------------------------------------------------------

    def check(self, *, every: bool = False, sketch: bool = False) -> Checked:
        """Every phase, anew. `every`: all models of the text, where nobody chose one. `sketch`: of
        what is in error, what is right."""
        root, problems = self.loaded.root, list(self.loaded.found)
        if root is None:
            return Checked(self.source, {}, self._ordered(problems))
        names, broken = self.names[root], bool(problems)
        if broken:
            problems += _wrong_names(names, problems)
        else:
            problems += [p for one in self.names.values() for p in one.found]
        recursive = any(isinstance(p, Recursion) for one in self.names.values() for p in one.found)
        programs: dict[str, Program] = {}
        sketches: list[Graph] = []
        if not recursive and (sketch or not broken):
            wrong = bool(problems)
            chosen = self._chosen(root, every)
            for model in chosen if isinstance(chosen, list) else ():
                done = self._elaborated(model, sketch)
                problems += () if broken else done.found
                sketches += done.sketches
                if done.program is not None and not wrong:
                    programs[model.name] = done.program
                elif done.program is not None:
                    sketches.append(done.program.graph)
            if isinstance(chosen, Diagnostic):
                problems += () if broken else (chosen,)
            if not wrong and (programs or not self.models):
                problems += lint(names, *programs.values())
        ordered = self._ordered(problems)
        return Checked(self.source, programs, ordered, names, tuple(sketches))

    def _chosen(self, root: Unit, every: bool) -> list[Block] | Diagnostic:
        if every and self.model is None and self.models:
            return [root.definitions[name] for name in self.models]
        chosen = _choose(root, self.model, self.folder_name)
        return [chosen] if isinstance(chosen, Block) else chosen

    def _elaborated(self, model: Block, sketch: bool) -> Elaborated:
        params, wrong = _param_values(model, self.params)
        if wrong:
            return Elaborated(None, wrong)
        with no_collection():
            done = elaborate(
                model,
                self.names,
                params=params,
                input=self.input,
                limits=self.limits,
                sketch=sketch,
            )
        if done.program is None:
            return done
        if over := over_budget(done.program, self.limits, model.tree.name_span):
            return Elaborated(None, over)
        if (problem := broken(done.program)) is not None:
            return Elaborated(None, [problem], (done.program.graph,))
        return done

    def _ordered(self, problems: list[Diagnostic]) -> tuple[Diagnostic, ...]:
        """In the order of the files and of their texts; the first of each kind and place."""
        order = {id(u.source): i for i, u in enumerate(reversed(self.loaded.units))}
        once = {(p.code, p.span): p for p in reversed(problems)}.values()
        found = sorted(once, key=lambda p: (order.get(id(p.span.source), -1), p.span.start))
        if len(found) > MAX_FOUND:
            found[MAX_FOUND:] = [TooMany(found[MAX_FOUND].span, MAX_FOUND)]
        return tuple(found)

    # ---- its result --------------------------------------------------------------------------

    @cached_property
    def result(self) -> Checked:
        """Of the chosen model, or the only one. Equal specs share it, as long as the files that
        they use stay as they are."""
        key = (
            self.source.name,
            self.source.text,
            self.folder,
            self.model,
            tuple(sorted((n, f"{type(v).__name__} {v!r}") for n, v in self.params.items())),
            tuple(self.input.items()) if isinstance(self.input, Mapping) else self.input,
            self.limits,
        )
        known = _results.get(key)
        if known and not self.found and self.files.are(known[1]):
            return known[0]
        checked = self.check()
        if not self.found:
            while len(_results) >= MAX_RESULTS:
                del _results[next(iter(_results))]
            _results[key] = checked, self.loaded.texts
        return checked

    @cached_property
    def every(self) -> Checked:
        """Of all models of the text, where nobody chose one."""
        several = self.model is None and len(self.models) > 1
        return self.check(every=True) if several else self.result

    @property
    def diagnostics(self) -> list[Diagnostic]:
        """Everything found, in the order of the text."""
        return list(self.result.diagnostics)

    @property
    def program(self) -> Program | None:
        """The checked model, or None where there are errors."""
        return next(iter(self.result.programs.values()), None)

    def checked(self) -> Program:
        """The program; raises SpecError where there are errors."""
        if self.program is None:
            raise SpecError(self.diagnostics)
        return self.program


MAX_RESULTS = 32
#: results with the texts of the files that they used
_results: dict[Any, tuple[Checked, Mapping[Path, str | None]]] = {}


class _Names(dict[Unit, Resolved]):
    """A file's own, and the prelude's where something asks for it."""

    def __missing__(self, unit: Unit) -> Resolved:
        return _prelude(unit)


@cache
def _prelude(unit: Unit) -> Resolved:
    assert unit is prelude()
    return resolve(unit)


def open_spec(
    spec: str | Path,
    *,
    params: Mapping[str, Any] | None = None,
    input: Shape | Mapping[str, Shape] | None = None,
    limits: Limits | None = None,
    files: Files = DISK,
    text: bool = True,
) -> Spec:
    """A spec from a path, `path:model`, a shipped name, `-` for standard input, or, where `text`
    allows it, its text itself (a string with a line break or a brace). Never raises: what cannot be
    read becomes a diagnostic.
    """
    values = {name: as_value(value) for name, value in (params or {}).items()}
    given: dict[str, Any] = {"params": values, "input": input, "files": files}
    if limits is not None:
        given["limits"] = limits
    if text and isinstance(spec, str) and _is_text(spec, files):
        return Spec(Source("<text>", spec), Path.cwd(), **given)
    if str(spec) == "-":
        source, problem = decode(sys.stdin.buffer.read(MAX_BYTES), "<stdin>")
        return Spec(source, Path.cwd(), found=problem, **given)
    path, model = _locate(str(spec), files)
    source, problem = files.read(path)
    return Spec(source, path.parent, model, found=problem, **given)


def as_value(value: Any) -> Any:
    """Lists, ranges, and the numbers and arrays of numpy and torch, as the language has them."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no value of the language")
    return tuple(map(as_value, value)) if isinstance(value, (list, tuple, range)) else value


def _is_text(spec: str, files: Files) -> bool:
    """A spec's own text has a line break or a brace; so may a path, which ends in .arch."""
    return ("\n" in spec or "{" in spec) and not (
        spec.endswith(".arch") and ("\n" not in spec or files.exists(Path(spec)))
    )


def _locate(text: str, files: Files) -> tuple[Path, str | None]:
    path, model = Path(text), None
    if not files.exists(path) and ":" in text:
        before, _, after = text.rpartition(":")
        if after.isidentifier():
            path, model = Path(before), after
    if not files.exists(path) and path.name == str(path):
        inside = specs_folder() / (path.name if path.suffix == ".arch" else path.name + ".arch")
        if files.exists(inside):
            return inside, model
    return path, model


def _wrong_names(names: Resolved, problems: list[Diagnostic]) -> list[Diagnostic]:
    """What else is wrong in a text with syntax errors, as far as these cannot be the cause: neither
    on their lines, nor about a word of them."""
    source = names.unit.source
    text = re.sub("#.*", "", source.text)
    syntax = all(isinstance(p, SyntaxProblem) and p.span.source is source for p in problems)
    if not syntax or text.count("{") != text.count("}"):
        return []
    lines = {source.position(p.span.start)[0] for p in problems}
    words = {word for line in lines for word in re.findall(r"\w+", source.line(line))}
    return [
        found
        for found in names.found
        if source.position(found.span.start)[0] not in lines
        and getattr(found, "name", "") not in words
    ]


def _choose(unit: Unit, name: str | None, stem: str) -> Block | Diagnostic:
    """The model to elaborate: the one asked for, the only one, or the one named like the file."""
    models = {n: b for n, b in unit.definitions.items() if not isinstance(b.tree, t.Block)}
    start = Span(unit.source, 0, 0)
    if name is not None:
        return models.get(name) or UnknownModel(start, name, similar(name, models))
    if len(models) == 1:
        return next(iter(models.values()))
    if stem in models:
        return models[stem]
    if not models:
        return NoModelHere(start, unit.source.name)
    names = ", ".join(f"`{n}`" for n in models)
    hint = f"choose one of {names}: `{unit.source.name}:{next(iter(models))}`"
    return SeveralModels(start, hint=hint)


def _param_values(
    model: Block, params: Mapping[str, Any]
) -> tuple[dict[str, Any], list[Diagnostic]]:
    """Parameters from outside. A text is an expression of the language, whose names are the file's:
    `[2, 2]`, `basic`; but where the parameter's default is a string, it is that string."""
    values: dict[str, Any] = {}
    wrong: list[Diagnostic] = []
    unit, base = model.unit, model.base
    defaults = {p.name: p.default for p in base.params} if base is not None else {}
    for name, given in params.items():
        values[name] = given
        if not isinstance(given, str):
            continue
        default = defaults.get(name)
        quoted = given[:1] == given[-1:] == '"' and len(given) > 1
        text = isinstance(default, t.Literal) and isinstance(default.value, str)
        if text or isinstance(default, t.Text):
            values[name] = given[1:-1] if quoted else str(given)
            continue
        source = Source(f"-p {name}", str(given))
        expr, problems = parse_expression(source, 0, len(given))
        wrong.extend(problems)
        if expr is None:
            continue
        try:
            values[name] = Evaluator({}, unit.target)(expr)
        except Problem as problem:
            near = similar(str(given), unit.names())
            unknown = UnknownName(Span(source, 0, len(given)), str(given), near)
            wrong.append(problem.diagnostic or unknown)
    return values, wrong
