"""What has a name in a scope: modules by their labels, parameters and buffers, and the rules that
initialise them. The part of elaboration that claims names."""

from __future__ import annotations

import keyword

from archdsl.checker.arguments import Frame, rule, shape_value
from archdsl.checker.build import Builder, Draft, Value, check_fits
from archdsl.checker.fuel import NAMING, Budget
from archdsl.checker.problem import Problem
from archdsl.checker.report import Reporter
from archdsl.diagnostics import catalogue as c
from archdsl.diagnostics.model import Label
from archdsl.diagnostics.source import Span
from archdsl.ir.graph import Init
from archdsl.ir.labels import LABEL, RESERVED
from archdsl.ops import TABLE
from archdsl.syntax import tree as t


class Naming:
    """Claims names in scopes."""

    report: Reporter
    budget: Budget

    # ---- init, param, buffer -----------------------------------------------------------------

    def _init(self, statement: t.InitRule, builder: Builder, frame: Frame) -> None:
        made = rule(statement.rule, statement.rule_span, statement.args, frame, self.report)
        names = statement.target
        if made is None:
            return
        if names[0] in TABLE and not statement.quoted:
            param = names[1] if len(names) > 1 else "weight"
            builder.inits.append(Init(names[0], None, param, made, statement.target_span))
        else:
            builder.inits.append(Init(None, ".".join(names), "", made, statement.target_span))

    def _param(self, statement: t.ParamDecl, builder: Builder, frame: Frame) -> None:
        frame.taps[statement.name] = Value(None, statement.span)
        with self.report.catching():
            self._take(statement.name, statement.name_span, builder)
            shape = shape_value(statement.shape, frame)
            self.budget.tensor(statement.shape.span, shape)
            made = rule(statement.rule, statement.rule_span, statement.args, frame, self.report)
            if made is not None:
                check_fits(made, shape, statement.rule_span)
                content = (shape, statement.buffer, made)
                draft = Draft(statement.name, True, content, [], statement.span)
                frame.taps[statement.name] = builder.add(draft, shape)[0]

    # ---- labels ------------------------------------------------------------------------------

    def _label(self, label: t.Label, builder: Builder, frame: Frame) -> str | None:
        with self.report.catching():
            text = frame.evaluate.text(label.parts, label.span)
            self._take(text, label.span, builder)
            return text
        return None

    def _declare(self, label: t.Label, builder: Builder, frame: Frame) -> None:
        with self.report.catching():
            text = frame.evaluate.text(label.parts, label.span)
            for known in (builder.names, builder.declared):
                if text in known:
                    first = Label(known[text], "the first one is here")
                    raise Problem(c.DuplicateName(label.span, text, "module").with_related(first))
            builder.declare(text, label.span)

    def _take(self, name: str, span: Span, builder: Builder) -> None:
        """Claim a name in a scope."""
        self.budget.spend(NAMING, span)
        if not LABEL.fullmatch(name):
            raise Problem(c.BadLabel(span, name, "it would be no valid part of a state_dict key"))
        if name in RESERVED:
            taken = "torch's modules have something of this name"
            if keyword.iskeyword(name):
                taken = "this is a Python keyword, and a label becomes an attribute"
            raise Problem(c.BadLabel(span, name, taken))
        if name in builder.names:
            first = Label(builder.names[name], "the first one is here")
            if builder.names[name] == span:
                first = Label(span, "a repeated step: compute the label, such as `block{i}`")
            hint = "unlabelled steps are counted: `0`, `1`, ...; name this one otherwise"
            hint = hint if name.isdigit() else ""
            raise Problem(c.DuplicateName(span, name, "module", hint).with_related(first))
        builder.names[name] = span
