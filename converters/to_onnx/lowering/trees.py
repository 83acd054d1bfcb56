"""TreeEnsembleClassifier, TreeEnsembleRegressor (operator sets 1 to 4) and TreeEnsemble (5)."""

from __future__ import annotations

import numpy as np

from converters.to_onnx.lowering.emitter import Emitter
from converters.to_onnx.lowering.ensemble import Ensemble, listed_by_branch, listed_by_tree
from converters.to_onnx.lowering.scores import Labels, above, best_class, labels_of, pair_of, probit, transformed


def lower_regressor(emit: Emitter) -> None:
    """Writes out a TreeEnsembleRegressor."""
    _regress(emit, listed_by_tree(emit, "target", int(emit.attributes().get("n_targets", 1))))


def lower_ensemble(emit: Emitter) -> None:
    """Writes out a TreeEnsemble."""
    _regress(emit, listed_by_branch(emit))


def lower_classifier(emit: Emitter) -> None:
    """Writes out a TreeEnsembleClassifier."""
    labels = labels_of(emit, "classlabels_int64s")
    ensemble = listed_by_tree(emit, "class", len(labels))
    if len(labels) > 2:
        _classify_many(emit, ensemble, labels)
    elif len(labels) == 2:
        _classify_two(emit, ensemble, labels)
    else:
        scores, _ = ensemble.poll.scores(emit, emit.as_float(emit.source.input[0]))
        _write(emit, _plus(emit, scores, ensemble.base), labels.binary(), 0.0)


def _regress(emit: Emitter, ensemble: Ensemble) -> None:
    poll = ensemble.poll
    scores, places = poll.scores(emit, emit.as_float(emit.source.input[0]))
    scores = _plus(emit, scores, ensemble.base)
    if poll.votes.count > 1:
        if any(ensemble.base) and not poll.votes.always(poll.forest).all():
            # ONNX Runtime leaves a target without votes at zero.
            scores = emit("Where", poll.voted(emit, places), scores, emit.constant(0))
        scores = transformed(emit, scores, ensemble.transform)
    elif ensemble.transform == "PROBIT":
        # ONNX Runtime applies none of the other transforms to a single target.
        scores = probit(emit, scores)
    emit("Identity", scores, output=emit.output(0))


def _classify_many(emit: Emitter, ensemble: Ensemble, labels: Labels) -> None:
    poll = ensemble.poll
    scores, places = poll.scores(emit, emit.as_float(emit.source.input[0]))
    scores = candidates = _plus(emit, scores, ensemble.base)
    if not ensemble.base and not poll.votes.always(poll.forest).all():
        # A class that no leaf voted for cannot win, even if the others have negative scores.
        candidates = emit("Where", poll.voted(emit, places), scores, emit.constant(-np.inf))
    best_class(emit, candidates, labels)
    if output := emit.output(1):
        emit("Identity", transformed(emit, scores, ensemble.transform), output=output)


def _classify_two(emit: Emitter, ensemble: Ensemble, labels: Labels) -> None:
    """Two classes, of which often only one has votes: ONNX Runtime has rules of its own for them."""
    poll, base, transform = ensemble.poll, ensemble.base, ensemble.transform
    classes = set(poll.votes.targets.tolist())
    if not poll.votes.always(poll.forest)[list(classes)].all():
        emit.refuse("only some leaves vote for one of two classes", "convert the model with scores for both classes")
    positive = bool(np.all(poll.votes.weights >= 0))
    limit = 0.5 if len(classes) == 1 and positive else 0.0
    if len(classes) == 2 and not labels.texts:
        # ONNX Runtime gives 1 and 0 here, whatever the labels are.
        labels = Labels((0, 1))
    scores, _ = poll.scores(emit, emit.as_float(emit.source.input[0]))
    first, second = (emit("Gather", scores, emit.axes(index), axis=1) for index in range(2))
    if 1 not in classes and len(base) < 2:
        winner = _plus(emit, first, base)
        _write(emit, winner, labels, limit, pair_of(emit, winner, transform, positive=positive))
        return
    if 1 in classes and len(base) == 2:
        winner = _plus(emit, first, base[1:])
        pair = (emit("Neg", winner), winner)
    elif 1 in classes:
        winner = second
        pair = (_plus(emit, first, base), second)
    else:
        winner = _plus(emit, first, base[:1])
        pair = (winner, second)
    # A class without votes stays at zero, whatever the base values say.
    voted = (pair[index] if index in classes else (first, second)[index] for index in range(2))
    _write(emit, winner, labels, limit, transformed(emit, emit("Concat", *voted, axis=1), transform))


def _write(emit: Emitter, winner: str, labels: Labels, limit: float, scores: str = "") -> None:
    above(emit, winner, limit, labels)
    if output := emit.output(1):
        emit("Identity", scores or winner, output=output)


def _plus(emit: Emitter, scores: str, base: tuple[float, ...]) -> str:
    return emit("Add", scores, emit.constant(base)) if any(base) else scores
