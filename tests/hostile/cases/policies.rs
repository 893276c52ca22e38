//! Class 10: policies that are wrong, and policies that must not become weaker than they look.

use super::bundles::{POLICY, digest, good, policy};
use super::names::HOSTILE;
use super::{Case, many, one, write};
use crate::support::Scratch;

pub(super) fn find(name: &str) -> Option<Case> {
    match name {
        "bad_policy" => many(BAD.len(), |scratch, variant| {
            let (from, to) = BAD[variant];
            assert!(from.is_empty() || POLICY.contains(from), "{from}");
            written(
                scratch,
                &if from.is_empty() {
                    to.to_owned()
                } else {
                    POLICY.replacen(from, to, 1)
                },
            );
            String::new()
        }),
        "expired_signer" => with_signer("not_after = \"2020-01-01\"\n"),
        "future_signer" => with_signer("not_before = \"2999-01-01\"\n"),
        "signer_twice" => one(|scratch| {
            let again = POLICY.find("[[signer]]").unwrap();
            let twice = format!("{POLICY}{}", POLICY[again..].replace("release", "second"));
            written(scratch, &twice.replace("threshold = 1", "threshold = 2"));
        }),
        "denied_adapter" => one(|scratch| {
            let sha256: String = digest().iter().map(|byte| format!("{byte:02x}")).collect();
            written(
                scratch,
                &format!("{POLICY}[deny]\nadapters = [\"sha256:{sha256}\"]\n"),
            );
        }),
        "denied_signer" => one(|scratch| {
            written(
                scratch,
                &format!("{POLICY}[deny]\nsigners = [\"release\"]\n"),
            );
        }),
        "unmade_claim" => one(|scratch| {
            written(
                scratch,
                &format!("{POLICY}[claims]\nrequired = [\"dataset.digest\"]\n"),
            );
        }),
        "other_base" => one(|scratch| {
            let base = format!("[[base]]\nid = \"x\"\ntmd1 = \"{}\"\n", "0".repeat(64));
            written(scratch, &format!("{POLICY}{base}"));
        }),
        "too_large_update" => one(|scratch| {
            written(
                scratch,
                &format!("{POLICY}[limits]\nmax_delta_ratio = 1e-9\n"),
            );
        }),
        "too_many_numbers" => {
            one(|scratch| written(scratch, &format!("{POLICY}[limits]\nmax_params = 0\n")))
        }
        "a_line_less" => {
            let policy = three_that_fail();
            let lines = policy.lines().count();
            many(lines, move |scratch, variant| {
                let kept = policy
                    .lines()
                    .enumerate()
                    .filter(|(number, _)| *number != variant);
                written(
                    scratch,
                    &kept
                        .map(|(_, line)| format!("{line}\n"))
                        .collect::<String>(),
                );
                String::new()
            })
        }
        "fifo_policy" => one(|scratch| super::files::fifo(scratch, "policy.toml")),
        "device_policy" => one(|scratch| super::files::link("/dev/zero", scratch, "policy.toml")),
        "fifo_key" => one(|scratch| {
            policy(scratch);
            fs_err::remove_file(scratch.path("p256.pub")).unwrap();
            super::files::fifo(scratch, "p256.pub");
        }),
        "policy_of_2_mb" => {
            one(|scratch| write(scratch, "policy.toml", "#".repeat(2_000_000).as_bytes()))
        }
        "deep_policy" => one(|scratch| {
            write(
                scratch,
                "policy.toml",
                format!("a = {}", "[".repeat(100_000)).as_bytes(),
            );
        }),
        "hostile_policy" => many(HOSTILE.len(), |scratch, variant| {
            // TOML's escapes are JSON's, but for the delete character.
            let name = serde_json::to_string(HOSTILE[variant])
                .unwrap()
                .replace('\u{7f}', "\\u007f");
            written(scratch, &POLICY.replace("\"release\"", &name));
            String::new()
        }),
        _ => None,
    }
}

/// What of the policy is replaced, and by what; the whole of it where there is nothing to replace.
const BAD: [(&str, &str); 18] = [
    ("", ""),
    ("", "version = 2\n"),
    ("", "\u{0}"),
    ("version = 1", "version = 1\nversion = 1"),
    ("[require]", "[requires]"),
    ("checks = [", "check = ["),
    ("\"signature\"", "\"signatures\""),
    ("threshold = 1", "threshold = 0"),
    ("threshold = 1", "threshold = -1"),
    ("threshold = 1", "threshold = 2"),
    ("threshold = 1", "threshold = 1e9"),
    ("\"p256\"", "\"p384\""),
    ("\"p256\"", "\"ed25519\""),
    ("\"p256.pub\"", "\"nowhere.pub\""),
    ("key = ", "not_after = \"2020-13-01\"\nkey = "),
    ("key = ", "expires = \"2020-01-01\"\nkey = "),
    (
        "type = \"p256\"\nkey = \"p256.pub\"",
        "type = \"github\"\nidentity = \"*\"\nissuer = \"https://x\"",
    ),
    (
        "type = \"p256\"\nkey = \"p256.pub\"",
        "type = \"github\"\nidentity = \"https://github.com/acme/.*\"\nissuer = \"\"",
    ),
];

/// A policy beside a good signature.
fn written(scratch: &Scratch, text: &str) {
    policy(scratch);
    write(scratch, "adapter.tlora.sigstore.json", good().as_bytes());
    write(scratch, "policy.toml", text.as_bytes());
}

fn with_signer(line: &'static str) -> Option<Case> {
    one(move |scratch| written(scratch, &format!("{POLICY}{line}")))
}

/// A policy of which three lines, each for itself, are not met: any one may go, and the rest still fails.
fn three_that_fail() -> String {
    let sha256: String = digest().iter().map(|byte| format!("{byte:02x}")).collect();
    let base = "0".repeat(64);
    format!(
        "{}[[base]]\nid = \"x\"\ntmd1 = \"{base}\"\n[limits]\nmax_delta_ratio = 1e-9\n[deny]\nadapters = [\"sha256:{sha256}\"]\n",
        POLICY.replace(
            "[\"format\", \"signature\"]",
            "[\"format\", \"signature\", \"provenance\"]"
        )
    )
}
