//! The rooms and who may import whom: a room imports only rooms below it, never sideways. The table is CONTRIBUTING's.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// From the top down. A package that is not listed has no place to stand.
const FLOORS: [(&str, u8); 16] = [
    ("tlora", 7),
    ("tlora-train", 6),
    ("tlora-merge", 6),
    ("tlora-convert", 6),
    ("tlora-provenance", 6),
    ("tlora-model", 5),
    ("tlora-rebuild", 4),
    ("tlora-checkpoint", 3),
    ("tlora-basis", 2),
    ("tlora-kernels", 1),
    ("tlora-cuda", 1),
    ("tlora-grpo", 1),
    ("tlora-reward", 1),
    ("tlora-format", 1),
    ("tlora-report", 1),
    ("tlora-vllm", 1),
];

#[test]
fn a_room_imports_only_rooms_below_it() {
    let floors = BTreeMap::from(FLOORS);
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    assert_eq!(
        packages.len(),
        FLOORS.len(),
        "a room is missing in the table, or gone"
    );
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let Some(floor) = floors.get(name) else {
            panic!("{name} has no floor in the table")
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            // Tests may look down from anywhere.
            let Some(below) = floors
                .get(dependency["name"].as_str().unwrap())
                .filter(|_| dependency["kind"] != "dev")
            else {
                continue;
            };
            assert!(
                below < floor,
                "{name} imports {}, which is not below it",
                dependency["name"]
            );
        }
    }
}
