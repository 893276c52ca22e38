//! The generators that the first column of the table names. Each changes a directory with `base`, `adapter.tlora` and, for
//! the classes that need them, keys, bundles and a policy.

mod adapters;
mod bases;
mod bundles;
mod files;
mod merged;
pub(crate) mod names;
mod policies;

use std::sync::LazyLock;

use crate::support::{Scratch, small_base, write_checkpoint};

/// A generator.
pub(crate) struct Case {
    /// How many inputs it makes.
    pub(crate) variants: usize,
    pub(crate) make: Make,
}

/// Makes the input of that number; the text it gives has to be in the output too.
pub(crate) type Make = Box<dyn Fn(&Scratch, usize) -> String>;

/// The generator of that name.
pub(crate) fn find(name: &str) -> Option<Case> {
    let places = [
        adapters::find,
        bases::find,
        bundles::find,
        files::find,
        merged::find,
        names::find,
        policies::find,
    ];
    places.iter().find_map(|find| find(name))
}

/// An adapter for the base of [`small_base`].
static ADAPTER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let scratch = Scratch::new();
    scratch.base_and_adapter();
    fs_err::read(scratch.path("adapter.tlora")).unwrap()
});

/// A directory with a base and an adapter for it.
pub(crate) fn prepared() -> Scratch {
    let scratch = Scratch::new();
    write_checkpoint(&scratch.path("base"), &small_base());
    write(&scratch, "adapter.tlora", &ADAPTER);
    scratch
}

/// A generator of one input.
fn one(make: impl Fn(&Scratch) + 'static) -> Option<Case> {
    many(1, move |scratch, _| {
        make(scratch);
        String::new()
    })
}

/// A generator of several, each with something of its own that the output has.
fn many(variants: usize, make: impl Fn(&Scratch, usize) -> String + 'static) -> Option<Case> {
    let make = Box::new(make);
    Some(Case { variants, make })
}

/// A check in this process, of inputs that it makes itself.
fn library(check: fn()) -> Option<Case> {
    one(move |_| check())
}

fn write(scratch: &Scratch, name: &str, bytes: &[u8]) {
    fs_err::write(scratch.path(name), bytes).unwrap();
}

/// The vectors of a directory of `spec/vectors` that break a rule: the rule and the bytes.
fn bad_vectors(directory: &str) -> Vec<(String, Vec<u8>)> {
    let root = format!("{}/spec/vectors/{directory}", env!("CARGO_MANIFEST_DIR"));
    let vectors = crate::support::names(root.as_ref())
        .into_iter()
        .map(|name| {
            let bytes = fs_err::read(format!("{root}/{name}")).unwrap();
            let end = bytes.windows(2).position(|two| two == b"\n\n").unwrap();
            let head = str::from_utf8(&bytes[..end]).unwrap().to_owned();
            let rule = head
                .lines()
                .find_map(|line| line.strip_prefix("rule: "))
                .map(str::to_owned);
            rule.map(|rule| (rule, bytes[end + 2..].to_vec()))
        });
    vectors.flatten().collect()
}
