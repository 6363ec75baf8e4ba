//! Something to tell that replaces what was to be told before.

/// One thing to tell, and whether it was told on the present stream.
#[derive(Debug)]
pub struct Level<T> {
    /// What there is to tell, told or not; nothing at first.
    pub value: Option<T>,
    /// Whether it was told on the present stream.
    pub is_told: bool,
}

impl<T> Default for Level<T> {
    fn default() -> Self {
        Self { value: None, is_told: true }
    }
}

impl<T: Clone> Level<T> {
    /// Replaces what there is to tell.
    pub fn set(&mut self, value: T) {
        *self = Self { value: Some(value), is_told: false };
    }

    /// What was not told yet, which counts as told from now on.
    pub fn take_untold(&mut self) -> Option<T> {
        if std::mem::replace(&mut self.is_told, true) { None } else { self.value.clone() }
    }
}
