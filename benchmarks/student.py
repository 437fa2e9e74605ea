"""How well and how fast the embedded student learns recorded traffic.

    python -m benchmarks.student --data tickets.jsonl [--sizes 50,500,2000] [--test 2000]

For each training size, the first rows train and the next `--test` rows are answered: agreement (all fields equal),
field agreement (mean over fields), expected calibration error (10 equal-count bins, Naeini et al. 2015), seconds to
fit, milliseconds to answer one request.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from activities.local.embedded.student import Student

type Row = dict[str, dict[str, Any]]


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


def measure(rows: list[Row], size: int, test: int, schema: dict[str, Any]) -> str:
    train, held = rows[:size], rows[size : size + test]
    begin = time.perf_counter()
    student = Student.fit([row["input"] for row in train], [row["output"] for row in train], schema, seed=1)
    fit_seconds = time.perf_counter() - begin
    student.predict(held[0]["input"])
    took, predictions = [], []
    for row in held:
        begin = time.perf_counter()
        predictions.append(student.predict(row["input"]))
        took.append(1000 * (time.perf_counter() - begin))
    correct = [prediction.output == row["output"] for prediction, row in zip(predictions, held, strict=True)]
    fields = [
        prediction.output[name] == row["output"][name]
        for prediction, row in zip(predictions, held, strict=True)
        for name in row["output"]
    ]
    error = calibration_error([prediction.confidence for prediction in predictions], correct)
    p50, p99 = np.percentile(took, [50, 99])
    return (
        f"| {size:,} | {np.mean(correct):.3f} | {np.mean(fields):.3f} | {error:.3f} | {fit_seconds:.1f} "
        f"| {p50:.2f} | {p99:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help='JSONL of {"input", "output"} rows')
    parser.add_argument("--sizes", default="50,500,2000,5000,10000", help="training sizes, comma-separated")
    parser.add_argument("--test", type=int, default=2000, help="rows to answer, those after the training rows")
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in arguments.data.read_text(encoding="utf-8").splitlines()]
    schema = schema_of(rows)
    print(f"{arguments.data.name}, {len(rows):,} rows, output {schema}\n")
    print("| trained on | agreement | fields | ECE | fit s | p50 ms | p99 ms |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for size in (int(part) for part in arguments.sizes.split(",")):
        if size < len(rows):
            print(measure(rows, size, arguments.test, schema), flush=True)


if __name__ == "__main__":
    main()
