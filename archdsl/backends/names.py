"""Names in the emitted source: what they may be, and how to make one."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Container

#: what an emitted module may use besides its own classes
OURS = frozenset(
    ("torch", "nn", "F", "Tensor", "math", "OrderedDict", "NamedTuple", "self", "module", "x", "_")
)
TAKEN = frozenset(keyword.kwlist) | frozenset(keyword.softkwlist) | frozenset(dir(builtins)) | OURS


def reserved_names() -> frozenset[str]:
    """Labels that cannot name a part of a model: torch.nn.Module and torch.nn.Sequential have an
    attribute of that name (torch refuses some, others would hide a method), or `build` sets one."""
    return _RESERVED


def camel(name: str) -> str:
    """`inverted_residual` -> `InvertedResidual`; empty where nothing of the name remains."""
    parts = re.findall(r"[A-Za-z0-9]+", name)
    return "".join(part[0].upper() + part[1:] for part in parts).lstrip("0123456789")


def variable(name: str) -> str:
    """A name as a variable or parameter: lower case, so that it cannot hide a class."""
    plain = "_".join(re.findall(r"[A-Za-z0-9]+", name)).lower().lstrip("0123456789_")
    return plain or "value"


def unique(name: str, taken: Container[str]) -> str:
    """The name, or where it is taken one like it: `class_`, `x2`, `layer1_2`."""
    if keyword.iskeyword(name) or hasattr(builtins, name):
        name += "_"
    if name not in taken:
        return name
    name += "_" if name[-1:].isdigit() else ""
    number = 2
    while f"{name}{number}" in taken:
        number += 1
    return f"{name}{number}"


def defined(support: str) -> list[str]:
    """The names that an operator's support source defines."""
    return re.findall(r"^(?:class|def)\s+(\w+)", support, re.M) + re.findall(
        r"^(\w+)\s*(?::[^=\n]*)?=", support, re.M
    )


_WORDS = """
    T_destination __add__ __annotations__ __call__ __class__ __delattr__ __delitem__ __dict__
    __dir__ __doc__ __eq__ __format__ __ge__ __getattr__ __getattribute__ __getitem__
    __getstate__ __gt__ __hash__ __iadd__ __imul__ __init__ __init_subclass__ __iter__ __le__
    __len__ __lt__ __module__ __mul__ __ne__ __new__ __reduce__ __reduce_ex__ __repr__ __rmul__
    __setattr__ __setitem__ __setstate__ __sizeof__ __str__ __subclasshook__ __weakref__ _apply
    _backward_hooks _backward_pre_hooks _buffers _call_impl _compiled_call_impl _forward_hooks
    _forward_hooks_always_called _forward_hooks_with_kwargs _forward_pre_hooks
    _forward_pre_hooks_with_kwargs _get_backward_hooks _get_backward_pre_hooks _get_item_by_idx
    _get_name _is_full_backward_hook _load_from_state_dict _load_state_dict_post_hooks
    _load_state_dict_pre_hooks _maybe_warn_non_full_backward_hook _modules _named_members
    _non_persistent_buffers_set _parameters _register_load_state_dict_pre_hook
    _register_state_dict_hook _replicate_for_data_parallel _save_to_state_dict _slow_forward
    _state_dict_hooks _state_dict_pre_hooks _version _wrapped_call_impl add_module append apply
    bfloat16 buffers call_super_init children compile cpu cuda double dump_patches eval extend
    extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half insert
    ipu load_state_dict modules mtia named_buffers named_children named_modules named_parameters
    parameters pop program register_backward_hook register_buffer register_forward_hook
    register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
    register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module
    register_parameter register_state_dict_post_hook register_state_dict_pre_hook requires_grad_
    set_extra_state set_submodule share_memory state_dict to to_empty train training type xpu
    zero_grad
"""
_RESERVED = frozenset(_WORDS.split())
