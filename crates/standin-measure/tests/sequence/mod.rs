//! The numbers that tests and the scripts of their fixtures both make.

/// 24 high bits of a 64-bit linear congruential sequence, from 0 to below 1.
pub fn uniform(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..count).map(|_| next()).collect()
}
