"""Small texts that ask for a great deal: each must end in an error, soon and in little memory."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path


def model(body: str, before: str = "", input: str = "3x8x8") -> str:
    return f"{before}\nmodel m() {{\n  input {input}\n{body}\n}}\n"


def _doubling(call: str) -> str:
    """Forty blocks that each call the one before twice."""
    blocks = ["block b0(n) { relu }"]
    blocks += [f"block b{i}(n) {{ {call.replace('B', f'b{i - 1}')} }}" for i in range(1, 41)]
    return "\n".join(blocks)


def _many_blocks() -> str:
    return "\n".join(f"block a_{i}() {{ relu }}" for i in range(1200))


NUMBERS = "let a = [i for i in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]\n"
#: name -> the text, and the code of the first error
BOMBS: dict[str, tuple[str, str]] = {
    "x(10**12)": (model("relu x(10**12)"), "E0402"),
    "nested repeats": (model("repeat 999 { " * 9 + "relu" + " }" * 9), "E0402"),
    "empty repeats": (model("repeat 40000 { " * 5 + " }" * 5), "E0402"),
    "100,000 braces": (model("{ " * 100_000 + "relu" + " }" * 100_000), "E0004"),
    "100,000 brackets": (model("let a = " + "(" * 100_000 + "1" + ")" * 100_000), "E0004"),
    "100,000 lists": (model("let a = " + "[" * 100_000), "E0004"),
    "100,000 signs": (model("let a = " + "-" * 100_000 + "1"), "E0004"),
    "5,000 braces": (model("{ " * 5000 + "relu" + " }" * 5000), "E0005"),
    "5,000 brackets": (model("let a = " + "(" * 5000 + "1" + ")" * 5000), "E0005"),
    "5,000 signs": (model("let a = " + "-" * 5000 + "1"), "E0005"),
    "100 MB": ("# " + "x" * 100_000_000, "E0003"),
    "a million lines": (model("relu\n" * 700_000), "E0004"),
    "10**10**10": (model("let a = 10**10**10"), "E0304"),
    "a product": (model("let a = 2**39 * 2**39 * 2**39"), "E0304"),
    "many digits": (model("let a = " + "9" * 1_000_000), "E0004"),
    "a list of 10**9": (model("let a = [0] * 10**9"), "E0304"),
    "a string of 10**9": (model('let a = "a" * 10**9'), "E0304"),
    "a list that grows": (model("let a = [1, 1]\n" + "let a = a + a\n" * 60), "E0304"),
    "a list of lists": (model("let a = 1\n" + "let a = [a, a]\n" * 60), "E0304"),
    "a range of 10**12": (model("for i in range(10**12) { relu }"), "E0304"),
    "ranges zipped": (model(f"let a = range(9000)\nlet b = zip({'a, ' * 98}a)\n" * 50), "E0304"),
    "long lists repeated": (
        model("let a = [0] * 9000\n" + "let b = [a] * 10000 + [a] * 10000\n" * 200),
        "E0304",
    ),
    "lists in lists repeated": (model("let a = [1]\n" + "let a = [a] * 90\n" * 40), "E0304"),
    "sorted again and again": (
        model("let a = sorted(reversed(range(9000)))\n" * 900),
        "E0402",
    ),
    "a string that grows": (model('let a = "ab"\n' + "let a = a + a\n" * 60), "E0304"),
    "a string of itself": (model('let a = "ab"\n' + 'let a = "{a}{a}{a}"\n' * 60), "E0304"),
    "many long strings": (
        model('let a = "' + "a" * 900 + '"\n' + 'let b = ["{a}{i}" for i in range(9000)]\n' * 40),
        "E0402",
    ),
    "a list as text": (
        model("let a = [0] * 9000\nlet b = [a] * 1\n" + 'let c = "{b}{b}"\n' * 900),
        "E0402",
    ),
    "300,000 expressions in a string": (model(f'let a = "{"{1}" * 300_000}"'), "E0001"),
    "as many in strings": (model('let a = "{1}{2}{3}{4}"\n' * 3500), "E0001"),
    "as many in labels": (
        model("\n".join(f"{'a{1}{2}{3}{4}' * 4}: relu" for i in range(3000))),
        "E0001",
    ),
    "filters": (
        model(f"{NUMBERS}let b = {'[' * 5}1{' for j in a if j < 9 and j > -1]' * 5}"),
        "E0402",
    ),
    "or of lists": (
        model("let a = [0] * 9000\n" + "let b = a and a and a and a\n" * 1500),
        "E0402",
    ),
    "comprehensions": (model(f"{NUMBERS}let b = {'[' * 9}1{' for j in a]' * 9}"), "E0304"),
    "a tensor of 10**15": (model("relu", input="1000x1000000x1000000"), "E0402"),
    "a layer of 10**15": (model("conv 1000000 1x1 -> upsample 10000"), "E0402"),
    "parameters of 10**15": (model("flatten; linear (2**33) x2"), "E0402"),
    "unknown names": (model("\n".join(f"zzqz{i}" for i in range(2400)), _many_blocks()), "E0101"),
    "recursion": (model("b 1", before="block b(n) { b (n + 1) }"), "E0401"),
    "recursion by two": (model("b", before="block b() { c }\nblock c() { b }"), "E0401"),
    "equal calls, doubled": (model("b40 1", before=_doubling("B n; B n")), "E0402"),
    "other calls, doubled": (
        model("b40 1", before=_doubling("B (2*n % 999983); B (n+1)")),
        "E0402",
    ),
    "init rules": (model("init conv zeros\n" * 2000 + "conv 3 1x1 x20000"), "E0402"),
    "warnings": (model("conv 8 3x3 pad=1 -> bn\n" * 1800, input="8x9x9"), "E0006"),
    "taps": (model("tap a\n" + "{ " * 20 + "repeat 40000 { @a -> relu }" + " }" * 20), "E0402"),
}


def run(folder: Path) -> Iterator[tuple[str, str, float]]:
    """Each bomb's name, the code of its first error, and the seconds of the processor."""
    from archdsl.pipeline import open_spec

    cycle = folder / "a.arch", folder / "b.arch"
    for one, other in (cycle, cycle[::-1]):
        one.write_text(f'use "{other.name}"\n{model("relu")}')
    files = {"use cycle": (cycle[0], "E0401")}
    for name, (text, code) in BOMBS.items():
        path = folder / f"{len(files)}.arch"
        path.write_text(text)
        files[name] = path, code
    for name, (path, _) in files.items():
        began = time.process_time()
        found = [d for d in open_spec(path).diagnostics if d.severity == "error"]
        yield name, found[0].code if found else "none", time.process_time() - began


if __name__ == "__main__":
    for name, code, seconds in run(Path(sys.argv[1])):
        print(name, code, f"{seconds:.3f}", sep="\t")
    print(re.findall(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[0])
