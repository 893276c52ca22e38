#!/usr/bin/env python3
"""Reports of `tlora verify`, read by the programs of others: SARIF by a model of its schema, JUnit by an XML parser.

    reports.py --tlora target/release/tlora [--sarif-schema sarif-schema-2.1.0.json]

The adapter has a name with everything that XML, JSON, a terminal or a CI could take for something else. With
--sarif-schema, a copy of the OASIS schema, the document is validated against that too (jsonschema).
"""

import argparse
import json
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from sarif_pydantic import Sarif

REPOSITORY = Path(__file__).resolve().parents[2]
ADAPTER = REPOSITORY / "tests/cmd/verify/adapter.tlora"
NAMES = ["a.tlora", "::error::]]> <b>&\"' \x1b[2J\u202e\ufffe%0A #?.tlora"]
CHECKS = 21


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tlora", type=Path, required=True)
    parser.add_argument("--sarif-schema", type=Path)
    args = parser.parse_args()
    tlora = args.tlora.resolve()
    policy = REPOSITORY / "tests/cmd/verify/policy.toml"

    with tempfile.TemporaryDirectory() as directory:
        def report(name: str, form: str, *more: str) -> str:
            run = subprocess.run([tlora, "verify", f"./{name}", "--format", form, *more], cwd=directory, capture_output=True)
            assert run.returncode == (1 if more else 0), run
            return run.stdout.decode()

        for name in NAMES:
            (Path(directory) / name).write_bytes(ADAPTER.read_bytes())
            for more in ((), ("--policy", str(policy))):
                sarif = json.loads(report(name, "sarif", *more))
                Sarif.model_validate(sarif)
                failed = [result for result in sarif["runs"][0]["results"] if result["level"] == "error"]
                assert len(sarif["runs"][0]["tool"]["driver"]["rules"]) == CHECKS and len(failed) == (2 if more else 0)
                if args.sarif_schema:
                    import jsonschema
                    schema = json.loads(args.sarif_schema.read_text(encoding="utf-8-sig"))
                    jsonschema.validators.validator_for(schema)(schema).validate(sarif)
                suites = ElementTree.fromstring(report(name, "junit", *more))
                assert len(suites.findall(".//testcase")) == CHECKS == int(suites.get("tests"))
                assert len(suites.findall(".//failure")) == len(failed) == int(suites.get("failures"))
                assert json.loads(report(name, "json", *more))["adapter"]["path"] == f"./{name}"
    print(f"{len(NAMES)} names, with and without a policy: SARIF and JUnit are what others read")


if __name__ == "__main__":
    main()
