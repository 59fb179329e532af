//! The manifest: what a library says of itself, readable without loading it.
//!
//! It stands in a section of its own, [`SECTION`], of the ELF file:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | [`MAGIC`] |
//! | 4 | the format, [`FORMAT`] or [`FOREIGN_FORMAT`], little-endian |
//! | 4 | length of the text, little-endian |
//! | 8 | XXH3-64 of the text, little-endian |
//! | … | the text: one JSON object |
//!
//! ```json
//! {"contract":5,"module":"logic","version":"1002","compiler":"rustc …","panic":"unwind",
//!  "interface":"Game","methods":[{"name":"hello","access":"exclusive","fingerprint":"…"}],
//!  "differences":[],"constants":[{"name":"PLAYERS_MAX","type":"u64","value":"64"}],
//!  "state":{"type":"World","schema":2,"fingerprint":"…",
//!   "from":[{"type":"World","schema":1,"fingerprint":"…","one_way":false}],
//!   "types":[{"name":"World","schema":2,"fingerprint":"…","parameters":[],"fields":[{"name":"day","type":1}]},
//!            {"name":"u32","schema":1,"fingerprint":"…","parameters":[],"fields":[]}]}}
//! ```
//!
//! `from` are the states that this version can take over, the latest first; from the one before in the list each is
//! one step away. `types` says what the state consists of, itself first; a type is named by its place there.
//!
//! All of it is computed while the library compiles: [`encode`] runs twice, once to learn the length and
//! once to fill the array of that length. JSON, because a manifest is read by people (`readelf -p`) and by
//! later hosts that know more fields, and small enough for its parsing not to matter.

use xxhash_rust::const_xxh3::xxh3_64;

use crate::constant::ConstantValue;
use crate::fingerprint::{COMPILER, PANIC_STRATEGY};
use crate::shape::Shapes;
use crate::table::StateTable;
use crate::{Access, CONTRACT, Constant, Export, Fingerprint, Interface, Logic, MethodSpec, Shape, State};

/// The name of the ELF section.
pub const SECTION: &str = ".liveswap";
/// The first bytes of the section.
pub const MAGIC: [u8; 8] = *b"LIVESWAP";
/// The format described above.
pub const FORMAT: u32 = 1;
/// The format of a library in C: the same, but the checksum is 0, as no preprocessor could compute one, and the text is
/// that of `LIVESWAP_EXPORT`.
pub const FOREIGN_FORMAT: u32 = 2;
/// The length of all that stands before the text, in bytes.
pub const HEADER_LENGTH: usize = 24;

/// What goes into a manifest.
#[derive(Clone, Copy, Debug)]
pub struct ManifestSpec {
    module: &'static str,
    version: &'static str,
    interface: &'static str,
    methods: &'static [MethodSpec],
    differences: &'static [&'static str],
    constants: &'static [Constant],
    state: StateTable,
    shape: &'static Shape,
}

impl ManifestSpec {
    /// The manifest of the logic `L`, which offers the interface `I`.
    ///
    /// # Panics
    ///
    /// While compiling, if a name isn't made of letters, digits, `_` and `-`, if a version isn't made of
    /// numbers with dots between them, or if [`Logic::DIFFERENCES`] names what is no method.
    pub const fn new<L: Logic, I: Interface + ?Sized>(
        module: &'static str,
        version: &'static str,
        _: Export<L, I>,
    ) -> Self {
        assert!(is_name(module), "a module's name is made of letters, digits, `_` and `-`");
        assert!(is_version(version), "a version is made of numbers with dots between them: `1002`, `1.4.0`");
        assert!(
            are_methods(L::DIFFERENCES, I::METHODS),
            "`DIFFERENCES` names a method that the interface doesn't have: name its methods, or `\"*\"` for all"
        );
        Self {
            module,
            version,
            interface: I::NAME,
            methods: I::METHODS,
            differences: L::DIFFERENCES,
            constants: L::CONSTANTS,
            state: StateTable::of::<L::State>(),
            shape: L::State::SHAPE,
        }
    }

    /// How many bytes [`encode`] fills.
    pub const fn encoded_length(&self) -> usize {
        HEADER_LENGTH + self.text::<0>().length
    }

    const fn text<const N: usize>(&self) -> Text<N> {
        let mut text = Text::<N>::new();
        text.push("{\"contract\":");
        text.push_number(CONTRACT);
        text.push_member(",\"module\":", self.module);
        text.push_member(",\"version\":", self.version);
        text.push_member(",\"compiler\":", COMPILER);
        text.push_member(",\"panic\":", PANIC_STRATEGY);
        text.push_member(",\"interface\":", self.interface);
        text.push(",\"methods\":[");
        let mut index = 0;
        while index < self.methods.len() {
            let method = &self.methods[index];
            text.push(if index == 0 { "{" } else { ",{" });
            text.push_member("\"name\":", method.name);
            text.push_member(
                ",\"access\":",
                match method.access {
                    Access::Stateless => "stateless",
                    Access::Shared => "shared",
                    Access::Exclusive => "exclusive",
                },
            );
            text.push_fingerprint(method.fingerprint);
            text.push("}");
            index += 1;
        }
        text.push("],\"differences\":[");
        let mut index = 0;
        while index < self.differences.len() {
            text.push_member(if index == 0 { "" } else { "," }, self.differences[index]);
            index += 1;
        }
        text.push("],\"constants\":[");
        let mut index = 0;
        while index < self.constants.len() {
            let constant = &self.constants[index];
            text.push_member(if index == 0 { "{\"name\":" } else { ",{\"name\":" }, constant.name);
            text.push_member(",\"type\":", constant.type_name());
            match constant.value {
                ConstantValue::Text(value) => text.push_member(",\"value\":", value),
                ConstantValue::Truth(true) => text.push_member(",\"value\":", "true"),
                ConstantValue::Truth(false) => text.push_member(",\"value\":", "false"),
                ConstantValue::Unsigned(value) => text.push_quoted_number(false, value),
                ConstantValue::Signed(value) => text.push_quoted_number(value < 0, value.unsigned_abs()),
            }
            text.push("}");
            index += 1;
        }
        text.push("],\"state\":{\"type\":");
        text.push_type(self.state.name, self.state.schema, self.state.fingerprint);
        text.push(",\"from\":[");
        let mut separator = "{\"type\":";
        let mut origin = self.state.origin;
        while let Some(former) = origin {
            text.push(separator);
            text.push_type(former.table.name, former.table.schema, former.table.fingerprint);
            text.push(if former.downgrade.is_some() { ",\"one_way\":false}" } else { ",\"one_way\":true}" });
            separator = ",{\"type\":";
            origin = former.table.origin;
        }
        text.push("],\"types\":[");
        text.push_shapes(self.shape);
        text.push("]}}");
        text
    }
}

/// The manifest's bytes. `N` is [`ManifestSpec::encoded_length`].
///
/// # Panics
///
/// While compiling, if `N` is another number.
pub const fn encode<const N: usize>(spec: &ManifestSpec) -> [u8; N] {
    // The text is written into an array that has room for the header too, then moved behind it.
    let text = spec.text::<N>();
    assert!(text.length + HEADER_LENGTH == N, "N must be the manifest's encoded length");
    let checksum = xxh3_64(text.bytes.split_at(text.length).0).to_le_bytes();
    let format = FORMAT.to_le_bytes();
    let length = (text.length as u32).to_le_bytes();
    let mut bytes = [0; N];
    let mut index = 0;
    while index < N {
        bytes[index] = match index {
            0..8 => MAGIC[index],
            8..12 => format[index - 8],
            12..16 => length[index - 12],
            16..HEADER_LENGTH => checksum[index - 16],
            _ => text.bytes[index - HEADER_LENGTH],
        };
        index += 1;
    }
    bytes
}

/// Whether `name` can name a module: it becomes part of file names and addresses.
pub const fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let mut index = 0;
    while index < bytes.len() {
        if !(bytes[index].is_ascii_alphanumeric() || matches!(bytes[index], b'_' | b'-')) {
            return false;
        }
        index += 1;
    }
    index > 0
}

/// Whether each of these names a method, or is `*`.
const fn are_methods(names: &[&str], methods: &[MethodSpec]) -> bool {
    let mut index = 0;
    while index < names.len() {
        let mut is_known = is_same(names[index], "*");
        let mut method = 0;
        while method < methods.len() {
            is_known = is_known || is_same(names[index], methods[method].name);
            method += 1;
        }
        if !is_known {
            return false;
        }
        index += 1;
    }
    true
}

const fn is_same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut index = 0;
    while index < one.len() && index < other.len() && one[index] == other[index] {
        index += 1;
    }
    index == one.len() && index == other.len()
}

/// Whether `version` is numbers with dots between them.
pub const fn is_version(version: &str) -> bool {
    let bytes = version.as_bytes();
    let mut index = 0;
    let mut after_digit = false;
    while index < bytes.len() {
        match bytes[index] {
            b'0'..=b'9' => after_digit = true,
            b'.' if after_digit => after_digit = false,
            _ => return false,
        }
        index += 1;
    }
    after_digit
}

/// Text that is built while compiling. With too little room it still counts, which gives the length.
struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Text<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], length: 0 }
    }

    const fn push_byte(&mut self, byte: u8) {
        if self.length < N {
            self.bytes[self.length] = byte;
        }
        self.length += 1;
    }

    const fn push(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut index = 0;
        while index < bytes.len() {
            self.push_byte(bytes[index]);
            index += 1;
        }
    }

    /// A member with a text value, escaped as JSON wants it.
    const fn push_member(&mut self, key: &str, value: &str) {
        self.push(key);
        self.push_byte(b'"');
        let bytes = value.as_bytes();
        let mut index = 0;
        while index < bytes.len() {
            match bytes[index] {
                // Only a constant's value has any.
                control @ 0..0x20 => {
                    const DIGITS: &[u8; 16] = b"0123456789abcdef";
                    self.push("\\u00");
                    self.push_byte(DIGITS[(control >> 4) as usize]);
                    self.push_byte(DIGITS[(control & 15) as usize]);
                }
                other => {
                    if matches!(other, b'"' | b'\\') {
                        self.push_byte(b'\\');
                    }
                    self.push_byte(other);
                }
            }
            index += 1;
        }
        self.push_byte(b'"');
    }

    /// The name, schema version and fingerprint of a type.
    const fn push_type(&mut self, name: &str, schema: u32, fingerprint: Fingerprint) {
        self.push_member("", name);
        self.push(",\"schema\":");
        self.push_number(schema);
        self.push_fingerprint(fingerprint);
    }

    /// The types within a type, itself first.
    const fn push_shapes(&mut self, shape: &'static Shape) {
        let shapes = Shapes::within(shape);
        let mut index = 0;
        while index < shapes.count {
            if let Some(shape) = shapes.shapes[index] {
                self.push(if index == 0 { "{\"name\":" } else { ",{\"name\":" });
                self.push_type(shape.name, shape.schema, shape.fingerprint);
                self.push(",\"parameters\":[");
                let mut separator = "";
                let mut parameter = 0;
                while parameter < shape.parameters.len() {
                    self.push(separator);
                    self.push_place(shapes.place(shape.parameters[parameter]));
                    separator = ",";
                    parameter += 1;
                }
                self.push("],\"fields\":[");
                let mut separator = "{";
                let mut field = 0;
                while field < shape.fields.len() {
                    self.push(separator);
                    self.push_member("\"name\":", shape.fields[field].name);
                    self.push(",\"type\":");
                    self.push_place(match shape.fields[field].shape {
                        Some(shape) => shapes.place(shape),
                        None => None,
                    });
                    self.push("}");
                    separator = ",{";
                    field += 1;
                }
                self.push("]}");
            }
            index += 1;
        }
    }

    const fn push_place(&mut self, place: Option<usize>) {
        match place {
            Some(place) => self.push_number(place as u32),
            None => self.push("null"),
        }
    }

    const fn push_fingerprint(&mut self, fingerprint: Fingerprint) {
        self.push(",\"fingerprint\":\"");
        let digits = fingerprint.to_hexadecimal();
        let mut index = 0;
        while index < digits.len() {
            self.push_byte(digits[index]);
            index += 1;
        }
        self.push_byte(b'"');
    }

    const fn push_quoted_number(&mut self, is_negative: bool, number: u64) {
        self.push(if is_negative { ",\"value\":\"-" } else { ",\"value\":\"" });
        self.push_long_number(number);
        self.push_byte(b'"');
    }

    const fn push_number(&mut self, number: u32) {
        self.push_long_number(number as u64);
    }

    const fn push_long_number(&mut self, number: u64) {
        let mut unit = 1;
        while number / unit >= 10 {
            unit *= 10;
        }
        while unit > 0 {
            self.push_byte(b'0' + (number / unit % 10) as u8);
            unit /= 10;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, interface};

    #[interface]
    trait Nothing {}

    struct NothingV1;

    impl Logic for NothingV1 {
        type State = u64;

        const DIFFERENCES: &'static [&'static str] = &["*"];
        const CONSTANTS: &'static [Constant] = &[
            Constant::text("SAID", "a \"word\"\n"),
            Constant::unsigned("MOST", u64::MAX),
            Constant::signed("LEAST", i64::MIN),
            Constant::truth("IS_TRUE", true),
        ];

        fn create(_: &Context) -> u64 {
            0
        }
    }

    impl NothingLogic for NothingV1 {}

    const SPEC: ManifestSpec =
        ManifestSpec::new("logic", "1001", <NothingV1 as NothingLogic>::__LIVESWAP_EXPORT);
    static BYTES: [u8; SPEC.encoded_length()] = encode(&SPEC);

    #[test]
    fn header_and_text_fit_together() {
        assert_eq!(BYTES[..8], MAGIC);
        let text = &BYTES[HEADER_LENGTH..];
        assert_eq!(BYTES[12..16], (text.len() as u32).to_le_bytes());
        assert_eq!(BYTES[16..24], xxh3_64(text).to_le_bytes());
        let text = std::str::from_utf8(text).unwrap();
        assert!(
            text.starts_with(r#"{"contract":5,"module":"logic","version":"1001","compiler":"rustc "#),
            "{text}"
        );
        assert!(
            text.contains(
                r#""interface":"Nothing","methods":[],"differences":["*"],"constants":[{"name":"SAID","type":"str","value":"a \"word\"\u000a"},{"name":"MOST","type":"u64","value":"18446744073709551615"},{"name":"LEAST","type":"i64","value":"-9223372036854775808"},{"name":"IS_TRUE","type":"bool","value":"true"}],"state":{"type":"u64","schema":1,"fingerprint":""#
            ),
            "{text}"
        );
    }

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 7, 10, 1002, u64::from(u32::MAX), u64::MAX] {
            let mut text = Text::<20>::new();
            text.push_long_number(number);
            assert_eq!(text.bytes[..text.length], *number.to_string().as_bytes());
        }
    }

    #[test]
    fn differences_name_methods() {
        let method = MethodSpec { name: "hit", access: Access::Shared, fingerprint: Fingerprint::of("hit") };
        assert!(are_methods(&[], &[]) && are_methods(&["*"], &[]) && are_methods(&["hit", "*"], &[method]));
        assert!(
            !are_methods(&["hi"], &[method])
                && !are_methods(&["hits"], &[method])
                && !are_methods(&["hit"], &[])
        );
    }

    #[test]
    fn names_and_versions() {
        assert!(is_name("logic") && is_name("net_api-2"));
        assert!(!is_name("") && !is_name("../logic") && !is_name("a.b"));
        assert!(is_version("1002") && is_version("1.4.0"));
        assert!(
            !is_version("")
                && !is_version("1.")
                && !is_version(".1")
                && !is_version("1..2")
                && !is_version("v1")
        );
    }
}
