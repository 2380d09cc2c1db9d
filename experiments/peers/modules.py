"""The structure of a network as modules of PyTorch, for peers of the same shapes and as many weights."""

import numpy as np
import torch
from torch import nn


def modules(network, activation) -> list[nn.Module]:
    """Convolutions, max-pooling and linear layers without biases; after each but the last an activation.

    network : s4nn_ref.network.Network   activation : function that gives a module. It stands after the pooling, where
    it costs less; for ReLU the order changes nothing
    Asserts each layer's shape and the number of weights.
    """
    x, made = torch.zeros(1, *np.roll(network.input_shape, 1).tolist()), []
    for i, spec in enumerate(network.specs):
        if spec.kind == "dense" and x.ndim == 4:
            made.append(nn.Flatten())
            x = made[-1](x)
        made.append(_module(spec, x.shape[1]))
        x = made[-1](x)
        shape = tuple(np.roll(spec.shape_post, 1)) if x.ndim == 4 else (spec.shape_post[2],)
        assert tuple(x.shape[1:]) == shape, f"{spec.token}: {tuple(x.shape[1:])}, not {shape}"
        if i + 1 < len(network.specs) and network.specs[i + 1].kind != "pool":
            made.append(activation())
    weights = sum(p.numel() for module in made for p in module.parameters())
    assert weights == network.parameters.size, f"{weights} weights, not {network.parameters.size}"
    return made


def _module(spec, maps: int) -> nn.Module:
    """The layer of a structure.LayerSpec above `maps` maps."""
    g = spec.geometry
    if spec.kind == "pool":
        return nn.MaxPool2d(spec.window)
    if spec.kind == "dense":
        return nn.Linear(maps, g.maps_post, bias=False)
    kernel, padding = (g.kernel_height, g.kernel_width), (g.pad_top, g.pad_left)
    return nn.Conv2d(maps, g.maps_post, kernel, g.stride, padding, bias=False)


def pixels(images: np.ndarray, memory_format=torch.contiguous_format) -> torch.Tensor:
    """Images (B, H, W, C) uint8 as intensities (B, C, H, W) in [0, 1]."""
    x = torch.tensor(images).permute(0, 3, 1, 2)
    return x.to(torch.float32, memory_format=memory_format).div_(255)
