//! What the tests of the command share: small checkpoints, written byte by byte, and runs of the binary.
#![allow(dead_code, reason = "each test file uses its own part of this")]

pub(crate) mod training;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// A directory of its own for each test.
pub(crate) struct Scratch(TempDir);

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A tensor of a test checkpoint.
#[derive(Clone)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) dtype: &'static str,
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: Vec<u8>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The command, with this directory as its working directory and its cache in it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tlora"));
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env("TLORA_CACHE", self.path("cache"))
            // No GPU, whatever the machine has: bytes are compared.
            .env("CUDA_VISIBLE_DEVICES", "");
        command
    }

    pub(crate) fn tlora(&self, arguments: &[&str]) -> Ended {
        Ended::of(&self.command(arguments).output().unwrap())
    }

    /// Runs a command that must succeed.
    pub(crate) fn done(&self, arguments: &[&str]) -> Ended {
        let ended = self.tlora(arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        ended
    }

    /// Makes `adapter.tlora` for the base that is there.
    pub(crate) fn init_adapter(&self) {
        let file = ["-o", "adapter.tlora"];
        let update = ["--targets", "q_proj", "--v", "0.05"];
        self.done(&[&["init", "base"][..], &file, &update].concat());
    }

    /// Writes the base and makes `adapter.tlora` for it.
    pub(crate) fn base_and_adapter(&self) -> PathBuf {
        let base = self.path("base");
        write_checkpoint(&base, &small_base());
        self.init_adapter();
        base
    }

    /// The names in this directory.
    pub(crate) fn names(&self) -> Vec<String> {
        names(self.0.path())
    }
}

pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

impl Ended {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Self {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// It ended with this exit code, printed nothing on stdout, and the message has all of these parts.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        for part in parts {
            assert!(
                self.stderr.contains(part),
                "no {part:?} in: {}",
                self.stderr
            );
        }
    }
}

impl Tensor {
    /// Weights between −1 and 1 that look like noise and are the same everywhere.
    pub(crate) fn bf16(name: &str, shape: &[usize]) -> Self {
        let count = shape.iter().product::<usize>();
        let mut state = name.bytes().fold(1_u32, |state, byte| {
            state.wrapping_mul(31).wrapping_add(u32::from(byte))
        });
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (f32::from(u16::try_from(state >> 16).unwrap()) / 32_768.0 - 1.0).to_bits() >> 16
        };
        let bytes = (0..count)
            .flat_map(|_| u16::try_from(next()).unwrap().to_le_bytes())
            .collect();
        Self {
            name: name.to_owned(),
            dtype: "BF16",
            shape: shape.to_vec(),
            bytes,
        }
    }

    pub(crate) fn f32(name: &str, values: &[f32]) -> Self {
        let bytes = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        Self {
            name: name.to_owned(),
            dtype: "F32",
            shape: vec![values.len()],
            bytes,
        }
    }
}

/// Two layers with one projection each.
pub(crate) fn small_base() -> Vec<Tensor> {
    vec![
        Tensor::bf16("model.embed_tokens.weight", &[5, 6]),
        Tensor::bf16("model.layers.0.self_attn.q_proj.weight", &[8, 6]),
        Tensor::bf16("model.layers.1.self_attn.q_proj.weight", &[8, 6]),
        Tensor::f32("model.norm.weight", &[1.0, 0.5, -2.0, 1.0, 1.0, 1.0]),
    ]
}

/// A directory with config.json and model.safetensors.
pub(crate) fn write_checkpoint(directory: &Path, tensors: &[Tensor]) {
    fs_err::create_dir_all(directory).unwrap();
    fs_err::write(
        directory.join("config.json"),
        "{\n  \"model_type\": \"llama\",\n  \"torch_dtype\": \"bfloat16\"\n}\n",
    )
    .unwrap();
    fs_err::write(directory.join("model.safetensors"), safetensors(tensors)).unwrap();
}

/// The bytes of a safetensors file.
pub(crate) fn safetensors(tensors: &[Tensor]) -> Vec<u8> {
    let mut begin = 0;
    let mut entries = Vec::new();
    for Tensor {
        name,
        dtype,
        shape,
        bytes,
    } in tensors
    {
        let end = begin + bytes.len();
        entries.push(format!(
            r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{begin},{end}]}}"#
        ));
        begin = end;
    }
    let data: Vec<u8> = tensors
        .iter()
        .flat_map(|tensor| tensor.bytes.clone())
        .collect();
    with_header(&format!("{{{}}}", entries.join(",")), &data)
}

/// A file of a header, whatever it says, and data.
pub(crate) fn with_header(json: &str, data: &[u8]) -> Vec<u8> {
    let length = u64::try_from(json.len()).unwrap().to_le_bytes();
    [&length, json.as_bytes(), data].concat()
}
