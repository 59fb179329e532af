//! Mutations that keep an input's structure: JSON stays JSON, and what is changed in a library is what its headers say.
//!
//! A fuzzer's own mutations change bytes. Of JSON they make what isn't JSON, mostly, and in a library of ten thousand
//! bytes the few that anybody looks at are seldom hit.

use serde_json::Value;

/// Changes `data[..size]` to something of at most `max_size` bytes, and returns how many. None if the fuzzer's own way
/// is to be gone, which is so for a part of the seeds, and for all inputs that have no structure known here.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> Option<usize> {
    let mut dice = Dice(u64::from(seed) ^ 0x9e37_79b9_7f4a_7c15);
    if dice.below(4) == 0 {
        return None;
    }
    if data[..size].starts_with(b"\x7fELF") {
        mutate_library(&mut data[..size], &mut dice);
        return Some(size);
    }
    let mut value = serde_json::from_slice(&data[..size]).ok().filter(Value::is_object)?;
    for _ in 0..=dice.below(3) {
        mutate_value(&mut value, &mut dice);
    }
    let text = serde_json::to_vec(&value).ok()?;
    (text.len() <= max_size).then(|| {
        data[..text.len()].copy_from_slice(&text);
        text.len()
    })
}

/// Numbers from a seed (Marsaglia's xorshift).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 11) as usize % bound.max(1)
    }

    fn one_of<'list, T>(&mut self, list: &'list [T]) -> &'list T {
        &list[self.below(list.len())]
    }
}

/// Puts a number that is likely to matter into one of the places that a reader goes by: the header, the two tables
/// that it names, and what the tables name.
fn mutate_library(library: &mut [u8], dice: &mut Dice) {
    let length = library.len();
    let word = |library: &[u8], at: usize| {
        let bytes = library.get(at..at.checked_add(8)?)?;
        Some(u64::from_le_bytes(bytes.try_into().ok()?) as usize)
    };
    let tables = [word(library, 32), word(library, 40)].map(|at| at.unwrap_or(0));
    let (from, span, stride) = match dice.below(4) {
        0 => (0, 64, 2),
        1 => (tables[0], 56 * 12, 4),
        2 => (tables[1], 64 * 24, 4),
        // What a row of either table names: the dynamic entries, the symbols, the manifest.
        _ => {
            let (row, offset) = if dice.below(2) == 0 { (56, 8) } else { (64, 24) };
            let table = if row == 56 { tables[0] } else { tables[1] };
            let row = table.saturating_add(row * dice.below(24) + offset);
            (word(library, row).unwrap_or(0), 256, 4)
        }
    };
    let at = from.saturating_add(stride * dice.below(span / stride));
    let interesting = [0, 1, 2, 7, 8, 64, 0xff, 0xffff, 0x7fff_ffff, 0xffff_ffff, u64::MAX, u64::MAX - 7];
    let near = [length, length - 1, length + 1, from, at, length - from.min(length)];
    let value = match dice.below(3) {
        0 => *dice.one_of(&near) as u64,
        1 => *dice.one_of(&interesting),
        _ => word(library, at).unwrap_or(0) as u64 ^ (1 << dice.below(64)),
    };
    let width = *dice.one_of(&[1, 2, 4, 8]);
    if let Some(place) = at.checked_add(width).and_then(|end| library.get_mut(at..end)) {
        place.copy_from_slice(&value.to_le_bytes()[..width]);
    }
}

fn mutate_value(root: &mut Value, dice: &mut Dice) {
    let chosen = dice.below(count(root));
    // Of another place, to be put here.
    let other = nth(root, dice.below(count(root))).expect("it was counted").clone();
    let value = nth(root, chosen).expect("it was counted");
    match value {
        _ if dice.below(8) == 0 => *value = other,
        Value::Null => *value = other,
        Value::Bool(flag) => *flag = !*flag,
        Value::Number(_) => *value = number(dice),
        Value::String(text) => mutate_text(text, other.as_str(), dice),
        Value::Array(list) => mutate_list(list, other, dice),
        Value::Object(map) => {
            let keys: Vec<String> = map.keys().cloned().collect();
            let Some(key) = (!keys.is_empty()).then(|| dice.one_of(&keys)) else { return };
            match dice.below(3) {
                0 => drop(map.remove(key)),
                1 => drop(map.insert(key.clone(), other)),
                _ => drop(map.insert(format!("{key}x"), other)),
            }
        }
    }
}

fn mutate_list(list: &mut Vec<Value>, other: Value, dice: &mut Dice) {
    let at = dice.below(list.len());
    match dice.below(5) {
        0 if !list.is_empty() => drop(list.remove(at)),
        1 if !list.is_empty() => list.insert(at, list[at].clone()),
        2 if !list.is_empty() => {
            let other = dice.below(list.len());
            list.swap(at, other);
        }
        // The same many times over, such as parameters of a type that is its own parameter.
        3 if list.len() < 64 => list.extend(list.clone()),
        _ if dice.below(2) == 0 => list.push(Value::from(dice.below(4))),
        _ => list.push(other),
    }
}

fn mutate_text(text: &mut String, other: Option<&str>, dice: &mut Dice) {
    let parts =
        ["", "0", "1", ".", "..", "/", "\0", "\u{1b}[2J", "é", "World", "unwind", "shared", "-1", "x"];
    let part = *dice.one_of(&parts);
    match dice.below(5) {
        0 => text.clear(),
        1 => text.push_str(part),
        2 => text.insert_str(0, part),
        3 => *text = other.unwrap_or_default().to_owned(),
        _ if text.len() < 4096 => *text = text.repeat(2),
        _ => drop(text.pop()),
    }
}

fn number(dice: &mut Dice) -> Value {
    match dice.below(3) {
        0 => Value::from(dice.below(6)),
        1 => Value::from(*dice.one_of(&[u64::from(u32::MAX), u64::from(u32::MAX) + 1, u64::MAX, 1 << 31])),
        _ => Value::from(-1),
    }
}

/// How many values there are, with all that are in others.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

/// The value of this number, counted as [`count`] does.
fn nth(value: &mut Value, number: usize) -> Option<&mut Value> {
    if number == 0 {
        return Some(value);
    }
    let mut left = number - 1;
    let inner: Vec<&mut Value> = match value {
        Value::Array(list) => list.iter_mut().collect(),
        Value::Object(map) => map.values_mut().collect(),
        _ => return None,
    };
    for value in inner {
        let size = count(value);
        if left < size {
            return nth(value, left);
        }
        left -= size;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"a":[1,2,{"b":"c"}],"d":null,"e":true}"#;

    #[test]
    fn json_stays_json_and_is_changed() {
        let mut changed = 0;
        for seed in 0..2_000 {
            let mut data = vec![0; 512];
            data[..TEXT.len()].copy_from_slice(TEXT.as_bytes());
            let Some(size) = mutate(&mut data, TEXT.len(), 512, seed) else { continue };
            serde_json::from_slice::<Value>(&data[..size]).unwrap();
            changed += usize::from(data[..size] != *TEXT.as_bytes());
        }
        assert!(changed > 1_000, "{changed}");
    }

    #[test]
    fn every_value_is_found_by_its_number() {
        let mut value: Value = serde_json::from_str(TEXT).unwrap();
        assert_eq!(count(&value), 8);
        assert!((0..8).all(|number| nth(&mut value, number).is_some()));
        assert_eq!(nth(&mut value, 8), None);
        assert_eq!(nth(&mut value, 5), Some(&mut Value::from("c")));
    }

    #[test]
    fn a_library_keeps_its_length_and_is_changed_in_one_place() {
        let library: Vec<u8> = b"\x7fELF".iter().copied().chain((4..=255).cycle().take(6_000)).collect();
        let mut changed = 0;
        for seed in 0..500 {
            let mut data = library.clone();
            let Some(size) = mutate(&mut data, library.len(), library.len(), seed) else { continue };
            assert_eq!(size, library.len());
            let differing = data.iter().zip(&library).filter(|(left, right)| left != right).count();
            assert!(differing <= 8);
            changed += usize::from(differing > 0);
        }
        assert!(changed > 100, "{changed}");
    }
}
