"""Replay the NIR graph of a trained network, and compare every firing time with the network's own (docs/nir.md).

    python experiments/nir_replay.py weights/mnist-plus.npz
    python experiments/nir_replay.py weights/mnist-plus.npz --simulator spikingjelly

The interpreter is that of the tests, in double precision. SpikingJelly, in single precision, is no requirement of this
project: pip install spikingjelly nirtorch.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
import nir_interpreter

from s4nn_ref.app import storage
from s4nn_ref.app.graph import graph_of
from s4nn_ref.data import dataset

BATCH = 20  # images at once


def maps_first(t: np.ndarray, shape) -> np.ndarray:
    """Firing times (B, H, W, M) as those of a node of a shape, (B, M, H, W) or (B, M)."""
    return np.moveaxis(t, 3, 1).reshape(len(t), *shape)


def interpreted(graph, inputs, steps, given=None):
    return nir_interpreter.run(graph, inputs, steps, given=given)


def spikingjelly(graph, inputs, steps):
    """Spikes of every IF node as SpikingJelly simulates them: {name: (steps, B, ...)}, and no margins.

    Its potentials would start at v_reset, of which NIR says nothing; they are set to 0.
    """
    import torch
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    network, state, spikes = import_from_nir(graph, dt=1.0), {}, {}
    for name, module in network.named_children():
        if name.startswith("if"):
            spikes[name] = []
            state[name] = (torch.zeros(len(inputs("input", 0)), *graph.nodes[name].v_threshold.shape),)
            module.register_forward_hook(lambda _, __, out, name=name: spikes[name].append(out[0].numpy() > 0))
    with torch.no_grad():
        for step in range(steps):
            _, state = network(torch.from_numpy(inputs("input", step).astype(np.float32)), state)
    return {name: np.stack(of_node) for name, of_node in spikes.items()}, {}


def first(spikes: np.ndarray) -> np.ndarray:
    """Step of the first spike, the number of steps where there is none: (steps, ...) -> (...)."""
    return np.where(spikes.any(0), spikes.argmax(0), len(spikes))


def compare(network, graph, images, encoding: str, simulate, tell=lambda rows, n: None) -> list[dict]:
    """Firing times of the graph against the network's, a row for each layer.

    tell : is called with the rows after every batch, and the number of images until then
    Returns name; neurons, times images; how many of them fire in another step (`other`), and how many also do where the
    layers below fire as in the network (`local`); of the latter, the largest `margin` of potential and threshold; the
    `most` spikes of a neuron; how many `images` have the whole layer alike.
    """
    rows = []
    for begin in range(0, len(images), BATCH):
        t_in = network.encode(images[begin : begin + BATCH], encoding)
        states = network.forward(t_in)
        names = [f"delay{n}" if f"delay{n}" in graph.nodes else f"if{n}" for n in range(1, len(states))]
        times = {
            name: maps_first(state.t_post, next(iter(graph.nodes[name].output_type.values())))
            for name, state in zip(names, states[1:], strict=True)
        }

        def inputs(name, step, t_in=t_in):
            return np.full((len(t_in), 1), step == 0) if name == "start" else np.moveaxis(t_in == step, 3, 1)

        spikes, _ = simulate(graph, inputs, network.t_max)
        local, margins = spikes, {}
        if simulate is interpreted:
            given = {name: lambda step, t=t: t == step for name, t in times.items()}
            local, margins = simulate(graph, inputs, network.t_max, given)
        for row, name in enumerate(names):
            if begin == 0:
                rows.append({"name": name, "neurons": 0, "other": 0, "local": 0, "margin": 0.0, "most": 0, "images": 0})
            mine, other, alone = times[name], first(spikes[name]), first(local[name])
            margin = margins.get(name.replace("delay", "if"), np.zeros(1))
            r = rows[row]
            r["neurons"] += mine.size
            r["other"] += int((other != mine).sum())
            r["local"] += int((alone != mine).sum())
            r["margin"] = max(r["margin"], float(np.where(alone != mine, margin, 0).max()))
            r["most"] = max(r["most"], int(spikes[name].sum(0).max()))
            r["images"] += int((other == mine).reshape(len(mine), -1).all(1).sum())
        tell(rows, begin + len(t_in))
    return rows


def table(rows: list[dict], n: int) -> str:
    lines = [
        f"{'layer':<8}{'neurons x images':>18}{'other step':>12}{'by itself':>11}{'margin':>10}{'most spikes':>13}"
    ]
    for r in rows:
        counts = f"{r['name']:<8}{r['neurons']:>18,}{r['other']:>12,}{r['local']:>11,}"
        lines.append(f"{counts}{r['margin']:>10.1e}{r['most']:>13}")
    return "\n".join([*lines, f"images whose output neurons all fire in the same steps: {rows[-1]['images']} of {n}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--limit", type=int, default=200, help="test images (default: 200)")
    parser.add_argument("--simulator", choices=("interpreter", "spikingjelly"), default="interpreter")
    args = parser.parse_args()
    network, config = storage.read_weights(args.weights)
    images = dataset.load(config.data.dataset, "test", args.data).head(args.limit).images
    simulate = interpreted if args.simulator == "interpreter" else spikingjelly
    print(f"{args.weights}: {args.simulator}")
    graph = graph_of(network, config)
    rows = compare(network, graph, images, config.data.encoding, simulate, lambda *a: print(table(*a), file=sys.stderr))
    print(table(rows, len(images)))


if __name__ == "__main__":
    main()
