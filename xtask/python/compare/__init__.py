"""The Python side of `cargo xtask compare`: torchvision's models as archives, and Torch-Pruning at work on the same."""
