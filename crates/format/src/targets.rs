//! Which modules are adapted: the target set and the targets section, spec §4.1 and §5.1, R22 to R26.

use std::collections::BTreeSet;

use crate::ParseError;
use crate::codes::TyingCode;
use crate::cursor::Cursor;
use crate::header::Header;

/// The names behind the bits of the target set, in order (spec §5.1).
pub const STANDARD_TARGETS: [&str; 7] = [
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "gate_proj",
    "up_proj",
    "down_proj",
];

const MODE_SUFFIXES: u8 = 0;
const MODE_MODULES: u8 = 1;
const MOST_SUFFIXES: u32 = 255;

/// Which modules of the base the adapter steers, and in which order (spec §4.1, §5.1, §5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetModules {
    /// Names that module names end with (or are), in the order of spec §5.2.
    Suffixes(Vec<String>),
    /// Full module names, in module order.
    Modules(Vec<String>),
}

impl TargetModules {
    /// All seven standard targets.
    #[must_use]
    pub fn standard() -> Self {
        Self::from_mask(0x7F)
    }

    /// The position of the target that selects a module of this name, if one does (spec §4.1). For full module names it
    /// is the module's number.
    #[must_use]
    pub fn position(&self, module: &str) -> Option<usize> {
        match self {
            Self::Suffixes(targets) => targets
                .iter()
                .position(|target| ends_with_target(module, target)),
            Self::Modules(names) => names.iter().position(|name| name == module),
        }
    }

    /// The target set that stands for this list, or 0 if it needs a section.
    pub(crate) fn mask(&self) -> u8 {
        match self {
            Self::Suffixes(targets) => mask_of(targets).unwrap_or(0),
            Self::Modules(_) => 0,
        }
    }

    pub(crate) fn from_mask(mask: u8) -> Self {
        let set = STANDARD_TARGETS
            .iter()
            .enumerate()
            .filter(|(bit, _)| mask >> bit & 1 == 1);
        Self::Suffixes(set.map(|(_, target)| (*target).to_owned()).collect())
    }
}

/// Whether a name is a target, or ends with a dot and the target.
fn ends_with_target(name: &str, target: &str) -> bool {
    name.strip_suffix(target)
        .is_some_and(|front| front.is_empty() || front.ends_with('.'))
}

/// The mask for a non-empty list of standard targets in their order.
fn mask_of(targets: &[String]) -> Option<u8> {
    let mut mask = 0_u8;
    for target in targets {
        let position = STANDARD_TARGETS
            .iter()
            .position(|standard| standard == target)?;
        let bit = 1_u8.checked_shl(u32::try_from(position).ok()?)?;
        // A bit not above all earlier ones would break the order, or repeat a name.
        if bit <= mask {
            return None;
        }
        mask |= bit;
    }
    (mask != 0).then_some(mask)
}

/// Reads the section.
pub(crate) fn parse(header: &Header, mut content: Cursor<'_>) -> Result<TargetModules, ParseError> {
    let start = content.offset();
    let (mode, names) = frame_names(header, &mut content)?;
    let names = check_names(&names)?;
    if mode == MODE_MODULES {
        check_distinct(&names)?;
        return if header.tying == TyingCode::Structured {
            Err(ParseError::StructuredModules { offset: start })
        } else {
            Ok(TargetModules::Modules(names))
        };
    }
    check_selected_once(&names)?;
    match mask_of(&names) {
        Some(mask) => Err(ParseError::StandardTargets {
            offset: start,
            mask,
        }),
        None => Ok(TargetModules::Suffixes(names)),
    }
}

/// A name's bytes and their offset.
type RawName<'a> = (usize, &'a [u8]);

/// R22: the mode and the names.
fn frame_names<'a>(
    header: &Header,
    content: &mut Cursor<'a>,
) -> Result<(u8, Vec<RawName<'a>>), ParseError> {
    let start = content.offset();
    let end = start.saturating_add(content.left());
    let later = || ParseError::TargetsLength {
        found: end,
        wanted: "later".to_owned(),
    };
    let mode = content.u8().ok_or_else(later)?;
    if mode > MODE_MODULES {
        return Err(ParseError::TargetsMode {
            offset: start,
            found: mode,
        });
    }
    let offset = content.offset();
    let count = content.u32().ok_or_else(later)?;
    let (allowed, wanted) = if mode == MODE_SUFFIXES {
        (
            (1..=MOST_SUFFIXES).contains(&count),
            format!("1 to {MOST_SUFFIXES}"),
        )
    } else {
        (
            count == header.modules,
            format!("one for each of the {} modules", header.modules),
        )
    };
    if !allowed {
        return Err(ParseError::TargetsCount {
            offset,
            found: count,
            wanted,
        });
    }
    let mut names = Vec::new();
    for _ in 0..count {
        let length = usize::from(content.u8().ok_or_else(later)?);
        let offset = content.offset();
        names.push((offset, content.take(length).ok_or_else(later)?));
    }
    if content.left() > 0 {
        return Err(ParseError::TargetsLength {
            found: end,
            wanted: format!("at {}", content.offset()),
        });
    }
    Ok((mode, names))
}

/// R23.
fn check_names(names: &[RawName<'_>]) -> Result<Vec<String>, ParseError> {
    let check = |(index, &(offset, bytes)): (usize, &RawName<'_>)| {
        let found = String::from_utf8_lossy(bytes).into_owned();
        if is_name(bytes) {
            Ok(found)
        } else {
            Err(ParseError::TargetName {
                index,
                offset,
                found,
            })
        }
    };
    names.iter().enumerate().map(check).collect()
}

/// Printable ASCII without spaces; the parts between dots are not empty.
fn is_name(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_graphic)
        && bytes
            .split(|&byte| byte == b'.')
            .all(|part| !part.is_empty())
}

/// R24 for full names.
fn check_distinct(names: &[String]) -> Result<(), ParseError> {
    let mut seen = BTreeSet::new();
    match names.iter().find(|name| !seen.insert(*name)) {
        Some(name) => Err(ParseError::OverlappingTargets {
            found: name.clone(),
            other: name.clone(),
        }),
        None => Ok(()),
    }
}

/// R24 for targets, of which there are at most 255.
fn check_selected_once(targets: &[String]) -> Result<(), ParseError> {
    for (index, found) in targets.iter().enumerate() {
        let mut others = targets
            .iter()
            .enumerate()
            .filter(|&(position, _)| position != index);
        if let Some((_, other)) = others.find(|(_, other)| ends_with_target(found, other)) {
            return Err(ParseError::OverlappingTargets {
                found: found.clone(),
                other: other.clone(),
            });
        }
    }
    Ok(())
}

/// The content of the section, for a list that needs one.
pub(crate) fn write(targets: &TargetModules) -> Vec<u8> {
    let (mode, names) = match targets {
        TargetModules::Suffixes(names) => (MODE_SUFFIXES, names),
        TargetModules::Modules(names) => (MODE_MODULES, names),
    };
    let mut out = vec![mode];
    out.extend(u32::try_from(names.len()).unwrap_or(u32::MAX).to_le_bytes());
    for name in names {
        out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        out.extend(name.as_bytes());
    }
    out
}
