//! Configurations that come with the program.

use super::ConfigError;

/// The presets, by name.
pub const PRESETS: [(&str, &str); 3] = [
    (
        "paper-gsm8k",
        include_str!("../../presets/paper-gsm8k.toml"),
    ),
    ("paper-math", include_str!("../../presets/paper-math.toml")),
    ("tiny", include_str!("../../presets/tiny.toml")),
];

/// The text of a preset.
///
/// # Errors
/// There is none of this name.
pub fn preset(name: &str) -> Result<&'static str, ConfigError> {
    let found = PRESETS.iter().find(|(known, _)| *known == name);
    found
        .map(|(_, text)| *text)
        .ok_or_else(|| ConfigError::Preset {
            name: name.to_owned(),
            known: PRESETS.map(|(name, _)| name).join(", "),
        })
}
