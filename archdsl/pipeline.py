"""The phases in order: text -> tree -> resolved -> program -> artefacts.

A `Spec` is one model of one text with the values given from outside. Its cached properties are the
phases; asking for one runs those above it. Nothing here imports torch; artefacts that need it do.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from archdsl.diagnostics.catalogue import (
    CannotRead,
    NoModel,
    NotText,
    Recursion,
    SyntaxProblem,
    TooMany,
    UnknownModel,
    UnknownName,
)
from archdsl.diagnostics.model import Diagnostic
from archdsl.diagnostics.source import Source, Span
from archdsl.ir.budget import over_budget
from archdsl.ir.collection import no_collection
from archdsl.ir.elaborate import elaborate
from archdsl.ir.foreign import similar
from archdsl.ir.graph import Program
from archdsl.ir.limits import Limits
from archdsl.ir.lints import lint
from archdsl.ir.names import Block, Unit
from archdsl.ir.report import MAX_FOUND
from archdsl.ir.resolve import resolve
from archdsl.ir.values import Evaluator, Problem
from archdsl.ops.table import Shape
from archdsl.syntax import tree as t
from archdsl.syntax.parse import parse, parse_expression
from archdsl.text import did_you_mean

PACKAGE = Path(__file__).parent
MAX_BYTES = 4_000_000
MAX_FILES = 64  # that one spec uses
MAX_CHAIN = 30  # files that use one another
MAX_WORDS = 2  # in all files that are used, as many times as one file may have
_WORDS = re.compile(r"\w+|[^\w\s]")


class SpecError(Exception):
    """A spec has errors. `diagnostics` holds them; the message shows them."""

    def __init__(self, diagnostics: list[Diagnostic]) -> None:
        super().__init__(diagnostics)  # so that it pickles
        self.diagnostics = diagnostics

    def __str__(self) -> str:
        from archdsl.diagnostics.render import render

        return "\n" + render(self.diagnostics)


@cache
def specs_folder() -> Path:
    """The shipped specs: inside an installed package, beside it in a checkout."""
    inside = PACKAGE / "specs"
    return inside if inside.is_dir() else PACKAGE.parent / "specs"


def shipped() -> list[str]:
    """The names of the shipped specs."""
    return sorted(path.stem for path in specs_folder().glob("*.arch"))


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
    input: Shape | None = None
    limits: Limits = field(default_factory=Limits)
    found: list[Diagnostic] = field(default_factory=list)  # what went wrong before there was a text

    @cached_property
    def _loaded(self) -> _Loader:
        loader = _Loader(self.limits.tokens)
        loader.found.extend(self.found)
        if not self.found:
            with no_collection():
                loader.root = loader.load(self.source, self.folder, ())
        return loader

    @property
    def tree(self) -> t.File | None:
        """The tree, without the statements that have syntax errors; None where nothing is left."""
        root = self._loaded.root
        return None if root is None else root.file

    @property
    def files(self) -> tuple[list[Unit], list[Diagnostic]]:
        """The files, those that are used first, and what is wrong with their texts."""
        return self._loaded.units, self._loaded.found

    @cached_property
    def _elaborated(self) -> tuple[Program | None, list[Diagnostic]]:
        problems, root = list(self._loaded.found), self._loaded.root
        if root is None or problems:
            return None, problems + (_wrong_names(root, problems) if root else [])
        for unit in self._loaded.units:
            problems.extend(resolve(unit))
        if any(isinstance(p, Recursion) for p in problems):
            return None, problems
        chosen = _choose(root, self.model, self.folder_name)
        if isinstance(chosen, Diagnostic):
            return None, [*problems, chosen]
        params, wrong = _param_values(root, self.params, self.lineage[-1:])
        if wrong:
            return None, [*problems, *wrong]
        with no_collection():
            program, found = elaborate(chosen, params=params, input=self.input, limits=self.limits)
        if program is not None:
            found = over_budget(program, self.limits, chosen.tree.name_span)
            program = None if found else program
        return (None if problems else program), [*problems, *found]

    @property
    def models(self) -> list[str]:
        """The names of the text's models."""
        root = self._loaded.root
        found = {} if root is None else root.definitions
        return [name for name, block in found.items() if not isinstance(block.tree, t.Block)]

    @property
    def each(self) -> list[Spec]:
        """A spec for each of the text's models, where nobody chose one."""
        if self.model is not None or len(self.models) < 2:
            return [self]
        return [replace(self, model=name) for name in self.models]

    @property
    def lineage(self) -> list[Block]:
        """The model's definition, and those of the models that it is an alias of."""
        root, found = self._loaded.root, list[Block]()
        model = None if root is None else _choose(root, self.model, self.folder_name)
        while isinstance(model, Block) and model not in found:
            found.append(model)
            model = model.unit.find(model.tree.base) if isinstance(model.tree, t.Alias) else None
        return found

    @property
    def folder_name(self) -> str:
        return Path(self.source.name).stem

    @cached_property
    def diagnostics(self) -> list[Diagnostic]:
        """Everything found, in the order of the text."""
        program, problems = self._elaborated
        if program is not None and self._loaded.root is not None:
            problems = [*problems, *lint(self._loaded.root, program)]
        order = {id(u.source): i for i, u in enumerate(reversed(self._loaded.units))}
        once = {(p.code, p.span): p for p in reversed(problems)}.values()  # the first of each
        found = sorted(once, key=lambda p: (order.get(id(p.span.source), -1), p.span.start))
        if len(found) > MAX_FOUND:
            found[MAX_FOUND:] = [TooMany(found[MAX_FOUND].span, MAX_FOUND)]
        return found

    @property
    def program(self) -> Program | None:
        """The checked model, or None where there are errors."""
        return self._elaborated[0]

    def checked(self) -> Program:
        """The program; raises SpecError where there are errors. Equal specs share it, as long as
        the files that they use stay as they are."""
        key = (self.source.text, self.folder, self.model, self._values(), self.input, self.limits)
        if (known := _checked.get(key)) and all(_text(path) == text for path, text in known[1]):
            return known[0]
        if self.program is None:
            raise SpecError(self.diagnostics)
        while len(_checked) >= 32:
            del _checked[next(iter(_checked))]
        used = tuple((path, unit.source.text) for path, unit in self._loaded.by_path.items())
        _checked[key] = self.program, used
        return self.program

    def _values(self) -> tuple[tuple[str, str], ...]:
        return tuple(sorted((n, f"{type(v).__name__} {v!r}") for n, v in self.params.items()))


#: checked programs with the texts of the files that they used
_checked: dict[Any, tuple[Program, tuple[tuple[Path, str], ...]]] = {}


def _text(path: Path) -> str | None:
    source, problems = read(path)
    return None if problems else source.text


def open_spec(
    spec: str | Path,
    *,
    params: Mapping[str, Any] | None = None,
    input: Shape | None = None,
    limits: Limits | None = None,
) -> Spec:
    """A spec from a path, `path:model`, a shipped name, `-` for standard input, or its text itself
    (a string with a line break or a brace). Never raises: what cannot be read becomes a diagnostic.
    """
    given: dict[str, Any] = {"params": dict(params or {}), "input": input}
    if limits is not None:
        given["limits"] = limits
    if isinstance(spec, str) and _is_text(spec):
        return Spec(Source("<text>", spec), Path.cwd(), **given)
    if str(spec) == "-":
        source, problem = _decode(sys.stdin.buffer.read(MAX_BYTES), "<stdin>")
        return Spec(source, Path.cwd(), found=problem, **given)
    path, model = _locate(str(spec))
    source, problem = read(path)
    return Spec(source, path.parent, model, found=problem, **given)


def _is_text(spec: str) -> bool:
    """A spec's own text has a line break or a brace; so may a path, which ends in .arch."""
    return ("\n" in spec or "{" in spec) and not (
        spec.endswith(".arch") and ("\n" not in spec or _exists(Path(spec)))
    )


def _locate(text: str) -> tuple[Path, str | None]:
    path, model = Path(text), None
    if not _exists(path) and ":" in text:
        before, _, after = text.rpartition(":")
        if after.isidentifier():
            path, model = Path(before), after
    if not _exists(path) and path.name == str(path):
        inside = specs_folder() / (path.name if path.suffix == ".arch" else path.name + ".arch")
        if _exists(inside):
            return inside, model
    return path, model


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # too long, a NUL byte: reading it will say so
        return False


def read(path: Path) -> tuple[Source, list[Diagnostic]]:
    """A file's text, or what is wrong with it."""
    name = str(path)
    nothing = Source(name, "")
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            what = "it is a folder" if path.is_dir() else "it is no regular file"
            return nothing, [CannotRead(Span(nothing, 0, 0), name, what)]
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror
        hint = ""
        if isinstance(error, FileNotFoundError):
            near = " or ".join(f"`{name}`" for name in similar(path.stem, shipped()))
            near = f"the shipped spec {near}" if near else ""
            hint = did_you_mean([near] if near else [], "`archdsl specs` lists the shipped specs")
        return nothing, [CannotRead(Span(nothing, 0, 0), name, str(reason or error), hint)]
    except ValueError:  # a NUL byte, or half a character
        return nothing, [CannotRead(Span(nothing, 0, 0), name, "that is not a path")]
    if len(data) > MAX_BYTES:
        return nothing, [CannotRead(Span(nothing, 0, 0), name, "it is no spec, it is far too long")]
    return _decode(data, name)


def _decode(data: bytes, name: str) -> tuple[Source, list[Diagnostic]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        source = Source(name, "")
        return source, [NotText(Span(source, 0, 0), name, error.start)]
    if "\0" in text:
        source = Source(name, "")
        return source, [NotText(Span(source, 0, 0), name, data.index(0))]
    return Source(name, text.replace("\r\n", "\n")), []


def _wrong_names(root: Unit, problems: list[Diagnostic]) -> list[Diagnostic]:
    """What else is wrong in a text with syntax errors, as far as these cannot be the cause: neither
    on their lines, nor about a word of them."""
    source, text = root.source, re.sub("#.*", "", root.source.text)
    syntax = all(isinstance(p, SyntaxProblem) and p.span.source is source for p in problems)
    if not syntax or text.count("{") != text.count("}"):
        return []
    lines = {source.position(p.span.start)[0] for p in problems}
    words = {word for line in lines for word in re.findall(r"\w+", source.line(line))}
    return [
        found
        for found in resolve(root)
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
        hint = "begin one with `model name { input 3x224x224 ... }`"
        return NoModel(start, f"`{unit.source.name}` has no model", hint)
    names = ", ".join(f"`{n}`" for n in models)
    hint = f"choose one of {names}: `{unit.source.name}:{next(iter(models))}`"
    return NoModel(start, "there are several models here", hint)


def _param_values(
    unit: Unit, params: Mapping[str, Any], base: list[Block]
) -> tuple[dict[str, Any], list[Diagnostic]]:
    """Parameters from outside. A text is an expression of the language, whose names are the file's:
    `[2, 2]`, `basic`; but where the parameter's default is a string, it is that string."""
    values: dict[str, Any] = {}
    wrong: list[Diagnostic] = []
    defaults = {p.name: p.default for block in base for p in block.params}
    for name, given in params.items():
        values[name] = given
        if not isinstance(given, str):
            continue
        default = defaults.get(name)
        quoted = given[:1] == given[-1:] == '"' and len(given) > 1
        if isinstance(default, t.Literal) and isinstance(default.value, str):
            values[name] = given[1:-1] if quoted else str(given)
            continue
        source = Source(f"-p {name}", str(given))
        expr, problems = parse_expression(source, 0, len(given))
        wrong.extend(problems)
        if expr is None:
            continue
        try:
            values[name] = Evaluator({}, None, unit.target)(expr)
        except Problem as problem:
            near = similar(str(given), unit.names())
            unknown = UnknownName(Span(source, 0, len(given)), str(given), near)
            wrong.append(problem.diagnostic or unknown)
    return values, wrong


class _Loader:
    """Reads a spec's file and those that it uses, each once."""

    def __init__(self, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self.found: list[Diagnostic] = []
        self.units: list[Unit] = []  # used files first
        self.by_path: dict[Path, Unit] = {}
        self.root: Unit | None = None
        self.words = 0

    def load(self, source: Source, folder: Path, above: tuple[Path, ...]) -> Unit | None:
        tree, problems = parse(source, max_tokens=self.max_tokens)
        self.found.extend(problems)
        if tree is None:
            return None
        paths = {use.path: use for use in reversed(tree.uses)}
        uses = [unit for use in paths.values() if (unit := self._use(use, folder, above))]
        unit = Unit(source, tree, tuple(reversed(uses)), prelude)
        self.units.append(unit)
        return unit

    def _use(self, use: t.UseFile, folder: Path, above: tuple[Path, ...]) -> Unit | None:
        if len(self.found) > MAX_FOUND:
            return None
        if not use.path.endswith(".arch"):
            hint = "`use` reads .arch files only"
            self.found.append(CannotRead(use.path_span, use.path, "it is no .arch file", hint))
            return None
        try:
            path = (folder / use.path).resolve()
            if not path.exists() and (specs_folder() / use.path).is_file():
                path = (specs_folder() / use.path).resolve()
        except (OSError, ValueError, RuntimeError):  # too long, a NUL byte, links in a circle
            self.found.append(CannotRead(use.path_span, use.path, "that is not a path"))
            return None
        if len(above) > MAX_CHAIN:
            reason = f"files use one another more than {MAX_CHAIN} deep"
            self.found.append(CannotRead(use.path_span, use.path, reason))
            return None
        if path not in self.by_path and len(self.by_path) + len(above) >= MAX_FILES:
            reason = f"a spec may use at most {MAX_FILES} files"
            self.found.append(CannotRead(use.path_span, use.path, reason))
            return None
        if path in above:
            trail = " -> ".join(p.name for p in (*above, path))
            hint = "put what both need into a third file"
            self.found.append(Recursion(use.path_span, "the file", use.path, trail, hint))
            return None
        if path not in self.by_path:
            source, problems = read(path)
            for problem in problems:
                reason = getattr(problem, "reason", "it is not text")
                self.found.append(CannotRead(use.path_span, use.path, reason))
            self.words += len(_WORDS.findall(source.text))
            if self.words > MAX_WORDS * self.max_tokens:
                reason = f"the files used have over {MAX_WORDS * self.max_tokens:,} words together"
                self.found.append(CannotRead(use.path_span, use.path, reason))
                return None
            unit = None if problems else self.load(source, path.parent, (*above, path))
            if unit is None:
                return None
            self.by_path[path] = unit
        return self.by_path[path]


@cache
def prelude() -> Unit | None:
    """The blocks that every spec may use, written in the language itself."""
    source, problems = read(PACKAGE / "prelude" / "prelude.arch")
    tree, errors = parse(source)
    if tree is None or problems or errors:
        raise SpecError([*problems, *errors])
    unit = Unit(source, tree)
    if errors := resolve(unit):
        raise SpecError(errors)
    return unit
