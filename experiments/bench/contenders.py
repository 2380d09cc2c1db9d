"""The contenders of "What one would use instead", and the process in which one of them is measured.

    python experiments/bench/contenders.py CONTENDER NETWORK WEIGHTS T_MAX [DATA]

A question (workers.py) names a task, a variant and a batch, and how long to repeat it. The answer holds seconds per
batch and the peak memory of the process. A training step is forward, backward and the optimiser's step, at a learning
rate of 0, so that all steps cost the same; inference gives decisions and nothing else. Both begin at the pixels, and
neither augments. T_MAX is 0 for the experiment's own.
"""

import os
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numba
from measure import seconds_per_call
from work import Case, case_of
from workers import answer

from s4nn_ref.anytime import Anytime

LARGEST = 256  # batch
TASKS = ("training", "inference")


def ours(case: Case, task: str, variant: str):
    """The kernels; inference by a whole forward pass of the fused network, or by the decision without the rest."""
    network, encoding = case.network, case.config.data.encoding
    if task == "training":
        learner = case.learner()
        return lambda: learner.learn(case.images, case.labels)
    if variant == "anytime":
        anytime = Anytime(network)
        return lambda: anytime.decide(network.encode(case.images, encoding), count=False).label
    fused = network.fused()
    room = fused.room(len(case.labels), peaks=False)
    return lambda: fused.outputs(fused.forward(network.encode(case.images, encoding), out=room)).decisions()


def clock_driven(case: Case, task: str, variant: str):
    """DS4NN in PyTorch, step by step."""
    from peers.clock_driven import Learner

    return _work(Learner(case.network, case.config, [0.0] * len(case.network.w)), case, task)


def library(case: Case, task: str, variant: str):
    """The same structure in a public library."""
    from peers.first_spike_snntorch import FirstSpike

    return _work(FirstSpike(case.network, 0.0), case, task)


def relu(case: Case, task: str, variant: str):
    """The same structure with ReLU."""
    from peers.relu import Relu

    return _work(Relu(case.network, variant == "channels_last", 0.0), case, task)


def _work(peer, case: Case, task: str):
    """What is repeated, of a peer that learns and decides."""
    if task == "training":
        return lambda: peer.learn(case.images, case.labels)
    return lambda: peer.decide(case.images)


@dataclass(frozen=True)
class Contender:
    """make : function(case, task, variant) -> what is repeated   packages : beside ours, in the index's spelling
    variants : of each task, the fastest of which counts   slow : seconds per batch, so smaller batches are tried
    """

    make: Callable
    packages: tuple[str, ...] = ()
    variants: dict[str, tuple[str, ...]] = field(default_factory=lambda: dict.fromkeys(TASKS, ("",)))
    slow: bool = False

    def environment(self) -> dict[str, str]:
        """Of its process: ours as the command line sets it; another's threads wait as its user's would."""
        if not self.packages:
            return dict(os.environ)
        ours_alone = ("GOMP_SPINCOUNT", "OPENBLAS_NUM_THREADS")
        return {key: value for key, value in os.environ.items() if key not in ours_alone}


CONTENDERS = {  # in the order in which they are measured
    "ours": Contender(ours, variants={"training": ("",), "inference": ("whole", "anytime")}),
    "clock-driven PyTorch": Contender(clock_driven, ("torch",), slow=True),
    "snnTorch": Contender(library, ("torch", "snntorch"), slow=True),
    "ReLU in PyTorch": Contender(relu, ("torch",), dict.fromkeys(TASKS, ("contiguous", "channels_last"))),
}


def peak_memory_mb() -> float:
    """The most that this process has held.

    Where the system tells both, not getrusage's: that begins with what the parent held.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def measurement(contender: Contender, case: Case):
    """The function that answers questions: {task, variant, batch, least} -> {seconds, ready_mb, peak_mb}.

    least : seconds for which a batch is repeated; 0: once, after one that does not count. Of each task only what was
    asked last is kept. ready_mb : peak memory before the first batch
    """
    made = {}

    def measure(question: dict) -> dict:
        task, variant, batch = (question[key] for key in ("task", "variant", "batch"))
        if made.get(task, [None])[0] != (variant, batch):
            made.pop(task, None)
            run = contender.make(case.head(batch), task, variant)
            run()
            made[task] = (variant, batch), run
        seconds = seconds_per_call(made[task][1], question["least"])
        return {"seconds": seconds, "ready_mb": ready, "peak_mb": peak_memory_mb()}

    ready = peak_memory_mb()
    return measure


def main(name: str, network: str, weights: str, t_max: str, data_dir: str | None = None) -> None:
    """Answer questions about a contender."""
    sys.path.append(str(Path(__file__).parent.parent))  # peers
    contender = CONTENDERS[name]
    if contender.packages:
        import torch

        torch.manual_seed(0)
        torch.set_num_threads(numba.config.NUMBA_NUM_THREADS)
    answer(measurement(contender, case_of(network, weights, data_dir, LARGEST, int(t_max))))


if __name__ == "__main__":
    main(*sys.argv[1:])
