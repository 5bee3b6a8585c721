//! Many durations in little memory, each to within 2 %.

use std::time::Duration;

/// Buckets in every doubling.
const STEPS: u32 = 64;

/// How often which duration was seen.
pub struct Latencies {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { counts: vec![0; (STEPS * 60) as usize], total: 0 }
    }
}

impl Latencies {
    pub fn add(&mut self, latency: Duration, times: u64) {
        let nanos = latency.as_nanos() as u64;
        // below 64 ns each has a bucket; above, the six bits after the top one choose among 64
        let bucket = match nanos.checked_ilog2() {
            Some(top @ 6..) => STEPS * (top - 5) + (nanos >> (top - 6)) as u32 - STEPS,
            _ => nanos as u32,
        };
        self.counts[bucket as usize] += times;
        self.total += times;
    }

    /// The duration that `share` of all (0 to 1) do not exceed.
    pub fn percentile(&self, share: f64) -> Duration {
        let mut left = (self.total as f64 * share).ceil() as u64;
        let bucket = self.counts.iter().position(|&count| {
            left = left.saturating_sub(count);
            left == 0
        });
        let bucket = bucket.unwrap_or_default() as u32;
        let nanos = match bucket / STEPS {
            0 => u64::from(bucket),
            doubling => u64::from(bucket % STEPS + STEPS) << (doubling - 1),
        };
        Duration::from_nanos(nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_within_two_percent() {
        for nanos in [0, 1, 63, 64, 65, 127, 128, 1000, 20_000, 999_999, 10_000_000_000] {
            let mut latencies = Latencies::default();
            latencies.add(Duration::from_nanos(nanos), 3);
            let found = latencies.percentile(0.5).as_nanos() as f64;
            assert!((found - nanos as f64).abs() <= nanos as f64 / 50.0, "{nanos}: {found}");
        }
    }

    #[test]
    fn a_percentile_is_what_that_share_does_not_exceed() {
        let mut latencies = Latencies::default();
        latencies.add(Duration::from_nanos(10), 99);
        latencies.add(Duration::from_nanos(50), 1);
        assert_eq!(latencies.percentile(0.99), Duration::from_nanos(10));
        assert_eq!(latencies.percentile(0.999), Duration::from_nanos(50));
    }
}
