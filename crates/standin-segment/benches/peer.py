"""Measures what `benches/volumes.rs` measures, in PyTorch: one case a line in, seconds and megabytes of each function out."""

import sys
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

threads, limit = int(sys.argv[1]), float(sys.argv[2])
torch.set_num_threads(threads)
torch.manual_seed(0)


def resident(field):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return 0.0


def measured(work, limit):
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass
    before = resident("VmRSS:")
    work()
    added = max(resident("VmHWM:") - before, 0.0)
    start, best = time.perf_counter(), float("inf")
    while time.perf_counter() - start < limit:
        begin = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - begin)
    return best, added


def layer(batch, inputs, outputs, depth, height, width, kernel, stride, padding):
    x = torch.randn(batch, inputs, depth, height, width)
    weight, bias = torch.randn(outputs, inputs, kernel, kernel, kernel), torch.randn(outputs)
    gradient = torch.randn_like(functional.conv3d(x, weight, bias, stride, padding))

    def backward(of_input, of_weight):
        mask = [of_input, of_weight, False]
        return torch.ops.aten.convolution_backward(
            gradient, x, weight, [outputs], [stride] * 3, [padding] * 3, [1] * 3, False, [0] * 3, 1, mask
        )

    with torch.no_grad():
        works = [
            lambda: functional.conv3d(x, weight, bias, stride, padding),
            lambda: backward(True, False),
            lambda: backward(False, True),
        ]
        return [measured(work, limit) for work in works]


def block(count, inputs, outputs):
    layers = []
    for at in range(count):
        convolution = nn.Conv3d(inputs if at == 0 else outputs, outputs, 3, padding=1)
        layers += [convolution, nn.GroupNorm(outputs // 4, outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class VNet(nn.Module):
    """The network of `standin_segment::network` with one decoder that enlarges by transposed convolutions."""

    def __init__(self, width):
        super().__init__()
        counts, widths = [1, 2, 3, 3, 3], [width << level for level in range(5)]

        def changed(layer, channels):
            return nn.Sequential(layer, nn.GroupNorm(channels // 4, channels), nn.ReLU(inplace=True))

        self.down = nn.ModuleList(block(counts[l], 1 if l == 0 else widths[l], widths[l]) for l in range(5))
        self.shrink = nn.ModuleList(changed(nn.Conv3d(widths[l], widths[l + 1], 2, 2), widths[l + 1]) for l in range(4))
        self.enlarge = nn.ModuleList(
            changed(nn.ConvTranspose3d(widths[l + 1], widths[l], 2, 2), widths[l]) for l in range(4)
        )
        self.up = nn.ModuleList(block(counts[l], widths[l], widths[l]) for l in range(4))
        self.output = nn.Conv3d(width, 2, 1)

    def forward(self, x):
        maps = [self.down[0](x)]
        for level in range(4):
            maps.append(self.down[level + 1](self.shrink[level](maps[-1])))
        x = maps.pop()
        for level in reversed(range(4)):
            x = self.up[level](self.enlarge[level](x) + maps[level])
        return self.output(x)


def step(batch, width, depth, height, across):
    network = VNet(width)
    images = torch.randn(batch, 1, depth, height, across)
    labels = (torch.arange(images.numel()).reshape(batch, depth, height, across) % 7 == 0).long()

    def work():
        network.zero_grad(set_to_none=True)
        logits = network(images)
        p, y = logits.softmax(1)[:, 1], labels.float()
        dice = 1 - (2 * (p * y).sum() + 1e-5) / ((p * p).sum() + (y * y).sum() + 1e-5)
        (0.5 * (functional.cross_entropy(logits, labels) + dice)).backward()

    return [measured(work, 3 * limit)]


for line in sys.stdin:
    function, *sizes = line.split()
    found = {"layer": layer, "step": step}[function](*map(int, sizes))
    print(*(number for pair in found for number in pair), flush=True)
