"""What enters a model: the shapes that its text states, or those that are given in their place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from archdsl.checker.arguments import Frame, any_value, shape_value
from archdsl.checker.build import Builder, Value
from archdsl.checker.calls import Calls
from archdsl.checker.problem import Problem
from archdsl.checker.promise import promise
from archdsl.diagnostics import catalogue as c
from archdsl.ir.graph import Promise
from archdsl.names.foreign import similar
from archdsl.names.units import Block
from archdsl.ops.table import Shape
from archdsl.syntax import tree as t


class Inputs(Calls):
    """The inputs of a model. `input`: the shapes to take; `promise`: which sizes it promises."""

    input: Shape | Mapping[str, Shape] | None
    promise: Promise | None = None

    def _enter(self, model: Block, builder: Builder, frame: Frame) -> Value | None:
        """The model's inputs; the flow begins with the first."""
        stated = [s for s in model.body.statements if isinstance(s, t.Input)]
        if not stated and self.input is not None and not isinstance(self.input, Mapping):
            return builder.new_input(self.input, model.tree.name_span)
        if not stated:
            self.report(c.NoInput(model.tree.name_span, model.name))
            return None
        given = self._inputs_given(stated)
        if given is None:
            return None
        # `let` lines above the inputs may compute them
        scope = frame.inner(stated[0].span)
        with self.report.catching():
            for statement in model.body.statements[: model.body.statements.index(stated[-1])]:
                if isinstance(statement, t.Let):
                    value = any_value(statement.value, scope)
                    scope.variables[statement.name] = value
            for place, one in enumerate(stated):
                self._input(one, given.get(place), builder, scope, alone=len(stated) == 1)
            names = tuple(one.name for one in stated if one.name is not None)
            frame.taps.update(zip(names, builder.inputs, strict=False))
            builder.taken = names
            return builder.inputs[0]
        return None

    def _inputs_given(self, stated: Sequence[t.Input]) -> dict[int, Shape] | None:
        """The shapes that are to replace the text's, by the inputs' places."""
        if self.input is None:
            return {}
        names = [one.name or "input" for one in stated]
        if not isinstance(self.input, Mapping):
            if len(stated) == 1:
                return {0: self.input}
            self.report(c.InputUnnamed(stated[0].span, ", ".join(f"{n}=..." for n in names)))
            return None
        for name in self.input:
            if name not in names:
                self.report(c.UnknownInput(stated[0].span, name, similar(name, names)))
                return None
        return {names.index(name): shape for name, shape in self.input.items()}

    def _input(
        self, stated: t.Input, given: Shape | None, builder: Builder, scope: Frame, *, alone: bool
    ) -> None:
        shape = given
        if given is None or stated.promise is not None:
            written = shape_value(stated.shape, scope)
            shape = written if given is None else given
        assert shape is not None
        self.budget.tensor(stated.span, shape)
        if stated.promise is not None:
            if not alone:
                raise Problem(c.WhereOfSeveral(stated.promise.span))
            self.promise = promise(stated.promise, scope.evaluate, shape)
        builder.new_input(shape, stated.span).whole = stated.whole
