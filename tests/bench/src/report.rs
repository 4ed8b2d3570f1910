//! The results of a bench: a table for people, JSON for machines.

use std::path::Path;

use serde::Serialize;

/// The figures of one bench.
#[derive(Serialize)]
pub(crate) struct Report {
    bench: &'static str,
    rows: Vec<Row>,
    goals: Vec<Goal>,
}

#[derive(Serialize)]
struct Row {
    what: String,
    figures: Vec<(&'static str, f64)>,
}

#[derive(Serialize)]
struct Goal {
    what: String,
    measured: f64,
    goal: String,
    met: bool,
}

impl Report {
    pub(crate) fn new(bench: &'static str) -> Self {
        Self {
            bench,
            rows: Vec::new(),
            goals: Vec::new(),
        }
    }

    /// Adds a row of named figures.
    pub(crate) fn row(&mut self, what: impl Into<String>, figures: &[(&'static str, f64)]) {
        self.rows.push(Row {
            what: what.into(),
            figures: figures.to_vec(),
        });
    }

    /// Adds a goal: `measured` must be at least `bound`.
    pub(crate) fn at_least(&mut self, what: impl Into<String>, measured: f64, bound: f64) {
        self.goals.push(Goal {
            what: what.into(),
            measured,
            goal: format!(">= {bound}"),
            met: measured >= bound,
        });
    }

    /// Adds a goal: `measured` must be at most `bound`.
    pub(crate) fn at_most(&mut self, what: impl Into<String>, measured: f64, bound: f64) {
        self.goals.push(Goal {
            what: what.into(),
            measured,
            goal: format!("<= {bound}"),
            met: measured <= bound,
        });
    }

    #[expect(clippy::print_stdout, reason = "the table is what the program is for")]
    pub(crate) fn print(&self) {
        println!("\n{}", self.bench);
        for row in &self.rows {
            let figures: Vec<_> = row
                .figures
                .iter()
                .map(|(name, value)| format!("{name} {}", rounded(*value)))
                .collect();
            println!("  {:<36} {}", row.what, figures.join("   "));
        }
        for goal in &self.goals {
            let verdict = if goal.met { "met" } else { "MISSED" };
            println!(
                "  {:<36} {} (goal {}): {verdict}",
                goal.what,
                rounded(goal.measured),
                goal.goal
            );
        }
    }

    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(format!("{}.json", self.bench));
        Ok(std::fs::write(path, serde_json::to_vec_pretty(self)?)?)
    }
}

/// The median of a list that is not empty.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn rounded(value: f64) -> String {
    if value >= 100.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}")
    }
}
