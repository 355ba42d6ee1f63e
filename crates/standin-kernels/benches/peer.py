"""Times what `benches/kernels.rs` times, in PyTorch: one case a line in, seconds of each function a line out."""

import sys
import time

import torch
from torch.nn import functional

threads, limit = int(sys.argv[1]), float(sys.argv[2])
torch.set_num_threads(threads)
torch.set_grad_enabled(False)
torch.manual_seed(0)


def least(work):
    start, best = time.perf_counter(), float("inf")
    while time.perf_counter() - start < limit:
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    return best


def convolution(batch, inputs, outputs, size, kernel, stride, padding, groups):
    x, weight = torch.randn(batch, inputs, size, size), torch.randn(outputs, inputs // groups, kernel, kernel)
    bias = torch.randn(outputs)
    gradient = torch.randn_like(functional.conv2d(x, weight, bias, stride, padding, 1, groups))

    def backward(of_input, of_weight):
        mask = [of_input, of_weight, False]
        return torch.ops.aten.convolution_backward(
            gradient, x, weight, [outputs], [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups, mask
        )

    def of_samples():
        seen = functional.unfold(x, kernel, padding=padding, stride=stride)
        of_groups = [numbers.flatten(2).unflatten(1, (groups, -1)) for numbers in (gradient, seen)]
        return torch.einsum("ngop,ngcp->ngoc", *of_groups)

    return [
        lambda: functional.conv2d(x, weight, bias, stride, padding, 1, groups),
        lambda: backward(True, False),
        lambda: backward(False, True),
        of_samples,
        lambda: of_samples().flatten(1).square().sum(1),
    ]


def normalisation(batch, channels, size, groups):
    x = torch.randn(batch, channels, size, size)
    scale, shift = torch.randn(channels), torch.randn(channels)
    gradient = torch.randn_like(x)
    y, mean, deviation = torch.ops.aten.native_group_norm(
        x, scale, shift, batch, channels, size * size, groups, 1e-5
    )

    def backward():
        before = torch.ops.aten.silu_backward(gradient, y)
        return torch.ops.aten.native_group_norm_backward(
            before, x, mean, deviation, scale, batch, channels, size * size, groups, [True, True, True]
        )

    return [lambda: functional.silu(functional.group_norm(x, groups, scale, shift)), backward]


def linear(batch, positions, inputs, outputs):
    x, gradient = torch.randn(batch, positions, inputs), torch.randn(batch, positions, outputs)
    weight, bias = torch.randn(outputs, inputs), torch.randn(outputs)

    def of_samples():
        return torch.einsum("npo,npi->noi", gradient, x)

    return [
        lambda: functional.linear(x, weight, bias),
        lambda: gradient @ weight,
        lambda: gradient.flatten(0, 1).T @ x.flatten(0, 1),
        of_samples,
        lambda: of_samples().flatten(1).square().sum(1),
    ]


def silu(count):
    z = torch.randn(count)
    return [lambda: functional.silu(z)]


for line in sys.stdin:
    function, *sizes = line.split()
    work = {"convolution": convolution, "normalisation": normalisation, "linear": linear, "silu": silu}[function]
    print(*(least(each) for each in work(*map(int, sizes))), flush=True)
