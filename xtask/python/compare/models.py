"""The models of torchvision that are compared on, the same in every process."""

import torch
import torchvision

# The sizes that a model insists on; the others take what their weights were trained with.
SIZES = {"inception_v3": 299}
# Auxiliary classifiers only run in training, and their slow initialisation is of no use here.
OPTIONS = dict.fromkeys(("googlenet", "inception_v3"), {"init_weights": False, "aux_logits": False})


def build(name):
    """A model in evaluation mode with random weights, always the same, and inputs for it: one image."""
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None, **OPTIONS.get(name, {})).eval()
    size = SIZES.get(name, 224)
    return model, torch.randn(1, 3, size, size)


def export(model_and_image, archive):
    model, image = model_and_image
    torch.export.save(torch.export.export(model, (image,), strict=False), archive)
