//! The tile of a matrix product: some rows times 32 columns, in registers.
#![expect(unsafe_code, reason = "tiles read and write through pointers")]

use crate::matrix::PANEL;
use crate::simd::{Float, Kernel, LANES, Simd};

/// How stored weights are loaded as elements: 32 columns are two vectors.
pub(crate) trait Source<T> {
    type Item: Copy;
    /// # Safety
    /// The caller vouches for 2 × 32 items, and for the instruction set.
    unsafe fn two<S: Simd<E = T>>(from: *const Self::Item) -> [[S::V; 2]; 2];
    /// # Safety
    /// The caller vouches for 32 items, which are the last of an odd number, and for the instruction set.
    unsafe fn one<S: Simd<E = T>>(from: *const Self::Item) -> [S::V; 2];
}

/// Pairs of bf16.
pub(crate) struct AsBf16;

/// Elements.
pub(crate) struct AsElements;

impl<T: Float> Source<T> for AsBf16 {
    type Item = u16;
    #[inline(always)]
    unsafe fn two<S: Simd<E = T>>(from: *const u16) -> [[S::V; 2]; 2] {
        // SAFETY: the caller vouches for it.
        unsafe {
            let (even0, odd0) = S::load_bf16_pairs(from);
            let (even1, odd1) = S::load_bf16_pairs(from.add(PANEL));
            [[even0, even1], [odd0, odd1]]
        }
    }
    #[inline(always)]
    unsafe fn one<S: Simd<E = T>>(from: *const u16) -> [S::V; 2] {
        // SAFETY: the caller vouches for it: an odd last column stands beside zeros.
        unsafe { <Self as Source<T>>::two::<S>(from)[0] }
    }
}

impl<T: Float> Source<T> for AsElements {
    type Item = T;
    #[inline(always)]
    unsafe fn two<S: Simd<E = T>>(from: *const T) -> [[S::V; 2]; 2] {
        // SAFETY: the caller vouches for it.
        unsafe { [Self::one::<S>(from), Self::one::<S>(from.add(PANEL))] }
    }
    #[inline(always)]
    unsafe fn one<S: Simd<E = T>>(from: *const T) -> [S::V; 2] {
        // SAFETY: the caller vouches for it.
        unsafe { [S::load(from), S::load(from.add(LANES))] }
    }
}

/// c (rows × width) = or += a (rows × inner) · b (inner × 32).
#[derive(Clone, Copy)]
pub(crate) struct Tiles<T> {
    pub(crate) a: *const T,
    pub(crate) a_stride: usize,
    pub(crate) rows: usize,
    pub(crate) inner: usize,
    pub(crate) c: *mut T,
    pub(crate) c_stride: usize,
    pub(crate) width: usize,
    /// Whether c begins at 0.
    pub(crate) fresh: bool,
}

impl<T: Float> Tiles<T> {
    /// Rows in tiles of nearly equal height. Meanwhile the memory from `ahead` on, as much as b, is brought near.
    ///
    /// # Safety
    /// The caller vouches for the pointers but `ahead`, and for the instruction set.
    #[inline(always)]
    pub(crate) unsafe fn run<S: Simd<E = T>, B: Source<T>>(
        &self,
        b: *const B::Item,
        ahead: *const u8,
    ) {
        let tiles = self.rows.div_ceil(S::TILE_ROWS).max(1);
        // Bytes of two columns, shared out among the tiles.
        let step = 2 * PANEL * size_of::<B::Item>() / tiles;
        let mut row = 0;
        for number in 0..tiles {
            let height = (self.rows - row).div_ceil(tiles - number);
            // SAFETY: the caller vouches for the pointers.
            unsafe {
                let tile = Tile::<T, B> {
                    a: self.a.add(row * self.a_stride),
                    b,
                    c: self.c.add(row * self.c_stride),
                    ahead: ahead.wrapping_add(number * step * (self.inner / 2)),
                    step,
                    of: self,
                };
                tile.run::<S>(height);
            }
            row += height;
        }
    }
}

/// One tile.
struct Tile<'a, T, B: Source<T>> {
    a: *const T,
    b: *const B::Item,
    c: *mut T,
    ahead: *const u8,
    step: usize,
    of: &'a Tiles<T>,
}

/// With its height, as a function of its own.
struct OfRows<'a, T, B: Source<T>, const ROWS: usize>(Tile<'a, T, B>);

impl<T: Float, B: Source<T>> Tile<'_, T, B> {
    #[inline(always)]
    unsafe fn run<S: Simd<E = T>>(self, height: usize) {
        // SAFETY: the caller vouches for the pointers and the instruction set.
        unsafe {
            match height {
                1 => S::apart(OfRows::<T, B, 1>(self)),
                2 => S::apart(OfRows::<T, B, 2>(self)),
                3 => S::apart(OfRows::<T, B, 3>(self)),
                4 => S::apart(OfRows::<T, B, 4>(self)),
                5 => S::apart(OfRows::<T, B, 5>(self)),
                6 => S::apart(OfRows::<T, B, 6>(self)),
                7 => S::apart(OfRows::<T, B, 7>(self)),
                8 => S::apart(OfRows::<T, B, 8>(self)),
                _ => {}
            }
        }
    }
}

impl<T: Float, B: Source<T>, const ROWS: usize> Kernel<T> for OfRows<'_, T, B, ROWS> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd<E = T>>(self) {
        if ROWS > S::TILE_ROWS {
            return;
        }
        let Tile {
            a,
            mut b,
            c,
            mut ahead,
            step,
            of,
        } = self.0;
        // SAFETY: whoever made the tile vouches for the pointers.
        unsafe {
            let mut sums = [[S::splat(T::ZERO); 2]; ROWS];
            if !of.fresh {
                of.load::<S, ROWS>(c, &mut sums);
            }
            let mut a = Rows::new(a, of.a_stride);
            for _ in 0..of.inner / 2 {
                let [even, odd] = B::two::<S>(b);
                S::prefetch(ahead);
                S::prefetch(ahead.wrapping_add(64));
                ahead = ahead.wrapping_add(step);
                b = b.add(2 * PANEL);
                add::<S, ROWS>(&a, even, &mut sums);
                a.forward();
                add::<S, ROWS>(&a, odd, &mut sums);
                a.forward();
            }
            if of.inner % 2 == 1 {
                add::<S, ROWS>(&a, B::one::<S>(b), &mut sums);
            }
            of.store::<S, ROWS>(c, &sums);
        }
    }
}

/// Pointers to the rows of a tile, every third of them, so that all fit the registers.
struct Rows<T> {
    thirds: [*const T; 3],
    /// Bytes from a row to the next, and to the one after it.
    steps: [usize; 2],
}

impl<T> Rows<T> {
    #[inline(always)]
    fn new(a: *const T, stride: usize) -> Self {
        let bytes = stride * size_of::<T>();
        Self {
            thirds: [0, 3, 6].map(|i| a.wrapping_byte_add(i * bytes)),
            steps: [bytes, 2 * bytes],
        }
    }

    /// The element of a row.
    #[inline(always)]
    fn at(&self, row: usize) -> *const T {
        let third = self.thirds[row / 3];
        match row % 3 {
            0 => third,
            1 => third.wrapping_byte_add(self.steps[0]),
            _ => third.wrapping_byte_add(self.steps[1]),
        }
    }

    /// On to the next element of each row.
    #[inline(always)]
    fn forward(&mut self) {
        for third in &mut self.thirds {
            *third = third.wrapping_add(1);
        }
    }
}

/// One inner index.
#[inline(always)]
unsafe fn add<S: Simd, const ROWS: usize>(
    a: &Rows<S::E>,
    b: [S::V; 2],
    sums: &mut [[S::V; 2]; ROWS],
) {
    for (i, sums) in sums.iter_mut().enumerate() {
        // SAFETY: the caller vouches for the pointers.
        unsafe {
            S::keep_order();
            let a = S::splat(*a.at(i));
            sums[0] = S::fma(a, b[0], sums[0]);
            sums[1] = S::fma(a, b[1], sums[1]);
        }
    }
}

impl<T: Float> Tiles<T> {
    /// What stands in c; beyond its width, zeros.
    #[inline(always)]
    unsafe fn load<S: Simd<E = T>, const ROWS: usize>(
        &self,
        c: *const T,
        sums: &mut [[S::V; 2]; ROWS],
    ) {
        for (i, sums) in sums.iter_mut().enumerate() {
            // SAFETY: the caller vouches for c, and the buffer takes what is narrower.
            unsafe {
                let mut buffer = [T::ZERO; PANEL];
                let mut from = c.add(i * self.c_stride);
                if self.width < PANEL {
                    from.copy_to_nonoverlapping(buffer.as_mut_ptr(), self.width);
                    from = buffer.as_ptr();
                }
                *sums = [S::load(from), S::load(from.add(LANES))];
            }
        }
    }

    #[inline(always)]
    unsafe fn store<S: Simd<E = T>, const ROWS: usize>(&self, c: *mut T, sums: &[[S::V; 2]; ROWS]) {
        for (i, sums) in sums.iter().enumerate() {
            // SAFETY: as for `load`.
            unsafe {
                let to = c.add(i * self.c_stride);
                if self.width == PANEL {
                    S::store(to, sums[0]);
                    S::store(to.add(LANES), sums[1]);
                } else {
                    let mut buffer = [T::ZERO; PANEL];
                    S::store(buffer.as_mut_ptr(), sums[0]);
                    S::store(buffer.as_mut_ptr().add(LANES), sums[1]);
                    to.copy_from_nonoverlapping(buffer.as_ptr(), self.width);
                }
            }
        }
    }
}
