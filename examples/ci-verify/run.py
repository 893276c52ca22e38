#!/usr/bin/env python3
"""Runs what a CI would run: the steps of action.yml, the pre-commit hook, and the GitLab job, on a repository made for it.

    run.py --tlora target/release/tlora

Needs PyYAML, bash and git. The repository has a protected branch with an adapter for examples/tiny-base, its signature by a
key made here, a policy and a lock file; pull requests then try what a pull request should not be able to do. The commands are
read from the files that users get, so this is their test as well.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BASE = ROOT / "examples/tiny-base"
INIT = ["init", str(BASE), "--u", "13", "--precision", "bf16", "--quiet", "--no-cache"]


class Work:
    """A repository with a remote, and the environment that a runner gives its steps."""

    def __init__(self, where: Path, tlora: Path):
        self.repo, self.temp = where / "repo", where / "runner"
        self.temp.mkdir()
        (where / "bin").mkdir()
        (where / "bin/tlora").symlink_to(tlora)
        self.env = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ} | {
            "PATH": f"{where / 'bin'}:/usr/bin:/bin", "RUNNER_TEMP": str(self.temp), "GITHUB_ACTION_PATH": str(ROOT),
            "TLORA_CACHE": str(where / "cache"), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@localhost", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@localhost",
            "CI_DEFAULT_BRANCH": "main", "CI_PROJECT_DIR": str(self.repo),
        }
        remote = where / "remote.git"
        self.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(remote)], cwd=where)
        self.run(["git", "clone", "--quiet", str(remote), str(self.repo)], cwd=where)

    def run(self, command: list[str], env: dict[str, str] | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess:
        return subprocess.run(command, cwd=cwd or self.repo, env=self.env | (env or {}), text=True, capture_output=True)

    def done(self, *command: str) -> str:
        run = self.run(list(command))
        if run.returncode != 0:
            raise SystemExit(f"{shlex.join(command)}: exit code {run.returncode}\n{run.stdout}{run.stderr}")
        return run.stdout.strip()

    def commit(self, message: str) -> str:
        self.done("git", "add", "--all")
        self.done("git", "commit", "--quiet", "--message", message)
        return self.done("git", "rev-parse", "HEAD")

    def protect(self) -> str:
        """The protected branch: adapter, signature, key, policy, lock."""
        shutil.copy(HERE / "policy.toml", self.repo / "tlora-policy.toml")
        self.done("tlora", *INIT, "-o", "adapter.tlora", "--v=" + ",".join(["0.05"] * 13))
        (self.repo / "keys").mkdir()
        secret = self.temp / "release.pem"
        self.done("tlora", "keygen", "-o", str(secret))
        shutil.move(f"{secret}.pub", self.repo / "keys/release.pub")
        self.done("tlora", "sign", "adapter.tlora", "--key", str(secret))
        secret.unlink()
        self.done("tlora", "verify", "adapter.tlora", "--policy", "tlora-policy.toml", "--base", str(BASE), "--lock", "tlora.lock", "--write-lock")
        protected = self.commit("an adapter, signed")
        self.done("git", "push", "--quiet", "origin", "HEAD:main")
        return protected


class Action:
    """The composite action: its steps as a runner would run them."""

    def __init__(self, path: Path):
        action = yaml.safe_load(path.read_text())
        self.inputs, self.steps = action["inputs"], action["runs"]["steps"]
        self.lint(action)

    def lint(self, action: dict) -> None:
        assert action["runs"]["using"] == "composite"
        used = set()
        for step in self.steps:
            assert step["shell"] == "bash", step
            assert "${{" not in step["run"], f"an expression in a script is code that an input can write: {step['name']}"
            assert step["run"].startswith("set -euo pipefail\n"), step["name"]
            used |= set(re.findall(r"inputs\.([\w-]+)", " ".join(step.get("env", {}).values())))
        assert used == set(self.inputs), used ^ set(self.inputs)

    def run(self, work: Work, github: dict[str, str], **inputs: str) -> tuple[int, str]:
        """The exit code of the first step that fails, or 0, and what all printed."""
        given = {name: str(spec.get("default", "")) for name, spec in self.inputs.items()}
        given |= {name.replace("_", "-"): value for name, value in inputs.items()}
        context = {f"inputs.{name}": value for name, value in given.items()} | {f"github.{k}": v for k, v in github.items()}
        output = ""
        for step in self.steps:
            if match := re.fullmatch(r"(inputs\.[\w-]+) != ''", step.get("if", "")):
                if not context[match[1]]:
                    continue
            env = {name: expression(value, context) for name, value in step["env"].items()}
            done = work.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]], env)
            output += done.stdout + done.stderr
            if done.returncode != 0:
                return done.returncode, output
        return 0, output


def expression(text: str, context: dict[str, str]) -> str:
    """`${{ a || b }}`: the first that is not empty."""
    names = re.fullmatch(r"\$\{\{ (.*) \}\}", text)[1].split(" || ")
    return next((context[name] for name in names if context.get(name)), "")


failures = []


def expect(what: str, found: object, wanted: object, output: str = "") -> None:
    print(f"{'ok    ' if found == wanted else 'FAILED'} {what}")
    if found != wanted:
        failures.append(what)
        print(f"       wanted {wanted!r}, found {found!r}\n{output}")


def github(work: Work, action: Action, protected: str) -> None:
    push, asked = {"sha": protected}, {"policy": "tlora-policy.toml", "base": str(BASE)}

    def check(what: str, wanted: int, event: dict[str, str], **inputs: str) -> str:
        code, output = action.run(work, event, **{"adapter": "adapter.tlora"} | asked | inputs)
        expect(what, code, wanted, output)
        return output

    check("action: the protected branch", 0, push)
    digest = work.done("sha256sum", "tlora-policy.toml")[:64]
    check("action: the policy has the sha256 asked for", 0, push, policy_sha256=digest)
    check("action: it has another", 1, push, policy_sha256="0" * 64)
    check("action: a policy outside of the repository", 2, push, policy="../tlora-policy.toml")
    check("action: a missing adapter", 2, push, adapter="nowhere.tlora")
    work.done("tlora", "merge", str(BASE), "adapter.tlora", "-o", str(work.temp / "merged"))
    check("action: a merged model", 0, push, merged=str(work.temp / "merged"), args="--threads 2 --no-cache")
    (work.temp / "merged/modeling.py").write_text("import os\n")
    check("action: with a program in it", 1, push, merged=str(work.temp / "merged"))
    check("action: SARIF", 0, push, format="sarif", output=str(work.temp / "tlora.sarif"))
    expect("action: SARIF is version 2.1.0", json.loads((work.temp / "tlora.sarif").read_text())["version"], "2.1.0")
    check("action: an adapter named like a command", 2, push, adapter="$(touch pwned);`touch pwned`; touch pwned #.tlora")
    check("action: more arguments that are commands", 2, push, args="$(touch pwned) ; touch pwned")
    expect("action: nothing of that ran", (work.repo / "pwned").exists(), False)

    work.done("git", "checkout", "--quiet", "-b", "other-adapter")
    work.done("tlora", *INIT, "-o", "adapter.tlora", "--v=" + ",".join(["0.06"] * 13), "--force")
    pull_request = {"sha": work.commit("another adapter"), "event.pull_request.base.sha": protected}
    check("action: a pull request with another adapter under the old signature", 1, pull_request)
    (work.repo / "tlora-policy.toml").write_text("version = 1\n")
    pull_request["sha"] = work.commit("and a policy that wants nothing")
    output = check("action: the same with a policy that wants nothing", 1, pull_request)
    expect("action: it says which check failed", "TL-SIG-1" in output, True, output)


def hook(work: Work) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    expect("pre-commit: a Rust hook for .tlora files", (hook["language"], hook["files"]), ("rust", r"\.tlora$"))

    def check(what: str, wanted: int, *files: str) -> None:
        done = work.run([*shlex.split(hook["entry"]), *files])
        expect(f"pre-commit: {what}", done.returncode, wanted, done.stdout + done.stderr)

    check("an adapter other than the one that is pinned", 1, "adapter.tlora")
    work.done("git", "checkout", "--quiet", "main")
    check("the one that is pinned", 0, "adapter.tlora")
    shutil.copy(work.repo / "adapter.tlora", work.temp / "damaged.tlora")
    with open(work.temp / "damaged.tlora", "r+b") as file:
        file.seek(100)
        file.write(b"\xff\xff")
    (work.repo / "tlora.lock").rename(work.temp / "tlora.lock")
    check("without a lock file", 0, "adapter.tlora")
    check("a good and a damaged file", 1, str(work.temp / "damaged.tlora"), "adapter.tlora")
    (work.temp / "tlora.lock").rename(work.repo / "tlora.lock")


def gitlab(work: Work) -> None:
    job = yaml.safe_load((HERE / "gitlab-ci.yml").read_text())["tlora-verify"]
    variables = {name: value.replace("$CI_DEFAULT_BRANCH", "main") for name, value in job["variables"].items()}

    def check(what: str, wanted: int, failed: bool, base: str = str(BASE)) -> None:
        done = work.run(["bash", "-euo", "pipefail", "-c", "\n".join(job["script"])], variables | {"BASE": base})
        expect(f"GitLab: {what}", done.returncode, wanted, done.stdout + done.stderr)
        report = ElementTree.parse(work.repo / job["artifacts"]["reports"]["junit"])
        expect(f"GitLab: {what}: failures in the JUnit report", bool(report.findall(".//failure")), failed)

    check("the protected branch", 0, False)
    check("the protected branch, without the base that the policy asks for", 3, False, base="")
    work.done("git", "checkout", "--quiet", "other-adapter")
    check("a merge request with another adapter and a policy that wants nothing", 1, True)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--tlora", required=True, type=Path, help="the built command")
    args = p.parse_args()
    action = Action(ROOT / "action.yml")
    with tempfile.TemporaryDirectory() as where:
        work = Work(Path(where), args.tlora.resolve())
        protected = work.protect()
        github(work, action, protected)
        hook(work)
        gitlab(work)
    print(f"{len(failures)} failed" if failures else "all as it should be")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
