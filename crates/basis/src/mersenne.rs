//! MT19937, the generator of numpy's and torch's seeded numbers (spec §6.9).

const LENGTH: usize = 624;
const MIDDLE: usize = 397;

/// The 32-bit Mersenne twister, seeded with one number.
#[derive(Debug, Clone)]
pub(crate) struct Mersenne {
    state: [u32; LENGTH],
    next: usize,
}

impl Mersenne {
    pub(crate) fn new(seed: u32) -> Self {
        let mut state = [seed; LENGTH];
        let mut previous = seed;
        for (i, word) in (0_u32..).zip(&mut state).skip(1) {
            previous = (previous ^ (previous >> 30))
                .wrapping_mul(1_812_433_253)
                .wrapping_add(i);
            *word = previous;
        }
        Self {
            state,
            next: LENGTH,
        }
    }

    /// The next tempered output.
    pub(crate) fn draw(&mut self) -> u32 {
        if self.next == LENGTH {
            self.twist();
        }
        let mut y = self.state[self.next];
        self.next += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9D2C_5680;
        y ^= (y << 15) & 0xEFC6_0000;
        y ^ (y >> 18)
    }

    fn twist(&mut self) {
        for i in 0..LENGTH {
            let high = self.state[i] & 0x8000_0000;
            let y = high | (self.state[(i + 1) % LENGTH] & 0x7FFF_FFFF);
            let odd = if y & 1 == 1 { 0x9908_B0DF } else { 0 };
            self.state[i] = self.state[(i + MIDDLE) % LENGTH] ^ (y >> 1) ^ odd;
        }
        self.next = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::Mersenne;

    #[test]
    fn draws_the_published_numbers() {
        // The C++ standard, [rand.predef]: the 10000th output for the seed 5489 is 4123659995.
        let mut generator = Mersenne::new(5489);
        let last = (0..10_000).map(|_| generator.draw()).last();
        assert_eq!(last, Some(4_123_659_995));
    }
}
