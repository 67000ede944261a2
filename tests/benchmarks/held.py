"""What a training step holds, by torch's own account."""

from __future__ import annotations

from archdsl.ir.graph import Program


def held(
    program: Program, batch: int, optimizer: str = "sgd", device: str = "cpu", mixed: bool = False
) -> int:
    """The most bytes of tensors at once in two steps: on a GPU as its allocator counts them, else
    as torch's MemTracker does, which follows every storage from its birth to its end."""
    import torch

    from archdsl.runtime.module import build

    torch.manual_seed(0)
    module = build(program, device=device)
    made = {
        "sgd": lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9),
        "adam": lambda p: torch.optim.Adam(p, lr=1e-3),
    }[optimizer](module.parameters())

    def step() -> None:
        x = torch.rand(batch, *program.input_shape, device=device)
        made.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.bfloat16, enabled=mixed):
            out = module(x)
        outputs = [one.float() for one in (out if isinstance(out, tuple) else (out,))]
        torch.stack([o.logsumexp(-1).mean() for o in outputs]).sum().backward()
        made.step()

    if device == "cuda":
        step()
        torch.cuda.reset_peak_memory_stats()
        step()
        return torch.cuda.max_memory_allocated()
    from torch.distributed._tools.mem_tracker import MemTracker

    tracker = MemTracker()
    tracker.track_external(module, made)
    with tracker:
        step()
        tracker.reset_mod_stats()
        step()
    snapshot = tracker.get_tracker_snapshot("peak")
    return max(counts["Total"] for counts in snapshot.values())
