"""The benchmark's report: results of experiments/bench as Markdown tables."""


def table(head: list[str], rows: list[list]) -> list[str]:
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in [head, *rows]]
    return [lines[0], "|" + "---|" * len(head), *lines[1:], ""]


def us(seconds: float) -> str:
    return f"{1e6 * seconds:,.1f}" if seconds < 1e-4 else f"{1e6 * seconds:,.0f}"


def markdown(result: dict) -> str:
    """The whole report; result as in bench.json."""
    e = result["environment"]
    lines = [
        "# Benchmark", "",
        f"{e['cpu']}, {e['cores']} cores; Python {e['versions']['python']}, NumPy {e['versions']['numpy']}, Numba "
        f"{e['versions']['numba']}; revision {e['revision']}. One thread unless said otherwise, batches of "
        f"{result['batch']} test images, medians. Made by `make bench`.", "",
        "## Speed, microseconds per image", "",
    ]  # fmt: skip
    keys = ("forward", "forward_backward", "training_step", "anytime", "anytime_counted", "one_image",
            "one_image_anytime")  # fmt: skip
    lines += table(
        ["network", "weights", "forward", "forward + backward", "training step", "anytime", "anytime, spikes counted",
         "one image", "one image, anytime"],
        [[s["network"], s["weights"], *(us(s["seconds_per_image"][key]) for key in keys)] for s in result["speed"]],
    )  # fmt: skip
    lines += ["## Layers", "", "Operations are additions to one potential or gradient; limit: additions of table rows "
              "into an accumulator, same row length and table size.", ""]  # fmt: skip
    rows = []
    for s in result["speed"]:
        for row in s["layers"]:
            back = [us(row["backward_seconds"])]
            back += (
                [f"{row['backward'] / 1e3:,.0f}", f"{100 * row['backward_share']:.0f} %"]
                if "backward" in row
                else ["-"] * 2
            )
            rows.append([s["network"], s["weights"], row["layer"], f"{row['spikes']:,.0f}", us(row["forward_seconds"]),
                         f"{row['forward'] / 1e3:,.0f}", f"{row['forward'] / row['forward_seconds'] / 1e9:.1f}",
                         f"{row['limit'] / 1e9:.1f}", f"{100 * row['forward_share']:.0f} %", *back])  # fmt: skip
    lines += table(
        ["network", "weights", "layer", "spikes in", "forward (us)", "operations (10^3)", "10^9 per s",
         "limit (10^9 per s)", "share of limit", "backward (us)", "operations (10^3)", "share of limit"], rows,
    )  # fmt: skip
    lines += [
        "## Peers", "", f"The same {result['peer_batch']} images, one thread. Firing times were equal, gradients close "
        "before anything was timed; ratio: their time per image over ours, measured beside it.", "",
    ]  # fmt: skip
    rows = []
    for entry in result["peers"]:
        for name, p in entry["peers"].items():
            rows += [[entry["network"], entry["weights"], name, what.replace("_", " + "),
                      us(p["seconds_per_image"][what]), us(p["ours"][what]), f"{p['ratio'][what]:,.0f}"]
                     for what in ("forward", "forward_backward")]  # fmt: skip
    lines += table(["network", "weights", "peer", "work", "theirs (us)", "ours (us)", "ratio"], rows)
    lines += table(
        ["online learning", "transcription (us)", "ours (us)", "ratio"],
        [[o["experiment"], us(o["transcription"]), us(o["ours"]), f"{o['ratio']:,.0f}"] for o in result["online"]],
    )  # fmt: skip
    lines += ["## Threads", ""]
    lines += table(
        ["network", "threads", "one (us)", "all (us)", "ratio", "training epoch on all (s)"],
        [[t["network"], t["threads"], us(t["one"]), us(t["all"]), f"{t['ratio']:.2f}", f"{t['epoch']:.0f}"]
         for t in result["threads"]],
    )  # fmt: skip
    lines += ["## Scaling", "", "64C3-P2-128C3-P2-10, random weights, a fifth of the pixels at random times, one thing "
              "changed.", ""]  # fmt: skip
    lines += table(
        ["varied", "value", "hidden spikes", "forward (us)", "forward + backward (us)"],
        [[r["varied"], r["value"], f"{r['hidden_spikes']:,.0f}", us(r["forward"]), us(r["both"])]
         for r in result["scaling"]],
    )  # fmt: skip
    return "\n".join([*lines, f"Peak memory of this process: {result['peak_memory_mb']:.0f} MB.", ""])
