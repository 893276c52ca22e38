//! A failure as the user sees it: what happened, the facts, the causes, and what to do.

use std::error::Error;
use std::fmt::Display;

use crate::escape::Untrusted;
use crate::exit::Exit;
use crate::terminal::{ACCENT, ERROR, note};

/// Why a command did not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    facts: Vec<(String, String)>,
    cause: Option<Box<dyn Error + Send + Sync>>,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Display) -> Self {
        Self {
            exit,
            message: message.to_string(),
            facts: Vec::new(),
            cause: None,
            hint: None,
        }
    }

    /// The input was read, and is not what it has to be.
    pub(crate) fn no(message: impl Display) -> Self {
        Self::new(Exit::No, message)
    }

    /// It could not be found out.
    pub(crate) fn unknown(message: impl Display) -> Self {
        Self::new(Exit::Unknown, message)
    }

    /// Adds a line of two columns under the message.
    pub(crate) fn fact(mut self, name: impl Display, value: impl Display) -> Self {
        self.facts.push((name.to_string(), value.to_string()));
        self
    }

    /// Adds the error that led to this one.
    pub(crate) fn caused_by(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Box::new(cause));
        self
    }

    /// Adds what the user can do about it.
    pub(crate) fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// How the command ends.
    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }

    /// The message, and the facts and causes under it.
    pub(crate) fn into_parts(self) -> (String, Vec<(String, String)>) {
        let causes = self.causes();
        let mut facts = self.facts;
        facts.extend(
            causes
                .into_iter()
                .map(|cause| ("because".to_owned(), cause)),
        );
        (self.message, facts)
    }

    /// The texts of the causes; a wrapper that only repeats its source is left out.
    fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let mut next = self.cause.as_deref().map(|cause| cause as &dyn Error);
        while let Some(cause) = next {
            causes.push(cause.to_string());
            next = cause.source();
        }
        causes.retain(|cause| *cause != self.message);
        causes.dedup();
        causes
    }

    /// Writes the failure to stderr and gives the exit code.
    pub(crate) fn print(&self) -> Exit {
        note(format_args!(
            "{ERROR}error:{ERROR:#} {}",
            Untrusted(&self.message)
        ));
        let width = self
            .facts
            .iter()
            .map(|(name, _)| Untrusted(name).to_string().chars().count())
            .max()
            .unwrap_or(0);
        for (name, value) in &self.facts {
            note(format_args!(
                "  {:width$}   {}",
                Untrusted(name),
                Untrusted(value)
            ));
        }
        for cause in self.causes() {
            note(format_args!("  because: {}", Untrusted(cause)));
        }
        if let Some(hint) = &self.hint {
            note(format_args!("{ACCENT}hint:{ACCENT:#} {}", Untrusted(hint)));
        }
        self.exit
    }
}
