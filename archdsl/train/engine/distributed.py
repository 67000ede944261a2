"""Many processes, on what torch ships: elastic_launch starts them, torch.distributed joins them.

`archdsl train --devices 4` launches here; on several machines the same command is started on each,
with `--nodes` and the place where they meet. Under `torchrun` (RANK is set) a process just joins.
"""

from __future__ import annotations

import contextlib
import json
import logging
import multiprocessing
import os
import signal
import socket
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch import distributed as dist

from archdsl.text import either
from archdsl.train.errors import TrainError
from archdsl.train.recipe.parts import DEVICES
from archdsl.train.recipe.schema import Recipe

PATIENCE = 10.0  # seconds in which the processes that began together come to the same fault


@dataclass(frozen=True)
class Ranks:
    """This process's place among `world`."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0

    def sum(self, values: Sequence[float]) -> list[float]:
        """Each value summed over all ranks."""
        if self.world == 1:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=_collective(self.device))
        dist.all_reduce(total)
        return [float(one) for one in total]

    def most(self, values: Sequence[float]) -> list[float]:
        """The largest of each value on any rank."""
        if self.world == 1:
            return list(values)
        top = torch.tensor(values, dtype=torch.float64, device=_collective(self.device))
        dist.all_reduce(top, op=dist.ReduceOp.MAX)
        return [float(one) for one in top]

    def gather(self, values: list[float]) -> list[list[float]]:
        """Every rank's values, by rank."""
        if self.world == 1:
            return [values]
        mine = torch.tensor(values, dtype=torch.float64, device=_collective(self.device))
        every = [torch.empty_like(mine) for _ in range(self.world)]
        dist.all_gather(every, mine)
        return [one.tolist() for one in every]

    def same_buffers(self, module: nn.Module) -> None:
        """Gives every rank the first one's buffers (batch normalisation's statistics)."""
        if self.world > 1:
            for buffer in module.buffers():
                dist.broadcast(buffer, 0)


def _collective(device: torch.device) -> torch.device:
    return device if device.type == "cuda" else torch.device("cpu")


def pick_device(name: str) -> torch.device:
    """auto: what ARCHDSL_DEVICE says, else cuda, else mps, else cpu."""
    if name == "auto":
        name = os.environ.get("ARCHDSL_DEVICE") or "auto"
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
        if name == "cpu" and torch.backends.mps.is_available():
            name = "mps"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise TrainError(f"there is no device {name!r}", either(DEVICES)) from None
    if device.type not in DEVICES:
        raise TrainError(f"device {name}: not one to train on", either(DEVICES))
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        found = torch.cuda.device_count()
        raise TrainError(
            f"device {name}: this machine has {found or 'no'} CUDA devices that torch can use",
            "--device auto takes the best there is",
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise TrainError("device mps: not available here", "--device auto takes the best there is")
    return device


def launched() -> bool:
    """Whether a launcher started this process."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


@contextmanager
def joined(device_name: str) -> Iterator[Ranks]:
    """Joins the launcher's group, if there is one, for as long as the block runs."""
    device = pick_device(device_name)
    world = int(os.environ.get("WORLD_SIZE", "1")) if launched() else 1
    if world == 1:
        yield Ranks(0, 1, device)
        return
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device.type == "cuda":
        if local >= torch.cuda.device_count():
            raise TrainError(f"{world} processes, but {torch.cuda.device_count()} CUDA devices")
        device = torch.device("cuda", local)
        torch.cuda.set_device(device)
    elif "OMP_NUM_THREADS" not in os.environ:
        local_world = int(os.environ.get("LOCAL_WORLD_SIZE", world))
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // local_world))
    # Gradients of one-channel convolutions come in another order of strides; it costs nothing here.
    warnings.filterwarnings("ignore", message="Grad strides do not match")
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), world, device)
    finally:
        dist.destroy_process_group()


class Signalled(Exception):
    """The processes were told to stop by a signal, and have saved."""

    def __init__(self, number: int) -> None:
        self.number = number


def leave(number: int) -> NoReturn:
    """Ends one of the launcher's processes that has saved: it would wait for a launcher which had
    the same signal, and which waits for it."""
    raise SystemExit(128 + number)


def let_others_speak() -> None:
    """What fails in one process fails in others, or because of them: the launcher ends all as soon
    as the first has ended. So whoever has seen less waits for that, before it speaks."""
    if launched():
        time.sleep(PATIENCE)


def is_peer_lost(error: RuntimeError) -> bool:
    """Whether another process of the run does not answer any more."""
    text = str(error)
    return isinstance(error, dist.DistError) or "gloo" in text or "closed by peer" in text


def launch(work: Callable[..., Any], recipe: Recipe, *args: Any) -> Any:
    """Runs `work(*args)` in the recipe's processes; the result of the first one on this machine.

    A signal is forwarded to them; then `Signalled` comes out of here, when they have saved.
    """
    from torch.distributed import DistError
    from torch.distributed.elastic.multiprocessing import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    patience = max(1, round(60 * recipe.rendezvous_minutes))
    config = LaunchConfig(
        min_nodes=recipe.nodes,
        max_nodes=recipe.nodes,
        nproc_per_node=recipe.devices,
        run_id="archdsl",
        rdzv_backend="c10d",
        rdzv_endpoint=recipe.rendezvous or "localhost:0",
        rdzv_configs=dict.fromkeys(("timeout", "join_timeout", "read_timeout"), patience),
        max_restarts=0,
        start_method=_start_method(),
    )
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    try:
        with _torch_silent():
            results = elastic_launch(config, work)(*args)
        return results[min(results)]
    except SignalException as error:
        raise Signalled(int(error.sigval)) from None
    except (RendezvousError, DistError) as error:
        raise TrainError(
            f"the {recipe.nodes} machines did not meet at {recipe.rendezvous}: "
            f"{_not_met(error, recipe.rendezvous or '', patience)}",
            f"start the same command on all {recipe.nodes} of them within "
            f"{recipe.rendezvous_minutes:g} minutes (rendezvous_minutes); the port must be open on "
            "the one that it names",
        ) from None
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode in (128 + signal.SIGINT, 128 + signal.SIGTERM):  # of another machine
            raise Signalled(failure.exitcode - 128) from None
        told = _killed(failure.exitcode) or _told(failure.message)
        if told is None:  # a mistake in the program: show all there is
            raise
        raise TrainError(f"process {rank}{told[0]}", told[1]) from None
    finally:
        for number, handler in handlers.items():  # it leaves its own behind
            if signal.getsignal(number) is not handler:
                signal.signal(number, handler)


def _not_met(error: Exception, place: str, patience: int) -> str:
    from torch.distributed.elastic.rendezvous import RendezvousConnectionError

    if isinstance(error, RendezvousConnectionError):  # whose text says that another one knows more
        host = place.rpartition(":")[0].strip("[]")
        try:
            socket.getaddrinfo(host, None)
        except OSError:
            return f"no machine has the name {host}"
        return f"nothing there answered within {patience} s"
    return (str(error).splitlines() or [""])[0] or f"they waited {patience} s for one another"


def _start_method() -> str:
    """forkserver: one process imports torch (seconds of work), the ranks are forked from it. It has
    touched no accelerator, so CUDA works in them."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return "spawn"
    multiprocessing.set_forkserver_preload(["archdsl.train.job", "torch._dynamo"])
    return "forkserver"


@contextmanager
def _torch_silent() -> Iterator[None]:
    """Without torch's own lines, among them a child's traceback, once for every rank. Each of its
    loggers has a level of its own."""
    known = [name for name in logging.root.manager.loggerDict if name.startswith("torch.")]
    levels = {name: logging.getLogger(name).level for name in known}
    for name in levels:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _killed(code: int) -> tuple[str, str] | None:
    """A child that was ended from outside, and could say nothing."""
    if code >= 0:
        return None
    return (
        f" was killed ({signal.Signals(-code).name}); the others have ended too",
        "a process is mostly killed for want of memory: a smaller --batch-size or more grad_accum "
        "helps; --resume goes on from the last checkpoint",
    )


def _told(message: Any) -> tuple[str, str] | None:
    """A child's TrainError as it would read without processes."""
    if isinstance(message, dict):
        message = message.get("message", "")
        with contextlib.suppress(TypeError, ValueError, AttributeError):
            message = json.loads(message).get("message", message)
    _, found, text = str(message or "").partition("TrainError: ")
    body, _, help = text.partition("\nhelp: ")
    return (f": {body}", help) if found else None


def state_dicts(model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[Any, Any]:
    """A cut-up (FSDP2) model's and its optimizer's whole state, on the CPU of every rank."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

    options = StateDictOptions(full_state_dict=True, cpu_offload=True)
    return get_state_dict(model, optimizer, options=options)


def set_state_dicts(
    model: nn.Module, optimizer: torch.optim.Optimizer, saved: Any, saved_optimizer: Any
) -> None:
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_state_dict

    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=False)
    set_state_dict(
        model, optimizer, model_state_dict=saved, optim_state_dict=saved_optimizer, options=options
    )


def cut_up(model: nn.Module) -> None:
    """FSDP2: each direct child with weights, then the rest, sharded over the ranks in place."""
    from torch.distributed.fsdp import fully_shard

    for child in model.children():
        if any(True for _ in child.parameters()):
            fully_shard(child)
    fully_shard(model)


def whole(tensor: Tensor) -> Tensor:
    """A sharded tensor gathered; any other as it is."""
    full = getattr(tensor, "full_tensor", None)
    return full() if full is not None else tensor
