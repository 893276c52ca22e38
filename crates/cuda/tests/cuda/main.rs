//! Every operation on the emulated device against `tlora-kernels` in f64, or against plain loops.
//!
//! Bounds: an f32 sum of n terms is within n · 2⁻²⁴ of Σ|terms|, and so is a chain of n operations on numbers of about 1.
//! Inputs are from −1 to 1. Each operation runs twice, with the threads in one order and in the reverse: same bits.
#![expect(clippy::unwrap_used, reason = "what a test makes up is valid")]

mod sources;

#[cfg(feature = "emulator")]
mod adapter;
#[cfg(feature = "emulator")]
mod attention;
#[cfg(feature = "emulator")]
mod device;
#[cfg(feature = "emulator")]
mod elementwise;
#[cfg(feature = "emulator")]
mod head;
#[cfg(feature = "emulator")]
mod matrix;

#[cfg(feature = "emulator")]
mod support {
    use tlora_cuda::{Buffer, Device, Emulation};

    /// 2⁻²⁴: half the distance of 1 to the next f32.
    pub(crate) const UNIT: f64 = 1.0 / 16_777_216.0;

    /// Numbers from −1 to 1 that look random, the same for the same seed.
    pub(crate) fn numbers(seed: u64, len: usize) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let top = u16::try_from(state >> 48).unwrap();
            f32::from(top) / 32768.0 - 1.0
        };
        (0..len).map(|_| next()).collect()
    }

    pub(crate) fn wide(values: &[f32]) -> Vec<f64> {
        values.iter().map(|&x| f64::from(x)).collect()
    }

    /// The bf16 that is nearest, by its distance to both neighbours.
    pub(crate) fn bf16(x: f32) -> f32 {
        let below = f32::from_bits(x.to_bits() & 0xffff_0000);
        let above = f32::from_bits((x.to_bits() & 0xffff_0000).wrapping_add(0x1_0000));
        let (down, up) = ((x - below).abs(), (above - x).abs());
        let even = below.to_bits() & 0x1_0000 == 0;
        if down < up || (down == up && even) {
            below
        } else {
            above
        }
    }

    /// The bits of the nearest bf16 of each.
    pub(crate) fn bf16_bits(values: &[f32]) -> Vec<u16> {
        let bits = |&x: &f32| u16::try_from(bf16(x).to_bits() >> 16).unwrap();
        values.iter().map(bits).collect()
    }

    /// What both orders of the threads give, which is the same.
    pub(crate) fn both(run: impl Fn(&Device) -> Vec<f32>) -> Vec<f32> {
        let reversed = Emulation {
            reversed: true,
            ..Emulation::default()
        };
        let one = run(&Device::emulated());
        let other = run(&Device::emulated_with(reversed));
        let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(
            bits(&one),
            bits(&other),
            "the order of the threads changes bits"
        );
        one
    }

    pub(crate) fn up(device: &Device, values: &[f32]) -> Buffer<f32> {
        Buffer::from_slice(device, values).unwrap()
    }

    pub(crate) fn room(device: &Device, len: usize) -> Buffer<f32> {
        Buffer::uninitialised(device, len).unwrap()
    }

    /// Every number is within the bound.
    #[track_caller]
    pub(crate) fn close(found: &[f32], wanted: &[f64], bound: f64) {
        assert_eq!(found.len(), wanted.len());
        for (i, (&found, &wanted)) in found.iter().zip(wanted).enumerate() {
            let far = (f64::from(found) - wanted).abs();
            assert!(
                far <= bound,
                "{i}: {found} for {wanted}, {far:e} apart, at most {bound:e}"
            );
        }
    }
}
