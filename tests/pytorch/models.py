"""Small models of the kinds that are exported most."""

import torch
from torch import nn
from torch.nn import functional as F


def example(name):
    """A model in evaluation mode and its inputs, the same at every call."""
    torch.manual_seed(0)
    model, inputs = MODELS[name]()
    for parameter_name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            nn.init.normal_(parameter, 0.0 if "bias" in parameter_name else 0.6, 0.2)
    return model.eval(), inputs


def vision(name, size, **settings):
    def build():
        import torchvision

        model = torchvision.models.get_model(name, weights=None, num_classes=10, **settings)
        return model, (torch.randn(2, 3, size, size),)

    return build


def vit():
    from torchvision.models import VisionTransformer

    model = VisionTransformer(32, 8, num_layers=2, num_heads=4, hidden_dim=32, mlp_dim=64, num_classes=10)
    nn.init.normal_(model.heads.head.weight, 0.0, 0.2)
    return model, (torch.randn(2, 3, 32, 32),)


def convnext():
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    blocks = [CNBlockConfig(16, 32, 2), CNBlockConfig(32, None, 2)]
    return ConvNeXt(blocks, layer_scale=0.5, num_classes=10), (torch.randn(2, 3, 32, 32),)


def densenet():
    from torchvision.models import DenseNet

    return DenseNet(8, (2, 3, 2), 16, num_classes=10), (torch.randn(2, 3, 64, 64),)


def swin():
    from torchvision.models import SwinTransformer

    model = SwinTransformer([4, 4], 16, [2, 2], [2, 4], [4, 4], num_classes=10)
    return model, (torch.randn(2, 3, 64, 64),)


class Translator(nn.Module):
    """An encoder and a decoder of `torch.nn`, fed by embeddings."""

    def __init__(self, vocabulary=50, width=32):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.transformer = nn.Transformer(width, 4, 2, 2, 48, batch_first=True)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, source, target):
        states = self.transformer(self.embed(source), self.embed(target))
        return self.head(states)


class Reader(nn.Module):
    """Two recurrent layers in both directions."""

    def __init__(self, vocabulary=50, width=24):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.lstm = nn.LSTM(width, 16, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(32, 10)

    def forward(self, ids):
        return self.head(self.lstm(self.embed(ids))[0].mean(1))


class Llama(nn.Module):
    """A decoder with grouped-query attention, rotary positions, RMS norms and gated hidden layers."""

    def __init__(self, vocabulary=50, width=32, layers=2):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList(Layer(width) for _ in range(layers))
        self.norm = nn.RMSNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)

    def forward(self, ids):
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


class Layer(nn.Module):
    def __init__(self, width, heads=4, kv_heads=2, hidden=64):
        super().__init__()
        self.heads, self.kv_heads, self.size = heads, kv_heads, width // heads
        self.q = nn.Linear(width, heads * self.size, bias=False)
        self.k = nn.Linear(width, kv_heads * self.size, bias=False)
        self.v = nn.Linear(width, kv_heads * self.size, bias=False)
        self.o = nn.Linear(heads * self.size, width, bias=False)
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)
        self.before, self.after = nn.RMSNorm(width), nn.RMSNorm(width)
        self.register_buffer("frequencies", 10000.0 ** (-torch.arange(0, self.size, 2) / self.size))

    def forward(self, x):
        x = x + self.attend(self.before(x))
        y = self.after(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))

    def attend(self, x):
        batch, length, _ = x.shape
        q = self.q(x).view(batch, length, self.heads, self.size).transpose(1, 2)
        k = self.k(x).view(batch, length, self.kv_heads, self.size).transpose(1, 2)
        v = self.v(x).view(batch, length, self.kv_heads, self.size).transpose(1, 2)
        q, k = rotate(q, self.frequencies), rotate(k, self.frequencies)
        k, v = (t.repeat_interleave(self.heads // self.kv_heads, dim=1) for t in (k, v))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o(y.transpose(1, 2).reshape(batch, length, self.heads * self.size))


def rotate(x, frequencies):
    angles = torch.outer(torch.arange(x.shape[-2]), frequencies).repeat(1, 2)
    first, second = x.chunk(2, dim=-1)
    return x * angles.cos() + torch.cat([-second, first], dim=-1) * angles.sin()


def words(*lengths):
    return tuple(torch.randint(0, 50, (2, length)) for length in lengths)


MODELS = {
    "resnet18": vision("resnet18", 32),
    "mobilenet_v2": vision("mobilenet_v2", 32),
    "shufflenet": vision("shufflenet_v2_x0_5", 64),
    "squeezenet": vision("squeezenet1_1", 64),
    "efficientnet": vision("efficientnet_b0", 32),
    "regnet": vision("regnet_y_400mf", 32),
    "densenet": densenet,
    "convnext": convnext,
    "swin": swin,
    "vit": vit,
    "llama": lambda: (Llama(), words(7)),
    "translator": lambda: (Translator(), words(7, 5)),
    "reader": lambda: (Reader(), words(7)),
}
# Those that are exported with a batch of any size.
ANY_BATCH = {"mobilenet_v2", "vit", "reader"}
