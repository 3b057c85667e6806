//! Medians and quantiles of a handful of measurements.

/// The value below which this share of all values lies (nearest rank). Zero when there are none. Sorts the values.
pub(crate) fn quantile<T: PartialOrd + Copy + Default>(values: &mut [T], share: f64) -> T {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// The median.
pub(crate) fn median<T: PartialOrd + Copy + Default>(values: impl IntoIterator<Item = T>) -> T {
    let mut values: Vec<T> = values.into_iter().collect();
    quantile(&mut values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let mut values: Vec<u32> = (1..=100).rev().collect();
        assert_eq!(
            [0.0, 0.5, 0.99, 1.0].map(|share| quantile(&mut values, share)),
            [1, 50, 99, 100]
        );
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(Vec::<u32>::new()), 0);
    }
}
