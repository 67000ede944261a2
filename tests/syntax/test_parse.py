"""Trees from texts; precedence; recovery from errors."""

from __future__ import annotations

import json

import pytest
from lark import Lark
from lark.exceptions import GrammarError

from archdsl.diagnostics.model import Diagnostic
from archdsl.diagnostics.source import Source, Span
from archdsl.pipeline import specs_folder
from archdsl.syntax import tree as t
from archdsl.syntax.grammar import FOLDER, _build, _made_of
from archdsl.syntax.lexer import Refine
from archdsl.syntax.parse import MAX_ERRORS, parse, parse_expression


def body(text: str) -> tuple[t.Statement, ...]:
    tree, errors = parse(Source("x", f"model m {{ {text} }}"))
    assert tree is not None and not errors, errors
    model = tree.definitions[0]
    assert isinstance(model, t.Model)
    return model.body.statements


def step(text: str) -> t.Step:
    statement = body(text)[0]
    assert isinstance(statement, t.Chain)
    return statement.flows[0].step


def expression(text: str) -> t.Expr:
    source = Source("x", f"   {text} ")
    found, errors = parse_expression(source, 3, 3 + len(text))
    assert found is not None and not errors
    return found


def shown(expr: t.Expr | None) -> str:
    """With all parentheses."""
    match expr:
        case t.Binary():
            return f"({shown(expr.left)}{expr.op}{shown(expr.right)})"
        case t.Unary():
            return f"({expr.op} {shown(expr.operand)})"
        case t.Ternary():
            return f"({shown(expr.then)}?{shown(expr.condition)}:{shown(expr.otherwise)})"
        case t.Index():
            return f"{shown(expr.base)}[{shown(expr.index)}]"
        case t.Slice():
            return f"{shown(expr.base)}[{shown(expr.start)}:{shown(expr.end)}]"
        case t.Name():
            return expr.name
        case t.Literal():
            return repr(expr.value)
        case None:
            return ""
    raise TypeError(expr)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3", "(1+(2*3))"),
        ("1 - 2 - 3", "((1-2)-3)"),
        ("(1 + 2) * 3", "((1+2)*3)"),
        ("2 ** 3 ** 4", "(2**(3**4))"),
        ("-2 ** 2", "(- (2**2))"),
        ("2 ** -1", "(2**(- 1))"),
        ("a // b % c / d", "(((a//b)%c)/d)"),
        ("not a == b and c or d", "(((not (a==b))andc)ord)"),
        ("a or b and c", "(aor(bandc))"),
        ("1 if a else 2 if b else 3", "(1?a:(2?b:3))"),
        ("a[0][1:][:2][-1]", "a[0][1:][:2][(- 1)]"),
        ("a + 1 < b * 2", "((a+1)<(b*2))"),
        ('"a"', "'a'"),
        ("3x4", "(3, 4)"),
        ("true", "True"),
        ("none", "None"),
    ],
)
def test_precedence(text: str, expected: str) -> None:
    assert shown(expression(text)) == expected


def test_places_of_an_expression_are_of_the_whole_text() -> None:
    found = expression("a + bc")
    assert isinstance(found, t.Binary)
    assert (found.span.start, found.span.end) == (3, 9)
    assert found.right.span.text == "bc"


@pytest.mark.parametrize("text", ["", "1 +", "a b", "(1", "1)", "a = 1", "$", "(" * 99, "-" * 99])
def test_what_is_no_expression(text: str) -> None:
    found, errors = parse_expression(Source("x", f"  {text}  "), 2, 2 + len(text))
    assert found is None and errors
    assert all(0 <= e.span.start <= e.span.end <= len(text) + 4 for e in errors)


def test_call() -> None:
    call = step("conv (2*w) 3x3 /2 pad=-1 f(a, b=1) x3")
    assert isinstance(call, t.Call)
    assert [a.name for a in call.args] == [None, None, "stride", "pad", None]
    assert isinstance(call.times, t.Literal) and call.times.value == 3
    assert call.args[2].name_span is None and call.args[2].span.text == "/2"
    assert call.name_span.text == "conv"


def test_repeat_counts() -> None:
    call = step("relu x(n-1)")
    assert isinstance(call, t.Call) and shown(call.times) == "(n-1)"
    assert isinstance(step("relu x 3"), t.Call)  # here x is an argument


def test_labels() -> None:
    chain = body('a: relu -> "b-{i}c": relu -> d{1}{j}: relu')[0]
    assert isinstance(chain, t.Chain)
    parts = [
        [p if isinstance(p, str) else shown(p) for p in f.label.parts]
        for f in chain.flows
        if f.label
    ]
    assert parts == [["a"], ["b-", "i", "c"], ["d", "1", "j"]]
    label = chain.flows[1].label
    assert label is not None and isinstance(label.parts[1], t.Name)
    assert label.parts[1].span.text == "i"


def test_residual() -> None:
    found = step("residual if a { relu } shortcut b if c { bn }")
    assert isinstance(found, t.Residual) and found.shortcut is not None
    assert shown(found.condition) == "a" and shown(found.shortcut.condition) == "c"
    assert found.shortcut.label is not None and found.shortcut.label.parts == ("b",)


def test_control() -> None:
    found = step("if a { relu } else if b { bn } else { gap }")
    assert isinstance(found, t.If) and isinstance(found.otherwise, t.If)
    assert isinstance(found.otherwise.otherwise, t.Body)
    loop = step("for a, b in c as i { relu }")
    assert isinstance(loop, t.For) and (loop.variables, loop.index) == (("a", "b"), "i")
    again = step("repeat n as i { relu }")
    assert isinstance(again, t.Repeat) and again.variable == "i"


def test_taps_and_aux() -> None:
    chain = body("relu -> tap a -> @a -> concat @a @b")[0]
    assert isinstance(chain, t.Chain)
    assert [type(f.step) for f in chain.flows] == [t.Call, t.Tap, t.Use, t.Call]
    aux = body("h: aux @a head 3")[0]
    assert isinstance(aux, t.Chain) and isinstance(aux.flows[0].step, t.Aux)
    assert aux.flows[0].step.source is not None


def test_statements() -> None:
    found = body(
        'input 3x4; let a = 1; init "a.b".weight normal std=1; init conv.bias zeros; '
        "param p 3 zeros; buffer q [1, 2] ones; declare a b; output @a @b; assert 3"
    )
    assert [type(s) for s in found] == [
        t.Input, t.Let, t.InitRule, t.InitRule, t.ParamDecl, t.ParamDecl, t.Declare, t.Output,
        t.Assert,
    ]  # fmt: skip
    first, second = found[2], found[3]
    assert isinstance(first, t.InitRule) and isinstance(second, t.InitRule)
    assert (first.target, first.quoted) == (("a", "b", "weight"), True)
    assert (second.target, second.quoted) == (("conv", "bias"), False)


def test_spans_lie_in_each_other() -> None:
    text = (FOLDER.parent.parent / "specs" / "resnet50.arch").read_text(encoding="utf-8")
    tree, errors = parse(Source("x", text))
    assert tree is not None and not errors

    def walk(part: t.Tree) -> None:
        for field in part.fields:
            value = getattr(part, field)
            for child in value if isinstance(value, tuple) else (value,):
                if isinstance(child, t.Tree):
                    assert part.span.start <= child.span.start <= child.span.end <= part.span.end
                    walk(child)
                elif isinstance(child, Span):
                    assert part.span.start <= child.start < child.end <= part.span.end

    walk(tree)


def test_no_operator_is_in_the_grammar_and_it_has_no_conflicts() -> None:
    """Lark itself refuses conflicts between rules."""
    text = (FOLDER / "grammar.lark").read_text(encoding="utf-8")
    Lark(text, parser="lalr", lexer="basic", start=["file", "expr"], postlex=Refine())
    with pytest.raises(GrammarError):
        Lark(text + '\nNAME: "again"', parser="lalr", start=["file"], postlex=Refine())


def test_saved_tables_are_of_this_grammar(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are used, and give the trees that Lark's own give."""
    text = (FOLDER / "grammar.lark").read_text(encoding="utf-8")
    saved = json.loads((FOLDER / "grammar.json").read_text(encoding="utf-8"))
    assert saved["made_of"] == _made_of(text), "run: python -m archdsl.syntax.grammar"
    sources = [Source("x", p.read_text(encoding="utf-8")) for p in specs_folder().glob("*.arch")]
    trees = [parse(source)[0] for source in sources[:12]]
    fresh = _build(text)
    monkeypatch.setattr("archdsl.syntax.parse.grammar", lambda: fresh)
    assert all(t.same(tree, parse(s)[0]) for s, tree in zip(sources, trees, strict=False))


# ---- recovery --------------------------------------------------------------------------------


def errors_of(text: str) -> list[tuple[int, str]]:
    """(line, title) of each."""
    source = Source("x", text)
    return [(source.position(e.span.start)[0], e.message) for e in parse(source)[1]]


def lines_of(text: str) -> list[int]:
    return [line for line, _ in errors_of(text)]


def test_several_errors_in_one_run() -> None:
    text = "model m {\n conv 3, 3\n relu\n conv = 2\n g: { bn -> -> bn\n relu }\n}\nblock b { }\n"
    assert lines_of(text) == [2, 4, 5, 8]


def test_what_is_left_is_a_tree() -> None:
    tree, errors = parse(Source("x", "model m {\n input 3\n conv 3, 3\n relu\n}\nblock b { }\n"))
    assert len(errors) == 2 and tree is not None
    [model] = tree.definitions
    assert isinstance(model, t.Model)
    assert [type(s) for s in model.body.statements] == [t.Input, t.Hole, t.Chain]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("model m {\n relu\n conv =\n}", [3]),  # the last statement
        ("model m {\n conv =\n}", [2]),  # the only one
        ("model m { relu\n", [1]),  # the end is missing
        ("model m { g: {\n relu\n}\n", [3]),
        ("model m { relu } }", [1]),
        ("}\nmodel m { relu }", [1]),
        ("model m { conv (3\n relu\n}\nblock b { }", [1, 4]),
        ("model m { conv [3\n relu }\nblock b() { relu }\nblock c { }", [1, 4]),
        ("model m { conv 3]\n relu )\n}", [1, 2]),
        ("block b(x { relu }\nblock c(y) { relu }\nblock d { }", [1, 3]),
        ("relu\nbn\nmodel m { relu }\nconv 3", [1, 4]),
        ("import torch\nimport x\nmodel m { conv = }", [1]),
        ("model m { $ % & ; relu }\n", [1]),
        ("model m {\n 'a' }", [2]),
        ("model", [1]),
        ("use", [1]),
        ("x", [1]),
    ],
)
def test_each_cause_once(text: str, expected: list[int]) -> None:
    assert lines_of(text) == expected


def test_errors_end_at_some_number() -> None:
    assert len(parse(Source("x", "model m {\n" + " conv =\n" * 99 + "}"))[1]) == MAX_ERRORS
    assert len(parse(Source("x", "$\n" * 99))[1]) == MAX_ERRORS


def hints(text: str) -> list[Diagnostic]:
    return parse(Source("x", text))[1]


def test_the_brace_that_is_missing_is_found_by_the_layout() -> None:
    text = "model m {\n  a: {\n    b: {\n      relu\n  }\n  relu\n}\n"
    [error] = hints(text)
    assert [label.span.start for label in error.related] == [text.index("b: {") + 3]


def test_hints_know_the_word() -> None:
    assert "`conv 3 4`" in hints("model m { conv(3, 4) }")[0].helps[0]
    assert "`0.5`" in hints("model m { dropout .5 }")[0].helps[0]
    assert "`3x32`" in hints("model m { input 3X32 }")[0].helps[0]
