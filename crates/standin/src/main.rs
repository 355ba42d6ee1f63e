//! Can synthetic images stand in for the real ones?

fn main() {}
