"""Diagnostics for machines and for one-line readers, and the table of all output formats.

In: diagnostics. Out: text that ends in a newline, or nothing at all. Lines and columns count from
1, columns in code points; an end is the first position that is not meant any more.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from archdsl._version import __version__
from archdsl.diagnostics import terminal
from archdsl.diagnostics.model import Diagnostic, Fix, subclasses
from archdsl.diagnostics.render import extent, render
from archdsl.diagnostics.source import Span

JSON_VERSION = 1
_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"

Json = dict[str, Any]


def concise(
    diagnostics: Sequence[Diagnostic],
    *,
    color: bool = False,
    unicode: bool = True,
    width: int | None = None,  # a line stays one line
) -> str:
    """`path:line:col: E0203 message`, a line each; `[*]` marks what `--fix` mends."""
    lines = []
    for diagnostic in diagnostics:
        (line, column), _ = extent(diagnostic.span)
        path = terminal.escaped(diagnostic.span.source.name, unicode=unicode)
        code = terminal.paint(diagnostic.severity, diagnostic.code, color)
        mark = " [*]" if is_fixable(diagnostic) else ""
        text = terminal.message(diagnostic.message, unicode=unicode)
        lines.append(
            f"{terminal.paint('title', path, color)}:{line}:{column}: {code}{mark} {text}\n"
        )
    return "".join(lines)


def summary(diagnostics: Sequence[Diagnostic], fixed: int = 0, hidden: int = 0) -> str:
    """What is left after a check, in a sentence or two, with no newline at the end. `hidden`: the
    errors that `--select` or `--ignore` keeps from being shown."""
    errors, warnings = _counts(diagnostics)
    counts = [(errors, "error"), (warnings, "warning")]
    found = ", ".join(_plural(n, noun) for n, noun in counts if n)
    text = f"Fixed {_plural(fixed, 'problem')}. " if fixed else ""
    if hidden:
        found = (
            f"{found or 'nothing'}, and {_plural(hidden, 'error')} that --select or --ignore hides"
        )
    text += f"Found {found}." if found else "All checks passed."
    fixable = sum(map(is_fixable, diagnostics))
    return text + (f"\n[*] {fixable} fixable with --fix." if fixable else "")


def is_fixable(diagnostic: Diagnostic) -> bool:
    return any(fix.safe for fix in diagnostic.fixes)


def to_json(diagnostics: Sequence[Diagnostic], **_look: object) -> str:
    """One document, `version` 1: members may be added to it, but none changed or removed."""
    errors, warnings = _counts(diagnostics)
    found = [_json_of(diagnostic) for diagnostic in diagnostics]
    return _dump(
        {"version": JSON_VERSION, "diagnostics": found, "errors": errors, "warnings": warnings}
    )


def _json_of(diagnostic: Diagnostic) -> Json:
    return {
        "code": diagnostic.code,
        "slug": diagnostic.slug,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        **_json_place(diagnostic.span),
        "label": diagnostic.primary.text,
        "related": [
            {**_json_place(label.span), "label": label.text} for label in diagnostic.related
        ],
        "notes": list(diagnostic.notes),
        "helps": list(diagnostic.helps),
        "fixes": [
            {
                "title": fix.title,
                "safe": fix.safe,
                "edits": [_json_edit(span, text) for span, text in fix.edits],
            }
            for fix in diagnostic.fixes
        ],
    }


def _json_place(span: Span) -> Json:
    (line, column), (end_line, end_column) = extent(span)
    return {
        "file": span.source.name,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    }


def _json_edit(span: Span, text: str) -> Json:
    start, end = ({"line": line, "column": column} for line, column in extent(span))
    return {"file": span.source.name, "start": start, "end": end, "text": text}


def to_github(diagnostics: Sequence[Diagnostic], **_look: object) -> str:
    """Workflow commands: GitHub Actions shows them beside the lines of a pull request."""
    lines = []
    for diagnostic in diagnostics:
        (line, column), (end_line, end_column) = extent(diagnostic.span)
        properties: dict[str, object] = {
            "title": f"archdsl ({diagnostic.code})",
            "file": diagnostic.span.source.name,
            "line": line,
            "col": column,
            "endLine": end_line,
            "endColumn": end_column,
        }
        if line != end_line:  # GitHub refuses columns of a range of lines
            del properties["col"], properties["endColumn"]
        said = ",".join(f"{name}={_github(str(v), ':,')}" for name, v in properties.items())
        lines.append(f"::{diagnostic.severity} {said}::{_github(_in_full(diagnostic))}\n")
    return "".join(lines)


def _github(text: str, also: str = "") -> str:
    """Percent-encoding of what would end a command, or in a property (`also`) a value."""
    shown = "\n".join(map(terminal.escaped, text.split("\n")))
    for char in "%\r\n" + also:  # the per cent sign first
        shown = shown.replace(char, f"%{ord(char):02X}")
    return shown


def to_sarif(diagnostics: Sequence[Diagnostic], **_look: object) -> str:
    """SARIF 2.1.0, for code scanning. Its rules are all entries of the catalogue loaded."""
    known = {cls.code: cls for cls in subclasses(Diagnostic)} | {
        d.code: type(d) for d in diagnostics
    }
    codes = sorted(known)
    index = {code: i for i, code in enumerate(codes)}
    driver = {
        "name": "archdsl",
        "version": __version__,
        "rules": [_sarif_rule(known[code]) for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [{"ruleIndex": index[d.code], **_sarif_result(d)} for d in diagnostics],
    }
    return _dump({"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]})


def _sarif_rule(cls: type[Diagnostic]) -> Json:
    words = cls.slug.replace("-", " ").capitalize() or cls.code
    manual = _manual(cls) or words
    short = manual.split("\n\n")[0].replace("\n", " ")
    return {
        "id": cls.code,
        "name": cls.slug or cls.code,
        "shortDescription": {"text": short},
        "fullDescription": {"text": manual},
        "help": {"text": manual, "markdown": manual},
        "defaultConfiguration": {"level": cls.severity},
    }


def _manual(cls: type[Diagnostic]) -> str:
    text = cls.__doc__ or ""
    if text.startswith(f"{cls.__name__}("):  # what `dataclass` writes where there is none
        return ""
    from inspect import cleandoc

    return cleandoc(text)


def _sarif_result(diagnostic: Diagnostic) -> Json:
    related = [
        {"id": i, **_sarif_location(label.span), "message": {"text": label.text}}
        for i, label in enumerate(diagnostic.related)
    ]
    fixes = [_sarif_fix(fix) for fix in diagnostic.fixes if fix.edits]
    return {
        "ruleId": diagnostic.code,
        "level": diagnostic.severity,
        "message": {"text": _in_full(diagnostic)},
        "locations": [_sarif_location(diagnostic.span)],
        **({"relatedLocations": related} if related else {}),
        **({"fixes": fixes} if fixes else {}),
    }


def _sarif_fix(fix: Fix) -> Json:
    replacements: dict[str, list[Json]] = {}
    for span, text in fix.edits:
        edit = {"deletedRegion": _sarif_region(span), "insertedContent": {"text": text}}
        replacements.setdefault(_uri(span.source.name), []).append(edit)
    changes = [
        {"artifactLocation": {"uri": uri}, "replacements": edits}
        for uri, edits in replacements.items()
    ]
    return {"description": {"text": fix.title}, "artifactChanges": changes}


def _sarif_location(span: Span) -> Json:
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": _uri(span.source.name)},
            "region": _sarif_region(span),
        }
    }


def _sarif_region(span: Span) -> Json:
    (line, column), (end_line, end_column) = extent(span)
    return {
        "startLine": line,
        "startColumn": column,
        "endLine": end_line,
        "endColumn": end_column,
    }


def _uri(path: str) -> str:
    """Relative to the working directory, which in CI is the root of the repository."""
    from urllib.parse import quote  # 10 ms that only this format needs

    here, there = os.getcwd(), os.path.abspath(path)
    inside = there.startswith(os.path.join(here, ""))
    shown = os.path.relpath(there, here) if inside else there
    uri = quote(shown.replace(os.sep, "/"), errors="surrogateescape")
    return uri if inside else f"file://{'' if uri.startswith('/') else '/'}{uri}"


def _in_full(diagnostic: Diagnostic) -> str:
    """All that a diagnostic says, where only one text can be shown."""
    said = [diagnostic.message, diagnostic.primary.text]
    said += [f"note: {note}" for note in diagnostic.notes]
    advice = [*diagnostic.helps, *(fix.title for fix in diagnostic.fixes)]
    said += [f"help: {text}" for text in dict.fromkeys(advice)]
    return "\n".join(filter(None, said))


def _counts(diagnostics: Sequence[Diagnostic]) -> tuple[int, int]:
    errors = sum(diagnostic.severity == "error" for diagnostic in diagnostics)
    return errors, len(diagnostics) - errors


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count != 1 else ''}"


def _dump(document: Json) -> str:
    import json

    return json.dumps(document, indent=2) + "\n"


FORMATS: dict[str, Callable[..., str]] = {
    "full": render,
    "concise": concise,
    "json": to_json,
    "github": to_github,
    "sarif": to_sarif,
}
"""What `--output-format` may be. Each is called with `color`, `unicode` and `width`."""
