"""Files that other programs run: ONNX, torch.export's, and weights as safetensors.

In: a program, and a path to write to that nobody looks at yet. Models are exported in evaluation
mode with a dynamic batch.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from archdsl._version import __version__
from archdsl.ir.graph import Program
from archdsl.runtime.dynamic import Open, asking, fixed, not_taken, opened
from archdsl.runtime.errors import ExportError
from archdsl.runtime.module import build, examples, with_outputs
from archdsl.runtime.onnx_words import sayable
from archdsl.runtime.optimize import optimize
from archdsl.runtime.refusal import refusal
from archdsl.runtime.weights import assign, trained_on

#: protobuf refuses messages of 2 GiB; larger weights go into a file beside the model
ONE_FILE = 2_000_000_000
#: told what is done
Say = Callable[[str], None]
INSTALL = 'pip install "archdsl[onnx]"'
__all__ = ["ExportError", "inference", "module_for", "write_onnx", "write_pt2", "write_safetensors"]


def module_for(
    program: Program,
    *,
    weights: str | Path | None = None,
    seed: int | None = None,
    optimized: bool = False,
    outputs: Sequence[str] = (),
) -> nn.Module:
    """The module to export, on the CPU. `seed`: of the initial weights, drawn without touching
    torch's own generator; `weights`: a file, for the program as the spec has it."""
    if weights is not None or seed is None:
        module = build(program, weights=weights)
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = build(program)
    if outputs:
        program, module = with_outputs(program, module, outputs)
    return inference(program, module) if optimized else module


def inference(program: Program, module: nn.Module) -> nn.Module:
    """The optimised program's module with the weights of `module`, in evaluation mode; with the
    memory layout that convolutions are faster in, which inputs need not have."""
    better = optimize(program)
    state = better.state(module.state_dict())
    made = build(better.program, device="meta")
    assign(made, state)
    made.requires_grad_(False).eval()
    return channels_last(made)


def channels_last(module: nn.Module) -> nn.Module:
    """The module, in place, with the memory layout that many CPUs and GPUs convolve images and
    volumes faster in. (`module.to(memory_format=...)` refuses the weights of volumes.)"""
    layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.dim() in layouts:
            tensor.data = tensor.data.contiguous(memory_format=layouts[tensor.dim()])
    return module


def write_onnx(
    program: Program,
    module: nn.Module,
    path: Path,
    weights: Path | None = None,
    say: Say = lambda text: None,
    dynamic: tuple[str, ...] = (),
) -> None:
    """ONNX by torch's exporter, checked by `onnx.checker`. With `weights` of a run, the
    file's metadata say what the run knows of its samples. `dynamic`: "size" leaves the sizes open
    that the program takes. Raises ExportError."""
    missing = [n for n in ("onnx", "onnxscript") if find_spec(n) is None]
    if missing:
        names = " and ".join(f"`{name}`" for name in missing)
        raise ExportError(f"ONNX needs {names}\n{INSTALL}")
    try:
        _save_onnx(program, module, path, weights, say, dynamic)
    except (OSError, ExportError):
        raise
    except Exception as error:  # torch's converter and onnx's checker have many of their own
        if "size" in dynamic:
            raise not_taken(program, opened(program), error) from error
        say("looking for the step that ONNX has no words for")
        raise refusal(program, "ONNX", _save_onnx) from error


def _save_onnx(
    program: Program,
    module: nn.Module,
    path: Path,
    weights: Path | None = None,
    say: Say = lambda text: None,
    dynamic: tuple[str, ...] = (),
) -> None:
    import onnx

    say("reading it with torch.export")
    free = opened(program) if "size" in dynamic else fixed(program)
    exported = _exported(program, module, free)
    say("translating it to ONNX")
    with _quiet():
        made = torch.onnx.export(
            sayable(exported, sizes=len(free.dims) > 1),
            (),
            input_names=list(program.inputs),
            output_names=[name for name, _ in program.outputs],
            dynamic_shapes=(free.names, *({0: "batch"},) * (len(program.inputs) - 1)),
            dynamo=True,
            verbose=False,
        )
    if made is None:
        raise ValueError("torch.onnx.export gave nothing")
    _tell_apart(made.model.graph)
    made.model.producer_name, made.model.producer_version = "archdsl", __version__
    made.model.doc_string, made.model.graph.name = program.text, program.name
    facts = {} if weights is None else trained_on(weights)
    said = {key: json.dumps(value, ensure_ascii=False) for key, value in facts.items()}
    if len(free.dims) > 1:
        said["takes"] = program.sizes.describe()
    made.model.metadata_props.update({"model": program.name, "archdsl": __version__, **said})
    say("writing and checking it")
    size = sum(t.numel() * t.element_size() for t in module.state_dict().values())
    made.save(path, external_data=size > ONE_FILE)
    onnx.checker.check_model(path, full_check=True)


def _tell_apart(graph: Any) -> None:
    """Every value of ONNX has a name of its own. Outputs keep theirs, of which the exporter knows
    nothing when it names the rest: weights by their keys, results by their operators."""
    outer = [*graph.inputs, *graph.outputs]
    inner = [value for node in graph for value in node.outputs]
    taken = {value.name for value in (*outer, *inner, *graph.initializers.values())}
    used = {value.name for value in graph.outputs}
    for value in (*graph.inputs, *graph.initializers.values(), *inner):
        if value.name not in used or any(value is output for output in graph.outputs):
            continue
        value.name = next(n for i in itertools.count(2) if (n := f"{value.name}.{i}") not in taken)
        taken.add(value.name)


def write_pt2(
    program: Program,
    module: nn.Module,
    path: Path,
    say: Say = lambda text: None,
    dynamic: tuple[str, ...] = (),
) -> None:
    """torch.export's format, for `torch.export.load`. `dynamic`: "size" leaves the sizes open that
    the program takes. Raises ExportError."""
    try:
        _save_pt2(program, module, path, say, dynamic)
    except (OSError, ExportError):
        raise
    except Exception as error:  # torch.export has many of its own
        if "size" in dynamic:
            raise not_taken(program, opened(program), error) from error
        say("looking for the step that torch.export has no words for")
        raise refusal(program, "torch.export", _save_pt2) from error


def _save_pt2(
    program: Program,
    module: nn.Module,
    path: Path,
    say: Say = lambda text: None,
    dynamic: tuple[str, ...] = (),
) -> None:
    say("reading it with torch.export")
    free = opened(program) if "size" in dynamic else fixed(program)
    exported = _exported(program, module, free)
    say("writing it")
    with _quiet():
        torch.export.save(exported, path, extra_files={"spec.arch": program.text})


def write_safetensors(program: Program, module: nn.Module, path: Path) -> None:
    from safetensors.torch import save_file

    state = {key: tensor.contiguous() for key, tensor in module.state_dict().items()}
    # one entry only: the library writes several in any order, and equal weights in other bytes
    save_file(state, path, metadata={"format": "pt"})


def _exported(program: Program, module: nn.Module, free: Open) -> Any:
    """Of what torch may ask of unknown sizes, as little as gives a program that takes them all."""
    if len(free.dims) == 1:
        return _read(program, module, free)
    first: Exception | None = None
    for nothing, later in ((True, True), (False, True), (False, False)):
        given = {"prefer_deferred_runtime_asserts_over_guards": later}
        try:
            with asking(nothing):
                made = _read(program, module, free, **given)
            free.check(made.module())
        except Exception as error:  # torch.export has many of its own
            first = first or error
        else:
            return made
    assert first is not None
    raise first


def _read(program: Program, module: nn.Module, free: Open, **more: Any) -> Any:
    first, *others = examples(program, 2)
    example = (first.new_zeros(2, *free.example), *others)
    dynamic = (free.dims, *({0: free.dims[0]},) * len(others))
    module.eval()
    hook = module.register_forward_hook(_plain)
    with _quiet(), torch.no_grad():
        try:
            return torch.export.export(
                module, example, dynamic_shapes=dynamic, strict=False, **more
            )
        finally:
            hook.remove()


def _plain(module: nn.Module, given: Any, result: Any) -> Any:
    """Outputs without the class of the tuple, which another process does not have, and without
    train-only ones."""
    return tuple(t for t in result if t is not None) if isinstance(result, tuple) else result


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Exporters talk of their own deprecations; what fails raises."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
