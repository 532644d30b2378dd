"""A GPU that is not there: tensors that have a device, a type and a shape, but nothing in them.

torch's own FakeTensorMode. It refuses to mix devices as a GPU would, and to tell what a tensor
holds, for which the host would have to wait.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from wm.models.build import build
from wm.models.chess_board import _tables
from wm.models.move_parts import _incidence

GPU = torch.device("cuda", 0)


class Pretended(TorchDispatchMode):
    """Does what torch does not know how to pretend, and counts what is copied to the GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.copies = 0
        """Copies from the host to the GPU so far."""

    def __torch_dispatch__(
        self, op: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if op.__name__.startswith("_fused_adamw_"):
            assert _devices(args, kwargs) == {GPU}
            return None
        if op.__name__.startswith("bincount"):
            return args[0].new_empty(args[2] if len(args) > 2 else kwargs["minlength"])
        result = op(*args, **kwargs)
        if op.__name__.startswith(("_to_copy", "copy_")) and result.device == GPU:
            self.copies += _devices(args, kwargs) != {GPU}
        return result


@contextlib.contextmanager
def pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pretended]:
    """Whatever is made on :data:`GPU` is pretended; ``backward`` adds nothing to gradients.

    The engine behind ``backward`` asks the driver, as does cuDNN, which torch goes without here.
    """

    def build_there(*args: Any) -> nn.Module:
        with GPU:
            model = build(*args)
        for module in model.modules():
            module._buffers |= {
                name: own.to(GPU) for name, own in module.named_buffers(recurse=False)
            }
        monkeypatch.setattr(model, "to", lambda device: model)  # it could not move its parameters
        return model

    def forget() -> None:
        _incidence.cache_clear()
        _tables.cache_clear()

    forget()
    monkeypatch.setattr("trainer.setup.build", build_there)
    monkeypatch.setattr(Tensor, "backward", lambda loss: None)
    with (
        torch.backends.cudnn.flags(enabled=False),
        FakeTensorMode(allow_non_fake_inputs=True),
        Pretended() as pretended,
    ):
        try:
            yield pretended
        finally:
            forget()


def _devices(*arguments: Any) -> set[torch.device]:
    return {leaf.device for leaf in tree_leaves(arguments) if isinstance(leaf, Tensor)}
