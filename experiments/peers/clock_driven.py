"""DS4NN in PyTorch, clock-driven: one convolution per layer and time step, forward and backward.

The usual way to simulate spiking networks on tensors. In each step the spikes of a layer are a tensor of 0 and 1,
their weighted sum is added to the potentials, and neurons that reach the threshold for the first time fire. Errors are
propagated step by step too: for a neuron of mask time t all spikes up to t are causal (Eqs. 10 and 12).
"""

import numpy as np
import torch
from torch.nn import functional

from s4nn_ref.network import Outputs


class ClockDriven:
    """The network of an s4nn_ref.network.Network, with its weights."""

    def __init__(self, network):
        self.network, self.t_max = network, network.t_max
        self.w = [torch.from_numpy(np.ascontiguousarray(w.transpose(0, 3, 1, 2))) for w in network.w]
        self.threshold = network.output_threshold()

    def _padding(self, geometry):
        """Zeros to the left, right, top and bottom of the map below."""
        g = geometry
        bottom = (g.height_post - 1) * g.stride + g.kernel_height - g.height - g.pad_top
        right = (g.width_post - 1) * g.stride + g.kernel_width - g.width - g.pad_left
        return g.pad_left, max(right, 0), g.pad_top, max(bottom, 0)

    @torch.no_grad()
    def forward(self, t_in):
        """States of all layers, input first: dictionaries of (B, C, H, W). t_in : (B, H, W, C)"""
        t_in = torch.from_numpy(t_in.astype(np.int64)).permute(0, 3, 1, 2)
        n, layers, t_max = len(t_in), self.network.specs, self.t_max
        states = [{"t": t_in, "t_peak": t_in}]
        for layer in layers:
            height, width, maps = layer.shape_post
            shape = (n, maps, height, width)
            times = {"t": torch.full(shape, t_max), "t_peak": torch.full(shape, -1)}
            states.append({**times, "v_peak": torch.zeros(shape), "v": torch.zeros(shape), "trace": []})
        for t in range(t_max):
            spikes, depth = (t_in == t).float(), 0
            for i, layer in enumerate(layers):
                s = states[i + 1]
                if layer.kind == "pool":
                    arrived = functional.max_pool2d(spikes, layer.window) > 0
                    fires = arrived & (s["t"] == t_max)
                else:
                    g = self.network.geometries[depth]
                    padded = functional.pad(spikes, self._padding(g))
                    s["v"] += functional.conv2d(padded, self.w[depth], stride=g.stride)
                    v_th = float(self.threshold[t]) if layer is layers[-1] else self.network.v_th
                    waits = s["t"] == t_max
                    fires = waits & (s["v"] >= v_th)
                    peaks = (waits & (s["v"] > s["v_peak"])) | fires
                    s["v_peak"] = torch.where(peaks, s["v"], s["v_peak"])
                    s["t_peak"][peaks] = t
                    depth += 1
                s["t"][fires] = t
                spikes = fires.float()
            states[-1]["trace"].append(states[-1]["v"].flatten(1).clone())
        self._winners(states)
        return states

    def _winners(self, states):
        """Find the neuron of each pooling window whose spike was passed on; its state becomes the pooling neuron's."""
        for i, layer in enumerate(self.network.specs):
            if layer.kind != "pool":
                continue
            below, s, window = states[i], states[i + 1], layer.window

            def places(x, window=window):
                return functional.unfold(x.double(), window, stride=window).view(len(x), x.shape[1], window**2, -1)

            t, v = places(below["t"]), places(below["v_peak"])
            earliest = t == t.min(2, keepdim=True).values
            tie = v if self.network.settings.pool_ties == "potential" else torch.zeros_like(v)
            winner = torch.where(earliest, tie, -torch.inf).argmax(2, keepdim=True)
            for name in ("t_peak", "v_peak"):
                s[name] = places(below[name]).gather(2, winner)[:, :, 0].view(s["t"].shape).to(below[name].dtype)
            s["winner"] = winner[:, :, 0].view(s["t"].shape)

    @torch.no_grad()
    def backward(self, states, error):
        """Weight gradients (M, C, K_y, K_x), summed over the batch; surrogate "window".

        error : (B, t_max, classes), dE/dV of the output neurons in every step
        """
        network, t_max, n = self.network, self.t_max, len(error)
        d = torch.from_numpy(np.cumsum(error[:, ::-1], axis=1)[:, ::-1].astype(np.float32).copy())
        pre, w_out = states[-2], self.w[-1].flatten(1)
        t_pre, t_peak = pre["t"].flatten(1), pre["t_peak"].flatten(1)
        image = torch.arange(n)[:, None]
        spread = d[image, t_pre.clamp(max=t_max - 1)] * (t_pre < t_max)[..., None]  # (B, N, classes)
        grad = [spread.sum(0).T.reshape(self.w[-1].shape)]
        delta = -(w_out.T * d[image, t_peak.clamp(min=0)]).sum(-1) * (t_peak >= 0)
        delta, depth, i = delta.view(pre["t"].shape), len(self.w) - 1, len(network.specs) - 1
        while i > 0:
            state, layer = states[i], network.specs[i - 1]
            g = delta * (1 - (state["v_peak"] - network.v_th).abs() / network.v_th).clamp(min=0)
            t_mask = state["t_peak"]
            if layer.kind == "pool":
                i, window = i - 1, layer.window
                chosen = functional.one_hot(state["winner"].flatten(2), window**2)  # (B, C, P, K)
                shape = states[i]["t"].shape

                def placed(x, fill, chosen=chosen, window=window, shape=shape):
                    x = torch.where(chosen > 0, x.flatten(2)[..., None].double(), fill).permute(0, 1, 3, 2)
                    size = (shape[2] // window * window, shape[3] // window * window)
                    x = functional.fold(x.reshape(len(x), -1, x.shape[-1]), size, window, stride=window)
                    return functional.pad(x, (0, shape[3] - size[1], 0, shape[2] - size[0]), value=fill)

                g, t_mask = placed(g, 0.0).float(), placed(t_mask, -1.0).long()
            depth -= 1
            geometry, pre = network.geometries[depth], states[i - 1]
            delta, total = self._layer_backward(g, t_mask, pre, geometry, self.w[depth], depth > 0)
            grad.insert(0, total)
            i -= 1
        return grad

    def _layer_backward(self, g, t_mask, pre, geometry, w, propagate):
        """Eqs. 10 and 12 for one layer, step by step: dE/dt of the layer below, and the weight gradient."""
        padding = self._padding(geometry)
        left, right, top, bottom = padding
        shape = (*pre["t"].shape[:2], geometry.height + top + bottom, geometry.width + left + right)
        delta, total = torch.zeros(pre["t"].shape), torch.zeros_like(w)
        for t in range(self.t_max):
            now = torch.where(t_mask == t, g, 0.0)
            arrived = functional.pad((pre["t"] <= t).float(), padding)
            total -= torch.nn.grad.conv2d_weight(arrived, w.shape, now, stride=geometry.stride)
            if propagate:
                back = torch.nn.grad.conv2d_input(shape, w, now, stride=geometry.stride)
                back = back[:, :, top : top + geometry.height, left : left + geometry.width]
                delta += torch.where((pre["t_peak"] <= t) & (pre["t_peak"] >= 0), back, 0.0)
        return delta, total


class Learner:
    """Training and decisions of a clock-driven network: our output error, PyTorch's Adam.

    network, config : of s4nn_ref, an experiment of DS4NN   eta : learning rate of each weighted layer
    """

    def __init__(self, network, config, eta):
        self.peer, self.config = ClockDriven(network), config
        layers = [{"params": [w], "lr": rate} for w, rate in zip(self.peer.w, eta, strict=True)]
        self.optimiser = torch.optim.Adam(layers)

    def forward(self, images):
        """States of all layers, and what the outputs did. images : uint8 (B, H, W, C)"""
        network = self.peer.network
        states = self.peer.forward(network.encode(images, self.config.data.encoding))
        last, t_pre = states[-1], states[-2]["t"].permute(0, 2, 3, 1).flatten(1)
        t_out, v_peak, v_end = (last[name].flatten(1).numpy() for name in ("t", "v_peak", "v"))
        w = self.peer.w[-1].permute(2, 3, 1, 0).flatten(0, 2).contiguous()
        threshold = network.output_threshold()
        t_pre = t_pre.to(torch.int16).contiguous().numpy()
        return states, Outputs(t_out, v_peak, v_end, v_end, self.peer.t_max, threshold, t_pre, w.numpy())

    def learn(self, images, labels) -> float:
        """One update along the mean gradient of a batch; returns its mean cost. labels : int (B,)"""
        states, outputs = self.forward(images)
        cost, error = self.config.learning.loss.error(outputs, labels)
        for w, gradient in zip(self.peer.w, self.peer.backward(states, error), strict=True):
            w.grad = gradient / len(labels)
        self.optimiser.step()
        return float(cost.mean())

    def decide(self, images):
        """Class of each image, (B,)."""
        return self.forward(images)[1].decisions()
