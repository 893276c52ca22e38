//! Products of rows with a packed matrix, and with its transpose.
//!
//! Every output is one chain of fused multiply-adds over the inner index, from 0 up. So it does not depend on how many rows
//! there are, how they are tiled, or who computes them.
#![expect(
    unsafe_code,
    reason = "tiles of registers read and write through pointers"
)]

use crate::matrix::{PANEL, PackedMatrix, Panel, PanelValues};
use crate::parallel::{Shared, each};
use crate::simd::{Float, Kernel, LANES, Simd, dispatch};

/// Inner indices that are done for all rows before the next ones, so that their weights stay in a near cache.
const INNER: usize = 1024;

/// y = x·Wᵀ: x is rows × columns, y rows × outputs.
///
/// # Panics
/// The sizes do not fit.
pub fn linear<T: Float>(x: &[T], w: &PackedMatrix<T>, y: &mut [T]) {
    let (columns, outputs) = (w.columns(), w.outputs());
    let rows = x.len() / columns;
    assert_eq!((x.len(), y.len()), (rows * columns, rows * outputs));
    let to = Shared(y.as_mut_ptr());
    let lot = lot(w.panels().len());
    let lots: Vec<&[Panel<T>]> = w.panels().chunks(lot).collect();
    each(lots.len(), rows * columns * outputs / 8, |number| {
        dispatch(Forward {
            x,
            rows,
            columns,
            panels: lots[number],
            y: to.get(),
            stride: outputs,
        });
    });
}

/// Panels of a task.
fn lot(panels: usize) -> usize {
    panels.div_ceil(4 * rayon::current_num_threads()).max(1)
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
        for panel in self.panels {
            let mut from = 0;
            while from < self.columns {
                let inner = INNER.min(self.columns - from);
                // SAFETY: the sizes were compared in `linear`, and the columns of these panels belong to this task.
                unsafe {
                    let tiles = Tiles {
                        a: self.x.as_ptr().add(from),
                        a_stride: self.columns,
                        rows: self.rows,
                        inner,
                        c: self.y.add(panel.offset),
                        c_stride: self.stride,
                        width: panel.width,
                        fresh: from == 0,
                    };
                    match &panel.values {
                        PanelValues::Bf16(v) => {
                            tiles.run::<S, AsBf16>(v.as_ptr().add(from * PANEL));
                        }
                        PanelValues::Full(v) => {
                            tiles.run::<S, AsElements>(v.as_ptr().add(from * PANEL));
                        }
                    }
                }
                from += inner;
            }
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
    each(
        columns.div_ceil(PANEL),
        rows * columns * outputs / 8,
        |number| {
            let first = number * PANEL;
            dispatch(Backward {
                grad,
                rows,
                outputs,
                matrix: w,
                first,
                width: PANEL.min(columns - first),
                x: to.get(),
                stride: columns,
            });
        },
    );
}

struct Backward<'a, T> {
    grad: &'a [T],
    rows: usize,
    outputs: usize,
    matrix: &'a PackedMatrix<T>,
    first: usize,
    width: usize,
    x: *mut T,
    stride: usize,
}

impl<T: Float> Kernel<T> for Backward<'_, T> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<E = T>>(self) {
        let mut turned = Vec::new();
        turned.resize(INNER * PANEL, T::ZERO);
        for panels in self.matrix.panels().chunks(INNER / PANEL) {
            let from = panels[0].offset;
            let mut inner = 0;
            for panel in panels {
                turn(panel, self.first, self.width, &mut turned[inner * PANEL..]);
                inner += panel.width;
            }
            // SAFETY: the sizes were compared in `linear_backward`, and these columns of x belong to this task.
            unsafe {
                Tiles {
                    a: self.grad.as_ptr().add(from),
                    a_stride: self.outputs,
                    rows: self.rows,
                    inner,
                    c: self.x.add(self.first),
                    c_stride: self.stride,
                    width: self.width,
                    fresh: from == 0,
                }
                .run::<S, AsElements>(turned.as_ptr());
            }
        }
    }
}

/// Some columns of a panel as the panel of the transpose: `panel.width` × 32.
#[inline(always)]
fn turn<T: Float>(panel: &Panel<T>, first: usize, width: usize, to: &mut [T]) {
    for column in 0..width {
        let start = (first + column) * PANEL;
        let cells = to[column..].iter_mut().step_by(PANEL);
        match &panel.values {
            PanelValues::Bf16(values) => {
                let values = &values[start..start + panel.width];
                cells
                    .zip(values)
                    .for_each(|(cell, &bits)| *cell = T::from_bf16(bits));
            }
            PanelValues::Full(values) => {
                let values = &values[start..start + panel.width];
                cells.zip(values).for_each(|(cell, &value)| *cell = value);
            }
        }
    }
}

/// How stored weights are loaded as elements.
trait Source<S: Simd> {
    type Item: Copy;
    /// # Safety
    /// As [`Simd::load`].
    unsafe fn load(from: *const Self::Item) -> S::V;
}

struct AsBf16;
struct AsElements;

impl<S: Simd> Source<S> for AsBf16 {
    type Item = u16;
    #[inline(always)]
    unsafe fn load(from: *const u16) -> S::V {
        // SAFETY: the caller vouches for it.
        unsafe { S::load_bf16(from) }
    }
}

impl<S: Simd> Source<S> for AsElements {
    type Item = S::E;
    #[inline(always)]
    unsafe fn load(from: *const S::E) -> S::V {
        // SAFETY: the caller vouches for it.
        unsafe { S::load(from) }
    }
}

/// c (rows × width) = or += a (rows × inner) · b (inner × 32).
struct Tiles<T> {
    a: *const T,
    a_stride: usize,
    rows: usize,
    inner: usize,
    c: *mut T,
    c_stride: usize,
    width: usize,
    /// Whether c begins at 0.
    fresh: bool,
}

impl<T: Float> Tiles<T> {
    /// Rows in tiles of nearly equal height.
    #[inline(always)]
    unsafe fn run<S: Simd<E = T>, B: Source<S>>(&self, b: *const B::Item) {
        let tiles = self.rows.div_ceil(S::TILE_ROWS).max(1);
        let mut row = 0;
        for tile in 0..tiles {
            let height = (self.rows - row).div_ceil(tiles - tile);
            // SAFETY: the caller vouches for the pointers.
            unsafe {
                match height {
                    1 => self.tile::<S, B, 1>(row, b),
                    2 => self.tile::<S, B, 2>(row, b),
                    3 => self.tile::<S, B, 3>(row, b),
                    4 => self.tile::<S, B, 4>(row, b),
                    5 => self.tile::<S, B, 5>(row, b),
                    6 => self.tile::<S, B, 6>(row, b),
                    7 => self.tile::<S, B, 7>(row, b),
                    8 => self.tile::<S, B, 8>(row, b),
                    9 => self.tile::<S, B, 9>(row, b),
                    10 => self.tile::<S, B, 10>(row, b),
                    11 => self.tile::<S, B, 11>(row, b),
                    12 => self.tile::<S, B, 12>(row, b),
                    _ => {}
                }
            }
            row += height;
        }
    }

    #[inline(always)]
    unsafe fn tile<S: Simd<E = T>, B: Source<S>, const ROWS: usize>(
        &self,
        row: usize,
        b: *const B::Item,
    ) {
        // SAFETY: the caller vouches for the pointers; a tile that is not 32 wide goes through a buffer.
        unsafe {
            let mut buffer = [[T::ZERO; PANEL]; ROWS];
            let c = self.c.add(row * self.c_stride);
            let whole = self.width == PANEL;
            let mut sums = [[S::splat(T::ZERO); 2]; ROWS];
            if !self.fresh {
                for (i, sums) in sums.iter_mut().enumerate() {
                    let from = c.add(i * self.c_stride);
                    if whole {
                        *sums = [S::load(from), S::load(from.add(LANES))];
                    } else {
                        from.copy_to_nonoverlapping(buffer[i].as_mut_ptr(), self.width);
                        let from = buffer[i].as_ptr();
                        *sums = [S::load(from), S::load(from.add(LANES))];
                    }
                }
            }
            let a = self.a.add(row * self.a_stride);
            for k in 0..self.inner {
                let b = b.add(k * PANEL);
                let (b0, b1) = (B::load(b), B::load(b.add(LANES)));
                for (i, sums) in sums.iter_mut().enumerate() {
                    let a = S::splat(*a.add(i * self.a_stride + k));
                    sums[0] = S::fma(a, b0, sums[0]);
                    sums[1] = S::fma(a, b1, sums[1]);
                }
            }
            for (i, sums) in sums.iter().enumerate() {
                let to = if whole {
                    c.add(i * self.c_stride)
                } else {
                    buffer[i].as_mut_ptr()
                };
                S::store(to, sums[0]);
                S::store(to.add(LANES), sums[1]);
                if !whole {
                    c.add(i * self.c_stride)
                        .copy_from_nonoverlapping(buffer[i].as_ptr(), self.width);
                }
            }
        }
    }
}
