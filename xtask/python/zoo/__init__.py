"""The Python side of `cargo xtask zoo`: makes models, exports them, trains what is left of them, runs Torch-Pruning."""
