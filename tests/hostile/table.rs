//! The rows of README.md.

/// One hostile input and what has to come of it.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// The number of the class, from the heading above the table.
    pub(crate) class: String,
    /// Which generator makes the input.
    pub(crate) case: String,
    /// The arguments of `tlora`, `library` for what runs in this process, or `FILE::TEST` for a test elsewhere.
    pub(crate) command: String,
    /// Texts that the output has.
    pub(crate) findings: Vec<String>,
    /// The exit codes that are right.
    pub(crate) exits: Vec<i32>,
}

/// All rows, in order.
pub(crate) fn rows(readme: &str) -> Vec<Row> {
    let (mut class, mut rows) = (String::new(), Vec::new());
    for line in readme.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            heading.split('.').next().unwrap().clone_into(&mut class);
        }
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        // Head and rule of a table have no code in their first cell.
        if let [case, _what, command, findings, exits] = cells.as_slice()
            && let Some(case) = code_spans(case).next()
        {
            rows.push(Row {
                class: class.clone(),
                case: case.to_owned(),
                command: code_spans(command).next().unwrap().to_owned(),
                findings: code_spans(findings).map(str::to_owned).collect(),
                exits: exits
                    .split(',')
                    .filter_map(|code| code.trim().parse().ok())
                    .collect(),
            });
        }
    }
    rows
}

fn code_spans(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}
