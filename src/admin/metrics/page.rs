//! Families of numbers, and the two dialects that they are written in.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// What is being written.
#[derive(Debug)]
pub(super) struct Page<'a>(pub(super) DescriptorEncoder<'a>);

/// Names and values of labels.
pub(super) type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

impl Page<'_> {
    /// Numbers that only grow; `_total` is added to the name.
    pub(super) fn counters<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (Labels<'l, N>, u64)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        rows.into_iter().try_for_each(|(labels, count)| {
            with(&mut family, &labels, |metric| {
                metric.encode_counter::<NoLabelSet, _, u64>(&count, None)
            })
        })
    }

    /// A number that only grows and is not whole.
    pub(super) fn seconds(&mut self, name: &str, help: &str, seconds: f64) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        family.encode_counter::<NoLabelSet, _, u64>(&seconds, None)
    }

    /// Numbers that are so now.
    pub(super) fn gauges<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (Labels<'l, N>, f64)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Gauge)?;
        rows.into_iter().try_for_each(|(labels, value)| {
            with(&mut family, &labels, |metric| metric.encode_gauge(&value))
        })
    }

    /// One number that is so now.
    pub(super) fn gauge(&mut self, name: &str, help: &str, value: f64) -> fmt::Result {
        self.gauges(name, help, [([], value)])
    }

    /// Sums, and how many there are up to each limit and in all.
    pub(super) fn histograms<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (Labels<'l, N>, f64, Vec<(f64, u64)>)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Histogram)?;
        rows.into_iter().try_for_each(|(labels, sum, classes)| {
            let count = classes.iter().map(|(_, n)| n).sum();
            with(&mut family, &labels, |metric| {
                metric.encode_histogram::<NoLabelSet>(sum, count, &classes, None)
            })
        })
    }
}

/// Braces only around labels.
fn with<const N: usize>(
    family: &mut MetricEncoder<'_>,
    labels: &Labels<'_, N>,
    write: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
) -> fmt::Result {
    if N == 0 {
        write(family)
    } else {
        write(&mut family.encode_family(labels)?)
    }
}

/// Prometheus' own text format (0.0.4) of the same in `OpenMetrics`: there the name of a family of counters ends in `_total` too, and
/// nothing marks the end.
pub(super) fn classic(open: &str) -> String {
    let mut text = String::with_capacity(open.len() + 1024);
    let mut help = None;
    for line in open.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ');
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let end = if rest.ends_with(" counter") {
                "_total"
            } else {
                ""
            };
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, "untyped"));
            if let Some((_, words)) = help.take() {
                text += &format!("# HELP {name}{end} {words}\n");
            }
            text += &format!("# TYPE {name}{end} {kind}\n");
        } else if line != "# EOF" {
            text += line;
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_named_as_each_dialect_wants() {
        let open = "# HELP a Questions.\n# TYPE a counter\na_total{x=\"1\"} 2\n# HELP b Now.\n# TYPE b gauge\nb 3.0\n# EOF\n";
        let expected = "# HELP a_total Questions.\n# TYPE a_total counter\na_total{x=\"1\"} 2\n# HELP b Now.\n# TYPE b gauge\nb 3.0\n";
        assert_eq!(classic(open), expected);
    }
}
