#!/usr/bin/env python3
"""Sign adapters and verify them with programs that are not tlora, and the other way round.

    signatures.py --tlora target/release/tlora [--npm DIR] [--openssl openssl]

`model_signing` verifies our bundles of Model Signing and we verify its own; `securesystemslib`, `@sigstore/verify` (if --npm
names a directory where signatures/package.json is installed) and the command openssl verify our attestations; and keys that
openssl made sign. Each way is tried with a changed byte and with another key too, and must then fail.
"""

import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

HERE = Path(__file__).resolve().parent
BASE = HERE.parents[1] / "examples/tiny-base"
PASSPHRASE = "correct horse battery staple"
checks = 0


def run(*command, ok=True, env=None, **options):
    """Runs a command that must succeed, or must not."""
    global checks
    checks += 1
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env={**os.environ, **(env or {})}, **options)
    if (done.returncode == 0) != ok:
        wanted = "succeed" if ok else "fail"
        sys.exit(f"{' '.join(map(str, command))}\nshould {wanted}, and ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def require(holds, what):
    global checks
    checks += 1
    if not holds:
        sys.exit(what)


def flip(path, to):
    """A copy with one bit of the middle byte changed."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    to.write_bytes(data)
    return to


class Keys:
    """The same kinds of key from openssl and from tlora, each with the public half beside it."""

    def __init__(self, work, tlora, openssl):
        self.directory = work
        self.ec, self.encrypted, self.ed = work / "ec.pem", work / "encrypted.pem", work / "ed.pem"
        run(openssl, "ecparam", "-name", "prime256v1", "-genkey", "-out", self.ec)
        run(openssl, "pkcs8", "-topk8", "-in", self.ec, "-out", self.encrypted, "-passout", f"pass:{PASSPHRASE}")
        run(openssl, "genpkey", "-algorithm", "ed25519", "-out", self.ed)
        for key in (self.ec, self.ed):
            run(openssl, "pkey", "-in", key, "-pubout", "-out", public(key))
        shutil.copy(public(self.ec), public(self.encrypted))
        self.own, self.own_ed = work / "own.pem", work / "own-ed.pem"
        run(tlora, "keygen", "-o", self.own)
        passphrase = work / "passphrase"
        passphrase.write_text(PASSPHRASE + "\n")
        run(tlora, "keygen", "-o", self.own_ed, "--type", "ed25519", "--passphrase-file", passphrase)
        for key in (self.ec, self.encrypted, self.ed):
            key.chmod(0o600)
        # What we write, openssl reads.
        require(run(openssl, "pkey", "-in", self.own, "-pubout") == public(self.own).read_text(), "openssl has another public key")
        derived = run(openssl, "pkey", "-in", self.own_ed, "-pubout", "-passin", f"pass:{PASSPHRASE}")
        require(derived == public(self.own_ed).read_text(), "openssl has another public key")

    def all(self):
        return [self.ec, self.encrypted, self.ed, self.own, self.own_ed]

    def other(self, key):
        """The public key of the same kind that did not sign."""
        return public({self.ed: self.own_ed, self.own_ed: self.ed, self.own: self.ec}.get(key, self.own))


def public(key):
    return key.with_name(key.name + ".pub")


def verify_ours(tlora, adapter, bundle, key, work, ok=True):
    """`tlora verify` under a policy that names the key."""
    kind = "ed25519" if len(key.read_text()) < 150 else "p256"
    policy = work / "policy.toml"
    policy.write_text(
        f'version = 1\n[require]\nchecks = ["signature"]\nthreshold = 1\n[[signer]]\nname = "a"\ntype = "{kind}"\nkey = "{key.name}"\n'
    )
    run(tlora, "verify", adapter, "--policy", policy, "--bundle", bundle, ok=ok)


def with_securesystemslib(bundle, key):
    envelope = Envelope.from_dict(json.loads(bundle.read_text())["dsseEnvelope"])
    trusted = SSlibKey.from_crypto(load_pem_public_key(key.read_bytes()))
    trusted.keyid = ""  # it wants the one of the envelope, which names no key
    try:
        return len(envelope.verify([trusted], 1)) == 1
    except VerificationError:
        return False


def with_openssl(openssl, bundle, key, work, ok=True):
    """Over the pre-authentication encoding, written out here."""
    envelope = json.loads(bundle.read_text())["dsseEnvelope"]
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"].encode()
    (work / "pae").write_bytes(b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload))
    (work / "signature").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    if len(key.read_text()) < 150:
        command = ["pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-sigfile", work / "signature", "-in", work / "pae"]
    else:
        command = ["dgst", "-sha256", "-verify", key, "-signature", work / "signature", work / "pae"]
    run(openssl, *command, ok=ok)


def attestation(arguments, key, keys, work, adapter):
    tlora, bundle = arguments.tlora, work / "bundle.json"
    env = {"TLORA_KEY_PASSPHRASE": PASSPHRASE}
    run(tlora, "sign", adapter, "--key", key, "-o", bundle, "--force", env=env)
    once = bundle.read_bytes()
    run(tlora, "sign", adapter, "--key", key, "-o", bundle, "--force", env=env)
    require(bundle.read_bytes() == once, "the same file and key gave another signature")
    good, bad = public(key), keys.other(key)
    verify_ours(tlora, adapter, bundle, good, work)
    verify_ours(tlora, adapter, bundle, bad, work, ok=False)
    verify_ours(tlora, flip(adapter, work / "flipped.tlora"), bundle, good, work, ok=False)
    require(with_securesystemslib(bundle, good), "securesystemslib rejects our signature")
    require(not with_securesystemslib(bundle, bad), "securesystemslib accepts another key")
    with_openssl(arguments.openssl, bundle, good, work)
    with_openssl(arguments.openssl, bundle, bad, work, ok=False)
    if arguments.npm:
        node = ["node", HERE / "signatures/verify.js", bundle]
        run(*node, good, cwd=arguments.npm)
        run(*node, bad, ok=False, cwd=arguments.npm)


def model_signing(arguments, key, keys, work, adapter):
    """Both ways; only P-256, the one kind of key that both have."""
    theirs = [sys.executable, "-m", "model_signing"]
    flipped = flip(adapter, work / "flipped.tlora")
    bundle = work / "ours.sig"
    run(arguments.tlora, "sign", adapter, "--key", key, f"--oms={bundle}", "-o", work / "unused.json", "--force",
        env={"TLORA_KEY_PASSPHRASE": PASSPHRASE})
    verify = [*theirs, "verify", "key", "--signature", bundle, "--public_key"]
    run(*verify, public(key), adapter)
    run(*verify, keys.other(key), adapter, ok=False)
    run(*verify, public(key), flipped, ok=False)
    verify_ours(arguments.tlora, adapter, bundle, public(key), work)
    if key == keys.encrypted:
        return
    bundle = work / "theirs.sig"
    run(*theirs, "sign", "key", adapter, "--private_key", key, "--signature", bundle)
    verify_ours(arguments.tlora, adapter, bundle, public(key), work)
    verify_ours(arguments.tlora, adapter, bundle, keys.other(key), work, ok=False)
    verify_ours(arguments.tlora, flipped, bundle, public(key), work, ok=False)
    verify_ours(arguments.tlora, adapter, flip_payload(bundle, work / "changed.sig"), public(key), work, ok=False)


def flip_payload(bundle, to):
    """A bundle whose statement has one digit changed."""
    document = json.loads(bundle.read_text())
    payload = base64.b64decode(document["dsseEnvelope"]["payload"])
    place = payload.index(b'"digest": "') + 12
    payload = payload[:place] + (b"1" if payload[place:place + 1] == b"0" else b"0") + payload[place + 1:]
    document["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    to.write_text(json.dumps(document))
    return to


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tlora", type=Path, required=True)
    parser.add_argument("--npm", type=Path)
    parser.add_argument("--openssl", default="openssl")
    arguments = parser.parse_args()
    arguments.tlora = arguments.tlora.resolve()
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        adapter = work / "adapter.tlora"
        run(arguments.tlora, "init", BASE, "-o", adapter, "--u", "13", "--precision", "bf16", "--no-cache", "--quiet")
        keys = Keys(work, arguments.tlora, arguments.openssl)
        for key in keys.all():
            attestation(arguments, key, keys, work, adapter)
        for key in (keys.ec, keys.encrypted, keys.own):
            model_signing(arguments, key, keys, work, adapter)
    print(f"{checks} checks of signatures, {'with' if arguments.npm else 'without'} @sigstore/verify: all hold")


main()
