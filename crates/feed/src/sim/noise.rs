//! Randomness without state: every number is a hash of (seed, what it is for, counter), so any minute of the
//! simulated market can be computed by itself, again, after a restart.
//!
//! The hash is SplitMix64 (G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number
//! generators", OOPSLA 2014): a Weyl sequence of odd step, whitened by a 64-bit finalizer.

/// 2^64 divided by the golden ratio, made odd: the step of the sequence.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// One stream of random numbers, addressed by a counter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noise(u64);

impl Noise {
    pub(super) fn seeded(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(STEP)))
    }

    /// A stream of its own for each tag, independent of this one.
    pub(super) fn fork(self, tag: u64) -> Self {
        Self(mix(self.0 ^ mix(tag.wrapping_add(STEP))))
    }

    /// A stream of its own for each text.
    pub(super) fn fork_text(self, text: &str) -> Self {
        text.bytes().fold(self, |noise, byte| noise.fork(byte.into()))
    }

    /// 64 random bits.
    pub(super) fn bits(self, counter: i32) -> u64 {
        mix(self.0.wrapping_add(STEP.wrapping_mul(i64::from(counter) as u64)))
    }

    /// A whole number from 0 to `bound - 1`. The bias of the remainder is far below anything visible here.
    pub(super) fn below(self, counter: i32, bound: u32) -> i32 {
        (self.bits(counter) % u64::from(bound.max(1))) as i32
    }

    /// Uniform in (0, 1].
    pub(super) fn uniform(self, counter: i32) -> f64 {
        ((self.bits(counter) >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// Normal, mean 0 and deviation 1: the sum of eight uniform 16-bit numbers. Additions and one product
    /// only, so it is the same to the last bit on every platform.
    pub(super) fn normal(self, counter: i32) -> f64 {
        let sum: u64 = [self.bits(counter), self.fork(1).bits(counter)]
            .into_iter()
            .flat_map(|bits| [bits & 0xffff, (bits >> 16) & 0xffff, (bits >> 32) & 0xffff, bits >> 48])
            .sum();
        // A uniform number on 0 ..= 65535 has the mean 32767.5 and the variance (65536^2 - 1) / 12.
        (sum as f64 - 8.0 * 32_767.5) / (65_536.0 * (8.0_f64 / 12.0).sqrt())
    }

    /// Mean 0 and deviation 1 with the heavy tails of market returns (kurtosis about 6): a normal number
    /// whose deviation is itself log-normal.
    pub(super) fn heavy(self, counter: i32) -> f64 {
        const SPREAD: f64 = 0.42;
        self.normal(counter) * (SPREAD * self.fork(2).normal(counter) - SPREAD * SPREAD).exp()
    }
}

/// The finalizer: every input bit changes every output bit with probability near one half.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs of the published generator for seed 1234567.
    #[test]
    fn the_hash_is_splitmix64() {
        let outputs = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        let stream = Noise(1_234_567);
        assert_eq!([1, 2, 3].map(|counter| stream.bits(counter)), outputs);
    }

    fn moments(draw: impl Fn(i32) -> f64) -> (f64, f64, f64) {
        let values: Vec<f64> = (-50_000..50_000).map(draw).collect();
        let mean_of = |power: i32, mean: f64| {
            values.iter().map(|value| (value - mean).powi(power)).sum::<f64>() / values.len() as f64
        };
        let mean = mean_of(1, 0.0);
        let variance = mean_of(2, mean);
        (mean, variance.sqrt(), mean_of(4, mean) / (variance * variance))
    }

    #[test]
    fn normal_numbers_are_normal_and_heavy_ones_have_tails() {
        let stream = Noise::seeded(7).fork_text("AAPL");
        let (mean, deviation, kurtosis) = moments(|counter| stream.normal(counter));
        assert!(mean.abs() < 0.02 && (deviation - 1.0).abs() < 0.02 && (kurtosis - 3.0).abs() < 0.3);
        let (mean, deviation, kurtosis) = moments(|counter| stream.heavy(counter));
        assert!(mean.abs() < 0.02 && (deviation - 1.0).abs() < 0.05 && kurtosis > 4.5, "{kurtosis}");
        let (mean, deviation, _) = moments(|counter| stream.uniform(counter));
        assert!((mean - 0.5).abs() < 0.01 && (deviation - (1.0_f64 / 12.0).sqrt()).abs() < 0.01);
    }

    #[test]
    fn streams_of_different_purposes_do_not_follow_each_other() {
        let (one, two) = (Noise::seeded(7).fork(1), Noise::seeded(7).fork(2));
        let together: f64 = (0..20_000).map(|at| one.normal(at) * two.normal(at)).sum::<f64>() / 20_000.0;
        let shifted: f64 = (0..20_000).map(|at| one.normal(at) * one.normal(at + 1)).sum::<f64>() / 20_000.0;
        assert!(together.abs() < 0.03 && shifted.abs() < 0.03, "{together} {shifted}");
    }
}
