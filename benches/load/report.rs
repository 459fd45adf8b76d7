//! Medians, and how they are spread.

pub fn median(values: &[f64]) -> f64 {
    nth(values, 2)
}

pub fn quartiles(values: &[f64]) -> (f64, f64) {
    (nth(values, 1), nth(values, 3))
}

/// The value below which are so many quarters of all.
fn nth(values: &[f64], quarters: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
        .get(sorted.len() * quarters / 4)
        .copied()
        .unwrap_or(f64::NAN)
}
