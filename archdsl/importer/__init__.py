"""The way back: from an `nn.Module` to the text of a spec.

`capture` watches the module run, `lift` makes operators of the calls, `structure` finds branches,
`naming` the labels, `unify` the blocks, `write` the text; `proof` compiles it again and compares.
"""

from archdsl.importer.errors import CannotImport
from archdsl.importer.spec import Imported, import_module, text_of

__all__ = ["CannotImport", "Imported", "import_module", "text_of"]
