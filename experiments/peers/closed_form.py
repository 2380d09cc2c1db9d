"""Exact first spikes in continuous time in PyTorch: sorted inputs, running sums over all of them, autograd.

The usual way on tensors, as public programs do it. The inputs of a layer are sorted, the sums of every prefix are made
at once (batch, inputs, neurons), each prefix gives a candidate, and the first one that comes after its own inputs and
before the next is the firing time. Convolutions are dense layers of all their windows.
"""

import math

import torch
from torch.nn import functional

NEVER = 1e4  # of a triangular potential: a crossing beyond it is rounding


def linear(s, moment, v_th):
    """ReL-PSP: V = S t - A."""
    return torch.where(s > 0, (v_th + moment) / s, math.inf)


def exponential(total, moment, v_th):
    """Mostafa: V = W - Z / z."""
    return torch.where(total > v_th, moment / (total - v_th), math.inf)


class Alpha:
    """Comsa: V = exp(-K t) (A t - B)."""

    def __init__(self, decay: float):
        self.decay = decay

    def __call__(self, a, b, v_th):
        x = -self.decay * v_th / a * torch.exp(self.decay * b / a)
        distance = 2 * (1 + math.e * x)
        found = (a > 0) & (distance >= 0)
        x = torch.where(found, x, -0.1)
        u = torch.where(distance < 1, -1 + torch.sqrt(distance.clamp(min=1e-12)), x / (1 + x))
        u = torch.where(found, u, -0.1)
        for _ in range(8):  # Halley's rule
            e = torch.exp(u)
            miss = u * e - x
            u = u - miss / (e * (u + 1) - (u + 2) * miss / (2 * u + 2))
        return torch.where(found, b / a - u / self.decay, math.inf)


class Triangular:
    """STiDi-BP: a triangle is three ramps, each an input of `linear`; V counts as a line from 0 to the threshold, so
    that dt/dV = -t / v_th."""

    def __init__(self, rise: float, fall: float):
        self.rise, self.fall = rise, fall
        self.echoes = ((0.0, 1 / rise), (rise, -1 / rise - 1 / fall), (rise + fall, 1 / fall))

    def dense(self, t_pre, w, v_th):
        with torch.no_grad():
            ramps = torch.cat([t_pre + delay for delay, _ in self.echoes], dim=1)
            t = dense(linear, ramps, torch.cat([factor * w for _, factor in self.echoes]), v_th)
            t = torch.where(t < NEVER, t, math.inf)
        fired, known = torch.isfinite(t), torch.where(torch.isfinite(t_pre), t_pre, 2 * NEVER)
        t = torch.where(fired, t, 0.0)
        since = t[:, None] - known[..., None]
        triangle = torch.minimum(since / self.rise, (self.rise + self.fall - since) / self.fall).clamp(min=0.0)
        v = (w * triangle).sum(dim=1)
        return torch.where(fired, t - t / v_th * (v - v.detach()), math.inf)


def terms(model, t, w):
    """What an input at t with weight w adds to the two sums."""
    if isinstance(model, Alpha):
        grown = w * torch.exp(model.decay * t)
        return grown, grown * t
    return w, w * t


def prefixes(model, t_pre, w):
    """Sorted inputs and their sums: times (B, n), the running sums (B, n, M) twice. Silent inputs add nothing."""
    t, order = t_pre.sort(dim=1)
    fired = torch.isfinite(t)
    first, second = terms(model, torch.where(fired, t, 0.0)[..., None], w[order])
    first, second = (torch.where(fired[..., None], term, 0.0) for term in (first, second))
    return t, first.cumsum(dim=1), second.cumsum(dim=1)


def dense(model, t_pre, w, v_th):
    """Firing times (B, M) of a dense layer. t_pre : (B, n), inf silent   w : (n, M)"""
    if isinstance(model, Triangular):
        return model.dense(t_pre, w, v_th)
    t, first, second = prefixes(model, t_pre, w)
    following = torch.cat([t[:, 1:], torch.full_like(t[:, :1], math.inf)], dim=1)
    with torch.no_grad():
        candidate = model(first, second, v_th)
        accepted = (candidate >= t[..., None]) & (candidate < following[..., None])
        index = accepted.to(torch.uint8).argmax(dim=1, keepdim=True)
    sums = first.gather(1, index)[:, 0], second.gather(1, index)[:, 0]
    silent = ~accepted.any(dim=1)
    safe = [torch.where(silent, value, total) for value, total in zip((2.0 * v_th, v_th), sums, strict=True)]
    return torch.where(silent, math.inf, model(*safe, v_th))


def convolution(model, t_pre, w, v_th, side):
    """Firing times (B, M, H', W') of a convolution without padding. t_pre : (B, C, H, W)   w : (C side side, M)"""
    n, _, height, width = t_pre.shape
    windows = functional.unfold(t_pre, side).transpose(1, 2)
    t = dense(model, windows.reshape(-1, windows.shape[2]), w, v_th)
    return t.reshape(n, height - side + 1, width - side + 1, -1).permute(0, 3, 1, 2)


def pooling(t_pre, window):
    """The earliest of each window."""
    return -functional.max_pool2d(-t_pre, window)


MODELS = {"linear": linear, "exponential": exponential}


class ClosedForm:
    """The network of an s4nn_ref.network.Network in continuous time, with its weights, in its precision."""

    def __init__(self, network):
        self.network = network
        name = network.neuron.__name__.rpartition(".")[2]
        if name == "alpha":
            self.model = Alpha(network.neuron.K)
        elif name == "triangular":
            self.model = Triangular(network.neuron.RISE, network.neuron.FALL)
        else:
            self.model = MODELS[name]
        self.weights = [torch.from_numpy(w.transpose(3, 1, 2, 0).copy()).requires_grad_() for w in network.w]

    def layers(self):
        """Of each layer its spec, and its weights or None."""
        weights = iter(self.weights)
        return [(spec, None if spec.kind == "pool" else next(weights)) for spec in self.network.specs]

    def fire(self, spec, w, t):
        """Firing times of a layer from those below it."""
        v_th = self.network.v_th
        if spec.kind == "pool":
            return pooling(t, spec.window)
        if spec.kind == "conv":
            return convolution(self.model, t, w.flatten(0, 2), v_th, spec.geometry.kernel_height)
        if spec.kind == "pulses":
            return torch.cat([t.flatten(1), w.flatten()[None].expand(len(t), -1)], dim=1)
        return dense(self.model, t.flatten(1), w.flatten(0, 2), v_th)

    def forward(self, t_in):
        """Firing times of all layers, input first, (B, C, H, W) or (B, M). t_in : (B, H, W, C), inf silent"""
        times = [torch.from_numpy(t_in).permute(0, 3, 1, 2)]
        for spec, w in self.layers():
            times.append(self.fire(spec, w, times[-1]))
        return times

    def forget_gradients(self):
        for w in self.weights:
            w.grad = None

    def found_gradients(self):
        """(M, K, K, C) as `Network.w`."""
        return [w.grad.permute(3, 1, 2, 0).numpy() for w in self.weights]

    def gradients(self, t_in, labels, temperature: float):
        """Gradients of the summed cross-entropy of a softmax over -t / temperature."""
        self.forget_gradients()
        t_out = self.forward(t_in)[-1]
        scores = torch.where(torch.isfinite(t_out), -t_out / temperature, -1e30)
        functional.cross_entropy(scores, torch.from_numpy(labels), reduction="sum").backward()
        return self.found_gradients()

    def local_gradients(self, t_in, error, local):
        """Gradients where hidden layers have errors of their own: layer by layer, from the output down.

        error : function of the output's firing times -> dE/dt   local : function (t_post, dE/dt) -> what replaces it in
        a hidden layer; both on tensors
        """
        self.forget_gradients()
        t, steps = torch.from_numpy(t_in).permute(0, 3, 1, 2), []
        for spec, w in self.layers():
            below = t.detach().requires_grad_(bool(steps))
            t = self.fire(spec, w, below)
            steps.append((spec, below, t))
        delta = error(t.detach())
        for spec, below, t in reversed(steps):
            if spec.kind != "pool" and spec is not steps[-1][0]:
                delta = local(t.detach(), delta)
            t.backward(delta)
            delta = below.grad
        return self.found_gradients()


def learning_step(learner, peer):
    """What makes all gradients in PyTorch: function of firing times and labels."""
    if learner.config.algorithm != "stidi":
        return lambda t_in, labels: peer.gradients(t_in, labels, learner.temperature)
    beta, t_max = learner.config.learning.beta, learner.network.t_max

    def displaced(t_post, delta):
        t, delta = t_post.clamp(max=t_max), delta.reshape(t_post.shape)
        return (t - (t - beta * delta).clamp(0.0, t_max)) / t_max

    def step(t_in, labels):
        def error(t_out):
            return torch.from_numpy(learner.error(t_out.numpy(), labels)[1]).to(t_out.dtype)

        return peer.local_gradients(t_in, error, displaced)

    return step
