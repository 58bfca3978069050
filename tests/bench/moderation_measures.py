# SPDX-License-Identifier: Apache-2.0
"""Measures of scores against labels."""
import bisect
import math


def percentile(values, share):
    """The smallest value that at least this share of the values reach."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def ranked(pairs):
    """For each distinct score, the highest first: the score, and how many
    harmful and harmless texts have at least this score."""
    out, tp, fp = [], 0, 0
    ordered = sorted(pairs, key=lambda p: -p[0])
    for i, (score, harmful) in enumerate(ordered):
        tp += harmful
        fp += not harmful
        if i + 1 == len(ordered) or ordered[i + 1][0] != score:
            out.append((score, tp, fp))
    return out


def auprc(pairs):
    """The average precision of (score, harmful) pairs: over the distinct
    scores, precision times growth of recall.  Texts of the same score count
    together, so the order within them does not matter.  None without harmful
    texts."""
    steps = ranked(pairs)
    if not steps or not steps[-1][1]:
        return None
    total, area, before = steps[-1][1], 0.0, 0
    for _, tp, fp in steps:
        area += (tp - before) / total * (tp / (tp + fp))
        before = tp
    return area


def auc(pairs):
    """The chance that a harmful text scores above a harmless one; equal
    scores count half.  None if there is only one kind."""
    good = sorted(s for s, harmful in pairs if not harmful)
    bad = [s for s, harmful in pairs if harmful]
    if not good or not bad:
        return None
    wins = sum(bisect.bisect_left(good, s) + bisect.bisect_right(good, s)
               for s in bad)
    return wins / (2 * len(good) * len(bad))


def counts(pairs, at):
    """tp, fp, fn, tn if scores of at least `at`, and above 0, are
    flagged."""
    tp = fp = fn = tn = 0
    for score, harmful in pairs:
        if score >= at and score > 0:
            tp, fp = tp + harmful, fp + (not harmful)
        else:
            fn, tn = fn + harmful, tn + (not harmful)
    return tp, fp, fn, tn


def f1(tp, fp, fn):
    """The harmonic mean of precision and recall, or None."""
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None


def threshold_for(scores, share):
    """The lowest threshold at which at most this share of the scores, those
    of harmless texts, are flagged.  It is just above a score that is given,
    or the smallest positive number."""
    allowed = math.floor(share * len(scores) + 1e-9)
    ordered = sorted(scores, reverse=True)
    if allowed >= len(ordered) or ordered[allowed] <= 0:
        return math.ulp(0.0)
    return math.nextafter(ordered[allowed], math.inf)


def calibration(pairs, bins=10):
    """For each tenth of the scores: texts, mean score, share of harmful
    ones; and the expected calibration error."""
    boxes = [[0, 0.0, 0] for _ in range(bins)]
    for score, harmful in pairs:
        b = boxes[min(bins - 1, int(score * bins))]
        b[0] += 1
        b[1] += score
        b[2] += harmful
    rows = [(n, s / n, h / n) if n else (0, None, None) for n, s, h in boxes]
    error = sum(n * abs(s - h) for n, s, h in rows if n)
    return rows, error / len(pairs) if pairs else None
