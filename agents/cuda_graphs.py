"""Functions of tensors that are called again and again: on a GPU captured as CUDA graphs, and replayed."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

FIRST = 3  # calls that are not replayed: they make what a graph may not make, as an optimiser's moments

Function = Callable[..., dict[str, Tensor]]


class Repeated:
    """A function from tensors to named tensors, the same on every device.

    An update of a small network starts a hundred kernels, one after the other, and each takes longer to start from
    Python than to compute; a CUDA graph starts them all at once. The function is captured for each shape of its
    arguments. It may change tensors in place. It must not make Python wait for the GPU, nor go by Python's numbers that
    change from call to call: those are arguments too.

    Args:
        function: what is called; it holds on to the tensors that it changes.
        device: where.
    """

    def __init__(self, function: Function, device: torch.device) -> None:
        self.function, self.captures = function, device.type == "cuda"
        self.calls: dict[tuple[torch.Size, ...], int] = {}
        self.captured: dict[tuple[torch.Size, ...], Captured] = {}

    def __call__(self, *inputs: Tensor) -> dict[str, Tensor]:
        if not self.captures:
            return self.function(*inputs)
        shapes = tuple(each.shape for each in inputs)
        if shapes in self.captured:
            return self.captured[shapes](*inputs)
        self.calls[shapes] = self.calls.get(shapes, 0) + 1
        if self.calls[shapes] <= FIRST:
            return aside(self.function, *inputs)
        self.captured[shapes] = Captured(self.function, *inputs)
        return self.captured[shapes](*inputs)


def aside(function: Function, *inputs: Tensor) -> dict[str, Tensor]:
    """Call it on a stream of its own, as capturing will."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        found = function(*inputs)
    torch.cuda.current_stream().wait_stream(stream)
    return found


class Captured:
    """What a function does to arguments of one shape, as a CUDA graph."""

    def __init__(self, function: Function, *inputs: Tensor) -> None:
        self.inputs = [each.clone() for each in inputs]
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.outputs = function(*self.inputs)

    def __call__(self, *inputs: Tensor) -> dict[str, Tensor]:
        torch._foreach_copy_(self.inputs, inputs)
        self.graph.replay()
        return {name: value.clone() for name, value in self.outputs.items()}
