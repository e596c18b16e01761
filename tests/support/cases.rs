//! How many cases a property is tried with.

/// `PROPTEST_CASES` if that is set, as `.ci/soak` does, which proptest itself heeds only where no number is given.
pub fn cases(usual: u32) -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(usual)
}
