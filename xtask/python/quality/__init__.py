"""The Python side of `cargo xtask quality`: Torch-Pruning on the same networks, and the sentence encoder's export."""
