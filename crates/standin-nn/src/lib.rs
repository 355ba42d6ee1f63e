//! Layers, networks, optimisers and the training loop.
