//! TensorBoard's `Event` as protobuf, field by field (tensorflow/core/util/event.proto, framework/summary.proto), and its
//! frame as a record.

use crate::crc32c::masked;

/// Wire types.
const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const LENGTH: u64 = 2;
const FOUR_BYTES: u64 = 5;

/// What an event says.
pub(crate) enum What<'a> {
    /// The version of the file; its first event.
    Version,
    /// Logging began here: what older files have from this step on is void.
    Start,
    /// Numbers by their tags.
    Scalars(&'a [(&'a str, f32)]),
}

/// An event as a record of a file.
pub(crate) fn record(wall_time: f64, step: u64, what: &What<'_>) -> Vec<u8> {
    let mut event = Vec::new();
    key(&mut event, 1, EIGHT_BYTES);
    event.extend(wall_time.to_le_bytes());
    key(&mut event, 2, VARINT);
    varint(&mut event, step);
    match what {
        What::Version => bytes(&mut event, 3, b"brain.Event:2"),
        // SessionLog { status: START }
        What::Start => bytes(&mut event, 7, &[0x08, 0x01]),
        What::Scalars(scalars) => bytes(&mut event, 5, &summary(scalars)),
    }
    frame(&event)
}

fn summary(scalars: &[(&str, f32)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, value) in scalars {
        let mut one = Vec::new();
        bytes(&mut one, 1, tag.as_bytes());
        key(&mut one, 2, FOUR_BYTES);
        one.extend(value.to_le_bytes());
        bytes(&mut summary, 1, &one);
    }
    summary
}

fn frame(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend(length);
    record.extend(masked(&length).to_le_bytes());
    record.extend(data);
    record.extend(masked(data).to_le_bytes());
    record
}

fn bytes(into: &mut Vec<u8>, field: u64, value: &[u8]) {
    key(into, field, LENGTH);
    varint(into, value.len() as u64);
    into.extend(value);
}

fn key(into: &mut Vec<u8>, field: u64, wire: u64) {
    varint(into, field << 3 | wire);
}

fn varint(into: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = (value & 0x7f).to_le_bytes();
        value >>= 7;
        if value == 0 {
            into.push(low);
            return;
        }
        into.push(low | 0x80);
    }
}
