"""The models of torchvision: classification, segmentation, detection."""

import torch
import torchvision

from .example import Example, hide_nothing, images

# The sizes that a model insists on; the others take what their weights were trained with.
SIZES = {"inception_v3": 299}
# Auxiliary classifiers only run in training, and slow initialisation is replaced anyway.
OPTIONS = {"googlenet": {"init_weights": False}, "inception_v3": {"init_weights": False}}
# A detection model is listed as a whole, and without what comes before and after its layers.
LAYERS = ":layers"


def classification():
    """Those with the fewest parameters first."""

    def params(name):
        return torchvision.models.get_model_weights(name).DEFAULT.meta["num_params"]

    return sorted(torchvision.models.list_models(module=torchvision.models), key=params)


def segmentation():
    return sorted(torchvision.models.list_models(module=torchvision.models.segmentation))


def detection():
    names = sorted(torchvision.models.list_models(module=torchvision.models.detection))
    return [name + suffix for name in names for suffix in ("", LAYERS)]


def classification_example(name):
    model = torchvision.models.get_model(name, weights=None, **OPTIONS.get(name, {}))
    return Example(hide_nothing(model), (images(SIZES.get(name, 224)),))


def segmentation_example(name):
    model = torchvision.models.get_model(name, weights=None, weights_backbone=None)
    return Example(hide_nothing(model), (images(128),))


def detection_example(name):
    whole, *layers = name.split(":")
    model = torchvision.models.get_model(whole, weights=None, weights_backbone=None)
    model = hide_nothing(model)
    if not layers:
        return Example(model, (list(images(320)),))
    return Example(Layers(model).eval(), (images(320),))


class Layers(torch.nn.Module):
    """The layers that a detection model has for every image, without resizing, anchors and the choice of boxes."""

    def __init__(self, model):
        super().__init__()
        self.backbone = model.backbone
        self.head = model.rpn.head if hasattr(model, "rpn") else model.head

    def forward(self, x):
        return self.head(list(self.backbone(x).values()))
