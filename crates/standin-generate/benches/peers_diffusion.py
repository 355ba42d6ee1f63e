"""The U-Net of the diffusion models in PyTorch: prints the least seconds of a training step or a pass of sampling.

python peers_diffusion.py training|sampling contiguous|channels_last STEPS THREADS
"""
import copy
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

WIDTH, EMBEDDING, CLASSES, BATCH, DATA = 48, 192, 10, 64, 0.5


class Block(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.first_norm = nn.GroupNorm(inputs // 4 if inputs // 4 <= 32 else 32, inputs)
        self.first = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.shift = nn.Linear(EMBEDDING, outputs)
        self.second_norm = nn.GroupNorm(outputs // 4, outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x, embedding):
        y = self.first(F.silu(self.first_norm(x))) + self.shift(embedding)[:, :, None, None]
        return self.second(F.silu(self.second_norm(y))) + self.shortcut(x)


class Attention(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.norm = nn.GroupNorm(channels // 4, channels)
        self.project = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.heads = heads

    def forward(self, x):
        n, c, h, w = x.shape
        q, k, v = self.project(self.norm(x).flatten(2).transpose(1, 2)).chunk(3, dim=2)
        split = lambda t: t.reshape(n, h * w, self.heads, c // self.heads).transpose(1, 2)
        y = F.scaled_dot_product_attention(split(q), split(k), split(v))
        return self.out(y.transpose(1, 2).reshape(n, h * w, c)).transpose(1, 2).reshape(n, c, h, w) + x


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(4, WIDTH, 3, padding=1)
        self.one, self.two = nn.Linear(WIDTH, EMBEDDING), nn.Linear(EMBEDDING, EMBEDDING)
        self.classes = nn.Embedding(CLASSES + 1, EMBEDDING)
        self.inner = Block(WIDTH, WIDTH)
        self.down = nn.Conv2d(WIDTH, 2 * WIDTH, 3, 2, 1)
        self.before, self.after = Block(2 * WIDTH, 2 * WIDTH), Block(2 * WIDTH, 2 * WIDTH)
        self.attention = Attention(2 * WIDTH, 2)
        self.up = nn.ConvTranspose2d(2 * WIDTH, WIDTH, 2, 2)
        self.outer = Block(2 * WIDTH, WIDTH)
        self.norm = nn.GroupNorm(WIDTH // 4, WIDTH)
        self.head = nn.Conv2d(WIDTH, 4, 3, padding=1)

    def forward(self, x, features, labels):
        embedding = F.silu(self.two(F.silu(self.one(features))) + self.classes(labels))
        skip = self.inner(self.stem(x), embedding)
        y = self.after(self.attention(self.before(self.down(skip), embedding)), embedding)
        return self.head(F.silu(self.norm(self.outer(torch.cat([self.up(y), skip], 1), embedding))))


def main(case, layout, steps, threads):
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    layout = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    model = UNet().to(memory_format=layout)
    average = copy.deepcopy(model).requires_grad_(False)
    optimiser = torch.optim.Adam(model.parameters(), 1e-3, fused=True)
    images = torch.rand(BATCH, 1, 28, 28) * 2 - 1
    labels = torch.arange(BATCH) % CLASSES
    frequencies = torch.logspace(-4, 2, WIDTH // 2, base=2)

    def features(sigma):
        angles = sigma.log()[:, None] * frequencies
        return torch.cat([angles.cos(), angles.sin()], 1)

    def training():
        clean = F.pixel_unshuffle(images, 2).contiguous(memory_format=layout)
        sigma = (torch.randn(BATCH) * 1.2 - 1.2).exp()
        s = sigma[:, None, None, None]
        noisy = clean + s * torch.randn_like(clean)
        total = s**2 + DATA**2
        target = (clean - DATA**2 / total * noisy) * total.sqrt() / (s * DATA)
        dropped = torch.where(torch.rand(BATCH) < 0.1, CLASSES, labels)
        optimiser.zero_grad()
        loss = ((model(noisy / total.sqrt(), features(sigma), dropped) - target) ** 2).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 0.001)
        loss.item()

    def sampling():
        with torch.no_grad():
            x = torch.randn(BATCH, 4, 14, 14).to(memory_format=layout) * 80
            sigma = torch.full((BATCH,), 80.0)
            clean = DATA**2 / (80**2 + DATA**2) * x + 0.5 * model(x / 80, features(sigma), labels)
            (F.pixel_shuffle(clean.clamp(-1, 1), 2) * 127.5 + 127.5).round().to(torch.uint8)

    work = training if case == "training" else sampling
    work(), work()
    least = float("inf")
    for _ in range(steps):
        start = time.perf_counter()
        work()
        least = min(least, time.perf_counter() - start)
    print(least)


main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
