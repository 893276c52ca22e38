#!/usr/bin/env python3
"""Writes problems.parquet, ids.parquet and numbers.parquet beside this file, as data sets of the hub are written (pyarrow, snappy): `make.py`."""

from pathlib import Path

import pyarrow
import pyarrow.parquet

HERE = Path(__file__).parent
QUESTIONS = ["2 + 3?", "7 - 4?", "Größe: 6 · 7?"]
ANSWERS = ["2+3=5\n#### 5", "3", "#### 42"]

pyarrow.parquet.write_table(pyarrow.table({"question": QUESTIONS, "answer": ANSWERS}), HERE / "problems.parquet")
named = {"id": ["a", "b", None], "question": QUESTIONS, "level": [1, 2, 3], "answer": ANSWERS}
pyarrow.parquet.write_table(pyarrow.table(named), HERE / "ids.parquet", row_group_size=2)
pyarrow.parquet.write_table(pyarrow.table({"question": QUESTIONS, "answer": [5, 3, 42]}), HERE / "numbers.parquet")
