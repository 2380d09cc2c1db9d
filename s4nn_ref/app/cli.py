"""The command `s4nn`. Exit codes: 0 fine, 1 internal error, 2 bad usage or bad input, 130 interrupted (state saved).

Commands import what they need, so that --help and usage errors answer at once.
"""

import json
import logging
import platform
import sys
import time
from contextlib import redirect_stderr, redirect_stdout

from s4nn_ref.app.arguments import parser
from s4nn_ref.app.streams import NobodyReads, Stream, fill_closed
from s4nn_ref.errors import InputError
from s4nn_ref.kernels.running import let_waiting_threads_sleep

_INSTALL = (
    f"install what s4nn_ref needs, for this Python {platform.python_version()}, by: python -m pip install s4nn_ref "
    "(numba has wheels for some Pythons only; s4nn --version shows what is there)"
)


def set_threads(threads: int | None) -> None:
    """Use this many threads; InputError if numba has fewer."""
    import numba

    if threads is not None:
        if threads > numba.config.NUMBA_NUM_THREADS:
            raise InputError(f"--threads {threads}: only {numba.config.NUMBA_NUM_THREADS} are there")
        numba.set_num_threads(threads)


def run_evaluate(args) -> int:
    from s4nn_ref import anytime, metrics
    from s4nn_ref.app import report, shipped, storage
    from s4nn_ref.app.progress import images_bar, tell
    from s4nn_ref.data import dataset

    set_threads(args.threads)
    network, config = storage.read_weights(shipped.network(args.weights))
    name = args.dataset or config.data.dataset
    images = dataset.load(name, args.split, args.data, network.input_shape).called(config.classes).head(args.limit)
    tell(images)
    dataset.check_fits(images, network)
    began = time.perf_counter()
    with images_bar(len(images.labels), "evaluate") as advance:
        if args.anytime:
            found = anytime.metrics_until_decision(network, images, config.data.encoding, advance)
        else:
            responses = metrics.respond(network, images.images, config.data.encoding, progress=advance)
            found = metrics.metrics_of(responses, images.labels)
    seconds = round(time.perf_counter() - began, 3)
    found = {"dataset": images.name, "split": images.split, **found, "seconds": seconds}
    print(json.dumps(found) if args.json else report.evaluation_text(found))
    return 0


def run_predict(args) -> int:
    from s4nn_ref.app import predict, report, shipped, storage
    from s4nn_ref.data.like_mnist import read_like_mnist
    from s4nn_ref.data.pictures import read_image

    weights = shipped.network(args.weights)
    network, config = storage.read_weights(weights)
    names = config.classes
    if args.plot:
        predict.check_plot(args.plot, args.force, [weights, *args.images])
    # all files are read before anything is printed or written
    read = read_like_mnist if args.like_mnist else read_image
    pictures = [read(path, network.input_shape, args.invert) for path in args.images]
    rows = []
    for path, picture in zip(args.images, pictures, strict=True):
        image = picture.image
        p = predict.predict(network, image, config.data.encoding)
        rows.append((path.name, image, p))
        if picture.fitted:
            print(f"s4nn: {path}: {picture.fitted}", file=sys.stderr)
        if image.mean() > 127:
            hint = "leave --invert out" if args.invert else "use --invert for dark on light"
            print(f"s4nn: {path} is mostly light, the network expects light on dark: {hint}?", file=sys.stderr)
        if p.seen is None:
            print(f"s4nn: {path} is black: no input spike, so its class means nothing", file=sys.stderr)
        elif image.min() == image.max():
            print(f"s4nn: {path} is alike everywhere, so its class means nothing", file=sys.stderr)
        if args.json:
            print(json.dumps(report.prediction_json(path, picture, p, names)))
        else:
            print(report.prediction_text(path, p, network.t_max, names))
    if args.plot:
        predict.plot(args.plot, network, rows, names)
    return 0


def run_data(args) -> int:
    from s4nn_ref.app.progress import tell
    from s4nn_ref.app.report import dataset_text
    from s4nn_ref.data import dataset, idx

    for name in [args.name] if args.name else list(idx.SHA256):
        if args.action == "where":
            for what, path in dataset.whereabouts(name, args.data):
                print(f"{what}: {path or 'not found'}")
            continue
        if args.action == "fetch":
            if name not in idx.MIRRORS:
                raise InputError(f"no mirror is known for {name!r}; known: {', '.join(idx.MIRRORS)}")
            for filename in idx.FILES.values():
                if idx.find(name, filename, args.data) is None:
                    idx.fetch(name, filename, args.data)
        for path, digest in idx.verify(name, args.data) if dataset.is_idx(name, args.data) else ():
            known = "original" if name in idx.SHA256 else "no checksum known"
            print(f"{path}: {known}, sha256 {digest}")
        splits = dataset.verified(name, args.data)
        tell(*splits)
        print("\n".join(map(dataset_text, splits)))
    return 0


def run_info(args) -> int:
    from s4nn_ref.app import shipped

    if args.weights is None:
        print(shipped.overview())
        return 0
    from s4nn_ref.app import report, storage

    print(report.network_text(*storage.read_weights(shipped.network(args.weights))))
    return 0


def run_import(args) -> int:
    from s4nn_ref import config
    from s4nn_ref.app import imported, report, shipped, storage
    from s4nn_ref.files import check_free

    path = shipped.experiment(args.config)
    experiment = config.read_config(path)
    network, experiment = imported.read_network(experiment, args.files, args.factor, args.classes)
    if args.out.suffix != ".npz":
        raise InputError(f"--out {args.out}: weights are .npz files")
    check_free(args.out, args.force, [path, *args.files])
    storage.write_weights(args.out, experiment, network.parameters)
    print(report.network_text(network, experiment))
    return 0


def run_export(args) -> int:
    from s4nn_ref.app import graph, graph_file, shipped, storage
    from s4nn_ref.files import check_free, write_atomically

    weights = shipped.network(args.weights)
    network, experiment = storage.read_weights(weights)
    check_free(args.nir, args.force, [weights])
    found = graph.graph_of(network, experiment)
    write_atomically(args.nir, graph_file.graph_bytes(found))
    print(graph.graph_text(found))
    return 0


def run_compare(args) -> int:
    from s4nn_ref.app import record, report

    print(report.comparison_text([record.read_record(folder) for folder in args.runs]))
    return 0


def run_train(args) -> int:
    from dataclasses import fields

    from s4nn_ref.app import shipped
    from s4nn_ref.app.session import Options, train

    set_threads(args.threads)
    config, init = shipped.experiment(args.config), args.init and shipped.network(args.init)
    weights = {"init": init, "teacher": tuple(shipped.network(path) for path in args.teacher)}
    return train(config, Options(**{f.name: getattr(args, f.name) for f in fields(Options)} | weights))


def _check_installed(extra: str, *packages: str) -> None:
    """Raise InputError where a package of an extra is not there."""
    from importlib.util import find_spec

    if missing := [package for package in packages if find_spec(package) is None]:
        raise InputError(f'{" and ".join(missing)} not installed; get what is missing: pip install "s4nn_ref[{extra}]"')


def run_sweep(args) -> int:
    from dataclasses import fields

    _check_installed("sweep", "distributed")
    from s4nn_ref.app import shipped
    from s4nn_ref.app.sweep import Options, sweep

    return sweep(
        [shipped.experiment(path) for path in args.configs],
        Options(**{f.name: getattr(args, f.name) for f in fields(Options)}),
    )


def run_search(args) -> int:
    from dataclasses import fields

    _check_installed("sweep", "distributed", "optuna")
    from s4nn_ref.app import shipped
    from s4nn_ref.app.search import Options, search

    return search(shipped.space(args.space), Options(**{f.name: getattr(args, f.name) for f in fields(Options)}))


RUN = {
    "evaluate": run_evaluate,
    "predict": run_predict,
    "data": run_data,
    "info": run_info,
    "import": run_import,
    "export": run_export,
    "compare": run_compare,
    "train": run_train,
    "sweep": run_sweep,
    "search": run_search,
}


def _writes(args) -> bool:
    """Whether a command leaves files, which are worth more than what it prints."""
    fetches = args.command == "data" and args.action == "fetch"
    return (
        fetches
        or args.command in ("train", "sweep", "search", "import", "export")
        or (args.command == "predict" and args.plot is not None)
    )


def _code(argv: list[str] | None, output: Stream) -> int:
    """Run a command, which prints to `output`; its exit code."""
    try:
        try:
            args = parser().parse_args(argv)
        except SystemExit as done:  # of --help, --version and bad usage
            output.flush()
            return done.code
        output.needed = not _writes(args)
        code = RUN[args.command](args)
        output.flush()  # here, where a full disk can still be told of
        return code
    except InputError as error:
        print(f"s4nn: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("s4nn: interrupted", file=sys.stderr)
        return 130
    except NobodyReads:
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"s4nn: {InputError(f'{where}{error.strerror or error}')}; write elsewhere", file=sys.stderr)
        return 2
    except ImportError as error:  # of a package that is missing, or does not go with another
        if (error.name or "").startswith("s4nn_ref"):
            raise
        print(f"s4nn: {InputError(f'{error}; {_INSTALL}')}", file=sys.stderr)
        return 2
    except MemoryError:
        print("s4nn: not enough memory; use a smaller network or batch", file=sys.stderr)
        return 2


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    let_waiting_threads_sleep()
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # that it keeps no cache where no home can be written
    fill_closed()
    output, messages = Stream(sys.stdout, needed=True), Stream(sys.stderr)
    with redirect_stdout(output), redirect_stderr(messages):
        code = _code(argv, output)
        messages.flush()
    return code
