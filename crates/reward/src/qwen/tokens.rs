//! The tokens of SymPy's LaTeX grammar.

/// A token. Digits and letters are one each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Digit(char),
    Letter(char),
    /// By its name; braces after a backslash are commands, and so are relations.
    Command(String),
    /// `dx`: d and the letter or command after it.
    Differential(String),
    Symbol(char),
    /// What the grammar has no token for. Reading it is an error.
    Unknown,
}

/// Commands that are white space.
const SPACES: [&str; 16] = [
    "thinspace",
    "medspace",
    "thickspace",
    "quad",
    "qquad",
    "negthinspace",
    "negmedspace",
    "negthickspace",
    "left",
    "right",
    "vrule",
    "vcenter",
    "vbox",
    "vskip",
    "vspace",
    "hfil",
];

/// All tokens of the text.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let next = rest.get(first.len_utf8()..).unwrap_or_default();
        rest = match first {
            ' ' | '\t' | '\r' | '\n' => next,
            '\\' => command(next, &mut out),
            'd' => differential(next, &mut out),
            _ => {
                out.push(match first {
                    '0'..='9' => Token::Digit(first),
                    'a'..='z' | 'A'..='Z' => Token::Letter(first),
                    _ if "+-*/(){}[]|_^:=<>!,.'".contains(first) => Token::Symbol(first),
                    _ => Token::Unknown,
                });
                next
            }
        };
    }
    out
}

/// The name of a command, and what comes after it.
fn name(text: &str) -> (&str, &str) {
    let end = text
        .find(|next: char| !next.is_ascii_alphabetic())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// What a backslash begins; gives what comes after it.
fn command<'a>(text: &'a str, out: &mut Vec<Token>) -> &'a str {
    let (name, rest) = name(text);
    if !name.is_empty() {
        if !SPACES.contains(&name) {
            out.push(Token::Command(usual(name).to_owned()));
        }
        return rest;
    }
    let Some(first) = text.chars().next() else {
        out.push(Token::Unknown);
        return text;
    };
    match first {
        '{' | '}' => out.push(Token::Command(first.to_string())),
        ',' | ':' | ';' | '!' | '*' | '-' | '.' | '/' | '"' | '(' | '=' => {}
        _ => out.push(Token::Unknown),
    }
    text.get(first.len_utf8()..).unwrap_or_default()
}

/// One name for commands that are one token.
fn usual(name: &str) -> &str {
    match name {
        "dfrac" | "tfrac" => "frac",
        "dbinom" | "tbinom" => "binom",
        "leq" | "leqq" | "leqslant" => "le",
        "geq" | "geqq" | "geqslant" => "ge",
        _ => name,
    }
}

/// d, with the letter or command after it if there is one.
fn differential<'a>(text: &'a str, out: &mut Vec<Token>) -> &'a str {
    let after = text.trim_start_matches([' ', '\t', '\r', '\n']);
    let (backslash, bare) = match after.strip_prefix('\\') {
        Some(bare) => ("\\", bare),
        None => ("", after),
    };
    let (whole, _) = name(bare);
    let name = match backslash.is_empty() {
        true => whole.get(..1).unwrap_or_default(),
        false => whole,
    };
    if name.is_empty() {
        out.push(Token::Letter('d'));
        return text;
    }
    out.push(Token::Differential(format!("d{backslash}{name}")));
    bare.get(name.len()..).unwrap_or_default()
}
