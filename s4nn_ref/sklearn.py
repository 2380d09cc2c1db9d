"""A classifier for scikit-learn: pip install "s4nn_ref[sklearn]"."""

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError(f'{error}; install scikit-learn >= 1.6: pip install "s4nn_ref[sklearn]"') from None

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from s4nn_ref.app.fit import finish, prepared
from s4nn_ref.app.model import Model
from s4nn_ref.decision import decide, fired
from s4nn_ref.encoding import intensities
from s4nn_ref.errors import InputError, shown
from s4nn_ref.metrics import Responses
from s4nn_ref.training.loop import Progress, Training

_SEEDS = 2**31
_COLDEST = 20  # the largest difference of two scores is that many temperatures


def scores(r: Responses, v_th: float) -> np.ndarray:
    """The decision as one number for each class: float64 (n, classes), of which the largest is that of the decision.

    Of an output neuron that fires in step t, t_max - t and, for ties, less than a step that grows with its potential;
    of a silent one a number below 0 that grows with its final potential. v_th : potential units
    """
    peak, end = (v.astype(np.float64) for v in (r.v_peak, r.v_end))
    early = r.t_max - r.t_out.astype(np.float64) + peak / (np.abs(peak) + v_th)
    return np.where(fired(r.t_out, r.silent), early, end / (np.abs(end) + v_th) - 1.0)


def _temperature(score: np.ndarray, label: np.ndarray, t_max: int) -> float:
    """The temperature of the softmax of scores (n, classes) for which labels (n,) are most likely, in steps."""

    def loss(log_t: float) -> float:
        return -log_softmax(score / np.exp(log_t), axis=1)[np.arange(len(label)), label].mean()

    bounds = (np.log(t_max / _COLDEST), np.log(100.0 * t_max))
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


class S4NNClassifier(ClassifierMixin, BaseEstimator):
    """A network of neurons that fire at most once, as a scikit-learn classifier.

    Features become firing times as pixels do, the larger the earlier, and the smallest value sends no spike. One linear
    map takes [low, high] to 0..255 for all features alike, and values outside to its ends. `fit` learns it: the lowest
    and the highest value of the training data; but bytes are intensities as they are, [0, 255], and booleans [0, 1].
    Features of different units should be scaled before, e.g. by a MinMaxScaler.

    Parameters
    ----------
    structure    : e.g. "32C3-P2-auto" or "auto-100-auto": "auto" at the end is a neuron for each class, at the
                   beginning of a dense network the number of inputs. None: the experiment's, or else "auto-100-auto"
    experiment   : the name, file or tables of an experiment, whose keys take the place of the defaults
    epochs       : length of the run; None: as the experiment says, or else 20
    image_shape  : (rows, columns) or (rows, columns, channels) of flat samples. None: a square, grey, if the number of
                   features is one; else one row. Samples may also come as images, (n, rows, columns[, channels])
    complement   : a second channel for each, in which the smaller comes the earlier. A small value sends a spike then;
                   without it, nothing does. For features that are no brightness: of a table, say
    settings     : dictionary of any other keys of docs/configuration.md, as keywords of `s4nn_ref.fit`. No validation
                   images are held out unless `validation` is among them
    random_state : seed of weights, order and augmentation; a whole number is the seed of the command line
    warm_start   : `fit` begins from the weights of the call before, and keeps its map of the features

    Attributes
    ----------
    classes_      : (classes,), labels of any kind, sorted
    model_        : s4nn_ref.Model, for firing times, spikes and a weights file
    image_shape_  : (rows, columns, channels), without the complement
    range_        : (low, high) of the features
    temperature_  : of `predict_proba`, in steps

    >>> import numpy as np
    >>> X, y = np.eye(4), np.array(["north", "east", "south", "west"])
    >>> S4NNClassifier("4-4", epochs=60, random_state=0).fit(X, y).predict(X[::-1])
    array(['west', 'south', 'east', 'north'], dtype='<U5')
    """

    def __init__(
        self, structure=None, *, experiment=None, epochs=None, image_shape=None, complement=False, settings=None,
        random_state=None, warm_start=False,
    ):  # fmt: skip
        self.structure = structure
        self.experiment = experiment
        self.epochs = epochs
        self.image_shape = image_shape
        self.complement = complement
        self.settings = settings
        self.random_state = random_state
        self.warm_start = warm_start

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        # on the two features of sklearn's test of accuracy: they are two spikes, and a small value is none
        tags.classifier_tags.poor_score = not self.complement
        return tags

    # ------------------------------------------------------------------------------------------------- learning

    def fit(self, X, y):
        """Train a network.

        X : (n, features) or (n, rows, columns[, channels])   y : (n,), labels of any kind
        Returns the classifier. Raises InputError, a ValueError, on keys and arrays that do not fit.
        """
        X, y = validate_data(self, X, y, allow_nd=True)
        check_classification_targets(y)
        goes_on = self.warm_start and hasattr(self, "model_")
        if not goes_on:
            self._learn_form(X, np.unique(y))
        self._check_known(np.unique(y), "warm_start")
        labels = np.searchsorted(self.classes_, y)
        self._state, self._passes = {}, 0
        training = self._prepared(X, labels, self.model_ if goes_on else None, self._keys())
        return self._take(finish(training, None, verbose=False), X, labels)

    def partial_fit(self, X, y, classes=None):
        """Go on learning: one epoch on these samples, at a constant learning rate.

        classes : (classes,), all labels there will ever be; needed in the first call, which also learns the map of the
                  features
        Returns the classifier. Raises InputError, a ValueError, as `fit` does.
        """
        first = not hasattr(self, "model_")
        X, y = validate_data(self, X, y, allow_nd=True, reset=first)
        check_classification_targets(y)
        if first and classes is None:
            raise InputError("classes: the first call of partial_fit needs all labels there will ever be")
        if first:
            self._learn_form(X, np.unique(classes))
        self._check_known(np.unique(y if classes is None else np.append(classes, y)), "partial_fit")
        labels, keys = np.searchsorted(self.classes_, y), self._keys(constant=True)
        training = self._prepared(X, labels, None if first else self.model_, keys)
        state = training.algorithm.state()
        for name, array in ({} if first else self._state).items():  # moments and averages, too
            state[name][...] = array
        training.epoch = passes = 0 if first else self._passes  # of random draws
        training.run_epoch(Progress(), {"set": False})
        training.save(None)
        self._take(Model(training.config, training.algorithm.parameters()), X, labels)
        self._state, self._passes = {name: array.copy() for name, array in state.items()}, passes + 1
        return self

    def _learn_form(self, X, classes) -> None:
        """What the first samples say of all: classes, size, range."""
        self.classes_ = classes
        self.image_shape_ = self._shape_of(X)
        known = {"u1": (0.0, 255.0), "b1": (0.0, 1.0)}
        low, high = known.get(X.dtype.str[1:], (float(X.min()), float(X.max())))
        self.range_ = (low, high if high > low else low + 1.0)

    def _check_known(self, classes, where: str) -> None:
        if unknown := [label for label in classes.tolist() if label not in self.classes_.tolist()]:
            raise InputError(
                f"{where}: label {shown(unknown[0])} is not among the classes of the first call; name it there, or "
                "begin with a new classifier"
            )

    def _shape_of(self, X) -> tuple[int, int, int]:
        """(rows, columns, channels) of samples."""
        if self.image_shape is not None:
            shape = (*self.image_shape, 1)[:3]
            if len(self.image_shape) not in (2, 3) or np.prod(shape) != np.prod(X.shape[1:]):
                raise InputError(
                    f"image_shape = {shown(self.image_shape)} does not hold samples of shape {X.shape[1:]}; give rows, "
                    "columns and, if there are several, channels"
                )
            return tuple(int(side) for side in shape)
        if X.ndim > 2:
            return (*X.shape[1:], 1)[:3] if X.ndim < 5 else X.shape[1:]
        side = int(np.sqrt(X.shape[1]) + 0.5)
        return (side, side, 1) if side * side == X.shape[1] else (1, X.shape[1], 1)

    def _full_structure(self) -> str | None:
        """The structure with numbers in place of "auto"."""
        if self.structure is None and self.experiment is not None:
            return None
        first, *rest = (self.structure or "auto-100-auto").split("-")
        if rest and first == "auto":
            first = str(int(np.prod(self.image_shape_)) * (2 if self.complement else 1))
        if rest and rest[-1] == "auto":
            rest[-1] = str(len(self.classes_))
        return "-".join([first, *rest])

    def _keys(self, constant: bool = False) -> dict:
        """Keywords of `fit`. constant : with a constant learning rate"""
        settings = dict(self.settings or {})
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(_SEEDS)
        keys = {"seed": int(seed)}
        if "validation" not in settings.get("data", {}):
            keys["validation"] = 0
        if self.epochs is not None:
            keys["epochs"] = self.epochs
        keys |= settings
        if constant:
            keys = {key: value for key, value in keys.items() if key not in ("decay", "decay_every")}
            keys |= {"schedule": "constant", "validation": 0}
        return keys

    def _images(self, X) -> np.ndarray:
        """Samples as intensities, uint8 (n, rows, columns, channels)."""
        low, high = self.range_
        if X.dtype != np.uint8 or self.range_ != (0.0, 255.0):
            X = np.clip((X.astype(np.float64) - low) / (high - low), 0.0, 1.0)
        images = intensities(X.reshape(-1, *self.image_shape_))
        return np.concatenate([images, 255 - images], axis=3) if self.complement else images

    def _prepared(self, X, labels, start: Model | None, keys: dict) -> Training:
        """A training run. Raises InputError where its network could not say what a classifier says."""
        training = prepared(self._full_structure(), self._images(X), labels, self.experiment, start, keys)
        network, n = training.evaluated, len(self.classes_)
        if network.n_classes != n:
            raise InputError(
                f"structure {network.structure} has {network.n_classes} output neurons, and there are {n} classes; let "
                f'it end in "-{n}" or "-auto"'
            )
        if not network.neuron.integer:
            raise InputError(f'algorithm "{training.config.algorithm}" is in continuous time; use s4nn_ref.fit for it')
        return training

    def _take(self, model: Model, X, labels):
        """Keep a model, and fit the temperature of its probabilities."""
        self.model_ = model
        self.temperature_ = _temperature(self._scores(X), labels, model.network.t_max)
        return self

    # -------------------------------------------------------------------------------------------------- deciding

    def _responses(self, X) -> Responses:
        check_is_fitted(self)
        return self.model_.responses(self._images(validate_data(self, X, allow_nd=True, reset=False)))

    def _scores(self, X) -> np.ndarray:
        return scores(self._responses(X), self.model_.network.v_th)

    def predict(self, X):
        """Labels of samples, (n,): of the output neuron that fires first. Ties go to the larger potential, and where no
        output fires the largest final potential decides."""
        r = self._responses(X)
        return self.classes_[decide(r.t_out, r.v_peak, r.v_end, r.silent)]

    def decision_function(self, X):
        """How early each output neuron fires: float64 (n, classes), whose largest entry is the class of `predict`; of
        two classes (n,), the second's less the first's.

        The whole steps from the spike to t_max; the fraction breaks ties by potential; numbers below 0 are of neurons
        that do not fire.
        """
        score = self._scores(X)
        return score[:, 1] - score[:, 0] if score.shape[1] == 2 else score

    def predict_proba(self, X):
        """A softmax of `decision_function` over the classes: float64 (n, classes).

        It is a monotone function of firing times, and not a probability that the network computes. Its one parameter,
        `temperature_` in steps, at least t_max / 20, is that under which the labels of the training data are most
        likely, so a network that has learned them by heart is too sure of itself. For probabilities to rely on, use
        CalibratedClassifierCV.
        """
        return np.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X):
        """Logarithm of `predict_proba`."""
        return log_softmax(self._scores(X) / self.temperature_, axis=1)
