//! The kernels beside `tests/golden/make_kernels.py`, and beside themselves: with other instructions, on more threads,
//! in bfloat16.

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;

const BATCH: usize = 2;
const LENGTH: usize = 3;
const HEADS: usize = 2;
const SIZE: usize = 68;
const WIDTH: usize = HEADS * SIZE;
const TOKENS: usize = BATCH * LENGTH;
const EPSILON: f32 = 1e-3;
const DROP: Dropout = Dropout { key: [0xDEAD_BEEF, 12_345], threshold: 77, scale: 256.0 / 179.0 };
const SCALE: f32 = 0.3;

/// Kernels of every kind that this processor can run.
fn all_kernels(threads: usize) -> Vec<Kernels> {
    let processor = Processor::detect();
    let narrow = Processor { avx512: false, ..processor };
    let mut found: Vec<Kernels> = Vec::new();
    for processor in [narrow, processor] {
        match Kernels::new(processor, threads) {
            Some(one) if found.iter().all(|known| known.instructions != one.instructions) => {
                found.push(one);
            }
            Some(_) => println!("skipped: this processor has no AVX-512"),
            None => println!("skipped: this processor has no AVX2"),
        }
    }
    found
}

/// The arguments' rule of the golden's script.
fn values<T: Element>(salt: usize, count: usize) -> Vec<T> {
    let number = |place: usize| ((place * 7919 + salt * 104_729) % 2003) as f32;
    (0..count).map(|place| T::of(number(place) / 1001.0 - 1.0)).collect()
}

/// All functions for the golden's arguments, by their names.
fn results<T: Element>(kernels: &Kernels) -> BTreeMap<&'static str, Vec<Vec<f32>>> {
    let out = |count: usize| vec![T::default(); count];
    let rows = TOKENS * WIDTH;
    let [bias, gamma, beta] = [2, 4, 5].map(|salt| values::<f32>(salt, WIDTH));
    let [x, residual, dy, dresidual] = [1, 3, 6, 7].map(|salt| values::<T>(salt, rows));
    let mut found = BTreeMap::new();
    let f32s = |values: &[T]| values.iter().map(|value| value.get()).collect::<Vec<f32>>();

    let wide: Vec<T> = x.iter().map(|x| T::of(4.0 * x.get())).collect();
    let (mut y, mut dx) = (out(rows), out(rows));
    gelu_forward(kernels, &wide, &bias, &mut y);
    found.insert("gelu_forward", vec![f32s(&y)]);
    gelu_backward(kernels, &wide, &bias, &residual, &mut dx);
    found.insert("gelu_backward", vec![f32s(&dx)]);

    let (mut normed, mut dz, mut inverse) = (out(rows), out(rows), vec![0.0; TOKENS]);
    let [mut dbias, mut dgamma, mut dbeta] = [(); 3].map(|()| vec![0.0; WIDTH]);
    let forward = NormForward {
        x: &x,
        bias: &bias,
        residual: &residual,
        gamma: &gamma,
        beta: &beta,
        epsilon: EPSILON,
        drop: DROP,
        y: &mut y,
        normed: &mut normed,
        inverse: &mut inverse,
    };
    add_norm_forward(kernels, forward);
    found.insert("add_norm_forward", vec![f32s(&y), f32s(&normed), inverse.clone()]);
    let backward = NormBackward {
        normed: &normed,
        inverse: &inverse,
        gamma: &gamma,
        dy: &dy,
        dresidual: &dresidual,
        drop: DROP,
        dx: &mut dx,
        dbias: &mut dbias,
        dz: &mut dz,
        dgamma: &mut dgamma,
        dbeta: &mut dbeta,
    };
    add_norm_backward(kernels, backward);
    let sums = [dbias, dgamma.clone(), dbeta.clone()];
    let [dbias, norm_dgamma, norm_dbeta] = sums;
    found.insert("add_norm_backward", vec![f32s(&dx), dbias, f32s(&dz), norm_dgamma, norm_dbeta]);

    let [words, types] = [1, 2].map(|salt| values::<f32>(salt, rows));
    let mut dwords = vec![0.0; rows];
    let forward = EmbedForward {
        words: &words,
        positions: &values(3, LENGTH * WIDTH),
        types: &types,
        gamma: &gamma,
        beta: &beta,
        epsilon: EPSILON,
        drop: DROP,
        y: &mut y,
        normed: &mut normed,
        inverse: &mut inverse,
    };
    embed_forward(kernels, forward);
    found.insert("embed_forward", vec![f32s(&y), f32s(&normed), inverse.clone()]);
    let backward = EmbedBackward {
        normed: &normed,
        inverse: &inverse,
        gamma: &gamma,
        dy: &dy,
        dresidual: &dresidual,
        drop: DROP,
        dz: &mut dwords,
        dgamma: &mut dgamma,
        dbeta: &mut dbeta,
    };
    embed_backward(kernels, backward);
    found.insert("embed_backward", vec![dwords, dgamma, dbeta]);

    drop_elements(kernels, &x, DROP, &mut y);
    found.insert("drop", vec![f32s(&y)]);

    let of = Heads { heads: HEADS, length: LENGTH, size: SIZE };
    let [mut q, mut k, mut v] = [(); 3].map(|()| out(rows));
    let (product, product_bias) = (values::<T>(1, 3 * rows), values::<f32>(2, 3 * WIDTH));
    split(kernels, of, &product, &product_bias, &mut [&mut q, &mut k, &mut v]);
    found.insert("split", vec![f32s(&q), f32s(&k), f32s(&v)]);
    let mut merged = out(2 * rows);
    merge(kernels, of, &[&values(3, rows), &values(4, rows)], &mut merged);
    found.insert("merge", vec![f32s(&merged)]);
    unmerge(kernels, of, &values::<T>(5, rows), &mut q);
    found.insert("unmerge", vec![f32s(&q)]);

    let of = Scores { heads: HEADS, queries: LENGTH, keys: LENGTH };
    let scores = BATCH * HEADS * LENGTH * LENGTH;
    let (mut one, mut other) = (out(scores), out(scores));
    let products = values::<T>(1, scores);
    let (row, square) = (values(2, BATCH * LENGTH), values(3, BATCH * LENGTH * LENGTH));
    scale_and_offset(kernels, of, &products, &row, SCALE, &mut one);
    scale_and_offset(kernels, of, &products, &square, SCALE, &mut other);
    found.insert("scale_and_offset", vec![f32s(&one), f32s(&other)]);
    let mut words = vec![0; scores.div_ceil(4)];
    draw(kernels, DROP.key, &mut words);
    let random: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let p: Vec<T> =
        values::<f32>(4, scores).iter().map(|value| T::of((value + 1.0) / 2.0)).collect();
    drop_probabilities(kernels, &p, &random, DROP, &mut one, &mut other);
    found.insert("drop_probabilities", vec![f32s(&one), f32s(&other)]);
    let (signed, mut dscores) = (other.clone(), out(scores));
    let gradient = ScoresGradient {
        signed: &signed,
        dkept: &values(7, scores),
        merged: &values(5, rows),
        dmerged: &values(6, rows),
        scale: SCALE,
        drop: DROP,
        dscores: &mut dscores,
        kept: &mut one,
    };
    scores_gradient(kernels, of, gradient);
    found.insert("scores_gradient", vec![f32s(&dscores), f32s(&one)]);
    found.extend(adamw_results::<T>(kernels));
    found.insert("caught_up", caught_up_result(kernels));
    found
}

const CONSTANTS: Constants =
    Constants { decay: 0.01, rate: 0.02, beta1: 0.9, beta2: 0.98, epsilon: 1e-3 };
const STEPS: i32 = 5;

/// The moments' scales after five steps.
fn stored() -> [f32; 2] {
    [CONSTANTS.beta1.powi(STEPS), CONSTANTS.beta2.powi(STEPS)]
}

/// Weights and two moments, the second positive.
fn optimizer_state() -> [Vec<f32>; 3] {
    let [weights, m, v] = [1, 2, 3].map(|salt| values::<f32>(salt, TOKENS * WIDTH));
    let m = m.iter().map(|m| m / 10.0).collect();
    [weights, m, v.iter().map(|v| (v + 1.01) / 100.0).collect()]
}

fn adamw_results<T: Element>(kernels: &Kernels) -> BTreeMap<&'static str, Vec<Vec<f32>>> {
    let [one, other] = [4, 5].map(|salt| values::<T>(salt, TOKENS * WIDTH));
    let terms = [&one[..], &other[..]];
    let clip = Clip { factor: 0.7, finite: true };
    let mut found = BTreeMap::new();
    let mut updated = optimizer_state();
    update(kernels, updated.each_mut().map(|part| &mut part[..]), &terms, clip, CONSTANTS);
    found.insert("update", updated.to_vec());
    let [mut weights, mut m, mut v] = optimizer_state();
    move_table(kernels, &mut weights, &m, &v, CONSTANTS, stored());
    found.insert("move", vec![weights]);
    scale_moments(kernels, &mut m, &mut v, stored());
    found.insert("scale_moments", vec![m, v]);
    let mut sums = vec![0.0; TOKENS];
    row_square_sums(kernels, &terms, WIDTH, &mut sums);
    found.insert("row_square_sums", vec![sums]);
    found
}

/// Rows that have 0, 1, 2 … of five steps, in a window that has room for one more.
fn caught_up_result(kernels: &Kernels) -> Vec<Vec<f32>> {
    let mut steps = vec![0.0f32; 3 * (STEPS as usize + 1)];
    let mut product = 1.0;
    for (index, step) in steps.chunks_exact_mut(3).take(STEPS as usize).enumerate() {
        let number = index as f32;
        let [first, second] =
            [CONSTANTS.beta1, CONSTANTS.beta2].map(|beta| beta.powi(index as i32 + 1));
        product *= 1.0 - (0.01 + 0.002 * number);
        let root = second.sqrt();
        step.copy_from_slice(&[
            (0.01 + 0.001 * number) * first / root,
            (1e-3 + 5e-5 * number) / root,
            product,
        ]);
    }
    let rows = STEPS as usize + 2;
    let (mut coefficients, mut epsilons) = (vec![0.0; rows * NODES], [0.0; NODES]);
    let mut factors = vec![0.0; rows];
    let of =
        Missed { coefficients: &mut coefficients, epsilons: &mut epsilons, factors: &mut factors };
    missed(&steps, STEPS as f32, of);
    let [weights, m, v] = optimizer_state();
    let mut found = [(); 3].map(|()| vec![0.0; TOKENS * WIDTH]);
    let [new_weights, new_m, new_v] = &mut found;
    let of = CaughtUp {
        coefficients: &coefficients[..TOKENS * NODES],
        epsilons,
        factors: &factors[..TOKENS],
        weights: &weights,
        m: &m,
        v: &v,
        scales: stored(),
        new_weights,
        new_m,
        new_v,
    };
    caught_up(kernels, of);
    found.to_vec()
}

/// The largest difference of two results, relative to their largest value.
fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(1.0f32, |most, value| most.max(value.abs()));
    let differences = found.iter().zip(expected).map(|(one, other)| (one - other).abs());
    let most =
        differences.fold(0.0f32, |most, next| if next.is_nan() { next } else { most.max(next) });
    most / largest
}

/// The golden's results; a function with one result has it without a list.
fn golden() -> BTreeMap<String, Vec<Vec<f32>>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/kernels.json");
    let golden: BTreeMap<String, Value> =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let read = |value: Value| match value[0] {
        Value::Array(_) => serde_json::from_value(value).unwrap(),
        _ => vec![serde_json::from_value(value).unwrap()],
    };
    golden.into_iter().map(|(name, value)| (name, read(value))).collect()
}

#[test]
fn every_function_gives_the_results_of_its_formula_in_float64() {
    let golden = golden();
    for kernels in all_kernels(1) {
        let found = results::<f32>(&kernels);
        assert_eq!(found.len(), golden.len());
        for (name, results) in found {
            let expected = &golden[name];
            assert_eq!(results.len(), expected.len(), "{name}");
            for (index, (found, expected)) in results.iter().zip(expected).enumerate() {
                let most = difference(found, expected);
                assert!(most < 2e-6, "{name}, result {index}, {:?}: {most}", kernels.instructions);
            }
        }
    }
}

#[test]
fn in_bf16_results_are_those_of_float32_rounded() {
    let golden = golden();
    for kernels in all_kernels(1) {
        for (name, results) in results::<Bf16>(&kernels) {
            for (index, (found, expected)) in results.iter().zip(&golden[name]).enumerate() {
                let most = difference(found, expected);
                assert!(most < 2e-2, "{name}, result {index}, {:?}: {most}", kernels.instructions);
            }
        }
    }
}

#[test]
fn results_are_the_same_bits_on_any_number_of_threads() {
    // More rows than one block has.
    let (rows, width) = (3 * BLOCK_ROWS + 5, 96);
    let gamma = values::<f32>(4, width);
    let [normed, dy, dresidual] = [1, 2, 3].map(|salt| values::<Bf16>(salt, rows * width));
    let inverse = vec![0.5; rows];
    let run = |kernels: &Kernels| {
        let [mut dx, mut dz] = [(); 2].map(|()| vec![Bf16::default(); rows * width]);
        let [mut dbias, mut dgamma, mut dbeta] = [(); 3].map(|()| vec![0.0; width]);
        let of = NormBackward {
            normed: &normed,
            inverse: &inverse,
            gamma: &gamma,
            dy: &dy,
            dresidual: &dresidual,
            drop: DROP,
            dx: &mut dx,
            dbias: &mut dbias,
            dz: &mut dz,
            dgamma: &mut dgamma,
            dbeta: &mut dbeta,
        };
        add_norm_backward(kernels, of);
        (dx, dz, [dbias, dgamma, dbeta])
    };
    for (one, three) in all_kernels(1).iter().zip(&all_kernels(3)) {
        assert!(three.pool.is_some());
        assert_eq!(run(one), run(three));
    }
}

#[test]
fn results_are_the_same_bits_with_avx2_and_with_avx_512() {
    if let [narrow, wide] = &all_kernels(1)[..] {
        assert_eq!(results::<f32>(narrow), results::<f32>(wide));
        assert_eq!(results::<Bf16>(narrow), results::<Bf16>(wide));
    }
}

#[test]
fn a_gradient_that_is_not_finite_changes_no_weight_and_no_moment() {
    let unchanged = Constants { decay: 0.0, rate: 0.0, beta1: 1.0, beta2: 1.0, ..CONSTANTS };
    for kernels in all_kernels(1) {
        let mut state = optimizer_state();
        let gradient = vec![f32::NAN; TOKENS * WIDTH];
        let clip = Clip { factor: f32::NAN, finite: false };
        let parts = state.each_mut().map(|part| &mut part[..]);
        update(&kernels, parts, &[&gradient], clip, unchanged);
        assert_eq!(state, optimizer_state());
    }
}

#[test]
fn an_update_of_several_blocks_is_the_same_on_any_number_of_threads() {
    const ELEMENTS: usize = 100_003;
    let terms = [4, 5].map(|salt| values::<Bf16>(salt, ELEMENTS));
    let run = |kernels: &Kernels| {
        let mut state = [1, 2, 3].map(|salt| values::<f32>(salt, ELEMENTS));
        state[2].iter_mut().for_each(|v| *v += 1.0);
        let parts = state.each_mut().map(|part| &mut part[..]);
        let clip = Clip { factor: 0.5, finite: true };
        update(kernels, parts, &terms.each_ref().map(|term| &term[..]), clip, CONSTANTS);
        state
    };
    for (one, three) in all_kernels(1).iter().zip(&all_kernels(3)) {
        let found = run(one);
        assert_eq!(found, run(three));
        let last = ELEMENTS - 1;
        let gradient = 0.5 * (terms[0][last].get() + terms[1][last].get());
        let m = 0.9 * values::<f32>(2, ELEMENTS)[last] + 0.1 * gradient;
        assert!((found[1][last] - m).abs() < 1e-6, "{} {m}", found[1][last]);
    }
}

#[test]
fn rows_without_a_missed_step_stay() {
    let (mut coefficients, mut epsilons, mut factors) = ([1.0; 8], [0.0; NODES], [0.0; 2]);
    let of =
        Missed { coefficients: &mut coefficients, epsilons: &mut epsilons, factors: &mut factors };
    missed(&[0.0; 3], 0.0, of);
    assert_eq!((coefficients, factors[0]), ([0.0; 8], 1.0));
    assert!(epsilons.iter().all(|epsilon| epsilon.is_finite() && *epsilon > 0.0));
}

#[test]
fn rounding_to_bf16_is_to_the_nearest_and_to_even() {
    let rounded = |bits: u32| Bf16::of(f32::from_bits(bits)).get().to_bits();
    assert_eq!(rounded(0x3F80_7FFF), 0x3F80_0000);
    assert_eq!(rounded(0x3F80_8000), 0x3F80_0000, "half way, and even below");
    assert_eq!(rounded(0x3F81_8000), 0x3F82_0000, "half way, and even above");
    assert_eq!(rounded(0x3F80_8001), 0x3F81_0000);
    assert_eq!(rounded(0x7F7F_FFFF), f32::INFINITY.to_bits());
    assert_eq!(Bf16::of(f32::NEG_INFINITY).get(), f32::NEG_INFINITY);
    assert!(Bf16::of(f32::NAN).get().is_nan() && Bf16::of(-f32::NAN).get().is_nan());
}

#[test]
fn nothing_is_computed_of_nothing() {
    for kernels in all_kernels(1) {
        let of = Heads { heads: 2, length: 0, size: 4 };
        split::<f32>(&kernels, of, &[], &[0.0; 24], &mut [&mut [], &mut [], &mut []]);
        merge::<f32>(&kernels, of, &[&[]], &mut []);
        gelu_forward::<f32>(&kernels, &[], &[0.0; 4], &mut []);
        draw(&kernels, DROP.key, &mut []);
    }
}
