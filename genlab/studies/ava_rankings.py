"""What the AVA paper prints about the Balance Metric, every ranking that it draws from it, and whether each is more than noise.

References:
    [1] Nguyen, Abdalla & Ali, Adversarial Variational Autoencoders to Extend and Improve Generative Model, 2024, section 4.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from genlab.studies.study import Entry, Result, Table, chosen, holm, p_value, spread

MODELS = ("ava1", "ava2", "ava3", "ava4", "ava5", "vae", "gan")
RATES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.09, 0.08, 0.07, 0.06, 0.05, 0.04, 0.03, 0.02, 0.01)
# tables 1 and 2, from rate 1 down to 0.01
PRINTED = {
    "ava1": (.2298, .2307, .2309, .2316, .2309, .2318, .2322, .2318, .2300, .2103, .2038, .1924, .1842, .1685, .1664, .1675, .1845, .2047, .2147),
    "ava2": (.2301, .2294, .2316, .2305, .2317, .2319, .2329, .2321, .2312, .2105, .2015, .1938, .1826, .1772, .1617, .1655, .1832, .2032, .2146),
    "ava3": (.0642, .0546, .0596, .0629, .0555, .0591, .0629, .0741, .0740, .1230, .1319, .1417, .1566, .1662, .1792, .1918, .2017, .2098, .2147),
    "ava4": (.0766, .0594, .0546, .0631, .0657, .0598, .0732, .0655, .0929, .1217, .1328, .1446, .1574, .1659, .1785, .1906, .2014, .2098, .2147),
    "ava5": (.2301, .2293, .2301, .2305, .2318, .2313, .2322, .2326, .2302, .2114, .2026, .1978, .1834, .1785, .1621, .1662, .1855, .2028, .2146),
    "vae": (.0583, .0681, .0587, .0665, .0623, .0610, .0568, .0651, .0735, .1238, .1338, .1435, .1555, .1676, .1805, .1924, .2021, .2099, .2147),
    "gan": (.2298, .2283, .2311, .2311, .2315, .2311, .2312, .2325, .2315, .2107, .2031, .1916, .1818, .1699, .1628, .1665, .1857, .2046, .2148),
}  # fmt: skip
REPEAT, FARTHEST = 0.0022, 0.021  # by which two repeats of the authors' own differ in a cell: on average, and at most
KINDS: Mapping[str, Callable[[Sequence[float]], float]] = {
    "mean": statistics.fmean, "maximum": max, "minimum": min, "SD": lambda values: spread(values)[1],
}  # fmt: skip
"""The rows of table 3 over learning rates; figure 6 draws them (SD is the standard deviation)."""


TWINS = (("ava1", "ava2"), ("ava3", "ava4"))
"""Models that differ by leaning terms alone, which move nothing but a discriminator."""


class Claim(NamedTuple):
    """That `better` has a higher (or lower) BM of a kind than `rival`."""

    kind: str
    better: str
    higher: bool
    rival: str

    def __str__(self) -> str:
        return f"{self.better.upper()}: {self.kind} {'above' if self.higher else 'below'} {self.rival.upper()}’s"


CLAIMS = tuple(
    Claim(kind, better, higher, rival)
    for kind, better, higher, rivals in (
        ("mean", "ava5", True, ("gan", "ava1", "ava2")),  # the highest of all
        ("mean", "ava1", True, ("gan",)),
        ("mean", "ava2", True, ("gan",)),
        ("mean", "ava3", False, ("vae", "ava4")),  # the lowest of all
        ("mean", "ava4", False, ("vae",)),  # "all AVA variants are better"
        ("maximum", "ava2", True, ("gan",)),
        ("maximum", "ava5", True, ("gan",)),
        ("minimum", "ava3", False, ("vae",)),
        ("minimum", "ava4", False, ("vae",)),
        ("SD", "ava5", False, ("gan", "ava1", "ava2")),  # the smallest of all
        ("SD", "ava1", False, ("gan",)),
        ("SD", "ava2", False, ("gan",)),
        ("SD", "ava3", False, ("vae",)),
        ("SD", "ava4", False, ("vae",)),
    )
    for rival in rivals
)
"""What the text after table 3 states. "Best of all" is taken against the models at the same pole; the others are far off."""


class Tested(NamedTuple):
    """A claim with the difference that was printed and the paired differences that were measured."""

    claim: Claim
    printed: float
    apart: Mapping[str, float]
    p: float
    adjusted: float

    @property
    def verdict(self) -> str:
        """Whether it survives at a chance of 5 % for all claims together."""
        if not self.adjusted < 0.05:
            return "not decided"
        return "survives" if (statistics.fmean(self.apart.values()) > 0) == self.claim.higher else "contradicted"


def bm(result: Result) -> float:
    """The measured BM of a cell."""
    return float(result.numbers["bm"])


def printed(model: str, rate: float) -> float:
    """What tables 1 and 2 print."""
    return PRINTED[model][RATES.index(rate)]


def of_print(kind: str, model: str, rates: Sequence[float]) -> float:
    """A row of table 3, from the printed values at some rates."""
    return KINDS[kind]([printed(model, rate) for rate in rates])


def by_rate(results: Sequence[Result], model: str, rates: Sequence[float]) -> dict[float, float]:
    """Mean over seeds at each rate that was run."""
    cells = {rate: chosen(results, model=model, rate=rate) for rate in rates}
    return {rate: spread([bm(result) for result in found])[0] for rate, found in cells.items() if found}


def by_seed(results: Sequence[Result], model: str, rates: Sequence[float], kind: str) -> dict[int, float]:
    """A row of table 3 for each seed that has all rates, of which there must be two."""
    found = {
        (int(result.cell.place["seed"]), result.cell.place["rate"]): bm(result)
        for result in chosen(results, model=model)
    }
    whole = [seed for seed in dict.fromkeys(seed for seed, _ in found) if all((seed, rate) in found for rate in rates)]
    return {seed: KINDS[kind]([found[seed, rate] for rate in rates]) for seed in whole if len(rates) > 1}


def differences(results: Sequence[Result], rates: Sequence[float], model: str) -> list[float]:
    """Measured mean less printed value, of every cell of a model that is there."""
    return [mean - printed(model, rate) for rate, mean in by_rate(results, model, rates).items()]


def paired(results: Sequence[Result], rates: Sequence[float], claim: Claim) -> dict[str, float]:
    """Differences of the two models of a claim: of means rate by rate, of the rest seed by seed."""
    if claim.kind == "mean":
        ours, theirs = (by_rate(results, model, rates) for model in (claim.better, claim.rival))
        return {f"γ = {rate:g}": ours[rate] - theirs[rate] for rate in rates if len(ours) == len(theirs) == len(rates)}
    mine, other = (by_seed(results, model, rates, claim.kind) for model in (claim.better, claim.rival))
    return {f"seed {seed}": mine[seed] - other[seed] for seed in mine if seed in other}


def tested(results: Sequence[Result], rates: Sequence[float]) -> list[Tested]:
    """Every claim whose models were run, by a paired t-test, with Holm's correction for their number."""
    apart = {claim: paired(results, rates, claim) for claim in CLAIMS}
    apart = {claim: pairs for claim, pairs in apart.items() if pairs}
    p_values = [p_value(list(pairs.values())) for pairs in apart.values()]
    return [
        Tested(claim, of_print(claim.kind, claim.better, rates) - of_print(claim.kind, claim.rival, rates), pairs, p, adjusted)
        for (claim, pairs), p, adjusted in zip(apart.items(), p_values, holm(p_values), strict=True)
    ]  # fmt: skip


def one_repeat(kind: str, rates: int) -> float:
    """By how much a repeat of the authors' moves the difference of two models on average: √2 as much as one cell, and for
    means and SDs over `rates` as little as means of so many move.
    """
    return REPEAT * math.sqrt(2) / (1 if kind in ("maximum", "minimum") else math.sqrt(rates))


def twins_finding(results: Sequence[Result]) -> list[str]:
    """That twins give the same numbers with the same noise, where they do in every cell, and how far apart their print is."""
    cells = {(str(r.cell.place["model"]), r.cell.place["rate"], r.cell.place["seed"]): bm(r) for r in results}
    pairs = [
        (value, cells.get((twin, rate, seed)))
        for first, twin in TWINS
        for (model, rate, seed), value in cells.items()
        if model == first
    ]
    if not pairs or any(one != other for one, other in pairs):
        return []
    apart = [abs(a - b) for first, twin in TWINS for a, b in zip(PRINTED[first], PRINTED[twin], strict=True)]
    return [
        f"With the same noise AVA2 gives what AVA1 gives and AVA4 what AVA3 gives, to the last digit in all {len(pairs)} cells: in the "
        "authors' program no discriminator reaches an image. What is printed of these pairs is two repeats of the same, which differ by "
        f"{statistics.fmean(apart):.4f} on average and by {max(apart):.4f} at most."
    ]


def ranking_table(claims: Sequence[Tested], rates: int) -> Table:
    """Every claim with its printed and measured difference, p, and a verdict."""
    rows = []
    for each in claims:
        noise = one_repeat(each.claim.kind, rates)
        way = "beyond one repeat" if (each.printed > 0) == each.claim.higher else "the other way round"
        kept = "; ".join(f"{pair}: {value:+.5f}" for pair, value in each.apart.items())
        rows.append((
            Entry(str(each.claim)), Entry(f"{each.printed:+.4f}"), Entry(f"{noise:.4f}"), Entry("within one repeat" if abs(each.printed) <= noise else way),
            Entry(f"{statistics.fmean(each.apart.values()):+.4f}", kept=kept),
            Entry(_p(each.p)), Entry(_p(each.adjusted)), Entry(each.verdict),
        ))  # fmt: skip
    caption = (
        "Means are compared over learning rates, the rest over seeds, which have the same noise in every model. "
        f"p is of a paired t-test; Holm's correction allows for {len(claims)} tests at once, and the verdict goes by it at 0.05. “One repeat” is "
        f"by how much a repeat of the authors' moves such a difference on average: their cells move by {REPEAT} (by {FARTHEST} at "
        f"most), a difference of two √2 as much, one of means or SDs over {rates} rates 1/√{rates} of that. “Best of all” "
        "is tested against the models at the same pole; the others are far off."
    )  # fmt: skip
    head = ("the paper states", "printed", "one repeat", "the print is", "measured", "p", "p (Holm)", "verdict")
    return Table("Every ranking that the paper states, tested", head, tuple(rows), caption)


def _p(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.2g}"


def ranking_findings(claims: Sequence[Tested], rates: int) -> list[str]:
    """How many of the claims survive, which they are, and how many rest on less than one repeat."""
    inside = sum(abs(each.printed) <= one_repeat(each.claim.kind, rates) for each in claims)
    found = {
        verdict: [str(each.claim) for each in claims if each.verdict == verdict]
        for verdict in ("survives", "contradicted")
    }
    named = {verdict: f" ({'; '.join(texts)})" if texts else "" for verdict, texts in found.items()}
    return [
        f"Of {len(claims)} rankings that the paper states, {len(found['survives'])} survive a paired test{named['survives']}, "
        f"{len(found['contradicted'])} are contradicted{named['contradicted']}, and the others are not decided.",
        f"{inside} of the {len(claims)} printed differences are no larger than what one repeat of the authors' own moves such a difference by.",
    ]  # fmt: skip
