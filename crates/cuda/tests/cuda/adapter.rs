//! The low-rank part, with one adapter and with several in one batch.

use tlora_cuda::{
    Buffer, Device, Indices, Inner, Matrices, Part, Update, accumulate, adapt, adapt_onto,
    add_bias, fill_p, inner, narrow_add, rank_gradient, rank_update,
};
use tlora_kernels as kernels;

use crate::support::{UNIT, both, close, numbers, room, up, wide};

const ROWS: usize = 300;

fn of_rows(adapters: usize) -> Vec<u32> {
    (0..ROWS)
        .map(|row| u32::try_from(row * 7 % 5 % adapters).unwrap())
        .collect()
}

#[test]
fn updates_and_their_gradients() {
    for (rank, outputs, offset) in [(1, 1, 0), (2, 37, 3), (5, 300, 8), (64, 40, 0)] {
        let (rows, stride) = (3, outputs + offset + 5);
        let (y, b) = (numbers(1, rows * stride), numbers(2, outputs * rank));
        let c = numbers(3, rows * rank);
        let found = both(|device| {
            let (mut to, b) = (up(device, &y), up(device, &b));
            rank_update(&mut to, stride, offset, &b, &up(device, &c)).unwrap();
            let mut s = room(device, rows * rank);
            rank_gradient(&up(device, &y), stride, offset, &b, outputs, &mut s).unwrap();
            [to.download().unwrap(), s.download().unwrap()].concat()
        });
        let (mut to, mut s) = (wide(&y), vec![0.0; rows * rank]);
        kernels::rank_update(&mut to, stride, offset, &wide(&b), &wide(&c));
        kernels::rank_gradient(&wide(&y), stride, offset, &wide(&b), outputs, &mut s);
        // Sums of up to 300 terms of at most 1, in threads of 2 terms, then 10 additions of up to 300.
        close(&found, &[to, s].concat(), 300.0 * 12.0 * UNIT);
    }
}

#[test]
fn every_row_has_its_adapter() {
    for (rank, adapters) in [(2, 1), (2, 3), (3, 5), (17, 2)] {
        let (offset, stride) = (4, rank + 6);
        let p = Inner {
            stride,
            offset,
            rank,
        };
        let (pairs, gap) = (rank * rank, rank * rank + 3);
        let matrices = Matrices {
            offset: 2,
            between: gap,
            adapters,
        };
        let (y, s) = (numbers(1, ROWS * stride), numbers(2, ROWS * rank));
        let r = numbers(3, 2 + gap * adapters);
        let numbers_of = of_rows(adapters);
        let start: Vec<f64> = wide(&numbers(4, r.len()));
        let gradient = std::cell::RefCell::new(Vec::new());
        let found = both(|device| {
            let of = Indices::new(device, &numbers_of).unwrap();
            let of = (adapters > 1).then_some(&of);
            let (y, s, r) = (up(device, &y), up(device, &s), up(device, &r));
            let mut c = room(device, ROWS * rank);
            inner(&y, p, &r, matrices, of, &mut c).unwrap();
            let mut filled = Buffer::zeros(device, y.len()).unwrap();
            fill_p(&mut filled, p, &r, matrices, of, &s).unwrap();
            let mut sum = Buffer::from_slice(device, &start).unwrap();
            accumulate(&s, &y, p, of, &mut sum, matrices).unwrap();
            gradient.borrow_mut().push(sum.download().unwrap());
            [c.download().unwrap(), filled.download().unwrap()].concat()
        });
        let (mut c, mut filled, mut sum) = (vec![0.0; ROWS * rank], vec![0.0; y.len()], start);
        for row in 0..ROWS {
            let at = 2 + numbers_of[row] as usize * gap;
            let of = &r[at..at + pairs];
            for i in 0..rank {
                for j in 0..rank {
                    let (p, s) = (
                        f64::from(y[row * stride + offset + j]),
                        f64::from(s[row * rank + i]),
                    );
                    let r = f64::from(of[i * rank + j]);
                    c[row * rank + i] += r * p;
                    filled[row * stride + offset + j] += r * s;
                    sum[at + i * rank + j] += s * p;
                }
            }
        }
        close(&found, &[c, filled].concat(), 17.0 * 18.0 * UNIT);
        let gradients = gradient.into_inner();
        assert_eq!(gradients[0], gradients[1]);
        for (found, wanted) in gradients[0].iter().zip(&sum) {
            // 300 additions in f64 of terms that are exact.
            assert!(
                (found - wanted).abs() <= 300.0 * 300.0 * f64::EPSILON,
                "{found} for {wanted}"
            );
        }
    }
}

/// One pass over the columns is what bias, inner and rank_update are one after another, to the bit: one to three parts, with and
/// without a bias, one adapter and several.
#[test]
fn one_pass_is_all_of_them() {
    let cases: [(usize, &[usize], usize, bool); 4] = [
        (2, &[300, 330, 371], 3, true),
        (2, &[40], 1, false),
        (5, &[7, 300], 2, false),
        (64, &[3, 5, 70], 1, true),
    ];
    for (rank, ends, adapters, with_bias) in cases {
        let (outputs, rows) = (ends[ends.len() - 1], 9);
        let stride = outputs + 1 + rank * ends.len() + 2;
        let p = Inner {
            stride,
            offset: outputs + 1,
            rank,
        };
        let between = 3 + ends.len() * rank * rank;
        let place = |part: usize| Matrices {
            offset: 3 + part * rank * rank,
            between,
            adapters,
        };
        let (y, b) = (numbers(1, rows * stride), numbers(2, outputs * rank));
        let (bias, r) = (numbers(3, stride), numbers(4, between * adapters));
        let other = numbers(5, rows * outputs);
        let of_rows = &of_rows(adapters)[..rows];
        let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        let found = both(|device| {
            let of = Indices::new(device, of_rows).unwrap();
            let (mut y, b, bias) = (up(device, &y), up(device, &b), up(device, &bias));
            let parts = ends.iter().enumerate().map(|(part, &end)| Part {
                end,
                matrices: place(part),
            });
            let (parts, bias) = (parts.collect::<Vec<_>>(), with_bias.then_some(&bias));
            let of = (adapters > 1).then_some(&of);
            let update = Update {
                p,
                parts: &parts,
                bias,
                r: &up(device, &r),
                of_rows: of,
                b: &b,
            };
            let (other, mut sum) = (up(device, &other), room(device, other.len()));
            adapt_onto(&y, update, &other, &mut sum).unwrap();
            adapt(&mut y, update).unwrap();
            let mut wanted = room(device, other.len());
            narrow_add(&y, stride, &other, &mut wanted).unwrap();
            assert_eq!(
                bits(sum.download().unwrap()),
                bits(wanted.download().unwrap())
            );
            y.download().unwrap()
        });
        let device = Device::emulated();
        let (mut to, b, r) = (up(&device, &y), up(&device, &b), up(&device, &r));
        let of = Indices::new(&device, of_rows).unwrap();
        let p_of = |part: usize| Inner {
            offset: p.offset + part * rank,
            ..p
        };
        // What stands in the columns of p is not part of the bias there.
        let p_before = up(&device, &y);
        if with_bias {
            add_bias(&mut to, &up(&device, &bias)).unwrap();
        }
        let mut start = 0;
        for (part, &end) in ends.iter().enumerate() {
            let mut c = room(&device, rows * rank);
            inner(&p_before, p_of(part), &r, place(part), Some(&of), &mut c).unwrap();
            let b = b.part(start * rank, (end - start) * rank).unwrap();
            rank_update(&mut to, stride, start, &b, &c).unwrap();
            start = end;
        }
        let mut wanted = to.download().unwrap();
        for (row, (wanted, y)) in wanted
            .chunks_exact_mut(stride)
            .zip(y.chunks_exact(stride))
            .enumerate()
        {
            assert_ne!(wanted[..outputs], y[..outputs], "row {row}");
            wanted[outputs..].copy_from_slice(&y[outputs..]);
        }
        assert_eq!(bits(found), bits(wanted), "rank {rank}, {ends:?}");
    }
}

#[test]
fn parts_that_do_not_fit_are_refused() {
    let device = Device::emulated();
    let (mut y, r, b) = (
        room(&device, 2 * 12),
        room(&device, 16),
        room(&device, 8 * 2),
    );
    let p = Inner {
        stride: 12,
        offset: 8,
        rank: 2,
    };
    let part = |end, offset| Part {
        end,
        matrices: Matrices::one(offset),
    };
    let mut run = |p: Inner, parts: &[Part]| {
        let update = Update {
            p,
            parts,
            bias: None,
            r: &r,
            of_rows: None,
            b: &b,
        };
        let done = adapt(&mut y, update);
        let (other, mut sum) = (room(&device, 16), room(&device, 16));
        assert_eq!(
            adapt_onto(&y, update, &other, &mut sum).is_ok(),
            done.is_ok()
        );
        assert!(adapt_onto(&y, update, &other, &mut room(&device, 15)).is_err());
        assert!(adapt_onto(&y, update, &room(&device, 24), &mut sum).is_err());
        done
    };
    assert_eq!(run(p, &[part(3, 0), part(8, 4)]), Ok(()));
    assert!(run(p, &[]).is_err());
    assert!(run(p, &[part(8, 0), part(3, 4)]).is_err());
    assert!(run(p, &[part(1, 0), part(2, 4), part(3, 8), part(8, 12)]).is_err());
    // p of three parts ends beyond the row, columns run into p, a matrix is not all there, B has other rows.
    assert!(run(p, &[part(1, 0), part(3, 4), part(8, 8)]).is_err());
    assert!(run(Inner { offset: 7, ..p }, &[part(3, 0), part(8, 4)]).is_err());
    assert!(run(p, &[part(3, 0), part(8, 13)]).is_err());
    assert!(run(p, &[part(3, 0), part(7, 4)]).is_err());
}

#[test]
fn an_adapter_that_is_not_there_is_refused() {
    let device = Device::emulated();
    let (y, r) = (room(&device, 3 * 4), room(&device, 8));
    let p = Inner {
        stride: 4,
        offset: 0,
        rank: 2,
    };
    let of = Indices::new(&device, &[0, 2, 1]).unwrap();
    let matrices = Matrices {
        offset: 0,
        between: 4,
        adapters: 2,
    };
    let mut c = room(&device, 6);
    assert!(inner(&y, p, &r, matrices, Some(&of), &mut c).is_err());
    let matrices = Matrices {
        offset: 0,
        between: 4,
        adapters: 3,
    };
    assert!(inner(&y, p, &r, matrices, Some(&of), &mut c).is_err());
    assert!(
        inner(
            &y,
            Inner { rank: 65, ..p },
            &r,
            Matrices::one(0),
            None,
            &mut c
        )
        .is_err()
    );
}
