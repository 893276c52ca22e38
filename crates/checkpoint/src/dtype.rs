//! The element types of safetensors (spec §9, C5).

use std::fmt;

macro_rules! dtypes {
    ($($variant:ident $name:literal $size:literal $doc:literal,)*) => {
        /// The element type of a tensor.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Dtype {
            $(#[doc = $doc] $variant,)*
        }

        impl Dtype {
            /// Every dtype that a checkpoint may have.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name in a safetensors header.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Bytes of one element.
            pub const fn size(self) -> u64 {
                match self { $(Self::$variant => $size,)* }
            }
        }
    };
}

dtypes! {
    Bool "BOOL" 1 "One byte, 0 or 1.",
    U8 "U8" 1 "Unsigned, 8 bits.",
    I8 "I8" 1 "Signed, 8 bits.",
    F8E4M3 "F8_E4M3" 1 "8-bit float, 3 bits of fraction.",
    F8E5M2 "F8_E5M2" 1 "8-bit float, 2 bits of fraction.",
    F8E8M0 "F8_E8M0" 1 "8-bit power of two.",
    I16 "I16" 2 "Signed, 16 bits.",
    U16 "U16" 2 "Unsigned, 16 bits.",
    F16 "F16" 2 "IEEE 754 binary16.",
    Bf16 "BF16" 2 "The upper half of a binary32.",
    I32 "I32" 4 "Signed, 32 bits.",
    U32 "U32" 4 "Unsigned, 32 bits.",
    F32 "F32" 4 "IEEE 754 binary32.",
    C64 "C64" 8 "Two binary32, real and imaginary.",
    F64 "F64" 8 "IEEE 754 binary64.",
    I64 "I64" 8 "Signed, 64 bits.",
    U64 "U64" 8 "Unsigned, 64 bits.",
}

impl Dtype {
    /// The dtype of that header name, if there is one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|dtype| dtype.name() == name)
    }

    /// Whether a module's weight may have it (spec §5.2).
    pub const fn is_weight(self) -> bool {
        matches!(self, Self::Bf16 | Self::F16 | Self::F32)
    }

    pub(crate) const fn is_fp8(self) -> bool {
        matches!(self, Self::F8E4M3 | Self::F8E5M2 | Self::F8E8M0)
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
