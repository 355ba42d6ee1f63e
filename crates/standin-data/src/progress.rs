/// Where a long operation says how far it is. Rate and time left are the receiver's business.
pub trait Progress: Sync {
    /// A task of `total` steps begins; it ends with [`Progress::end`].
    fn begin(&self, task: &str, total: u64);

    /// `steps` more are done.
    fn advance(&self, steps: u64);

    /// A short status beside the bar, such as the current loss.
    fn status(&self, text: &str);

    /// Something the user should know although the work goes on.
    fn warn(&self, text: &str);

    /// The task that began last is over.
    fn end(&self);
}

/// Receives and forgets: for tests and for callers that report nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64) {}
    fn advance(&self, _: u64) {}
    fn status(&self, _: &str) {}
    fn warn(&self, _: &str) {}
    fn end(&self) {}
}
