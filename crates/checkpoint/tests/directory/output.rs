//! Output directories and files: whole or not at all, and never at the cost of something else.

use std::path::{Path, PathBuf};

use tlora_checkpoint::{
    OutputDirectory, OutputError, OutputOptions, write_all_at, write_file_atomically,
};

use crate::model::{Model, two};

const PLAIN: OutputOptions<'static> = OutputOptions {
    force: false,
    inputs: &[],
    bytes: 0,
};
const FORCE: OutputOptions<'static> = OutputOptions {
    force: true,
    ..PLAIN
};

/// A directory for outputs, and the names in it.
fn place() -> Model {
    Model::with(&[])
}

fn listed(path: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(path).expect("a readable directory");
    let mut names: Vec<_> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

fn write_model(output: &OutputDirectory, content: &[u8]) {
    let file = output
        .create_file("model.safetensors", content.len() as u64)
        .expect("a new file");
    let (left, right) = content.split_at(content.len() / 2);
    write_all_at(&file, right, left.len() as u64).expect("room");
    write_all_at(&file, left, 0).expect("room");
}

fn publish(path: &Path, options: &OutputOptions<'_>, content: &[u8]) -> Result<(), OutputError> {
    let output = OutputDirectory::create(path, options)?;
    write_model(&output, content);
    output.publish()
}

fn fault(path: &Path, options: &OutputOptions<'_>) -> OutputError {
    OutputDirectory::create(path, options).expect_err("a refusal")
}

#[test]
fn appears_whole_and_leaves_nothing_else() {
    let place = place();
    let output = OutputDirectory::create(&place.file("out"), &PLAIN).expect("a vacant name");
    write_model(&output, b"weights");
    output.write_file("config.json", b"{}").expect("a new file");
    assert!(!place.file("out").exists());
    output.publish().expect("a vacant name");
    assert_eq!(listed(place.path()), ["out"]);
    assert_eq!(
        listed(&place.file("out")),
        ["config.json", "model.safetensors"]
    );
    assert_eq!(
        fs_err::read(place.file("out/model.safetensors")).expect("the file"),
        b"weights"
    );
}

#[test]
fn is_removed_if_it_is_not_published() {
    let place = place();
    let output = OutputDirectory::create(&place.file("out"), &PLAIN).expect("a vacant name");
    write_model(&output, b"weights");
    assert_eq!(listed(place.path()).len(), 1);
    drop(output);
    assert_eq!(listed(place.path()), [""; 0]);
}

#[test]
#[cfg(unix)]
fn only_the_owner_sees_it_before_all_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| {
        fs_err::metadata(path)
            .expect("existing")
            .permissions()
            .mode()
            & 0o7777
    };
    let place = place();
    let source = Model::with(&[("script", b"x")]);
    fs_err::set_permissions(source.file("script"), PermissionsExt::from_mode(0o400))
        .expect("another mode");
    let output = OutputDirectory::create(&place.file("out"), &PLAIN).expect("a vacant name");
    assert_eq!(mode(output.path()), 0o700);
    write_model(&output, b"weights");
    output
        .copy_file(&source.file("script"), "LICENSE")
        .expect("a readable file");
    output.publish().expect("a vacant name");
    assert_eq!(mode(&place.file("out")), 0o755);
    assert_eq!(mode(&place.file("out/model.safetensors")), 0o644);
    assert_eq!(mode(&place.file("out/LICENSE")), 0o644);
}

#[test]
fn an_existing_path_needs_force() {
    let place = place();
    publish(&place.file("out"), &PLAIN, b"old").expect("a vacant name");
    assert!(matches!(
        fault(&place.file("out"), &PLAIN),
        OutputError::Exists(_)
    ));
    publish(&place.file("out"), &FORCE, b"new").expect("a checkpoint to replace");
    assert_eq!(
        fs_err::read(place.file("out/model.safetensors")).expect("the file"),
        b"new"
    );
    assert_eq!(listed(place.path()), ["out"]);
}

#[test]
fn force_replaces_checkpoints_and_nothing_else() {
    let place = place();
    fs_err::create_dir_all(place.file("home/documents")).expect("a directory");
    place.write("file.safetensors", b"x");
    for name in ["home", "file.safetensors"] {
        assert!(
            matches!(
                fault(&place.file(name), &FORCE),
                OutputError::NotReplaceable { .. }
            ),
            "{name}"
        );
    }
    fs_err::create_dir_all(place.file("empty")).expect("a directory");
    publish(&place.file("empty"), &FORCE, b"new").expect("an empty directory to replace");
}

#[test]
fn a_path_that_is_taken_meanwhile_is_left_alone() {
    let place = place();
    let output = OutputDirectory::create(&place.file("out"), &PLAIN).expect("a vacant name");
    fs_err::create_dir_all(place.file("out")).expect("a directory");
    assert!(matches!(output.publish(), Err(OutputError::Exists(_))));
    assert_eq!(
        (listed(place.path()), listed(&place.file("out"))),
        (vec!["out".to_owned()], vec![])
    );
}

#[test]
#[cfg(unix)]
fn a_link_is_refused_even_if_it_dangles() {
    let place = place();
    std::os::unix::fs::symlink("nowhere", place.file("out")).expect("a link");
    for options in [PLAIN, FORCE] {
        assert!(matches!(
            fault(&place.file("out"), &options),
            OutputError::Link(_)
        ));
    }
    let written = write_file_atomically(&place.file("out"), b"x", true);
    assert!(matches!(written, Err(OutputError::Link(_))));
}

#[test]
fn inputs_and_output_lie_apart() {
    let place = place();
    let base = place.file("base");
    fs_err::create_dir_all(base.join("inner")).expect("a directory");
    place.write("base/model.safetensors", b"x");
    let inputs = [base.clone(), base.join("model.safetensors")];
    let forced = OutputOptions {
        inputs: &inputs,
        ..FORCE
    };
    let inside = OutputOptions {
        force: false,
        ..forced
    };
    for (path, options) in [
        (base.clone(), forced),
        (base.join("."), forced),
        (base.join("inner/out"), inside),
    ] {
        assert!(
            matches!(fault(&path, &options), OutputError::Overlap { .. }),
            "{}",
            path.display()
        );
    }
    let inner = [base.join("inner")];
    let around = OutputOptions {
        inputs: &inner,
        ..FORCE
    };
    assert!(matches!(fault(&base, &around), OutputError::Overlap { .. }));
    OutputDirectory::create(&place.file("base2"), &forced).expect("a sibling with a longer name");
}

#[test]
#[cfg(unix)]
fn a_linked_parent_is_resolved_before_comparing() {
    let place = place();
    fs_err::create_dir_all(place.file("base")).expect("a directory");
    std::os::unix::fs::symlink("base", place.file("alias")).expect("a link");
    let inputs = [place.file("base")];
    let options = OutputOptions {
        inputs: &inputs,
        ..PLAIN
    };
    assert!(matches!(
        fault(&place.file("alias/out"), &options),
        OutputError::Overlap { .. }
    ));
}

#[test]
fn more_than_the_disk_holds_is_refused_at_once() {
    let place = place();
    let options = OutputOptions {
        bytes: u64::MAX,
        ..PLAIN
    };
    assert!(matches!(
        fault(&place.file("out"), &options),
        OutputError::Space { .. }
    ));
    assert_eq!(listed(place.path()), [""; 0]);
}

#[test]
fn a_path_without_name_or_parent_is_refused() {
    for path in ["/", "..", "."] {
        assert!(
            matches!(fault(Path::new(path), &PLAIN), OutputError::NoName(_)),
            "{path}"
        );
    }
    let error = fault(&place().file("missing/out"), &PLAIN);
    assert!(
        matches!(&error, OutputError::Io(error) if error.kind() == std::io::ErrorKind::NotFound),
        "{error}"
    );
    assert!(error.to_string().contains("missing"), "{error}");
}

#[test]
fn a_file_exists_already_or_is_replaced() {
    let place = place();
    let path: PathBuf = place.file("a.tlora");
    write_file_atomically(&path, b"one", false).expect("a vacant name");
    assert!(matches!(
        write_file_atomically(&path, b"two", false),
        Err(OutputError::Exists(_))
    ));
    assert_eq!(fs_err::read(&path).expect("the file"), b"one");
    write_file_atomically(&path, b"two", true).expect("a file to replace");
    assert_eq!(fs_err::read(&path).expect("the file"), b"two");
    assert_eq!(listed(place.path()), ["a.tlora"]);
    fs_err::create_dir_all(place.file("directory")).expect("a directory");
    let refused = write_file_atomically(&place.file("directory"), b"x", true);
    assert!(matches!(refused, Err(OutputError::NotReplaceable { .. })));
}

#[test]
fn the_inputs_of_a_checkpoint_protect_it() {
    let base = Model::of(&two());
    let inputs = base.open().real_paths().expect("existing files");
    let options = OutputOptions {
        inputs: &inputs,
        ..FORCE
    };
    assert!(matches!(
        fault(base.path(), &options),
        OutputError::Overlap { .. }
    ));
}
