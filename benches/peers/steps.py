"""Training steps of the same shapes, by turns."""

import argparse
import statistics

from contenders import (
    PEERS,
    TFBERT,
    Peer,
    best_form,
    fastest_precision,
    forms_to_repeat,
    peer_step,
    tfbert_step,
)

COLUMNS = (
    f"{'shape':>9} {'contender':>18} {'format':>6} {'step s':>9} {'first s':>8} {'MiB':>6}  ratio"
)


def steps(args: argparse.Namespace) -> dict:
    """Times a training step of each shape; each peer's better form counts."""
    peers = [PEERS[name] for name in args.peers]
    precisions = {peer.name: fastest_precision(args, peer) for peer in peers}
    print(f"one training step, {args.rounds} rounds of {args.steps} steps, {args.threads} threads")
    print(COLUMNS, flush=True)
    results = [one_shape(args, shape, peers, precisions) for shape in args.shapes]
    return {"steps": args.steps, "threads": args.threads, "shapes": results}


def one_shape(
    args: argparse.Namespace, shape: str, peers: list[Peer], precisions: dict[str, str]
) -> dict:
    ours: list[dict] = []
    theirs = {peer.name: {form: [] for form in forms(args, peer)} for peer in peers}
    for _ in range(args.rounds):
        ours.append(tfbert_step(args, shape))
        for peer in peers:
            found = theirs[peer.name]
            seconds = {form: times(of) for form, of in found.items()}
            repeated = forms_to_repeat(seconds) if len(ours) > 1 else list(found)
            for form in repeated:
                precision = precisions[peer.name]
                found[form].append(peer_step(args, peer, form, shape, precision))
    print_row(shape, TFBERT, ours, "")
    result = {"shape": shape, TFBERT: summary(ours), "peers": {}}
    for peer in peers:
        found = theirs[peer.name]
        best = best_form({form: times(of) for form, of in found.items()})
        by_form = {form: {**summary(of), **ratios(ours, of)} for form, of in found.items()}
        result["peers"][peer.name] = {"best": best, "forms": by_form}
        for form, measured in by_form.items():
            each = " ".join(f"{ratio:.2f}" for ratio in measured["ratios"])
            mark = " (counts)" if form == best and len(by_form) > 1 else ""
            ratio = (
                f"{measured['ratio']:.2f} of {each}, memory {measured['memory_ratio']:.2f}{mark}"
            )
            print_row(shape, f"{peer.name} {form}", found[form], ratio)
    return result


def forms(args: argparse.Namespace, peer: Peer) -> list[str]:
    """The forms of a peer that `--forms` leaves."""
    return [form for form in peer.forms if not args.forms or form in args.forms]


def times(measured: list[dict]) -> list[float]:
    return [one["step_seconds"] for one in measured]


def summary(measured: list[dict]) -> dict:
    """The medians of a contender's rounds."""
    return {
        "precision": measured[0]["precision"],
        "step_seconds": statistics.median(times(measured)),
        "rounds": times(measured),
        "first_step_seconds": statistics.median(one["first_step_seconds"] for one in measured),
        "peak_memory_bytes": max(one["peak_memory_bytes"] for one in measured),
    }


def ratios(ours: list[dict], theirs: list[dict]) -> dict:
    """A peer's time by tfbert's of the same round, and its memory. A form that was not repeated has
    fewer rounds."""
    pairs = list(zip(ours, theirs, strict=False))
    found = [their["step_seconds"] / our["step_seconds"] for our, their in pairs]
    memory = [their["peak_memory_bytes"] / our["peak_memory_bytes"] for our, their in pairs]
    return {
        "ratio": statistics.median(found),
        "ratios": found,
        "memory_ratio": statistics.median(memory),
    }


def print_row(shape: str, contender: str, measured: list[dict], ratio: str) -> None:
    of = summary(measured)
    print(
        f"{shape:>9} {contender:>18} {of['precision']:>6} {of['step_seconds']:>9.4f} "
        f"{of['first_step_seconds']:>8.2f} {of['peak_memory_bytes'] / 2**20:>6.0f}  {ratio}",
        flush=True,
    )
