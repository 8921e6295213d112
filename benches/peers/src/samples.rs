//! What was measured: one value of one figure of one store in one round.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::workloads::Figures;

/// A measured value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sample {
    /// `part.workload.what`
    pub(crate) figure: String,
    pub(crate) store: String,
    pub(crate) round: u64,
    pub(crate) value: f64,
}

/// All of them, in the order of measuring.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Samples(pub(crate) Vec<Sample>);

/// The middle of several values, and how far they reach.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    /// `None` of no values.
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Spread> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Some(Spread {
            median,
            least,
            most,
        })
    }
}

impl Samples {
    pub(crate) fn add(&mut self, workload: &str, store: &str, round: u64, figures: Figures) {
        for (name, value) in figures {
            self.0.push(Sample {
                figure: format!("{workload}.{name}"),
                store: store.to_owned(),
                round,
                value,
            });
        }
    }

    /// A figure of a store, by round.
    pub(crate) fn by_round(&self, figure: &str, store: &str) -> BTreeMap<u64, f64> {
        let wanted = |sample: &&Sample| sample.figure == figure && sample.store == store;
        let samples = self.0.iter().filter(wanted);
        samples.map(|sample| (sample.round, sample.value)).collect()
    }

    pub(crate) fn spread(&self, figure: &str, store: &str) -> Option<Spread> {
        Spread::of(self.by_round(figure, store).into_values().collect())
    }

    /// The stores that were measured, AtlasKV first, then in the order of measuring.
    pub(crate) fn stores(&self) -> Vec<String> {
        let mut stores = Vec::new();
        for sample in &self.0 {
            if !stores.contains(&sample.store) {
                stores.push(sample.store.clone());
            }
        }
        stores.sort_by_key(|store| store != "AtlasKV");
        stores
    }

    /// The figures that were measured, in the order of measuring.
    pub(crate) fn figures(&self) -> Vec<String> {
        let mut figures = Vec::new();
        for sample in &self.0 {
            if !figures.contains(&sample.figure) {
                figures.push(sample.figure.clone());
            }
        }
        figures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_median_and_extremes() {
        let spread = Spread::of(vec![3.0, 1.0, 2.0]).unwrap();
        assert_eq!((spread.least, spread.median, spread.most), (1.0, 2.0, 3.0));
        assert_eq!(Spread::of(vec![1.0, 2.0]).unwrap().median, 1.5);
        assert_eq!(Spread::of(vec![]), None);
    }
}
