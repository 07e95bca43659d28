//! A histogram without a lock: the library's takes a mutex for each observation.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::MetricType,
};

/// Times, in buckets that double from 1 microsecond to half a second.
#[derive(Debug, Clone, Default)]
pub struct AtomicHistogram(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// One for each bound, and one for what is beyond the last.
    buckets: [AtomicU64; BUCKETS + 1],
    nanoseconds: AtomicU64,
}

/// Upper bounds: 2^0 to 2^19 microseconds.
const BUCKETS: usize = 20;

impl AtomicHistogram {
    /// Notes a time: two atomic additions.
    pub fn observe(&self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.0.buckets.get(bucket(nanoseconds)) {
            bucket.fetch_add(1, Relaxed);
        }
        self.0.nanoseconds.fetch_add(nanoseconds, Relaxed);
    }
}

/// The first bucket whose bound is not below the time.
fn bucket(nanoseconds: u64) -> usize {
    let microseconds = nanoseconds.div_ceil(1_000).max(1);
    let power = microseconds.next_power_of_two().trailing_zeros() as usize;
    power.min(BUCKETS)
}

impl EncodeMetric for AtomicHistogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let counts = self.0.buckets.iter().map(|bucket| bucket.load(Relaxed));
        let bounds = (0..BUCKETS).map(|power| f64::from(1u32 << power) / 1e6).chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let seconds = Duration::from_nanos(self.0.nanoseconds.load(Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_fall_into_the_bucket_that_covers_them() {
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(1_000), 0);
        assert_eq!(bucket(1_001), 1);
        assert_eq!(bucket(2_000), 1);
        assert_eq!(bucket(524_288_000), 19);
        assert_eq!(bucket(524_288_001), 20);
        assert_eq!(bucket(u64::MAX), 20);
    }
}
