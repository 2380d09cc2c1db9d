"""The benchmark's report: its results as Markdown tables."""


def table(head: list[str], rows: list[list]) -> list[str]:
    """The lines of a Markdown table."""
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in [head, *rows]]
    return [lines[0], "|" + "---|" * len(head), *lines[1:], ""]


def section(title: str, text: str = "") -> list[str]:
    """The lines of a heading, and of what is said below it."""
    return [f"## {title}", "", *([text, ""] if text else [])]


def us(seconds: float) -> str:
    """Microseconds."""
    return f"{1e6 * seconds:,.1f}" if seconds < 1e-4 else f"{1e6 * seconds:,.0f}"


def speed(rows: list[dict]) -> list[str]:
    columns = {
        "forward": "forward",
        "forward_backward": "forward + backward",
        "training_step": "training step",
        "decision": "decision",
        "anytime": "anytime",
        "anytime_counted": "anytime, spikes counted",
        "one_image": "one image",
        "one_image_anytime": "one image, anytime",
    }
    cells = [[s["network"], s["weights"], *(us(s["seconds_per_image"][key]) for key in columns)] for s in rows]
    return section("Speed, microseconds per image") + table(["network", "weights", *columns.values()], cells)


def layers(rows: list[dict]) -> list[str]:
    head = ["network", "weights", "layer", "spikes in", "forward (us)", "operations (10^3)", "10^9 per s"]
    head += ["limit (10^9 per s)", "share of limit", "backward (us)", "operations (10^3)", "share of limit"]
    cells = []
    for s in rows:
        for row in s["layers"]:
            forward = [us(row["forward_seconds"]), f"{row['forward'] / 1e3:,.0f}"]
            forward += [f"{row['forward'] / row['forward_seconds'] / 1e9:.1f}", f"{row['limit'] / 1e9:.1f}"]
            forward += [f"{100 * row['forward_share']:.0f} %"]
            backward = ["-", "-"]
            if "backward" in row:
                backward = [f"{row['backward'] / 1e3:,.0f}", f"{100 * row['backward_share']:.0f} %"]
            named = [s["network"], s["weights"], row["layer"], f"{row['spikes']:,.0f}"]
            cells.append([*named, *forward, us(row["backward_seconds"]), *backward])
    text = (
        "Operations are additions to one potential or gradient. Limit: additions of table rows to an accumulator, with "
        "rows and a table of the same size."
    )
    return section("Layers", text) + table(head, cells)


def engines(rows: list[dict]) -> list[str]:
    text = "Forward + backward with trained weights. The plain engine should take at most 15 times as long."
    cells = [[e["network"], us(e["fast"]), us(e["plain"]), f"{e['ratio']:.1f}"] for e in rows]
    return section("Engines", text) + table(["network", "fast (us)", "plain (us)", "ratio"], cells)


def peers(rows: list[dict], batch: int) -> list[str]:
    text = (
        f"The same {batch} images, one thread. Before anything was timed, firing times were equal and gradients close. "
        "Ratio: their time per image over ours, measured in turn."
    )
    cells = []
    for entry in rows:
        for name, p in entry["peers"].items():
            for what in ("forward", "forward_backward"):
                seconds = [us(p["seconds_per_image"][what]), us(p["ours"][what])]
                named = [entry["network"], entry["weights"], name, what.replace("_", " + ")]
                cells.append([*named, *seconds, f"{p['ratio'][what]:,.0f}"])
    head = ["network", "weights", "peer", "work", "theirs (us)", "ours (us)", "ratio"]
    return section("Peers", text) + table(head, cells)


def online(rows: list[dict]) -> list[str]:
    cells = [[o["experiment"], us(o["reference"]), us(o["ours"]), f"{o['ratio']:,.0f}"] for o in rows]
    return table(["online learning", "reference (us)", "ours (us)", "ratio"], cells)


def systems(rows: list[dict]) -> list[str]:
    text = (
        "Systems in continuous time, and the same closed form in PyTorch: sorted inputs, running sums, autograd. Ours "
        "on one core; theirs on all cores, at its best batch. Firing times were equal before anything was timed."
    )
    head = ["system", "structure", "weights", "work", "ours (us)", "theirs (us)", "their batch", "ratio"]
    cells = []
    for row in rows:
        for what in ("forward", "forward_backward"):
            named = [row["system"], row["structure"], row["weights"], what.replace("_", " + "), us(row["ours"][what])]
            peer = row["theirs"]
            theirs = [us(peer[what]), peer["batch"], f"{row['ratio'][what]:,.0f}"] if peer else ["-", "-", "-"]
            cells.append([*named, *theirs])
    return section("Systems in continuous time", text) + table(head, cells)


def threads(rows: list[dict]) -> list[str]:
    head = ["network", "threads", "one (us)", "all (us)", "ratio", "training epoch on all (s)"]
    cells = []
    for t in rows:
        row = [t["network"], t["threads"], us(t["one"]), us(t["all"]), f"{t['ratio']:.2f}", f"{t['epoch']:.0f}"]
        cells.append(row)
    return section("Threads") + table(head, cells)


def waiting(rows: list[dict]) -> list[str]:
    text = (
        "Trained `mnist-plus`, forward + backward, on two cores: speed of two threads over that of one, medians over "
        "rounds in turn. Threads that wait sleep with GOMP_SPINCOUNT=0, as the command line sets it, and spin without. "
        "Two that sleep should never be slower than 0.9 times one, beside three busy processes as well."
    )
    head = ["beside them", "two, sleeping, over one", "two, spinning, over one", "two, sleeping, over two, spinning"]
    cells = []
    for w in rows:
        ratios = [f"{w[key]:.2f}" for key in ("sleeping", "spinning", "sleeping_over_spinning")]
        cells.append([f"{w['busy']} busy processes" if w["busy"] else "nothing", *ratios])
    return section("Waiting threads", text) + table(head, cells)


def scaling(rows: list[dict]) -> list[str]:
    text = (
        "64C3-P2-128C3-P2-10 unless said otherwise; a fifth of the pixels at random times, random weights of a size "
        "that lets a tenth of the neurons of each hidden layer fire; one thing varies. Operations are additions of a "
        "weight to a potential, forward. Lists are those of spikes, of all layers."
    )
    head = ["varied", "value", "structure", "hidden spikes", "operations (10^6)", "forward (us)"]
    head += ["ns per operation", "forward + backward (us)", "weights (MB)", "lists (MB)"]
    cells = []
    for r in rows:
        row = [r["varied"], r["value"], "" if r["structure"] == rows[0]["structure"] else r["structure"]]
        row += [f"{r['hidden_spikes']:,.0f}", f"{r['operations'] / 1e6:,.2f}", us(r["forward"])]
        row += [f"{1e9 * r['forward'] / r['operations']:.2f}", us(r["both"])]
        cells.append([*row, *(f"{r[key] / 1e6:,.1f}" for key in ("weights_bytes", "lists_bytes"))])
    return section("Scaling", text) + table(head, cells)


# ours over the ReLU network: (network, weights) -> training, inference
TARGETS = {
    ("mnist-plus", "trained"): {"training": 3.0, "inference": 5.0},
    ("mnist-plus", "initial"): {"training": 1.8, "inference": 5.0},
    ("fashion-plus", "trained"): {"training": 2.0, "inference": 4.0},
    ("fashion-plus", "initial"): {"training": 1.3, "inference": 4.0},
}


def verdict(ratio: float, target: float | None) -> str:
    """What a ratio ours / theirs says, of losses as plainly as of wins. target : None where there is none"""
    said = "ours is faster" if ratio > 1 else "ours is slower"
    if target is None:
        return said
    return f"{said}; target {target:g}: {'reached' if ratio >= target else 'missed'}"


def instead(rows: list[dict]) -> list[str]:
    versions = [f"{name} {version}" for name, version in rows[0]["versions"].items()]
    text = (
        "Training (forward, backward, optimiser) and inference (decisions) from pixels, without augmentation, on all "
        "cores. Each contender in a process of its own, at the fastest of the batches and variants that were tried, "
        "the slow ones at no batch that takes more than some seconds. Memory is the peak of a process that does this "
        "alone, and its peak before the first batch. The ratio is ours over theirs: below 1 ours is slower. The ReLU "
        "network and that of snnTorch keep their own initial weights. Medians of "
        f"{rows[0]['rounds']} rounds in turn; {', '.join(versions) or 'no other package'}."
    )
    head = ["network", "weights", "work", "contender", "images/s", "batch", "variant", "peak memory (MB)"]
    head += ["before the first batch (MB)", "ours / theirs", "verdict"]
    cells, left_out = [], []
    for row in rows:
        named = [row["network"], row["weights"]]
        for task in ("training", "inference"):
            for name, of_tasks in row["contenders"].items():
                target = TARGETS[tuple(named)][task] if name == "ReLU in PyTorch" else None
                cells.append([*named, task, name, *contender(of_tasks[task], name != "ours", target)])
        left_out += [f"Left out of {', '.join(named)}: {name}, {line}" for name, line in row["left_out"].items()]
    lines = section("What one would use instead", text) + table(head, cells)
    return lines + [part for line in left_out for part in (line, "")]


def contender(found: dict, compared: bool, target: float | None) -> list[str]:
    """The cells of a contender for a task."""
    cells = [f"{found['images_per_second']:,.4g}", found["batch"], found["variant"] or "-"]
    cells += [f"{found[key]:,.0f}" for key in ("peak_mb", "ready_mb")]
    if not compared or found["ratio"] is None:
        return [*cells, "-", "-"]
    return [*cells, f"{found['ratio']:.3g}", verdict(found["ratio"], target)]


def memory(rows: list[dict]) -> list[str]:
    names = list(dict.fromkeys(name for row in rows for name in row["memory"]))
    text = (
        f"Training steps of trained `{rows[0]['network']}`, each in a process of its own: peak memory above the peak "
        "before the first batch, MB. T_max varies, or the batch at the experiment's own T_max."
    )
    cells = []
    for row in rows:
        above = [row["memory"].get(name) for name in names]
        peaks = [f"{peak['peak_mb'] - peak['ready_mb']:,.0f}" if peak else "ended" for peak in above]
        cells.append([row["varied"], row["value"], row["batch"], *peaks])
    return section("Memory", text) + table(["varied", "value", "batch", *names], cells)


SECTIONS = {  # of bench.json, in the order of the report
    "speed": lambda result: [*speed(result["speed"]), *layers(result["speed"])],
    "engines": lambda result: engines(result["engines"]),
    "peers": lambda result: peers(result["peers"], result["peer_batch"]),
    "online": lambda result: online(result["online"]),
    "systems": lambda result: systems(result["systems"]),
    "threads": lambda result: threads(result["threads"]),
    "waiting": lambda result: waiting(result["waiting"]),
    "scaling": lambda result: scaling(result["scaling"]),
    "instead": lambda result: instead(result["instead"]),
    "memory": lambda result: memory(result["memory"]),
}


def renewed(whole: dict, section: str, result: dict) -> dict:
    """A benchmark with one section measured anew; "later" says of which revision, where, and in how many rounds."""
    later = whole.get("later", {}) | {section: result["environment"] | {"rounds": result["rounds"]}}
    return whole | {section: result[section], "later": later}


def markdown(result: dict) -> str:
    """The report of the sections that were measured. result : as in bench.json"""
    e = result["environment"]
    made = (
        f"{e['cpu']}, {e['cores']} cores; Python {e['versions']['python']}, NumPy {e['versions']['numpy']}, Numba "
        f"{e['versions']['numba']}; revision {e['revision']}. One thread except where threads vary or it says all "
        f"cores, batches of {result['batch']} test images where it names no other, medians. Written by `make bench`."
    )
    lines = ["# Benchmark", "", made, ""]
    for name, write in SECTIONS.items():
        lines += write(result) if name in result else []
        if later := result.get("later", {}).get(name):
            of = f"revision {later['revision']}, {later['cpu']}, {later['rounds']} rounds"
            lines += [f"Measured later than the rest: {of}.", ""]
    return "\n".join([*lines, f"Peak memory of this process: {result['peak_memory_mb']:.0f} MB.", ""])
