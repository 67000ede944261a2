"""Which sizes of the input a program takes, and the step that refuses the others.

`walk` feeds sides that are not known through the shape rules of a program's steps, as they stand
(`track` records what these compute, as the expressions of `ir.expr`); `course` proves for all sizes
where a condition over one side holds, `solve` puts the conditions together, `result` says it.
"""

from archdsl.sizes.result import InputSizes, Reason

__all__ = ["InputSizes", "Reason"]
