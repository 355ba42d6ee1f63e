"""The networks of training.rs in PyTorch, and their private steps with Opacus: prints seconds and MiB of one case.

python peers.py NETWORK plain|private contiguous|channels_last STEPS THREADS
"""
import resource
import sys
import time
import warnings

warnings.filterwarnings("ignore")
import torch
import torch.nn as nn
import torch.nn.functional as F


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride, activation):
        super().__init__()
        self.norm = nn.GroupNorm(8, inputs)
        self.activation = activation()
        self.convolution = nn.Conv2d(inputs, outputs, 3, stride, 1)

    def forward(self, x):
        return self.convolution(self.activation(self.norm(x)))


class Beside(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.first = Block(inputs, outputs, stride, nn.ReLU)
        self.second = Block(outputs, outputs, 1, nn.ReLU)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride) if inputs != outputs else nn.Identity()

    def forward(self, x):
        return self.second(self.first(x)) + self.shortcut(x)


class Same(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = Block(64, 64, 1, nn.SiLU)

    def forward(self, x):
        return self.block(x) + x


class Mean(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


def network(name):
    if name == "a":
        return nn.Sequential(
            nn.Conv2d(1, 32, 3, 1, 1), Block(32, 64, 2, nn.SiLU), Block(64, 128, 2, nn.SiLU),
            nn.GroupNorm(8, 128), nn.SiLU(), nn.Flatten(), nn.Linear(128 * 49, 10))
    if name == "b":
        return nn.Sequential(nn.Conv2d(1, 64, 3, 1, 1), Same(), Same(), Same(), Same(), nn.Conv2d(64, 1, 3, 1, 1))
    layers = [nn.Conv2d(3, 16, 3, 1, 1)]
    channels = 16
    for group, outputs in enumerate([64, 128, 256]):
        for index in range(2):
            layers.append(Beside(channels, outputs, 2 if group and not index else 1))
            channels = outputs
    return nn.Sequential(*layers, nn.GroupNorm(8, 256), nn.ReLU(), Mean(), nn.Linear(256, 10))


def main(name, kind, layout, steps, threads):
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    layout = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    shape = (64, 3, 32, 32) if name == "wide-resnet-16-4" else (64, 1, 28, 28)
    x = torch.randn(shape).to(memory_format=layout)
    labels = torch.arange(64) % 10
    model = network(name).to(memory_format=layout)
    if kind == "private":
        from opacus import GradSampleModule
        from opacus.optimizers import DPOptimizer
        model = GradSampleModule(model)
        optimiser = DPOptimizer(torch.optim.Adam(model.parameters(), 1e-3, fused=True), noise_multiplier=1.0,
                                max_grad_norm=1.0, expected_batch_size=64)
    else:
        optimiser = torch.optim.Adam(model.parameters(), 1e-3, fused=True)

    def step():
        optimiser.zero_grad()
        y = model(x)
        loss = ((y - x) ** 2).sum((1, 2, 3)).mean() if name == "b" else F.cross_entropy(y, labels)
        loss.backward()
        optimiser.step()

    step(), step()
    least = float("inf")
    for _ in range(steps):
        start = time.perf_counter()
        step()
        least = min(least, time.perf_counter() - start)
    print(least, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
