//! Event files, by a reader that shares nothing with the writer: checksums bit by bit, protobuf field by field.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on stops"
)]

use std::path::Path;

use tlora_report::EventFile;

/// CRC-32C without a table.
fn crc(bytes: &[u8]) -> u32 {
    let mut value = u32::MAX;
    for byte in bytes {
        value ^= u32::from(*byte);
        for _ in 0..8 {
            value = if value & 1 == 1 {
                value >> 1 ^ 0x82f6_3b78
            } else {
                value >> 1
            };
        }
    }
    !value
}

fn masked(bytes: &[u8]) -> u32 {
    crc(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn records(mut file: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    while !file.is_empty() {
        let length = u64::from_le_bytes(file[..8].try_into().unwrap());
        assert_eq!(file[8..12], masked(&file[..8]).to_le_bytes());
        let end = 12 + usize::try_from(length).unwrap();
        assert_eq!(file[end..end + 4], masked(&file[12..end]).to_le_bytes());
        found.push(file[12..end].to_vec());
        file = &file[end + 4..];
    }
    found
}

/// Fields of a message: number, and the bytes of the value, those of a varint as u64.
fn fields(mut message: &[u8]) -> Vec<(u64, Vec<u8>)> {
    fn varint(message: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = message[0];
            *message = &message[1..];
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    }
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let length = match key & 7 {
            0 => {
                found.push((key >> 3, varint(&mut message).to_le_bytes().to_vec()));
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut message)).unwrap(),
            5 => 4,
            other => panic!("wire type {other}"),
        };
        found.push((key >> 3, message[..length].to_vec()));
        message = &message[length..];
    }
    found
}

fn read(path: &Path) -> Vec<Vec<(u64, Vec<u8>)>> {
    records(&fs_err::read(path).unwrap())
        .iter()
        .map(|record| fields(record))
        .collect()
}

#[test]
fn a_file_has_its_version_its_start_and_its_scalars() {
    let directory = tempfile::tempdir().unwrap();
    let mut file = EventFile::create(directory.path(), 300, 12.5).unwrap();
    file.scalars(300, 13.5, &[("train/reward", 0.25), ("mismatch/k3", -1.0)])
        .unwrap();
    let events = read(&file.path());
    let time = |time: f64| (1, time.to_le_bytes().to_vec());
    let step = |step: u64| (2, step.to_le_bytes().to_vec());
    assert_eq!(
        events[0],
        [time(12.5), step(0), (3, b"brain.Event:2".to_vec())]
    );
    assert_eq!(events[1], [time(12.5), step(300), (7, vec![8, 1])]);
    assert_eq!(events[2][..2], [time(13.5), step(300)]);
    let (number, summary) = &events[2][2];
    assert_eq!((*number, events.len()), (5, 3));
    let values: Vec<_> = fields(summary)
        .into_iter()
        .map(|(_, value)| fields(&value))
        .collect();
    let value = |tag: &str, value: f32| {
        vec![
            (1, tag.as_bytes().to_vec()),
            (2, value.to_le_bytes().to_vec()),
        ]
    };
    assert_eq!(
        values,
        [value("train/reward", 0.25), value("mismatch/k3", -1.0)]
    );
}

#[test]
fn a_file_never_takes_the_place_of_another() {
    let directory = tempfile::tempdir().unwrap();
    let first = EventFile::create(directory.path(), 1, 5.0).unwrap().path();
    let second = EventFile::create(directory.path(), 1, 5.0).unwrap().path();
    assert!(first < second, "{first:?} {second:?}");
}
