//! What no output may have, whatever the input was called.

/// The first fault of an output, if it has any.
pub(crate) fn fault(output: &str, commands_of_github: bool) -> Option<String> {
    let character = output.chars().find(|&character| is_harmful(character));
    if let Some(character) = character {
        return Some(format!("the character {}", character.escape_default()));
    }
    output
        .lines()
        .find(|line| is_ci_command(line, commands_of_github))
        .map(|line| format!("the line {line:?}"))
}

/// Controls, and what hides text or turns its direction.
fn is_harmful(character: char) -> bool {
    (character.is_control() && character != '\n')
        || matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
            | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Whether a CI would take the line for a command to itself. In the format for GitHub our own are wanted.
fn is_ci_command(line: &str, commands_of_github: bool) -> bool {
    let own = ["::error ", "::warning ", "::notice "];
    let is_own = commands_of_github && own.iter().any(|command| line.starts_with(command));
    (line.trim_start().starts_with("::") && !is_own)
        || ["##[", "##vso[", "##teamcity["]
            .iter()
            .any(|prefix| line.contains(prefix))
}
