//! What each byte of a file means, for people: `tlora inspect --bytes`.

use crate::codes::{BasisCode, Code, ProjectionCode};
use crate::cursor::Cursor;
use crate::header::{self, CHECKSUM_LENGTH, Header, Opened};
use crate::section::{self, Section};
use crate::{Adapter, ParseError, Precision, STANDARD_TARGETS, SigmaSide, TextKey};

/// A run of bytes with one meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// Where it begins, in bytes from the start of the file.
    pub offset: usize,
    /// Number of bytes.
    pub length: usize,
    /// The specification's word for it.
    pub name: String,
    /// Its value, in words.
    pub meaning: String,
}

/// The fields of a file in order, without gap or overlap.
///
/// # Errors
/// As [`Adapter::parse`]: only a file that is right has a layout.
pub fn layout(bytes: &[u8]) -> Result<Vec<Field>, ParseError> {
    let adapter = Adapter::parse(bytes)?;
    let Opened {
        header, sections, ..
    } = header::open(bytes)?;
    let mut fields = Fields {
        list: Vec::new(),
        end: 0,
    };
    header_fields(&mut fields, &header);
    for group in 0..adapter.group_count {
        let length = usize::from(header.u).saturating_mul(header.precision.size());
        let values = adapter
            .v(group)
            .map(|values| shortened(values.map(|value| value.to_string())));
        fields.push(
            length,
            format!("v of group {group}"),
            values.unwrap_or_default(),
        );
    }
    for section in section::split(&header, sections)? {
        section_fields(&mut fields, &adapter, &section);
    }
    fields.push(
        CHECKSUM_LENGTH,
        "checksum",
        "the first 8 bytes of BLAKE3 of all before",
    );
    Ok(fields.list)
}

/// The fields so far, and where the next one begins.
struct Fields {
    list: Vec<Field>,
    end: usize,
}

impl Fields {
    fn push(&mut self, length: usize, name: impl Into<String>, meaning: impl ToString) {
        self.list.push(Field {
            offset: self.end,
            length,
            name: name.into(),
            meaning: meaning.to_string(),
        });
        self.end = self.end.saturating_add(length);
    }
}

fn header_fields(fields: &mut Fields, header: &Header) {
    fields.push(8, "magic", "\\x89tlora\\r\\n");
    fields.push(1, "major version", 1);
    fields.push(1, "minor version", 0);
    fields.push(1, "flags", "none");
    fields.push(1, "precision of v", header.precision.word());
    fields.push(1, "rank", header.rank);
    let exact = header.basis == BasisCode::Exact;
    fields.push(1, "sigma side", if_used(exact, header.sigma_side));
    fields.push(1, "basis kind", header.basis.word());
    let rounded = exact && header.sigma_side == SigmaSide::Split;
    fields.push(1, "basis rounding", if_used(rounded, header.basis_rounding));
    fields.push(1, "projection kind", header.projection.word());
    let torch = header.projection == ProjectionCode::Torch;
    fields.push(1, "projection seed rule", if_used(torch, header.seed_rule));
    fields.push(
        1,
        "projection rounding",
        if_used(torch, header.projection_rounding),
    );
    fields.push(1, "tying scheme", header.tying.word());
    fields.push(1, "target set", target_set(header.target_set));
    fields.push(1, "number of sections", header.sections);
    fields.push(2, "u", header.u);
    fields.push(4, "number of modules", header.modules);
    fields.push(4, "number of groups", header.groups);
    fields.push(4, "n_tie", if_used(header.n_tie != 0, header.n_tie));
    fields.push(4, "scale", header.scale);
    let seeded = torch || header.projection == ProjectionCode::Native;
    fields.push(8, "projection seed", if_used(seeded, header.seed));
    fields.push(32, "base digest", header.base);
    fields.push(8, "basis check", hex(&header.basis_check));
}

fn if_used(used: bool, value: impl ToString) -> String {
    if used {
        value.to_string()
    } else {
        "not used".to_owned()
    }
}

fn target_set(mask: u8) -> String {
    let set = STANDARD_TARGETS
        .iter()
        .enumerate()
        .filter(|(bit, _)| mask >> bit & 1 == 1);
    let names: Vec<&str> = set.map(|(_, name)| *name).collect();
    if names.is_empty() {
        "see the targets section".to_owned()
    } else {
        names.join(" ")
    }
}

fn section_fields(fields: &mut Fields, adapter: &Adapter, section: &Section<'_>) {
    let length = section.content.left();
    fields.push(
        1,
        "section type",
        format!("{}, {}", section.kind, section_name(section.kind)),
    );
    fields.push(4, "section length", format!("{length} bytes"));
    match section.kind {
        section::TARGETS => target_fields(fields, section.content),
        section::RSVD => rsvd_fields(fields, section.content),
        section::FACTORS => factor_fields(fields, adapter, section.content),
        section::PROJECTIONS => projection_fields(fields, section.content),
        section::TEXT => text_fields(fields, section.content),
        // An unknown section may be empty, and an empty field would mean nothing.
        _ if length == 0 => {}
        kind => fields.push(length, section_name(kind), entries(adapter, kind)),
    }
}

const fn section_name(kind: u8) -> &'static str {
    match kind {
        section::TARGETS => "targets",
        section::GROUP_MAP => "group map",
        section::MODULE_RANKS => "module ranks",
        section::MODULE_SCALES => "module scales",
        section::TRANSPOSED => "transposed",
        section::SIGNS => "signs",
        section::RSVD => "rsvd",
        section::FACTORS => "factors",
        section::PROJECTIONS => "projections",
        section::CORRECTIONS => "corrections",
        section::TEXT => "text",
        _ => "unknown ancillary section",
    }
}

/// The content of a section that is one list.
fn entries(adapter: &Adapter, kind: u8) -> String {
    match (kind, &adapter.tying) {
        (section::GROUP_MAP, crate::Tying::Explicit(map)) => {
            shortened(map.iter().map(u16::to_string))
        }
        (section::MODULE_RANKS, _) => shortened(listed(adapter.module_ranks.as_deref())),
        (section::MODULE_SCALES, _) => shortened(listed(adapter.module_scales.as_deref())),
        (section::TRANSPOSED, _) => {
            set_bits(adapter.transposed.as_deref(), "modules stored as in x out")
        }
        (section::CORRECTIONS, _) => {
            format!(
                "of {} entries of B and A",
                adapter.corrections.iter().count()
            )
        }
        (section::SIGNS, _) => set_bits(adapter.signs.as_deref(), "columns negated"),
        _ => "kept and ignored".to_owned(),
    }
}

fn listed<T: ToString>(values: Option<&[T]>) -> impl ExactSizeIterator<Item = String> {
    values.unwrap_or_default().iter().map(ToString::to_string)
}

fn set_bits(bits: Option<&[bool]>, what: &str) -> String {
    let bits = bits.unwrap_or_default();
    format!(
        "{} of {} {what}",
        bits.iter().filter(|bit| **bit).count(),
        bits.len()
    )
}

fn target_fields(fields: &mut Fields, mut content: Cursor<'_>) {
    let (Some(mode), Some(count)) = (content.u8(), content.u32()) else {
        return;
    };
    fields.push(
        1,
        "mode",
        if mode == 0 {
            "targets"
        } else {
            "full module names"
        },
    );
    fields.push(4, "number of names", count);
    while let Some(length) = content.u8().map(usize::from) {
        let name = String::from_utf8_lossy(content.take(length).unwrap_or_default());
        fields.push(length.saturating_add(1), "name", name);
    }
}

fn rsvd_fields(fields: &mut Fields, mut content: Cursor<'_>) {
    let (Some(seed), Some(n_iter), Some(oversample)) =
        (content.u32(), content.u16(), content.u16())
    else {
        return;
    };
    fields.push(4, "seed", seed);
    fields.push(2, "n_iter", n_iter);
    fields.push(2, "oversample", oversample);
}

fn factor_fields(fields: &mut Fields, adapter: &Adapter, mut content: Cursor<'_>) {
    let crate::BasisKind::Explicit { precision, factors } = &adapter.basis else {
        return;
    };
    content.take(1);
    fields.push(1, "dtype", precision.word());
    for (module, pair) in factors.iter().enumerate() {
        let (out, inner) = (pair.out_features, pair.in_features);
        let rank = adapter.module_rank(module);
        fields.push(4, "out", format!("{out}, module {module}"));
        fields.push(4, "in", inner);
        fields.push(
            pair.b.len().saturating_mul(precision.size()),
            "B",
            format!("{out} x {rank} values"),
        );
        fields.push(
            pair.a.len().saturating_mul(precision.size()),
            "A",
            format!("{rank} x {inner} values"),
        );
    }
}

fn projection_fields(fields: &mut Fields, mut content: Cursor<'_>) {
    let (Some(dtype), Some(shared)) = (content.u8(), content.u8()) else {
        return;
    };
    let precision = Precision::from_code(dtype).unwrap_or(Precision::F32);
    let bytes = content.left();
    fields.push(1, "dtype", precision.word());
    fields.push(
        1,
        "shared",
        if shared == 1 {
            "one set for all modules"
        } else {
            "one set a module"
        },
    );
    let count = bytes.checked_div(precision.size()).unwrap_or(0);
    fields.push(bytes, "P", format!("{count} values"));
}

fn text_fields(fields: &mut Fields, mut content: Cursor<'_>) {
    while let (Some(key), Some(length)) = (content.u8(), content.u16()) {
        let text = String::from_utf8_lossy(content.take(usize::from(length)).unwrap_or_default());
        let name = TextKey::from_code(key).map_or("", Code::word);
        fields.push(usize::from(length).saturating_add(3), name, text);
    }
}

/// Up to eight items, and how many there are if there are more.
fn shortened(items: impl ExactSizeIterator<Item = String>) -> String {
    let count = items.len();
    let shown: Vec<String> = items.take(8).collect();
    if count > shown.len() {
        format!("{} ... ({count})", shown.join(" "))
    } else {
        shown.join(" ")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
