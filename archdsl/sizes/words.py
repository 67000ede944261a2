"""Numbers and conditions as a person would write them: `⌊(H - 1)/2⌋ + 1`."""

from __future__ import annotations

from typing import Any

from archdsl.ir import expr as e

DEEPEST = 12  # what is nested deeper than that nobody reads


def show(part: Any, depth: int = DEEPEST) -> str:
    """The text; `...` for what lies too deep."""
    return _Writer(depth)(part)


class _Writer:
    def __init__(self, depth: int) -> None:
        self.depth = depth

    def __call__(self, part: Any) -> str:
        if self.depth == 0:
            return "..."
        self.depth -= 1
        text = self.number(part) if isinstance(part, e.Expr) else self.condition(part)
        self.depth += 1
        return text

    def number(self, part: e.Expr) -> str:
        match part:
            case e.Var():
                return str(part.parts[1])
            case e.Lin():
                return self.sum(part)
            case e.Mul():
                factors = (self(f) for f in part.parts)
                pairs = zip(part.parts, factors, strict=True)
                return "·".join(f"({text})" if isinstance(f, e.Lin) else text for f, text in pairs)
            case e.Div():
                return f"⌊{self.atom(part.parts[0])}/{self.atom(part.parts[1])}⌋"
            case e.Mod():
                return f"{self.atom(part.parts[0])} % {self.atom(part.parts[1])}"
            case e.Pick():
                cond, one, other = map(self, part.parts)
                return f"({one} if {cond} else {other})"
        return self.unknown(part)

    def condition(self, part: Any) -> str:
        match part:
            case e.Cmp():
                return self.comparison(part)
            case e.Not(parts=(e.Cmp(),)):
                return self.comparison(part.parts[0]).replace("==", "!=")
            case e.Not():
                return f"not ({self(part.parts[0])})"
            case e.All():
                return " and ".join(map(self.case, part.parts))
            case e.Case(parts=(cond, True, other)):
                return f"{self(cond)} or {self(other)}"
            case e.Case(parts=(cond, one, other)):
                return f"{self.case(one)} if {self.case(cond)} else {self.case(other)}"
            case e.Holds():
                return self.unknown(part)
        return str(part).lower()

    def unknown(self, part: e.Expr | e.Holds) -> str:
        sides = {inner.parts[1]: None for inner in e.below(part, ()) if isinstance(inner, e.Var)}
        return f"a function of {' and '.join(sides)}"

    def case(self, part: Any) -> str:
        return f"({self(part)})" if isinstance(part, e.Case) else self(part)

    def atom(self, part: Any) -> str:
        return f"({self(part)})" if isinstance(part, e.Lin | e.Mod) else self(part)

    def sum(self, part: e.Lin) -> str:
        text = ""
        for term, factor in (*part.parts[0], (1, part.parts[1])):
            size = abs(factor)
            if not size:
                continue
            shown = (
                str(size) if term == 1 else f"{'' if size == 1 else f'{size}·'}{self.atom(term)}"
            )
            sign = "-" if factor < 0 else "+"
            text += f" {sign} {shown}" if text else shown if factor > 0 else f"-{shown}"
        return text

    def comparison(self, part: e.Cmp) -> str:
        """With positive factors on both sides."""
        sign, (terms, constant) = part.parts[0], e.split(part.parts[1])
        left = e.total({t: c for t, c in terms.items() if c > 0}, max(constant, 0))
        right = e.total({t: -c for t, c in terms.items() if c < 0}, max(-constant, 0))
        if isinstance(left, int) and sign == "<=":
            return f"{self(right)} >= {left}"
        return f"{self(left)} {sign} {self(right)}"
