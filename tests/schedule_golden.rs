//! The learning rate against Hugging Face's schedulers (`tests/golden/make_schedule_golden.py`).

use serde_json::Value;
use tfbert::model::Precision;
use tfbert::schedule::Schedule;
use tfbert::settings::{LrScheduler, TrainSettings};
use tfbert::task;

#[test]
fn the_schedules_are_hugging_faces_exactly() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("golden/schedule.json")).unwrap();
    let mut settings = TrainSettings::for_task(&task::find("sst2").unwrap(), Precision::F32);
    for case in cases {
        let number = |key: &str| case[key].as_f64().unwrap();
        let total = number("total") as usize;
        settings.lr_scheduler = serde_json::from_value(case["scheduler"].clone()).unwrap();
        settings.warmup = number("warmup");
        let schedule = Schedule {
            peak: number("peak") as f32,
            warmup: settings.warmup_in(total),
            total,
            decay: settings.lr_scheduler.decay(),
        };
        for (step, expected) in case["learning_rates"].as_array().unwrap().iter().enumerate() {
            // The graph's learning rate is a 32-bit float, so the reference is rounded to one; its
            // peak is a 64-bit number, ours a 32-bit one, which may differ in the last place.
            let (found, expected) =
                (schedule.learning_rate(step), expected.as_f64().unwrap() as f32);
            let last_place = f32::from_bits(expected.to_bits() + 1) - expected;
            assert!((found - expected).abs() <= last_place, "{case}: step {step}: {found}");
        }
    }
}

#[test]
fn a_warm_up_of_steps_counts_before_one_of_a_fraction_and_constant_has_none() {
    let mut settings = TrainSettings::for_task(&task::find("sst2").unwrap(), Precision::F32);
    assert_eq!(settings.warmup_in(100), 10);
    settings.warmup_steps = Some(3);
    assert_eq!(settings.warmup_in(100), 3);
    settings.lr_scheduler = LrScheduler::Constant;
    assert_eq!(settings.warmup_in(100), 0);
}
