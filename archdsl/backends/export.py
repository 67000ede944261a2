"""Files that other programs run: ONNX, torch.export's, and weights as safetensors.

In: a program, and a path to write to that nobody looks at yet. Models are exported in evaluation
mode with a dynamic batch.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from archdsl._version import __version__
from archdsl.backends.errors import ArtefactError
from archdsl.backends.optimize import optimize
from archdsl.backends.torch import build
from archdsl.ir.graph import Graph, Node, Program
from archdsl.text import shape_text

#: protobuf refuses messages of 2 GiB; larger weights go into a file beside the model
ONE_FILE = 2_000_000_000
INSTALL = 'pip install "archdsl[onnx]"'


class ExportError(ArtefactError):
    """The file cannot be made; the message says why and what helps."""


def module_for(
    program: Program,
    *,
    weights: str | Path | None = None,
    seed: int | None = None,
    optimized: bool = False,
) -> nn.Module:
    """The module to export, on the CPU. `seed`: of the initial weights, drawn without touching
    torch's own generator; `weights`: a file, for the program as the spec has it."""
    if weights is not None or seed is None:
        module = build(program, weights=weights)
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            module = build(program)
    return inference(program, module) if optimized else module


def inference(program: Program, module: nn.Module) -> nn.Module:
    """The optimised program's module with the weights of `module`, in evaluation mode; with the
    memory layout that convolutions are faster in, which inputs need not have."""
    better = optimize(program)
    state = better.state(module.state_dict())
    made = build(better.program, device="meta")
    made.load_state_dict(state, strict=True, assign=True)
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


def write_onnx(program: Program, module: nn.Module, path: Path) -> None:
    """ONNX by torch's exporter, checked by `onnx.checker`. Raises ExportError."""
    missing = [n for n in ("onnx", "onnxscript") if find_spec(n) is None]
    if missing:
        names = " and ".join(f"`{name}`" for name in missing)
        raise ExportError(f"ONNX needs {names}\n{INSTALL}")
    size = sum(t.numel() * t.element_size() for t in module.state_dict().values())
    exported = _exported(program, module)
    try:
        _save_onnx(exported, program, path, external=size > ONE_FILE)
    except OSError:
        raise
    except Exception as error:  # torch's converter and onnx's checker have many of their own
        raise _refused(program, error) from error


def _save_onnx(exported: Any, program: Program, path: Path, *, external: bool = False) -> None:
    import onnx

    with _quiet():
        made = torch.onnx.export(
            exported,
            (),
            input_names=["input"],
            output_names=[name for name, _ in program.outputs],
            dynamic_shapes=({0: "batch"},),
            dynamo=True,
            verbose=False,
        )
    if made is None:
        raise ExportError("torch.onnx.export gave nothing")
    made.model.producer_name, made.model.producer_version = "archdsl", __version__
    made.model.doc_string, made.model.graph.name = program.text, program.name
    made.model.metadata_props.update({"model": program.name, "archdsl": __version__})
    made.save(path, external_data=external)
    onnx.checker.check_model(path, full_check=True)


def _refused(program: Program, error: Exception) -> ExportError:
    """Which step ONNX has no words for: the first one that fails alone."""
    seen: set[Any] = set()
    with tempfile.TemporaryDirectory() as folder:
        for _, item in program.walk():
            key = isinstance(item, Node) and (item.op, item.input_shapes)
            if not isinstance(item, Node) or item.op.arity != 1 or key in seen:
                continue
            seen.add(key)
            alone = _alone(item)
            try:
                _save_onnx(_exported(alone, build(alone)), alone, Path(folder, "alone.onnx"))
            except Exception as own:  # the same errors, of one step
                source, line = item.span.source, item.span.source.position(item.span.start)[0]
                step, shape = " ".join(item.span.text.split()), shape_text(item.input_shapes[0])
                return ExportError(
                    f"{source.name}:{line}: ONNX cannot say `{step}` on {shape}: {_reason(own)}\n"
                    "write it another way (a `pad` before it, another size), or compile to .pt2"
                )
    return ExportError(f"torch.onnx cannot take {program.name}: {_reason(error)}")


def _alone(node: Node) -> Program:
    """A model of one step."""
    graph = Graph(
        block=None,
        args=(),
        input_shapes=node.input_shapes,
        items=(replace(node, inputs=(0,), training_only=False),),
        declared=(0,),
        outputs=(1,),
        output_shapes=(node.shape,),
        inits=(),
        span=node.span,
    )
    return Program("alone", graph, (("output", 1),), (), "")


def _reason(error: BaseException) -> str:
    """The innermost cause, in a line."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[0].strip()[:200] if lines else type(error).__name__


def write_pt2(program: Program, module: nn.Module, path: Path) -> None:
    """torch.export's format, for `torch.export.load`."""
    exported = _exported(program, module)
    with _quiet():
        torch.export.save(exported, path, extra_files={"spec.arch": program.text})


def write_safetensors(program: Program, module: nn.Module, path: Path) -> None:
    from safetensors.torch import save_file

    state = {key: tensor.contiguous() for key, tensor in module.state_dict().items()}
    # one entry only: the library writes several in any order, and equal weights in other bytes
    save_file(state, path, metadata={"format": "pt"})


def _exported(program: Program, module: nn.Module) -> Any:
    example: tuple[Tensor, ...] = (torch.zeros(2, *program.input_shape),)
    batch = torch.export.Dim("batch", min=1)
    module.eval()
    hook = module.register_forward_hook(_plain)
    with _quiet(), torch.no_grad():
        try:
            return torch.export.export(module, example, dynamic_shapes=({0: batch},), strict=False)
        except Exception as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise ExportError(f"torch.export cannot take {program.name}: {first}") from error
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
