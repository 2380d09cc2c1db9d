"""Directives for the pages of the other systems: what a neuron does, its four functions, and a case with its gradient.

    ```{neuron} relpsp                               the potential of a small case, drawn
    :::{neuron-function} linear.crossing relpsp.crossing      formula, then the code of neurons/ and of reference/
    ```{neuron-case} relpsp                          the case, what it prints

Cases are those of cases_systems.py.
"""

import math
from inspect import getsource

import numpy as np
from docutils import nodes
from sphinx.errors import ExtensionError

from press import cases, cases_systems
from press.equation import FromSources, code_block
from press.equation_code import Place, functions
from press.equation_style import BLACK, BLUE, GREY, drawn, figure_of, number
from press.sources import ROOT
from s4nn_ref.neurons import exponential

STYLES = ("--", ":", "-.", (0, (1, 3)))  # of the parts of a potential, one for each input


def system(name: str):
    """The case of a system. Raises ExtensionError if there is none."""
    found = getattr(cases_systems, f"of_{name}", None)
    if found is None:
        raise ExtensionError(f"cases_systems.py has no case of_{name}")
    return found


def function(name: str, folder: str) -> Place:
    """A function by its file and name, as linear.crossing, in neurons/ or reference/."""
    module, _, wanted = name.partition(".")
    path = ROOT / "s4nn_ref" / folder / f"{module}.py"
    if path.exists():
        for first, last, found in functions(path):
            if found == wanted:
                return Place(path, wanted, first, last, ())
    raise ExtensionError(f"there is no function {wanted} in s4nn_ref/{folder}/{module}.py")


def curve(model, inputs, times) -> np.ndarray:
    """The potential of these inputs at these times."""
    came, v = cases_systems.events(model, inputs), []
    for t in times:
        sums = model.start
        for t_pre, w, _, _ in came:
            if t_pre <= t:
                sums = model.add(sums, t_pre, w)
        v.append(model.potential(sums, t))
    return np.array(v)


def crosses(model, inputs, v_th, delay) -> float:
    """When the neuron fires; the models in steps compare with >=, these systems with >."""
    return cases_systems.fire(model, inputs, math.nextafter(v_th, math.inf) if delay else v_th)[0] + delay


def draw(model, inputs, v_th, delay=0):
    """The potential as the sum of what each input adds, the threshold, and the spike."""
    shown = math.log if model is exponential else float  # of a time: that model has z = exp(t)
    t_post = crosses(model, inputs, v_th, delay)
    x = np.linspace(0, 1.1 * max(shown(inputs[-1][0]), shown(t_post)), 600)
    times = np.exp(x) if model is exponential else x
    figure, axes = figure_of(3.6)
    for k, (one, style) in enumerate(zip(inputs, STYLES, strict=False)):
        axes.plot(x, curve(model, [one], times), color=GREY, linewidth=1.3, linestyle=style, label=f"input {k}")
    v, until = curve(model, inputs, times), x <= shown(t_post)
    axes.plot(x, v, color=BLUE, linewidth=1)
    axes.plot(x[until], v[until], color=BLUE, linewidth=3, label="V, the sum")
    axes.axhline(v_th, color=BLACK, linewidth=1)
    axes.text(0, v_th, "threshold", va="bottom")
    axes.plot(shown(t_post), curve(model, inputs, [t_post]), "*", color=BLUE, markersize=15, mec=BLACK, zorder=3)
    axes.set(xlabel="time", ylabel="V")
    axes.margins(y=0.12)
    figure.legend(loc="outside upper left", ncols=3, frameon=False)
    return figure, alternative(inputs, v_th, shown(t_post), shown)


def alternative(inputs, v_th, t_post, shown) -> str:
    spikes = ", ".join(f"{number(w)} at {number(shown(t))}" for t, w in inputs)
    return (
        f"The potential of a neuron over time, and what each input adds to it. Inputs of weight {spikes}. It reaches "
        f"the threshold {number(v_th)}, and the neuron fires at {number(t_post)}, marked by a star."
    )


class Neuron(FromSources):
    """The picture of a system's case."""

    required_arguments = 1

    def built(self) -> list[nodes.Node]:
        (name,) = self.arguments
        self.env.note_dependency(cases_systems.__file__)
        return [drawn(self.env.app, f"system-{name}", draw, **cases.run(system(name))[0])]


class NeuronFunction(FromSources):
    """A formula, and the functions that compute it: of neurons/, and of reference/ where one is named."""

    required_arguments = 1
    optional_arguments = 1
    has_content = True

    def built(self) -> list[nodes.Node]:
        found = self.parse_content_to_nodes()
        for name, folder in zip(self.arguments, ("neurons", "reference"), strict=False):
            found += self.place(function(name, folder))
        return found


class NeuronCase(FromSources):
    """The code of a case and what it prints; folded, the functions that find a spike and its derivatives."""

    required_arguments = 1

    def built(self) -> list[nodes.Node]:
        case = system(self.arguments[0])
        self.env.note_dependency(cases_systems.__file__)
        helpers = ("events", "fire", "derivatives", "differences", "compare", "with_signs")
        source = "\n\n".join(getsource(getattr(cases_systems, name)) for name in helpers)
        return [
            code_block(cases.code(case)),
            nodes.paragraph("", "It prints"),
            code_block(cases.run(case)[1], "text"),
            *self.folded("The functions that the case calls", [code_block(source)]),
        ]


def setup(app):
    app.setup_extension("press.equation")
    app.add_directive("neuron", Neuron)
    app.add_directive("neuron-function", NeuronFunction)
    app.add_directive("neuron-case", NeuronCase)
    return {"parallel_read_safe": False, "parallel_write_safe": False}
