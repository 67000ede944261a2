"""What to write instead of a statement that the grammar has no place for.

In: the token at which the parser gave up, and those around it. Out: advice, and edits of the text
where what was meant is certain. People bring habits from Python, PyTorch, Keras and YAML; most of
these are known here by a few tokens.
"""

from __future__ import annotations

import re

from archdsl.diagnostics.source import Span
from archdsl.syntax.branches import joins, of_values
from archdsl.syntax.lexer import CLOSING, OPENING
from archdsl.syntax.place import WORDS, Edits, Place

PYTHON = frozenset(["class", "def", "import", "from", "self", "return"])
DEFINITIONS = "a file is made of `model name { ... }`, `block name(...) { ... }` and `use`"
_FRAMEWORKS = frozenset(["self", "nn", "torch", "F", "tf", "keras", "layers"])
_COMMENT = "a comment begins with `#`"
_NEXT = "`->` leads from step to step"
_ARITHMETIC = frozenset(["PLUS", "MINUS", "STAR", "SLASH", "DIVIDE", "INTDIV", "PERCENT", "POWER"])
_BODIES = {"REPEAT": "repeat 3", "FOR": "for i in [1, 2]", "IF": "if c", "ELSE": "else"}

_NAMING = frozenset(["LET", "FOR", "AS", "BLOCK", "MODEL", "LPAR", "COMMA"])


def advice(place: Place) -> tuple[str, Edits]:
    """What to say, and the edits that do it."""
    line = [str(t.type) for t in place.tokens[place.first : place.at + 1]]
    kind, start = line[-1], place.tokens[place.first]
    if str(place.token) in PYTHON:
        return "this looks like Python; a spec is `model net() { input 3x32x32 ... }`", []
    if comment := _comment(place, kind, alone=len(line) == 1):
        return comment
    if place.is_outside() and len(line) == 1:
        return DEFINITIONS, []
    if kind in ("BY", "BY_NUMBERS"):
        return (
            "a side that is computed stands in parentheses, `(n+1)x3`; a repetition behind a blank",
            [],
        )
    if (named := _named(place, kind)) is not None:
        return named, []
    if (flow := of_values(place, kind)) is not None:
        return flow
    if kind == "TIMES" and place.kind(-1) in _NAMING:
        return (
            f"`{place.token}` repeats a step; take another name, such as `n{place.token[1:]}`",
            [],
        )
    if line[0] == "USE":
        path = place.span(place.at, place.last)
        if not re.fullmatch(r"[\w./-]+", path.text):
            return 'a file stands in quotes: `use "resnet50.arch"`', []
        file = path.text if path.text.endswith(".arch") else f"{path.text}.arch"
        return f'a file stands in quotes: `use "{file}"`', [(path, f'"{file}"')]
    if line[0] in ("MODEL", "BLOCK") and place.is_outside():
        return _header(place, line)
    if kind == "ARROW" and line[0] == "INPUT":
        return "the first step stands on a line of its own, without `->` before it", []
    if line[0] == "INPUT" or (line[0] == "LABEL" and start == "input"):
        return _input(place, line)
    if kind in ("COLON", "LABEL") and (body := _BODIES.get(line[0])):
        return f"what belongs to it stands in braces: `{body} {{ ... }}`", []
    if kind == "EQUAL" and line[0] == "FOR":
        return "`for i in [1, 2] { ... }`; `repeat 3 as i { ... }` counts from 0", []
    if kind == "EQUAL":
        return _equal(place, line)
    if line[-2:] == ["LET", "LABEL"]:
        return f"`let {place.token} = 3`: a value has no type", []
    method = kind == "DOT" and place.kind(1) == "FUNC"
    if len(line) == 2 and (method or (kind == "DOT" and str(start) in _FRAMEWORKS)):
        return "this looks like Python; a step is its name and arguments: `conv 64 3x3`", []
    return _step(place, kind, line)


def _named(place: Place, kind: str) -> str | None:
    """Names that the language has a use for, and such as it has no form for."""
    token, before = place.token, place.kind(-1)
    if kind in ("USE", "BLOCK", "MODEL") and not place.is_outside():
        return f"`{token}` stands outside of models and blocks, on the file's own level"
    names = before in ("_TAP", "PARAM", "BUFFER", "LET", "SHORTCUT", "AS")
    if names and kind not in ("NAME", *WORDS) and str(token).isidentifier() and kind != "TIMES":
        if before == "SHORTCUT" and kind == "IF":
            return None
        if before == "SHORTCUT":
            return f'`{token}` is a reserved word; as a label in quotes: `shortcut "{token}"`'
        return f"`{token}` is a reserved word; take another name, such as `{token}_`"
    if before == "RBRACE" and (kind == "COLON" or (kind == "LABEL" and place.near(-1))):
        return 'a label begins with a letter, `block{i}: ...`, or stands in quotes: `"{i}": ...`'
    return None


def _comment(place: Place, kind: str, *, alone: bool) -> tuple[str, Edits] | None:
    """Comments of other languages. That `//` may also be a division shows in the spaces."""
    if kind == "INTDIV" and alone:
        return _COMMENT, [(place.span(place.at, place.at), "#")]
    if kind == "INTDIV" and not place.near(-1) and not place.near(1):
        return f"{_COMMENT}; a division stands in parentheses: `(width // 2)`", []
    twice = kind == "MINUS" in (place.near(-1) and place.kind(-1), place.near(1) and place.kind(1))
    starred = {kind, place.kind(1)} == {"SLASH", "STAR"} and place.near(1)
    starred = starred or ({kind, place.kind(-1)} == {"SLASH", "STAR"} and place.near(-1))
    return (_COMMENT, []) if twice or starred else None


def _header(place: Place, line: list[str]) -> tuple[str, Edits]:
    first, kind = line[0], line[-1]
    word = first.lower()
    if line[1:] == ["NAME", "EQUAL", "FUNC"]:
        return _called(place)
    if first == "BLOCK" and kind == "LBRACE" and len(line) == 3:
        name = place.tokens[place.at - 1]
        end = name.end_pos or 0
        hint = f"a block's parameters come first, if only `()`: `block {name}() {{ ... }}`"
        return hint, [(Span(place.source, end, end), "()")]
    if kind == "IN":
        return "`in`, the channels that enter, is always there: leave it out", []
    if kind == "COLON" and "LPAR" in line and "RPAR" not in line:
        name = place.tokens[place.at - 1]
        return f"there are no types, and a default stands behind `=`: `{name}=1`", []
    if len(line) == 3 and kind == "NAME":
        words = ", ".join(place.tokens[place.at : place.last + 1])
        name = place.tokens[place.at - 1]
        return f"parameters stand in parentheses: `{word} {name}({words}) {{ ... }}`", []
    if len(line) > 2 and kind in ("COLON", "NAME", "FUNC", "_SEPARATOR"):
        head = place.text(place.first, place.at - 1)
        return f"what belongs to it stands in braces: `{head} {{ ... }}`", []
    if kind in ("MINUS", "NUMBER", "SIZE", "DOT", "TIMES"):
        return "a name is made of letters, digits and `_`, and begins with a letter", []
    return f"`{word} name(parameter, parameter=default) {{ ... }}`", []


def _input(place: Place, line: list[str]) -> tuple[str, Edits]:
    """Shapes as tuples, in words, behind a colon or an equals sign."""
    behind = place.tokens[place.first + 1 : place.last + 1]
    kinds = [t.type for t in behind]
    if "_WHERE" in kinds:
        return "a condition on its sides: `where h % 32 == 0 and h >= 64`", []
    if "IF" in kinds:
        word = place.span(at := place.first + 1 + kinds.index("IF"), at)
        return "which sizes may come in stands behind `where`", [(word, "where")]
    numbers = [str(t) for t in behind if t.type in ("NUMBER", "SIZE")]
    other = {"NUMBER", "SIZE", "COMMA", "LPAR", "RPAR", "LSQB", "RSQB", "EQUAL", "COLON"}
    shape = "x".join(numbers)
    if {str(t.type) for t in behind} <= other and re.fullmatch("[0-9]+(x[0-9]+)*", shape):
        span = place.span(place.first, place.last)
        hint = f"a shape is one word, channels first: `input {shape}`"
        return hint, [(span, f"input {shape}")]
    if behind and behind[0].type == "NAME" and numbers:
        shown = f"{behind[0]} {shape}"
        return f"an input has a name where there are several, and a shape: `input {shown}`", []
    return "a shape is one word, channels first: `input 3x224x224`", []


def _equal(place: Place, line: list[str]) -> tuple[str, Edits]:
    here = place.span(place.at, place.at)
    if place.kind(1) == "COMPARE" and place.near(1):
        return _NEXT, [(place.span(place.at, place.at + 1), "->")]
    if "IF" in line:
        return "`==` compares", [(here, "==")]
    name, edits = place.tokens[place.at - 1], Edits()
    if place.kind(1) == "FUNC" or place.kind(2) == "DOT":
        step = place.tokens[place.at + (1 if place.kind(1) == "FUNC" else 3)]
        return f"each step works on what the one before gives, without names for it: `{step}`", []
    hint = "`name: step` names a layer, `let name = value` a value, `name=value` an argument"
    if len(line) == 2 and name.type == "NAME":
        start, value = Span(place.source, name.start_pos or 0, name.start_pos or 0), place.kind(1)
        if value in ("NUMBER", "SIZE", "STRING", "LSQB", "LPAR"):
            edits = [(start, "let ")]
        elif value == "NAME" and place.kind(2) in ("NUMBER", "SIZE", "NAME"):
            edits = [(Span(place.source, name.end_pos or 0, here.end), ":")]
    return hint, edits


def _step(place: Place, kind: str, line: list[str]) -> tuple[str, Edits]:
    begun = _beginning(place, kind, line) or _sign(place, kind)
    if begun is not None:
        return begun
    token, previous = place.token, place.kind(-1)
    ends = kind in ("_SEPARATOR", "RBRACE")
    if (ends or kind == "ARROW") and line[0] in ("PARAM", "BUFFER") and len(line) > 2:
        head = place.text(place.first, place.at - 1) + " [1, 8]" * (len(line) == 3)
        return f"how it begins stands behind its shape: `{head} zeros`", []
    if ends and previous == "ARROW":
        start = place.tokens[place.at - 2].end_pos or 0
        gone = Span(place.source, start, place.tokens[place.at - 1].end_pos or 0)
        hint = "leave the last `->` out: a new line means the same, and may begin with one"
        return hint, [(gone, "")]
    if ends and previous in _ARITHMETIC:
        return f"a value is missing behind `{place.tokens[place.at - 1]}`", []
    if ends and previous == "COLON":
        return "a step follows its label on the same line; `label: { ... }` names several", []
    if kind == "ARROW":
        return "a step is missing before `->`", []
    if kind in ("LABEL", "COLON"):
        return "a label stands at the beginning of a step: `label: conv 64 3x3`", []
    if token == "elif":
        return "write `else if c { ... }`", [(place.span(place.at, place.at), "else if")]
    if kind == "ELSE":
        return "`else` needs an `if c { ... }` before it", []
    return "", []


def _beginning(place: Place, kind: str, line: list[str]) -> tuple[str, Edits] | None:
    """What no step begins with."""
    token, behind = place.token, place.last > place.at
    starts = len(line) == 1 or place.kind(-1) in ("LABEL", "COLON", "ARROW")
    if kind == "FUNC" and starts:
        return _called(place)
    if kind == "LSQB" and starts:
        return "several steps stand in braces: `{ ... }`", []
    if kind == "MINUS" and len(line) == 1 and place.kind(1) in WORDS:
        word = str(place.tokens[place.at + 1])
        return "each line is a step: no `-` before it", [(place.span(place.at, place.at + 1), word)]
    if kind == "TIMES" and len(line) == 1:
        step = place.text(place.at + 1, place.last) if behind else "conv 64 3x3"
        rest = [t.type for t in place.tokens[place.at + 1 : place.last + 2]]
        simple = behind and "ARROW" not in rest and "LBRACE" not in rest
        edit = place.span(place.at, place.last), f"{step} {token}"
        return f"a repetition stands behind its step: `{edit[1]}`", [edit] if simple else []
    if line[0] == "REPEAT" and kind in WORDS and place.kind(1) == "LBRACE" and len(line) > 2:
        gone = Span(place.source, place.tokens[place.at - 1].end_pos or 0, token.end_pos or 0)
        return f"leave `{token}` out: `{place.text(place.first, place.at - 1)} {{ ... }}`", [
            (gone, "")
        ]
    if line[0] == "REPEAT" and kind in WORDS:
        count = place.text(place.first + 1, place.at - 1) if len(line) > 2 else "3"
        step = place.text(place.at, place.last)
        return f"`repeat {count} {{ {step} }}`, or `{step} x{count}`", []
    return None


def _sign(place: Place, kind: str) -> tuple[str, Edits] | None:
    """Signs between words."""
    follower = place.kind(1)
    if kind == "DOT":
        return _dot(place)
    if kind == "COMMA":
        return _comma(place)
    if kind == "PERCENT" and place.kind(-1) == "NUMBER" and follower not in ("NUMBER", "NAME"):
        number = place.tokens[place.at - 1]
        share = f"{float(number) / 100:g}"
        return f"{number} % is `{share}`", [(place.span(place.at - 1, place.at), share)]
    if kind in ("PLUS", "MINUS") and follower in WORDS and not place.near(1):
        hint = f"{_NEXT}; `residual {{ ... }}` adds what enters it"
        return f"{hint}; arithmetic stands in parentheses: `(2 + width)`", []
    if kind == "DIVIDE":
        return "a quotient is `(width/2)`, a stride stands apart: `conv 64 3x3 /2`", []
    if kind in _ARITHMETIC:
        return _arithmetic(place)
    if kind == "COMPARE" and follower == "COMPARE" and place.near(1):
        return _NEXT, [(place.span(place.at, place.at + 1), "->")]
    if kind == "COMPARE" and place.kind(-2) == "LET" and place.token == "==":
        return "`=` gives a name", [(place.span(place.at, place.at), "=")]
    if kind == "COMPARE":
        return "put a comparison in parentheses, or after `if`", []
    return None


def _called(place: Place) -> tuple[str, Edits]:
    """`conv(64, 3, pad=1)`: the same without parentheses."""
    name, opening = place.token, place.at + 1
    closing = place.partner(opening)
    if closing == opening:
        return f"arguments stand behind the name, without parentheses: `{name} ...`", []
    words, first, depth = [str(name)], opening + 1, 0
    for at in range(opening + 1, closing + 1):
        token = place.tokens[at]
        depth += (token.type in OPENING) - (token.type in CLOSING)
        ends = at == closing or (token.type == "COMMA" and depth == 0)
        if ends and at > first:
            words.append(_argument(place, first, at - 1))
        first = at + 1 if ends else first
    text = " ".join(words)
    hint = f"arguments stand behind the name, without parentheses: `{text}`"
    return hint, [(place.span(place.at, closing), text)]


def _argument(place: Place, first: int, last: int) -> str:
    """An argument as it stands behind a name: what is more than a word in parentheses."""
    lead = ""
    if last > first + 1 and place.tokens[first + 1].type == "EQUAL":
        lead, first = f"{place.tokens[first]}=", first + 2
    tokens, text = place.tokens[first : last + 1], place.text(first, last)
    sides = [str(t) for t in tokens if t.type == "NUMBER"]
    kinds = [str(t.type) for t in tokens]
    if kinds[0] == "LPAR" and set(kinds[1:-1]) == {"NUMBER", "COMMA"} and len(sides) > 1:
        text = "x".join(sides)  # a tuple of numbers
    elif len(tokens) > 1 and kinds[0] not in OPENING and kinds != ["MINUS", "NUMBER"]:
        text = f"({text})"
    return lead + text


def _comma(place: Place) -> tuple[str, Edits]:
    opening = place.at - 2
    if place.kind(-2) == "LPAR" and place.kind(-1) == "NUMBER":
        closing = place.partner(opening)
        size = _argument(place, opening, closing)
        if re.fullmatch("[0-9]+(x[0-9]+)+", size):
            return f"a size is one word: `{size}`", [(place.span(opening, closing), size)]
    if OPENING & {t.type for t in place.tokens[place.first : place.at]}:
        return "a list is `[1, 2]`: square brackets, a comma between two values", []
    if place.kind(1) in (*WORDS, "TAP", "RESIDUAL", "LBRACE") and joins(place):
        return "each branch stands on a line of its own, or behind `;`", []
    commas, depth = Edits(), 0
    for at in range(place.at, place.last + 1):
        kind = place.tokens[at].type
        depth += (kind in OPENING) - (kind in CLOSING)
        if kind == "COMMA" and depth == 0:
            glued = (
                at + 1 < len(place.tokens)
                and place.tokens[at].end_pos == place.tokens[at + 1].start_pos
            )
            commas.append((place.span(at, at), " " if glued else ""))
    return "arguments are separated by spaces: `conv 64 3x3`", commas


def _dot(place: Place) -> tuple[str, Edits]:
    if place.kind(1) == "DOT" or place.kind(-1) == "DOT":
        return "`repeat 3 as i { ... }` counts from 0", []
    if place.kind(1) == "NUMBER":
        number = f"0.{place.tokens[place.at + 1]}"
        edit = place.span(place.at, place.at + 1), number
        return f"write `{number}`", [] if place.near(-1) else [edit]
    return "", []


def _arithmetic(place: Place) -> tuple[str, Edits]:
    """Arithmetic without parentheses: its operands are what stands close to it."""
    first = last = place.at
    while (
        place.tokens[first - 1].end_pos == place.tokens[first].start_pos and first > place.first + 1
    ):
        first -= 1
    while last < place.last and place.tokens[last].end_pos == place.tokens[last + 1].start_pos:
        last += 1
    kinds = [str(t.type) for t in place.tokens[first : last + 1]]
    operands, text = kinds[::2], place.text(first, last)
    simple = (
        len(kinds) > 2
        and len(kinds) % 2
        and {*operands} <= {"NAME", "NUMBER", "IN"}
        and {*kinds[1::2]} <= _ARITHMETIC
    )
    if not simple:
        return "put arithmetic in parentheses: `(2*mid)`; `x3` behind a step repeats it", []
    if {*operands} == {"NUMBER"} and {*kinds[1::2]} == {"STAR"}:
        size = "x".join(str(t) for t in place.tokens[first : last + 1 : 2])
        return f"a size is `{size}`, a product `({text})`; `x3` behind a step repeats it", []
    return f"put arithmetic in parentheses: `({text})`", [(place.span(first, last), f"({text})")]
