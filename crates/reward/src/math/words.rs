//! Words that mean something in an answer: functions, constants, units, numbers.

/// Functions that are written as a word, with a backslash or without.
const FUNCTIONS: [&str; 21] = [
    "sin", "cos", "tan", "sec", "csc", "cot", "arcsin", "arccos", "arctan", "asin", "acos", "atan",
    "sinh", "cosh", "tanh", "ln", "log", "lg", "exp", "sqrt", "binom",
];

/// Units that are written with few letters; longer words need no list, since variables do not have four letters.
const SHORT_UNITS: [&str; 35] = [
    "cm", "mm", "km", "nm", "kg", "mg", "ml", "mL", "dm", "ft", "in", "yd", "mi", "oz", "lb",
    "lbs", "hr", "hrs", "min", "sec", "mph", "kph", "sq", "USD", "deg", "rad", "day", "cup", "cat",
    "dog", "car", "egg", "pen", "boy", "man",
];

/// A constant that is spelled out.
pub(crate) fn constant(word: &str) -> Option<&'static str> {
    match word {
        "pi" | "Pi" => Some("pi"),
        "infinity" | "Infinity" | "inf" | "oo" => Some("infty"),
        "theta" => Some("theta"),
        "alpha" => Some("alpha"),
        "beta" => Some("beta"),
        "gamma" => Some("gamma"),
        "lambda" => Some("lambda"),
        "phi" => Some("phi"),
        "omega" => Some("omega"),
        _ => None,
    }
}

/// Whether the word is a function.
pub(crate) fn is_function(word: &str) -> bool {
    FUNCTIONS.contains(&word)
}

/// Whether a run of letters is a word, rather than a product of letters.
pub(crate) fn is_word(run: &str) -> bool {
    run.chars().count() >= 4
        || SHORT_UNITS.contains(&run)
        || number(run).is_some()
        || is_short_answer(run)
}

fn is_short_answer(run: &str) -> bool {
    [
        "yes", "no", "odd", "all", "any", "the", "for", "red", "one", "two", "six", "ten", "Yes",
        "No", "is", "to", "per",
    ]
    .contains(&run)
}

/// Whether a single letter is a unit, where it stands after a number and a space.
pub(crate) fn is_unit_letter(letter: char) -> bool {
    matches!(letter, 'm' | 's' | 'g' | 'h' | 'L' | 'J' | 'N' | 'W')
}

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] = [
    "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
];

/// A number that is spelled out, below one hundred.
pub(crate) fn number(word: &str) -> Option<u32> {
    let word = word.to_ascii_lowercase();
    let index = |list: &[&str], word: &str| {
        u32::try_from(list.iter().position(|entry| *entry == word)?).ok()
    };
    if let Some(value) = index(&SMALL, &word) {
        return Some(value);
    }
    let (tens, ones) = word.split_once('-').unwrap_or((&word, ""));
    let tens = 10 * (index(&TENS, tens)? + 2);
    if ones.is_empty() {
        return Some(tens);
    }
    index(&SMALL, ones)
        .filter(|ones| (1..10).contains(ones))
        .map(|ones| tens + ones)
}

/// The number that the word multiplies by, in digits.
pub(crate) fn scale(word: &str) -> Option<&'static str> {
    match word.to_ascii_lowercase().as_str() {
        "dozen" => Some("12"),
        "hundred" => Some("100"),
        "thousand" => Some("1000"),
        "million" => Some("1000000"),
        "billion" => Some("1000000000"),
        "trillion" => Some("1000000000000"),
        _ => None,
    }
}

/// Whether the word after a number makes another one of it, or begins a sentence.
pub(crate) fn is_no_unit(word: &str) -> bool {
    const PARTS: [&str; 9] = [
        "hal",
        "third",
        "fourth",
        "quarter",
        "fifth",
        "sixth",
        "eighth",
        "tenth",
        "hundredth",
    ];
    const OTHERS: [&str; 13] = [
        "squared",
        "cubed",
        "factorial",
        "choose",
        "modulo",
        "is",
        "not",
        "when",
        "where",
        "unless",
        "minus",
        "plus",
        "divided",
    ];
    let lower = word.to_ascii_lowercase();
    scale(&lower).is_some()
        || OTHERS.contains(&lower.as_str())
        || PARTS.iter().any(|part| lower.starts_with(part))
}

/// The usual spelling of a unit: `cm` for `Centimeters`. Others lose their plural s.
pub(crate) fn unit(word: &str) -> String {
    let lower = word.to_ascii_lowercase();
    let usual = match lower.as_str() {
        "centimeter" | "centimeters" | "centimetre" | "centimetres" => "cm",
        "millimeter" | "millimeters" | "millimetre" | "millimetres" => "mm",
        "kilometer" | "kilometers" | "kilometre" | "kilometres" => "km",
        "meter" | "meters" | "metre" | "metres" => "m",
        "foot" | "feet" => "ft",
        "inch" | "inches" => "in",
        "yard" | "yards" => "yd",
        "mile" | "miles" => "mi",
        "ounce" | "ounces" => "oz",
        "pound" | "pounds" | "lbs" => "lb",
        "gram" | "grams" => "g",
        "kilogram" | "kilograms" => "kg",
        "liter" | "liters" | "litre" | "litres" | "l" => "L",
        "second" | "seconds" | "sec" => "s",
        "minute" | "minutes" => "min",
        "hour" | "hours" | "hr" | "hrs" => "h",
        "degree" | "degrees" | "deg" => "°",
        "mph" => "mi/h",
        "kph" => "km/h",
        "per" => "/",
        "sq" => "square",
        "percent" => "%",
        _ => "",
    };
    match usual {
        "" if lower.len() > 3 => lower.strip_suffix('s').unwrap_or(&lower).to_owned(),
        "" => word.to_owned(),
        usual => usual.to_owned(),
    }
}
