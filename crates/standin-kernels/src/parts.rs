use std::mem::MaybeUninit;

use rayon::prelude::*;

/// Numbers below which a task is not worth handing to another thread.
const TASK: usize = 8192;

/// A vector of `length` numbers in parts of `part` (the last may be shorter), each filled by one call of `fill`, which gets
/// zeros: made where they are used, they cost a fraction of what it takes one thread to make them all.
///
/// `fill` gets a workspace of its thread, the part's index, the part, and the part's entry of `beside`, of which there is one
/// for each part.
pub(crate) fn in_parts<T: Send, W>(
    length: usize,
    part: usize,
    beside: impl IndexedParallelIterator<Item = T>,
    workspace: impl Fn() -> W + Sync + Send,
    fill: impl Fn(&mut W, usize, &mut [f32], T) + Sync + Send,
) -> Vec<f32> {
    if length == 0 {
        return Vec::new();
    }
    assert_eq!(beside.len(), length.div_ceil(part), "one entry for each part");
    let mut numbers = Vec::with_capacity(length);
    let parts = numbers.spare_capacity_mut()[..length].par_chunks_mut(part).zip(beside).enumerate();
    parts.with_min_len((TASK / part).max(1)).for_each_init(workspace, |workspace, (index, (part, beside))| {
        fill(workspace, index, zeros(part), beside);
    });
    // SAFETY: the parts cover the vector up to `length`, which its capacity is, and each was filled with zeros; a panic in
    // one of them does not come here.
    unsafe { numbers.set_len(length) };
    numbers
}

/// The same with nothing beside the parts.
pub(crate) fn in_parts_alone(length: usize, part: usize, fill: impl Fn(usize, &mut [f32]) + Sync + Send) -> Vec<f32> {
    let beside = rayon::iter::repeat_n((), length.div_ceil(part.max(1)));
    in_parts(length, part, beside, || (), |(), index, part, ()| fill(index, part))
}

fn zeros(part: &mut [MaybeUninit<f32>]) -> &mut [f32] {
    for number in part.iter_mut() {
        number.write(0.0);
    }
    // SAFETY: every number has just been written.
    unsafe { part.assume_init_mut() }
}
