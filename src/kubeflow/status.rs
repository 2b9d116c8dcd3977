//! What is reported.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

/// How far a run is.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Steps done, and all steps.
    pub steps: (usize, usize),
    /// The time that the rest takes, where it is known.
    pub remaining: Option<Duration>,
    /// Numbers by name, such as `loss`.
    pub metrics: Vec<(String, f64)>,
}

impl Status {
    /// The body of a request. Metrics that are not finite are left out.
    pub(super) fn to_json(&self) -> String {
        self.at(Timestamp::now()).to_string()
    }

    fn at(&self, now: Timestamp) -> Value {
        let (done, all) = self.steps;
        let percentage = (100 * done.min(all)).checked_div(all).unwrap_or(100);
        let metrics = self.metrics.iter().filter(|(_, value)| value.is_finite());
        let metrics =
            metrics.map(|(name, value)| json!({"name": name, "value": value.to_string()}));
        let mut status = json!({
            "progressPercentage": percentage,
            "metrics": metrics.collect::<Vec<_>>(),
            "lastUpdatedTime": now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        });
        if let Some(remaining) = self.remaining {
            // The controller reads a number of 32 bits.
            let seconds = remaining.as_secs().min(i32::MAX as u64);
            status["estimatedRemainingSeconds"] = seconds.into();
        }
        json!({"trainerStatus": status})
    }
}

#[cfg(test)]
mod unit_tests {
    use super::*;

    #[test]
    fn a_status_has_the_form_that_the_proposal_shows() {
        let status = Status {
            steps: (45, 100),
            remaining: Some(Duration::from_millis(795_649_400)),
            metrics: vec![
                ("loss".into(), 0.2347),
                ("accuracy".into(), f64::NAN),
                ("currentEpoch".into(), 2.0),
            ],
        };
        let now = Timestamp::from_second(1_737_628_245).unwrap();
        let expected = json!({"trainerStatus": {
            "progressPercentage": 45,
            "estimatedRemainingSeconds": 795_649,
            "metrics": [
                {"name": "loss", "value": "0.2347"},
                {"name": "currentEpoch", "value": "2"},
            ],
            "lastUpdatedTime": "2025-01-23T10:30:45Z",
        }});
        assert_eq!(status.at(now), expected);
    }

    #[test]
    fn a_percentage_is_one_whatever_the_steps_are() {
        let percentage = |steps| {
            let status = Status { steps, remaining: None, metrics: Vec::new() };
            let value = status.at(Timestamp::UNIX_EPOCH);
            assert!(value["trainerStatus"].get("estimatedRemainingSeconds").is_none());
            value["trainerStatus"]["progressPercentage"].as_u64().unwrap()
        };
        assert_eq!(
            [(0, 7), (1, 7), (7, 7), (8, 7), (0, 0)].map(percentage),
            [0, 14, 100, 100, 100]
        );
    }
}
