// Verifies a bundle with a public key as sigstore-js does: `node verify.js BUNDLE KEY.pub`, from a directory that has
// node_modules. Exits with 0, or with 1 and the code of the error on stderr.
"use strict";

const crypto = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");
const { createRequire } = require("node:module");

const installed = createRequire(path.join(process.cwd(), "package.json"));
const { bundleFromJSON } = installed("@sigstore/bundle");
const { Verifier, toSignedEntity } = installed("@sigstore/verify");

const [bundlePath, keyPath] = process.argv.slice(2);
const key = crypto.createPublicKey(fs.readFileSync(keyPath));
const trust = {
  certificateAuthorities: [],
  timestampAuthorities: [],
  tlogs: [],
  ctlogs: [],
  publicKey: () => ({ publicKey: key, validFor: () => true }),
};
try {
  const bundle = bundleFromJSON(JSON.parse(fs.readFileSync(bundlePath, "utf8")));
  const none = { ctlogThreshold: 0, tlogThreshold: 0, timestampThreshold: 0 };
  new Verifier(trust, none).verify(toSignedEntity(bundle));
} catch (error) {
  console.error(error.code ?? "ERROR", error.message);
  process.exit(1);
}
