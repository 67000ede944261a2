"""What machines read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archdsl.diagnostics.formats import FORMATS, concise, summary, to_github, to_json, to_sarif
from archdsl.diagnostics.source import Source, Span

from .examples import Odd, Wrong, at, fix, label

SOURCE = Source("nets/a.arch", "model {\n  covn 64 # 中\n}\n")
BOTH = [
    Wrong(
        at(SOURCE, "covn"),
        says="unknown operation `covn`",
        here="no such name",
        fact="names are `archdsl ops`",
        advice="look there",
        related=(label(SOURCE, "model", "in this model"),),
        fixes=(fix("use `conv`", (at(SOURCE, "covn"), "conv")),),
    ),
    Odd(at(SOURCE, SOURCE.text[6:-1]), says="odd"),
]


def test_concise() -> None:
    assert concise(BOTH) == (
        "nets/a.arch:2:3: T0001 [*] unknown operation `covn`\nnets/a.arch:1:7: T1001 odd\n"
    )
    assert concise(BOTH[1:], color=True) == (
        "\x1b[1mnets/a.arch\x1b[0m:1:7: \x1b[1;93mT1001\x1b[0m odd\n"
    )
    evil = Wrong(Span(Source("a\n\x1b.arch", ""), 0, 0), says="x\ny\x07")
    assert concise([evil]) == "a\\n\\x1b.arch:1:1: T0001 x\\ny\\x07\n"


@pytest.mark.parametrize(
    ("errors", "warnings", "fixed", "fixable", "expected"),
    [
        (0, 0, 0, 0, "All checks passed."),
        (1, 0, 0, 0, "Found 1 error."),
        (3, 1, 0, 0, "Found 3 errors, 1 warning."),
        (0, 2, 0, 0, "Found 2 warnings."),
        (3, 1, 0, 2, "Found 3 errors, 1 warning.\n[*] 2 fixable with --fix."),
        (0, 0, 2, 0, "Fixed 2 problems. All checks passed."),
        (1, 0, 1, 0, "Fixed 1 problem. Found 1 error."),
    ],
)
def test_summary(errors: int, warnings: int, fixed: int, fixable: int, expected: str) -> None:
    here = at(SOURCE, "covn")
    mend, ask = fix("m", (here, "conv")), fix("m", (here, "conv"), safe=False)
    found = [Wrong(here, fixes=(mend if i < fixable else ask,)) for i in range(errors)]
    found += [Odd(here)] * warnings
    assert summary(found, fixed) == expected


def test_json() -> None:
    document = json.loads(to_json(BOTH))
    place = {"file": "nets/a.arch", "line": 2, "column": 3, "end_line": 2, "end_column": 7}
    assert document["version"] == 1
    assert (document["errors"], document["warnings"]) == (1, 1)
    assert document["diagnostics"][0] == {
        "code": "T0001",
        "slug": "some-thing-wrong",
        "severity": "error",
        "message": "unknown operation `covn`",
        **place,
        "label": "no such name",
        "related": [
            {
                "file": "nets/a.arch",
                "line": 1,
                "column": 1,
                "end_line": 1,
                "end_column": 6,
                "label": "in this model",
            }
        ],
        "notes": ["names are `archdsl ops`"],
        "helps": ["look there"],
        "fixes": [
            {
                "title": "use `conv`",
                "safe": True,
                "edits": [
                    {
                        "file": "nets/a.arch",
                        "start": {"line": 2, "column": 3},
                        "end": {"line": 2, "column": 7},
                        "text": "conv",
                    }
                ],
            }
        ],
    }
    assert document["diagnostics"][1]["end_line"] == 3
    assert json.loads(to_json([])) == {"version": 1, "diagnostics": [], "errors": 0, "warnings": 0}


def test_github() -> None:
    error, warning = to_github(BOTH).splitlines()
    assert error == (
        "::error title=archdsl (T0001),file=nets/a.arch,line=2,col=3,endLine=2,endColumn=7"
        "::unknown operation `covn`%0Ano such name%0Anote: names are `archdsl ops`"
        "%0Ahelp: look there%0Ahelp: use `conv`"
    )
    assert warning == "::warning title=archdsl (T1001),file=nets/a.arch,line=1,endLine=3::odd"


def test_github_escapes() -> None:
    source = Source("C:\\a,b%.arch", "x")
    (command,) = to_github([Wrong(at(source, "x"), says="50%: a,b\n::error::\r\x1b")]).splitlines()
    assert command == (
        "::error title=archdsl (T0001),file=C%3A\\a%2Cb%25.arch,line=1,col=1,endLine=1,endColumn=2"
        "::50%25: a,b%0A::error::\\r\\x1b"
    )


def sarif_run(*found: Wrong) -> dict[str, Any]:
    document = json.loads(to_sarif(found))
    assert document["version"] == "2.1.0"
    assert "sarif-2.1.0" in document["$schema"]
    (run,) = document["runs"]
    assert run["columnKind"] == "unicodeCodePoints"
    return dict(run)


def test_sarif_results() -> None:
    first, second = sarif_run(*BOTH)["results"]
    region = {"startLine": 2, "startColumn": 3, "endLine": 2, "endColumn": 7}
    location = {"artifactLocation": {"uri": "nets/a.arch"}, "region": region}
    assert (first["ruleId"], first["level"]) == ("T0001", "error")
    assert first["message"]["text"].startswith("unknown operation `covn`\nno such name\n")
    assert first["locations"] == [{"physicalLocation": location}]
    (related,) = first["relatedLocations"]
    assert related["message"] == {"text": "in this model"}
    (mend,) = first["fixes"]
    assert mend == {
        "description": {"text": "use `conv`"},
        "artifactChanges": [
            {
                "artifactLocation": {"uri": "nets/a.arch"},
                "replacements": [{"deletedRegion": region, "insertedContent": {"text": "conv"}}],
            }
        ],
    }
    assert (second["ruleId"], second["level"]) == ("T1001", "warning")
    assert "fixes" not in second and "relatedLocations" not in second


def test_sarif_rules_are_the_catalogue() -> None:
    run = sarif_run(*BOTH)
    rules = run["tool"]["driver"]["rules"]
    codes = [rule["id"] for rule in rules]
    assert codes == sorted(set(codes))
    assert [rules[result["ruleIndex"]]["id"] for result in run["results"]] == ["T0001", "T1001"]
    wrong, odd = (rules[codes.index(code)] for code in ("T0001", "T1001"))
    assert wrong["name"] == "some-thing-wrong"
    assert wrong["shortDescription"] == {"text": "Something is wrong."}
    assert wrong["help"]["markdown"].endswith("\n\nA longer explanation, for `archdsl explain`.")
    assert odd["defaultConfiguration"] == {"level": "warning"}
    assert odd["help"]["text"] == "Odd"  # no docstring of its own


def test_sarif_uris(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    names = {
        str(here / "sub" / "a b.arch"): "sub/a%20b.arch",
        "./x/../é.arch": "%C3%A9.arch",
        str(tmp_path / "out.arch"): f"file://{tmp_path.as_posix()}/out.arch",
        "../out.arch": f"file://{tmp_path.as_posix()}/out.arch",
        "<stdin>": "%3Cstdin%3E",
        "\udcff.arch": "%FF.arch",
    }
    found = [Wrong(Span(Source(name, ""), 0, 0)) for name in names]
    results = sarif_run(*found)["results"]
    places = [result["locations"][0]["physicalLocation"] for result in results]
    assert [place["artifactLocation"]["uri"] for place in places] == list(names.values())


def test_every_format_takes_the_same_look() -> None:
    assert list(FORMATS) == ["full", "concise", "json", "github", "sarif"]
    for write in FORMATS.values():
        assert write(BOTH, color=False, unicode=False, width=60).isascii()
        assert write(BOTH, color=False, unicode=True, width=None).endswith("\n")
