"""How well and how fast the embedded student learns recorded traffic.

    python -m benchmarks.student --data tickets.jsonl [--sizes 200,500,1000,3000,6000] [--test 2000] [--skip 0] [--json]

The last `--test` rows are answered, whatever the training size; the first rows train, after `--skip` of them. Columns:
agreement (all fields equal); field agreement (mean over fields); expected calibration error (10 equal-count bins,
Naeini et al. 2015); area under the risk-coverage curve (mean error of the most confident k rows over all k, Geifman and
El-Yaniv 2017: what deferral lives on, lower is better); share of the rows, the surest first, that could be served at 90
and at 95% agreement; seconds of processor time to fit; milliseconds to answer one request.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from activities.local.embedded.student import Student

type Row = dict[str, dict[str, Any]]

COLUMNS = {
    "trained on": "{:,}",
    "agreement": "{:.3f}",
    "fields": "{:.3f}",
    "ECE": "{:.3f}",
    "AURC": "{:.4f}",
    "at 90%": "{:.2f}",
    "at 95%": "{:.2f}",
    "fit CPU s": "{:.1f}",
    "p50 ms": "{:.2f}",
    "p99 ms": "{:.2f}",
}


def schema_of(rows: list[Row]) -> dict[str, Any]:
    """An output schema that allows every output, for flat outputs of scalars."""
    names = {bool: "bool", int: "int", float: "float", str: "str", list: "list", dict: "dict"}
    schema = {}
    for field in rows[0]["output"]:
        values = [row["output"].get(field) for row in rows]
        kind = next((names[type(value)] for value in values if value is not None), "str")
        schema[field] = kind + ("?" if None in values else "")
    return schema


def calibration_error(confidences: list[float], correct: list[bool], bins: int = 10) -> float:
    """Mean distance of confidence from agreement over bins of equal count, in [0, 1]."""
    order = np.argsort(confidences)
    parts = [part for part in np.array_split(order, bins) if len(part)]
    sure, right = np.array(confidences), np.array(correct, dtype=float)
    return float(sum(len(part) * abs(sure[part].mean() - right[part].mean()) for part in parts) / len(order))


def risks(confidences: list[float], correct: list[bool]) -> list[float]:
    """Share of errors among the k surest rows, for k = 1..n; rows of equal confidence share their error."""
    sure, wrong = np.array(confidences), 1.0 - np.array(correct, dtype=float)
    _, group = np.unique(-sure, return_inverse=True)
    mean = np.bincount(group, weights=wrong) / np.bincount(group)
    spread = mean[group][np.argsort(-sure, kind="stable")]
    return [float(risk) for risk in np.cumsum(spread) / np.arange(1, len(spread) + 1)]


def coverage(curve: list[float], agreement: float) -> float:
    """The largest share of rows, the surest first, that agree at least so often."""
    return max((k for k, risk in enumerate(curve, start=1) if risk <= 1 - agreement), default=0) / len(curve)


def measure(rows: list[Row], held: list[Row], schema: dict[str, Any], sentences: str | None) -> dict[str, float]:
    """One line of the table: trained on `rows`, tested on `held`."""
    begin = time.process_time()
    inputs, outputs = [row["input"] for row in rows], [row["output"] for row in rows]
    student = Student.fit(inputs, outputs, schema, seed=1, sentences=sentences)
    fit_seconds = time.process_time() - begin
    student.predict(held[0]["input"])
    took, predictions = [], []
    for row in held:
        begin = time.perf_counter()
        predictions.append(student.predict(row["input"]))
        took.append(1000 * (time.perf_counter() - begin))
    pairs = list(zip(predictions, held, strict=True))
    correct = [prediction.output == row["output"] for prediction, row in pairs]
    fields = [prediction.output[name] == row["output"][name] for prediction, row in pairs for name in row["output"]]
    confidences = [prediction.confidence for prediction in predictions]
    curve = risks(confidences, correct)
    p50, p99 = np.percentile(took, [50, 99])
    figures = (len(rows), np.mean(correct), np.mean(fields), calibration_error(confidences, correct), np.mean(curve))
    served = (coverage(curve, 0.9), coverage(curve, 0.95))
    return dict(zip(COLUMNS, map(float, (*figures, *served, fit_seconds, p50, p99)), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help='JSONL of {"input", "output"} rows')
    parser.add_argument("--sizes", default="200,500,1000,3000,6000", help="training sizes, comma-separated")
    parser.add_argument("--test", type=int, default=2000, help="rows to answer: the last ones")
    parser.add_argument("--skip", type=int, default=0, help="first rows that do not train: another draw")
    parser.add_argument("--base-model", help="a sentence model of this machine, as in local.base_model")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each size, no table")
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in arguments.data.read_text(encoding="utf-8").splitlines()]
    schema = schema_of(rows)
    training, held = rows[arguments.skip : -arguments.test], rows[-arguments.test :]
    if not arguments.json:
        print(f"{arguments.data.name}, {len(rows):,} rows, output {schema}\n")
        print("| " + " | ".join(COLUMNS) + " |")
        print("|" + " --- |" * len(COLUMNS))
    for size in (int(part) for part in arguments.sizes.split(",")):
        if size <= len(training):
            figures = measure(training[:size], held, schema, arguments.base_model)
            cells = [
                form.format(int(figures[name]) if "," in form else figures[name]) for name, form in COLUMNS.items()
            ]
            print(json.dumps(figures) if arguments.json else "| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
