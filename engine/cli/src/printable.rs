//! Text that comes from libraries and hosts, on its way to a terminal.

/// The text without what a terminal would obey: parts of it come from libraries that nobody trusts yet.
pub(crate) fn printable(text: &str) -> String {
    let harmless = |letter: char| letter == '\n' || !letter.is_control();
    text.chars().map(|letter| if harmless(letter) { letter } else { char::REPLACEMENT_CHARACTER }).collect()
}
