//! Additions, norms, the rotary embedding, the gated activation and columns.

use tlora_cuda::{
    Buffer, Heads, add, add_bias, narrow, narrow_add, put_heads, rms_norm, rms_norm_backward, rope,
    swiglu, swiglu_backward, take_heads, widen,
};
use tlora_kernels as kernels;

use crate::support::{UNIT, bf16_bits, both, close, numbers, room, up, wide};

#[test]
fn additions() {
    for (rows, width) in [(1, 1), (3, 37), (2, 256), (1, 1030)] {
        let (a, b, bias) = (
            numbers(1, rows * width),
            numbers(2, rows * width),
            numbers(3, width),
        );
        let found = both(|device| {
            let mut y = up(device, &a);
            add(&mut y, &up(device, &b)).unwrap();
            add_bias(&mut y, &up(device, &bias)).unwrap();
            y.download().unwrap()
        });
        let mut wanted = wide(&a);
        kernels::add(&mut wanted, &wide(&b));
        kernels::add_bias(&mut wanted, &wide(&bias));
        close(&found, &wanted, 5.0 * UNIT);
    }
}

#[test]
fn norms() {
    for (rows, width) in [(1, 16), (3, 37), (2, 300), (2, 896)] {
        let (x, w, g) = (
            numbers(1, rows * width),
            numbers(2, width),
            numbers(3, rows * width),
        );
        let found = both(|device| {
            let (x, w) = (up(device, &x), up(device, &w));
            let (mut y, mut grad) = (room(device, x.len()), room(device, x.len()));
            rms_norm(&x, &w, 1e-6, &mut y).unwrap();
            rms_norm_backward(&x, &w, 1e-6, &up(device, &g), &mut grad).unwrap();
            let y = y.download().unwrap();
            let mut rounded = Buffer::<u16>::zeros(device, x.len()).unwrap();
            rms_norm(&x, &w, 1e-6, &mut rounded).unwrap();
            assert_eq!(rounded.download().unwrap(), bf16_bits(&y));
            [y, grad.download().unwrap()].concat()
        });
        let (x, w, g) = (wide(&x), wide(&w), wide(&g));
        let (mut y, mut grad) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        kernels::rms_norm(&x, &w, f64::from(1e-6_f32), &mut y);
        kernels::rms_norm_backward(&x, &w, f64::from(1e-6_f32), &g, &mut grad);
        // A thread adds 4 terms and the block 10 times; some operations more, on numbers up to 4.
        close(&found, &[y, grad].concat(), 4.0 * 24.0 * UNIT);
    }
}

#[test]
fn turns() {
    for (heads, width, stride, offset) in [(1, 16, 16, 0), (3, 80, 251, 5), (7, 128, 900, 4)] {
        let rows = 3;
        let x = numbers(1, rows * stride);
        let angles = numbers(2, rows * width / 2);
        let cos: Vec<f32> = angles.iter().map(|a| a.cos()).collect();
        let sin: Vec<f32> = angles.iter().map(|a| a.sin()).collect();
        for inverse in [false, true] {
            let place = Heads {
                stride,
                offset,
                count: heads,
                width,
            };
            let found = both(|device| {
                let mut y = up(device, &x);
                rope(&mut y, place, &up(device, &cos), &up(device, &sin), inverse).unwrap();
                y.download().unwrap()
            });
            let mut wanted = wide(&x);
            let (cos, sin) = (wide(&cos), wide(&sin));
            kernels::rope(
                &mut wanted,
                heads,
                width,
                stride,
                offset,
                &cos,
                &sin,
                inverse,
            );
            close(&found, &wanted, 4.0 * UNIT);
        }
    }
}

#[test]
fn gates() {
    for (rows, n, stride) in [(1, 1, 2), (3, 37, 80), (2, 300, 606)] {
        let x: Vec<f32> = numbers(1, rows * stride).iter().map(|x| x * 8.0).collect();
        let g = numbers(2, rows * n);
        let before = numbers(3, x.len());
        let found = both(|device| {
            let gate_up = up(device, &x);
            let (mut y, mut grad) = (room(device, rows * n), up(device, &before));
            swiglu(&gate_up, stride, n, &mut y).unwrap();
            swiglu_backward(&gate_up, stride, n, &up(device, &g), &mut grad).unwrap();
            let y = y.download().unwrap();
            let mut rounded = Buffer::<u16>::zeros(device, rows * n).unwrap();
            swiglu(&gate_up, stride, n, &mut rounded).unwrap();
            assert_eq!(rounded.download().unwrap(), bf16_bits(&y));
            [y, grad.download().unwrap()].concat()
        });
        let (mut y, mut grad) = (vec![0.0; rows * n], wide(&before));
        kernels::swiglu(&wide(&x), stride, n, &mut y);
        kernels::swiglu_backward(&wide(&x), stride, n, &wide(&g), &mut grad);
        // Ten operations on numbers up to 64; the exponential is within 2 units.
        close(&found, &[y, grad].concat(), 64.0 * 12.0 * UNIT);
    }
}

#[test]
fn columns() {
    let (rows, stride) = (3, 41);
    let x = numbers(1, rows * stride);
    let heads = Heads {
        stride,
        offset: 5,
        count: 3,
        width: 11,
    };
    let found = both(|device| {
        let x = up(device, &x);
        let mut taken = room(device, rows * 33);
        take_heads(&x, heads, &mut taken).unwrap();
        let mut put = up(device, &vec![0.5; rows * stride]);
        put_heads(&mut put, heads, &taken).unwrap();
        let (mut slim, mut broad) = (room(device, rows * 7), room(device, rows * 50));
        narrow(&x, stride, 7, &mut slim).unwrap();
        widen(&x, stride, 50, &mut broad).unwrap();
        let mut both = room(device, rows * 7);
        narrow_add(&x, stride, &slim, &mut both).unwrap();
        assert!(narrow_add(&x, stride, &broad, &mut both).is_err());
        [&taken, &put, &slim, &broad, &both]
            .map(|b| b.download().unwrap())
            .concat()
    });
    let row = |row: usize| &x[row * stride..][..stride];
    let mut wanted = Vec::new();
    (0..rows).for_each(|r| wanted.extend_from_slice(&row(r)[5..38]));
    for r in 0..rows {
        wanted.extend([0.5; 5]);
        wanted.extend_from_slice(&row(r)[5..38]);
        wanted.extend([0.5; 3]);
    }
    (0..rows).for_each(|r| wanted.extend_from_slice(&row(r)[..7]));
    for r in 0..rows {
        wanted.extend_from_slice(row(r));
        wanted.extend([0.0; 9]);
    }
    (0..rows).for_each(|r| wanted.extend(row(r)[..7].iter().map(|x| x + x)));
    close(&found, &wide(&wanted), 0.0);
}
