//! Products of rows with a packed matrix, and with its transpose.
//!
//! Every output is one chain of fused multiply-adds over the inner index, from 0 up. So it does not depend on how many rows
//! there are, how they are tiled, or who computes them.
#![expect(unsafe_code, reason = "tiles read and write through pointers")]

use std::ops::Range;

use crate::matrix::{PANEL, PackedMatrix, Panel, PanelValues};
use crate::parallel::{Shared, each};
use crate::simd::{Dispatch, Float, Kernel, LANES, Simd, dispatch};
use crate::tile::{AsBf16, AsElements, Source, Tiles};

/// Inner indices that are done for a lot of rows before the next ones, so that their weights stay in the nearest cache.
const INNER: usize = 512;

/// The same for the transpose, whose weights are elements.
const INNER_BACK: usize = 256;

/// Bytes of rows that stay in the second cache while the weights pass by.
const ROWS_BYTES: usize = 320 << 10;

/// y = x·Wᵀ: x is rows × columns, y rows × outputs.
///
/// # Panics
/// The sizes do not fit.
pub fn linear<T: Float>(x: &[T], w: &PackedMatrix<T>, y: &mut [T]) {
    let (columns, outputs) = (w.columns(), w.outputs());
    let rows = x.len() / columns;
    assert_eq!((x.len(), y.len()), (rows * columns, rows * outputs));
    let to = Shared(y.as_mut_ptr());
    let lots = lots(w.panels().len(), 4);
    each(lots.len(), rows * columns * outputs / 8, |number| {
        dispatch(Forward {
            x,
            rows,
            columns,
            panels: &w.panels()[lots[number].clone()],
            y: to.get(),
            stride: outputs,
        });
    });
}

/// Panels of each task: nearly as many for all, and a number of tasks for each thread.
fn lots(panels: usize, per_thread: usize) -> Vec<Range<usize>> {
    let tasks = panels.min(per_thread * rayon::current_num_threads());
    (0..tasks)
        .map(|task| task * panels / tasks..(task + 1) * panels / tasks)
        .collect()
}

/// Rows that are done together: as many as the cache holds of so long ones.
fn rows_together<T>(length: usize) -> usize {
    (ROWS_BYTES / (length * size_of::<T>())).max(24)
}

struct Forward<'a, T> {
    x: &'a [T],
    rows: usize,
    columns: usize,
    panels: &'a [Panel<T>],
    y: *mut T,
    stride: usize,
}

impl<T: Float> Kernel<T> for Forward<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<E = T>>(self) {
        let together = rows_together::<T>(self.columns);
        let mut row = 0;
        while row < self.rows {
            let rows = together.min(self.rows - row);
            for (number, panel) in self.panels.iter().enumerate() {
                let next = self.panels.get(number + 1).unwrap_or(panel);
                // SAFETY: the sizes were compared in `linear`, and the columns of these panels belong to this task.
                unsafe { self.panel::<S>(row, rows, panel, next) };
            }
            row += rows;
        }
    }
}

impl<T: Float> Forward<'_, T> {
    /// Some rows times one panel, while the next one is brought near.
    #[inline(always)]
    unsafe fn panel<S: Simd<E = T>>(
        &self,
        row: usize,
        rows: usize,
        panel: &Panel<T>,
        next: &Panel<T>,
    ) {
        let mut from = 0;
        while from < self.columns {
            let inner = INNER.min(self.columns - from);
            let last = from + inner == self.columns;
            // SAFETY: the caller vouches for the sizes.
            unsafe {
                let tiles = Tiles {
                    a: self.x.as_ptr().add(row * self.columns + from),
                    a_stride: self.columns,
                    rows,
                    inner,
                    c: self.y.add(row * self.stride + panel.offset),
                    c_stride: self.stride,
                    width: panel.width,
                    fresh: from == 0,
                };
                let skipped = from * PANEL;
                let (ahead, skip) = if last {
                    (next, 0)
                } else {
                    (panel, skipped + inner * PANEL)
                };
                let ahead = match &ahead.values {
                    PanelValues::Bf16(v) => v.as_ptr().add(skip).cast(),
                    PanelValues::Full(v) => v.as_ptr().add(skip).cast(),
                };
                match &panel.values {
                    PanelValues::Bf16(v) => tiles.run::<S, AsBf16>(v.as_ptr().add(skipped), ahead),
                    PanelValues::Full(v) => {
                        tiles.run::<S, AsElements>(v.as_ptr().add(skipped), ahead);
                    }
                }
            }
            from += inner;
        }
    }
}

/// x = g·W: g is rows × outputs, x rows × columns.
///
/// # Panics
/// The sizes do not fit.
pub fn linear_backward<T: Float>(grad: &[T], w: &PackedMatrix<T>, grad_x: &mut [T]) {
    let (columns, outputs) = (w.columns(), w.outputs());
    let rows = grad.len() / outputs;
    assert_eq!((grad.len(), grad_x.len()), (rows * outputs, rows * columns));
    let to = Shared(grad_x.as_mut_ptr());
    let lots = lots(columns.div_ceil(PANEL), 2);
    each(lots.len(), rows * columns * outputs / 8, |number| {
        let Range { start, end } = lots[number];
        dispatch(Backward {
            grad,
            rows,
            outputs,
            matrix: w,
            columns: start * PANEL..columns.min(end * PANEL),
            x: to.get(),
            stride: columns,
        });
    });
}

struct Backward<'a, T> {
    grad: &'a [T],
    rows: usize,
    outputs: usize,
    matrix: &'a PackedMatrix<T>,
    columns: Range<usize>,
    x: *mut T,
    stride: usize,
}

impl<T: Float> Kernel<T> for Backward<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<E = T>>(self) {
        let (mut turned, mut lot) = (Vec::new(), Vec::new());
        turned.resize(
            INNER_BACK * self.columns.len().next_multiple_of(PANEL),
            T::ZERO,
        );
        let together = rows_together::<T>(INNER_BACK);
        for panels in self.matrix.panels().chunks(INNER_BACK / PANEL) {
            let inner = panels.iter().map(|panel| panel.width).sum();
            for (number, first) in self.columns.clone().step_by(PANEL).enumerate() {
                let mut to = number * INNER_BACK * PANEL;
                for panel in panels {
                    let width = PANEL.min(self.columns.end - first);
                    // SAFETY: the caller has the instruction set.
                    unsafe { turn::<S>(panel, first, width, &mut turned[to..]) };
                    to += panel.width * PANEL;
                }
            }
            let from = panels[0].offset;
            let mut row = 0;
            while row < self.rows {
                let rows = row..self.rows.min(row + together);
                // Next to each other: rows of many outputs may all lie on the same few places of a cache.
                lot.clear();
                for row in rows.clone() {
                    lot.extend_from_slice(&self.grad[row * self.outputs + from..][..inner]);
                }
                row = rows.end;
                // SAFETY: the sizes were compared in `linear_backward`, and these columns of x belong to this task.
                unsafe { self.turned_panels::<S>(rows, &lot, inner, from == 0, &turned) };
            }
        }
    }
}

impl<T: Float> Backward<'_, T> {
    /// Adds a lot of rows of `inner` gradients times these panels of the transpose.
    #[inline(always)]
    unsafe fn turned_panels<S: Simd<E = T>>(
        &self,
        rows: Range<usize>,
        lot: &[T],
        inner: usize,
        fresh: bool,
        turned: &[T],
    ) {
        let mut first = self.columns.start;
        for panel in turned.chunks_exact(INNER_BACK * PANEL) {
            // SAFETY: the caller vouches for the sizes.
            unsafe {
                Tiles {
                    a: lot.as_ptr(),
                    a_stride: inner,
                    rows: rows.len(),
                    inner,
                    c: self.x.add(rows.start * self.stride + first),
                    c_stride: self.stride,
                    width: PANEL.min(self.columns.end - first),
                    fresh,
                }
                .run::<S, AsElements>(panel.as_ptr(), panel.as_ptr().cast());
            }
            first += PANEL;
        }
    }
}

/// Some columns of a panel as the panel of the transpose: `panel.width` × 32.
#[inline(always)]
unsafe fn turn<S: Simd>(panel: &Panel<S::E>, first: usize, width: usize, to: &mut [S::E]) {
    let whole = panel.width == PANEL && width == PANEL;
    // SAFETY: a whole panel has 32 columns from `first` on, of 32 outputs each; the caller has the instruction set.
    unsafe {
        match &panel.values {
            PanelValues::Bf16(values) if whole => {
                turn_whole::<S, AsBf16>(values[first * PANEL..].as_ptr(), to);
            }
            PanelValues::Full(values) if whole => {
                turn_whole::<S, AsElements>(values[first * PANEL..].as_ptr(), to);
            }
            _ => {
                for column in 0..width {
                    for (lane, cells) in to.chunks_exact_mut(PANEL).take(panel.width).enumerate() {
                        cells[column] = panel.value(lane, first + column);
                    }
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn turn_whole<S: Simd, B: Source<S::E>>(from: *const B::Item, to: &mut [S::E]) {
    let to = to[..PANEL * PANEL].as_mut_ptr();
    let mut columns = 0;
    while columns < PANEL {
        // SAFETY: the caller vouches for 32 × 32 values; `to` has as many.
        unsafe {
            let zero = S::splat(S::E::ZERO);
            let (mut left, mut right) = ([zero; LANES], [zero; LANES]);
            let mut k = 0;
            while k < LANES {
                let [even, odd] = B::two::<S>(from.add((columns + k) * PANEL));
                (left[k], right[k]) = (even[0], even[1]);
                (left[k + 1], right[k + 1]) = (odd[0], odd[1]);
                k += 2;
            }
            S::transpose(&mut left);
            S::transpose(&mut right);
            for lane in 0..LANES {
                S::store(to.add(lane * PANEL + columns), left[lane]);
                S::store(to.add((LANES + lane) * PANEL + columns), right[lane]);
            }
        }
        columns += LANES;
    }
}
