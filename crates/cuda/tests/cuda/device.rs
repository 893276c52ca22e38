//! Memory, and what is refused.

use tlora_cuda::{Buffer, CudaError, Device, Emulation, Scatter, add, gather_rows, scatter_rows};

use crate::support::{both, close, numbers, room, up, wide};

#[test]
fn memory_is_counted_and_runs_out_with_an_error() {
    let device = Device::emulated_with(Emulation {
        memory: 1000,
        ..Emulation::default()
    });
    let small = Buffer::<f32>::zeros(&device, 100).unwrap();
    assert_eq!(small.download().unwrap(), vec![0.0; 100]);
    let large = Buffer::<f64>::zeros(&device, 100);
    let free = CudaError::OutOfMemory {
        wanted: 800,
        free: 600,
        total: 1000,
    };
    assert_eq!(large.err(), Some(free));
    drop(small);
    let memory = device.memory().unwrap();
    assert_eq!((memory.free, memory.held, memory.peak), (1000, 0, 400));
    device.forget_peak();
    assert_eq!(device.memory().unwrap().peak, 0);
}

#[test]
fn parts_of_buffers_are_copied() {
    let device = Device::emulated();
    let from = Buffer::from_slice(&device, &[1_u32, 2, 3, 4]).unwrap();
    let mut to = Buffer::<u32>::zeros(&device, 3).unwrap();
    to.copy_from(1, &from, 2, 2).unwrap();
    assert_eq!(to.download().unwrap(), [0, 3, 4]);
    assert!(to.copy_from(2, &from, 0, 2).is_err());
    assert!(to.upload(3, &[1]).is_err());
}

/// A part is the same memory, which lives as long as any of its buffers.
#[test]
fn parts_of_buffers_share_their_memory() {
    let device = Device::emulated();
    let mut whole = Buffer::from_slice(&device, &[1_u32, 2, 3, 4]).unwrap();
    let part = whole.part(1, 2).unwrap();
    whole.upload(2, &[7]).unwrap();
    assert_eq!(part.download().unwrap(), [2, 7]);
    assert!(whole.part(3, 2).is_err());
    assert!(whole.part(usize::MAX, 2).is_err());
    drop(whole);
    assert_eq!(part.download().unwrap(), [2, 7]);
    assert_eq!(device.memory().unwrap().held, 16);
    drop(part);
    assert_eq!(device.memory().unwrap().held, 0);
}

#[test]
fn sizes_and_devices_are_compared() {
    let device = Device::emulated();
    let (mut a, b) = (room(&device, 4), room(&device, 5));
    assert!(matches!(add(&mut a, &b), Err(CudaError::Size { .. })));
    let elsewhere = room(&Device::emulated(), 4);
    let error = add(&mut a, &elsewhere).unwrap_err();
    assert_eq!(error, CudaError::OtherDevice { operation: "add" });
}

#[test]
fn rows_are_gathered_and_added_back() {
    let (width, rows) = (37, [3_u32, 0, 3, 5, 3]);
    let (x, g) = (numbers(1, 6 * width), numbers(2, rows.len() * width));
    let found = both(|device| {
        let mut y = room(device, rows.len() * width);
        let numbers = Buffer::from_slice(device, &rows).unwrap();
        gather_rows(&up(device, &x), width, &numbers, &mut y).unwrap();
        let mut back = room(device, x.len());
        let scatter = Scatter::new(device, &rows, 6).unwrap();
        scatter_rows(&up(device, &g), width, &scatter, &mut back).unwrap();
        [y.download().unwrap(), back.download().unwrap()].concat()
    });
    let mut wanted: Vec<f32> = rows
        .iter()
        .flat_map(|&row| x[row as usize * width..][..width].to_vec())
        .collect();
    let mut sums = vec![0.0_f32; x.len()];
    for (&row, g) in rows.iter().zip(g.chunks_exact(width)) {
        for (sum, g) in sums[row as usize * width..].iter_mut().zip(g) {
            *sum += g;
        }
    }
    wanted.extend(sums);
    close(&found, &wide(&wanted), 0.0);
    let device = Device::emulated();
    assert!(Scatter::new(&device, &[6], 6).is_err());
    let mut y = room(&device, width);
    let beyond = Buffer::from_slice(&device, &[6]).unwrap();
    gather_rows(&up(&device, &x), width, &beyond, &mut y).unwrap();
    assert!(y.download().unwrap().iter().all(|x| x.is_nan()));
}
