"""The first text of a spec and of its training recipe, for `archdsl new`.

In: a name. Out: the files' texts, which check, are formatted, and train as they are.
"""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

from archdsl.diagnostics.source import Source
from archdsl.names.foreign import similar
from archdsl.names.resolve import model_slots
from archdsl.pipeline import Spec, open_spec, shipped
from archdsl.text import did_you_mean

SPEC = Template("""\
# $name: a small residual network, to begin with.
# `archdsl check $file.arch --shapes` shows what flows where; `archdsl ops` lists the operators.

block unit(out, stride=1) {
  residual {
    conv1: conv out 3x3 /stride pad=1 bias=false; bn1: bn -> relu
    conv2: conv out 3x3 pad=1 bias=false;         bn2: bn
  } shortcut downsample if stride != 1 or in != out {
    conv out 1x1 /stride bias=false -> bn
  }
  relu
}

model $name(classes=10, width=16) {
  input 1x8x8
  init conv kaiming_normal mode=fan_out nonlinearity=relu
  stem: convbn width 3x3 pad=1
  stage1: unit width
  stage2: unit (2*width) /2
  stage3: unit (4*width) /2
  head: { gap; flatten; linear classes }
}
""")

RECIPE = Template("""\
# How $file.arch is trained: on scikit-learn's digits, which need no download.
# On your own images, one folder for each class: archdsl train $file.arch --data folder:PATH --fit
data: digits
epochs: 5
batch_size: 32
optimizer: {name: sgd, lr: 0.05, momentum: 0.9}
scheduler: cosine
""")

VARIANT = Template("""\
# $name: a variant of $base$parameters.
use "$base_file.arch"
model $name = $base$arguments
""")

TRIAL = Template("""\
# How $file.arch is trained. As it stands this is a trial on a few of scikit-learn's digits.
# On your own images, one folder for each class: archdsl train $file.arch --data folder:PATH --fit
data: {name: digits, limit: 64}
epochs: 1
batch_size: 16
optimizer: {name: sgd, lr: 0.01, momentum: 0.9}
""")


class CannotStart(Exception):
    """Why there can be no such files, and the remedy."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.message, self.help = message, help


def new(name: str, like: str | None = None) -> dict[Path, str]:
    """The texts of `name`.arch and `name`.yaml; `like`: of a variant of a shipped spec."""
    path = Path(name.removesuffix(".arch"))
    words = {"file": path.name, "name": re.sub(r"[-. ]", "_", path.name)}
    if not path.name.strip("."):
        raise CannotStart(f"`{name}` is a folder", f"give the spec a name: `{path / 'mynet'}`")
    if like is None:
        spec, recipe = SPEC.substitute(words), RECIPE.substitute(words)
    else:
        words |= _base(like)
        spec, recipe = VARIANT.substitute(words), TRIAL.substitute(words)
    if Spec(Source("", spec), Path(__file__).parent).diagnostics:  # a keyword, `unit`, `9lives`
        help = "letters, digits and `_`, and no word of the language, such as `mynet`"
        raise CannotStart(f"a model cannot be called `{words['name']}`", help)
    return {path.with_name(path.name + ".arch"): spec, path.with_name(path.name + ".yaml"): recipe}


def _base(like: str) -> dict[str, str]:
    """What the text of a variant says of the model that it varies."""
    file = like.removesuffix(".arch")
    if file not in shipped():
        near = [f"`{name}`" for name in similar(file, shipped())]
        help = did_you_mean(near, "`archdsl specs` lists the shipped specs")
        raise CannotStart(f"there is no shipped spec `{like}`", help)
    opened = open_spec(file)
    program = opened.checked()
    block = opened.loaded.units[-1].definitions[program.name]
    names = [slot.name for slot in model_slots(block)]
    shown = ", with the parameters " + ", ".join(names) if names else ""
    return {
        "base": program.name,
        "base_file": file,
        "parameters": shown,
        "arguments": " classes=10" if "classes" in names else "",
    }
