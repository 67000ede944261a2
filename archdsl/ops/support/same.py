"""TensorFlow's SAME padding, which depends on the size of the input."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@torch.fx.wrap
def same_pad(
    x: Tensor,
    kernel_size: list[int],
    stride: list[int],
    dilation: list[int],
    value: float = 0.0,
) -> Tensor:
    """A border with which a window visits ceil(side / stride) places: half of it on each side,
    and the odd one at the end."""
    sides = x.shape[2:]
    border: list[int] = []
    for i in range(
        len(kernel_size) - 1, -1, -1
    ):  # torch begins with the last dimension
        places = -(-sides[i] // stride[i])
        span = (places - 1) * stride[i] + dilation[i] * (kernel_size[i] - 1) + 1
        missing = max(span - sides[i], 0)
        border += [missing // 2, missing - missing // 2]
    return F.pad(x, border, value=value)


class Conv1dSame(nn.Conv1d):
    """Convolution with TensorFlow's SAME padding."""

    def forward(self, x: Tensor) -> Tensor:
        window = list(self.kernel_size), list(self.stride), list(self.dilation)
        x = same_pad(x, window[0], window[1], window[2])
        return F.conv1d(
            x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups
        )


class Conv2dSame(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding."""

    def forward(self, x: Tensor) -> Tensor:
        window = list(self.kernel_size), list(self.stride), list(self.dilation)
        x = same_pad(x, window[0], window[1], window[2])
        return F.conv2d(
            x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups
        )


class Conv3dSame(nn.Conv3d):
    """Convolution with TensorFlow's SAME padding."""

    def forward(self, x: Tensor) -> Tensor:
        window = list(self.kernel_size), list(self.stride), list(self.dilation)
        x = same_pad(x, window[0], window[1], window[2])
        return F.conv3d(
            x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups
        )


class MaxPool1dSame(nn.Module):
    """Max pooling with TensorFlow's SAME padding."""

    def __init__(
        self,
        kernel_size: tuple[int, ...],
        stride: tuple[int, ...],
        dilation: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = list(kernel_size), list(stride)
        self.dilation = list(dilation)

    def forward(self, x: Tensor) -> Tensor:
        x = same_pad(x, self.kernel_size, self.stride, self.dilation, float("-inf"))
        return F.max_pool1d(x, self.kernel_size, self.stride, 0, self.dilation)

    def extra_repr(self) -> str:
        return f"{self.kernel_size}, stride={self.stride}, dilation={self.dilation}"


class MaxPool2dSame(nn.Module):
    """Max pooling with TensorFlow's SAME padding."""

    def __init__(
        self,
        kernel_size: tuple[int, ...],
        stride: tuple[int, ...],
        dilation: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = list(kernel_size), list(stride)
        self.dilation = list(dilation)

    def forward(self, x: Tensor) -> Tensor:
        x = same_pad(x, self.kernel_size, self.stride, self.dilation, float("-inf"))
        return F.max_pool2d(x, self.kernel_size, self.stride, 0, self.dilation)

    def extra_repr(self) -> str:
        return f"{self.kernel_size}, stride={self.stride}, dilation={self.dilation}"


class MaxPool3dSame(nn.Module):
    """Max pooling with TensorFlow's SAME padding."""

    def __init__(
        self,
        kernel_size: tuple[int, ...],
        stride: tuple[int, ...],
        dilation: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = list(kernel_size), list(stride)
        self.dilation = list(dilation)

    def forward(self, x: Tensor) -> Tensor:
        x = same_pad(x, self.kernel_size, self.stride, self.dilation, float("-inf"))
        return F.max_pool3d(x, self.kernel_size, self.stride, 0, self.dilation)

    def extra_repr(self) -> str:
        return f"{self.kernel_size}, stride={self.stride}, dilation={self.dilation}"


class AvgPool1dSame(nn.Module):
    """Average pooling with TensorFlow's SAME padding, which does not count in the mean."""

    def __init__(self, kernel_size: tuple[int, ...], stride: tuple[int, ...]) -> None:
        super().__init__()
        self.kernel_size, self.stride = list(kernel_size), list(stride)

    def forward(self, x: Tensor) -> Tensor:
        count = F.avg_pool1d(
            self.bordered(torch.ones_like(x)), self.kernel_size, self.stride
        )
        x = F.avg_pool1d(self.bordered(x), self.kernel_size, self.stride)
        return x / count

    def bordered(self, x: Tensor) -> Tensor:
        return same_pad(x, self.kernel_size, self.stride, [1] * len(self.stride))

    def extra_repr(self) -> str:
        return f"{self.kernel_size}, stride={self.stride}"


class AvgPool2dSame(nn.Module):
    """Average pooling with TensorFlow's SAME padding, which does not count in the mean."""

    def __init__(self, kernel_size: tuple[int, ...], stride: tuple[int, ...]) -> None:
        super().__init__()
        self.kernel_size, self.stride = list(kernel_size), list(stride)

    def forward(self, x: Tensor) -> Tensor:
        count = F.avg_pool2d(
            self.bordered(torch.ones_like(x)), self.kernel_size, self.stride
        )
        x = F.avg_pool2d(self.bordered(x), self.kernel_size, self.stride)
        return x / count

    def bordered(self, x: Tensor) -> Tensor:
        return same_pad(x, self.kernel_size, self.stride, [1] * len(self.stride))

    def extra_repr(self) -> str:
        return f"{self.kernel_size}, stride={self.stride}"


class AvgPool3dSame(nn.Module):
    """Average pooling with TensorFlow's SAME padding, which does not count in the mean."""

    def __init__(self, kernel_size: tuple[int, ...], stride: tuple[int, ...]) -> None:
        super().__init__()
        self.kernel_size, self.stride = list(kernel_size), list(stride)

    def forward(self, x: Tensor) -> Tensor:
        count = F.avg_pool3d(
            self.bordered(torch.ones_like(x)), self.kernel_size, self.stride
        )
        x = F.avg_pool3d(self.bordered(x), self.kernel_size, self.stride)
        return x / count

    def bordered(self, x: Tensor) -> Tensor:
        return same_pad(x, self.kernel_size, self.stride, [1] * len(self.stride))

    def extra_repr(self) -> str:
        return f"{self.kernel_size}, stride={self.stride}"
