"""What one would use instead: ours and the contenders, each at its own best batch, on all cores and in turn.

Every contender has a process of its own (contenders.py). A search finds its best variant and batch for each task; then
rounds in turn measure all of them. Slow ones are bounded: no batch is tried that would take too long, or too much
memory. A contender whose package is missing, or whose process ends, is left out with a line that says so.
"""

import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from compare import PEER_BATCH, assert_clock_driven_is_ours
from contenders import CONTENDERS, TASKS
from work import Work
from workers import worker

from s4nn_ref.errors import InputError


@dataclass(frozen=True)
class Plan:
    """rounds : in turn   fast, slow : batches of the search   least : seconds for which a batch is repeated
    longest : seconds that a batch may take   t_max, batches : of the table of memory
    """

    rounds: int = 7
    fast: tuple[int, ...] = (32, 64, 128, 256)
    slow: tuple[int, ...] = (4, 8, 16, 32, 64, 128, 256)
    least: float = 1.0
    longest: float = 8.0
    t_max: tuple[int, ...] = (50, 100, 200, 400)
    batches: tuple[int, ...] = (4, 8, 16, 32)


QUICK = Plan(rounds=1, fast=(32, 64), slow=(1, 2), least=0.1, t_max=(50, 100), batches=(1, 2))


def missing(packages) -> str | None:
    """A line about packages that are not installed."""
    for name in packages:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            return f"{name} is not installed: pip install {' '.join(packages)}"
    return None


def process_of(name: str, network: str, weights: str, data_dir, t_max: int = 0):
    """The process of a contender, see workers.worker."""
    command = [str(Path(__file__).with_name("contenders.py")), name, network, weights, str(t_max)]
    command += [str(data_dir)] if data_dir else []
    return worker(command, f"{name} on {network}", CONTENDERS[name].environment())


def search(ask, task: str, variants, batches, plan: Plan) -> list[dict]:
    """What was found for each variant and batch. Batches grow until the next would take too long or too much memory."""
    found = []
    for variant in variants:
        last = None
        for batch in batches:
            if last and _is_too_much(last, batch, plan):
                break
            question = {"task": task, "variant": variant, "batch": batch}
            last = question | ask(question | {"least": plan.least})
            found.append(last | {"images_per_second": batch / last["seconds"]})
    return found


def _is_too_much(last: dict, batch: int, plan: Plan) -> bool:
    """Whether a batch is expected to take too long or more than half of the machine's memory, as the last one did."""
    growth = batch / last["batch"]
    memory_mb = last["ready_mb"] + growth * (last["peak_mb"] - last["ready_mb"])
    half_mb = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1024**2 / 2
    return growth * last["seconds"] > plan.longest or memory_mb > half_mb


def in_turn(asks: dict, questions: dict, rounds: int) -> tuple[dict, dict]:
    """Images per second of every contender, task and round, all contenders of a round after one another.

    asks : contender -> ask   questions : contender -> task -> question
    Returns {contender: {task: [speed of each round]}}, and for those whose process ended a line, {contender: line}.
    """
    speeds, ended = {name: {task: [] for task in TASKS} for name in asks}, {}
    for _ in range(rounds):
        for task in TASKS:
            for name in [name for name in asks if name not in ended]:
                question = questions[name][task]
                try:
                    seconds = asks[name](question)["seconds"]
                except InputError as error:
                    ended[name] = str(error)
                else:
                    speeds[name][task].append(question["batch"] / seconds)
    return {name: speed for name, speed in speeds.items() if name not in ended}, ended


def _best(name: str, network: str, weights: str, plan: Plan, data_dir) -> dict:
    """For each task the question at which a contender is fastest, all that was found, and its memory there."""
    contender, bests = CONTENDERS[name], {}
    for task in TASKS:
        with process_of(name, network, weights, data_dir) as ask:
            found = search(ask, task, contender.variants[task], plan.slow if contender.slow else plan.fast, plan)
        best = max(found, key=lambda row: row["images_per_second"])
        question = {key: best[key] for key in ("task", "variant", "batch")} | {"least": plan.least}
        with process_of(name, network, weights, data_dir) as ask:
            answer = ask(question | {"least": 0.0})
        memory = {key: answer[key] for key in ("ready_mb", "peak_mb")}
        bests[task] = {"question": question, "searched": found, **memory}
    return bests


def check(name: str, network: str, weights: str, data_dir) -> None:
    """Assert that the clock-driven network computes what ours does; the others assert their shapes when made."""
    if name == "clock-driven PyTorch":
        assert_clock_driven_is_ours(Work(network, weights, data_dir, PEER_BATCH).with_exact_sums())


def instead(network: str, weights: str, plan: Plan, data_dir) -> dict:
    """Throughput of all contenders for a network, and ratios ours / theirs: medians over rounds."""
    best, left_out = {}, {}
    for name, contender in CONTENDERS.items():
        if line := missing(contender.packages):
            left_out[name] = line
            continue
        try:
            check(name, network, weights, data_dir)
            best[name] = _best(name, network, weights, plan, data_dir)
        except InputError as error:
            left_out[name] = str(error)
    questions = {name: {task: found["question"] for task, found in tasks.items()} for name, tasks in best.items()}
    with ExitStack() as stack:
        asks = {name: stack.enter_context(process_of(name, network, weights, data_dir)) for name in best}
        speeds, ended = in_turn(asks, questions, plan.rounds)
    left_out |= ended
    for name, line in left_out.items():
        print(f"left out: {name}, {line}", file=sys.stderr)
    contenders = {name: {task: _row(best, speeds, name, task) for task in TASKS} for name in speeds}
    packages = sorted({package for name in speeds for package in CONTENDERS[name].packages})
    versions = {package: metadata.version(package) for package in packages}
    where = {"network": network, "weights": weights, "rounds": plan.rounds, "versions": versions}
    return {**where, "contenders": contenders, "left_out": left_out}


def _row(best: dict, speeds: dict, name: str, task: str) -> dict:
    """The result of a contender for a task. ratio : ours / theirs, median over rounds; None where ours has ended"""
    found, rounds = best[name][task], speeds[name][task]
    row = {"variant": found["question"]["variant"], "batch": found["question"]["batch"]}
    row |= {"images_per_second": float(np.median(rounds)), "rounds": rounds}
    row |= {key: found[key] for key in ("ready_mb", "peak_mb", "searched")}
    ratio = np.median(np.divide(speeds["ours"][task], rounds)) if "ours" in speeds else None
    return {**row, "ratio": None if ratio is None else float(ratio)}


def memory(network: str, plan: Plan, data_dir) -> list[dict]:
    """Peak memory of a training step of the contenders that spike, against T_max and batch, trained weights."""
    rows, batch = [], plan.batches[1]
    cases = [("T_max", t_max, t_max, batch) for t_max in plan.t_max] + [("batch", b, 0, b) for b in plan.batches]
    names = [name for name, c in CONTENDERS.items() if name != "ReLU in PyTorch" and not missing(c.packages)]
    for varied, value, t_max, size in cases:
        question = {"task": "training", "variant": "", "batch": size, "least": 0.0}
        row = {"network": network, "varied": varied, "value": value, "batch": size, "memory": {}}
        for name in names:
            try:
                with process_of(name, network, "trained", data_dir, t_max) as ask:
                    answer = ask(question)
                row["memory"][name] = {key: answer[key] for key in ("ready_mb", "peak_mb")}
            except InputError as error:
                print(f"left out: {error}", file=sys.stderr)
        rows.append(row)
    return rows
