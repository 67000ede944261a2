"""The operator table, filled by importing the families."""

from archdsl.ops import (
    activation,
    attention,
    conv,
    join,
    join_products,
    linear,
    norm,
    patches,
    pool,
    recurrent,
    regular,
    resample,
    shape,
    tiling,
    totals,
    unary,
)
from archdsl.ops.table import TABLE, Op

__all__ = ["TABLE", "Op"]
_FAMILIES = (
    conv,
    linear,
    pool,
    norm,
    activation,
    regular,
    shape,
    resample,
    attention,
    patches,
    recurrent,
    join,
    join_products,
    tiling,
    totals,
    unary,
)
