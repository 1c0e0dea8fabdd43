"""Makes the archives that the tests of `pt2` read, with torch 2.11: `python make.py`, in this folder."""

import torch
from torch import nn
from torch.export import Dim, export, save


class Residual(nn.Module):
    """Convolutions with batch norm and a residual, a depthwise one in another order of memory, and a gate."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(8)
        self.deep = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.wide = nn.Conv2d(8, 12, 1)
        self.narrow = nn.Conv2d(12, 8, 1)
        self.gate = nn.Linear(8, 8)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8, 5)
        self.wide.weight.data = self.wide.weight.data.to(memory_format=torch.channels_last)

    def forward(self, x):
        x = torch.relu(self.bn(self.stem(x)))
        x = x + self.narrow(torch.relu(self.wide(self.deep(x))))
        x = x * torch.sigmoid(self.gate(x.mean((2, 3))))[:, :, None, None]
        return self.head(self.drop(x.mean((2, 3))))


class Transformer(nn.Module):
    """Attention over a batch of any size, an embedding tied to the head, a buffer that is not saved, nested results."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(11, 8)
        self.attention = nn.MultiheadAttention(8, 4, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.up = nn.Linear(8, 16)
        self.down = nn.Linear(16, 8)
        self.head = nn.Linear(8, 11, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("scale", torch.linspace(0.5, 1.5, 8).expand(6, 8), persistent=False)

    def forward(self, tokens, options):
        x = self.embedding(tokens) * self.scale
        x = x + self.attention(x, x, x, need_weights=False)[0]
        x = x + self.down(nn.functional.gelu(self.up(self.norm(x))))
        return {"logits": self.head(x), "nested": (x.mean(1), tokens.shape[0])}


class Modes(nn.Module):
    """Training statistics, a counter, sub-graphs without gradients and in another precision, rare element types."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 10)
        self.bn = nn.BatchNorm1d(10)
        self.second = nn.Linear(10, 4).to(torch.bfloat16)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.register_buffer("tiny", torch.linspace(-1, 1, 10).to(torch.float8_e4m3fn))
        self.register_buffer("seen", torch.zeros(10))

    def forward(self, x):
        self.calls.add_(1)
        x = self.bn(self.first(x))
        with torch.no_grad():
            shift = torch.sin(x) + torch.tensor([0.1 * i for i in range(10)])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            gram = x @ x.transpose(0, 1)
        self.seen.copy_(x.detach().mean(0))
        x = (x + shift) * self.tiny.to(torch.float32)
        x = x.masked_fill(x < 0, float("-inf")).clamp(min=-1)
        return self.second(x.to(torch.bfloat16)).float(), gram


class Functional(nn.Module):
    """Changes of buffers that an exported program gives back as results, since it changes nothing in place."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 6)
        self.second = nn.Linear(6, 3)
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))
        self.register_buffer("seen", torch.zeros(6))

    def forward(self, x):
        self.calls.add_(1)
        x = torch.relu(self.first(x))
        self.seen.mul_(0.9).add_(x.mean(0))
        return self.second(x)


def make(name, model, inputs, functional=False, **options):
    program = export(model, inputs, **options)
    if functional:
        program = program.run_decompositions()
    modules = [program.graph_module, *program.graph_module.children()]
    for node in (node for module in modules for node in module.graph.nodes):
        node.meta.pop("stack_trace", None)
    save(program, f"{name}.pt2")


torch.manual_seed(0)
tokens = torch.randint(0, 11, (2, 6))
make("residual", Residual().eval(), (torch.randn(2, 3, 6, 6),))
make("transformer", Transformer().eval(), (tokens, {"flag": True}), dynamic_shapes=({0: Dim("batch")}, {"flag": None}))
make("modes", Modes().train(), (torch.randn(4, 6),))
make("functional", Functional().train(), (torch.randn(2, 4),), functional=True)
