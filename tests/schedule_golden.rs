//! The learning rate against Hugging Face's schedule (`tests/golden/make_schedule_golden.py`).

use serde_json::Value;
use tfbert::schedule::Schedule;

#[test]
fn the_schedule_is_hugging_faces_exactly() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("golden/schedule.json")).unwrap();
    for case in cases {
        let number = |key: &str| case[key].as_f64().unwrap();
        let total = number("total") as usize;
        let schedule = Schedule::with_warmup_ratio(number("peak") as f32, number("warmup"), total);
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
