//! The peft release that wrote a checkpoint, as far as it matters.

use std::fmt;

/// `peft_version` of the settings; older releases do not write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PeftVersion(Option<String>);

impl PeftVersion {
    pub(crate) const fn new(text: Option<String>) -> Self {
        Self(text)
    }

    /// Whether the projections of a module can be drawn again: from 0.20 on their seed is the setting plus the module's
    /// number. Before, it was a hash that differs from process to process, and the same for all modules.
    pub(crate) fn draws_by_module(&self) -> bool {
        let text = self.0.as_deref().unwrap_or_default();
        let mut parts = text.split('.').map(|part| part.parse::<u32>().ok());
        let (major, minor) = (parts.next().flatten(), parts.next().flatten());
        (major, minor) >= (Some(0), Some(20))
    }
}

impl fmt::Display for PeftVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("before 0.20"))
    }
}

#[cfg(test)]
mod tests {
    use super::PeftVersion;

    #[test]
    fn projections_can_be_drawn_again_from_0_20_on() {
        for (text, expected) in [
            (Some("0.19.0"), false),
            (Some("0.19.2.dev0"), false),
            (Some("0.20.0"), true),
            (Some("0.20.1.dev0@abc"), true),
            (Some("0.21.2"), true),
            (Some("1.0.0"), true),
            (Some("nonsense"), false),
            (None, false),
        ] {
            let version = PeftVersion::new(text.map(str::to_owned));
            assert_eq!(version.draws_by_module(), expected, "{text:?}");
        }
    }
}
