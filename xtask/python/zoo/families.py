"""The families of the zoo: the names of each, and a model by its name."""

import torch

# The library of a family is imported when one of its models is wanted.
FAMILIES = ("torchvision", "segmentation", "detection", "huggingface", "timm")
# Those that show most in least time.
QUICK = {
    "torchvision": [
        "resnet18",
        "mobilenet_v2",
        "shufflenet_v2_x0_5",
        "densenet121",
        "squeezenet1_1",
        "mnasnet0_5",
        "efficientnet_b0",
        "swin_t",
    ],
    "segmentation": ["lraspp_mobilenet_v3_large"],
    "detection": ["ssdlite320_mobilenet_v3_large:layers"],
    "huggingface": ["bert", "llama", "t5", "swin"],
    "timm": ["test_resnet", "test_vit"],
}


def names(family, quick):
    if quick:
        return QUICK[family]
    if family == "huggingface":
        from . import huggingface

        return huggingface.names()
    if family == "timm":
        from . import image_models

        return image_models.names()
    from . import vision

    return {"torchvision": vision.classification, "segmentation": vision.segmentation, "detection": vision.detection}[
        family
    ]()


def example(family, name):
    """The model of this name with inputs, the same at every call."""
    torch.manual_seed(0)
    if family == "huggingface":
        from . import huggingface

        return huggingface.example(name)
    if family == "timm":
        from . import image_models

        return image_models.example(name)
    from . import vision

    build = {
        "torchvision": vision.classification_example,
        "segmentation": vision.segmentation_example,
        "detection": vision.detection_example,
    }
    return build[family](name)
